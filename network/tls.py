"""Whose certificates are trusted, in addition to those of the usual authorities."""

import ssl

import certifi

from framerelay.config.env_file import SettingInvalid
from framerelay.config.settings import Settings
from framerelay.config.text import read_text


def tls_of(settings: Settings) -> ssl.SSLContext | None:
    """
    The usual certificate authorities and those of the settings; None if there are only the usual ones.

    Raises: SettingInvalid if the file cannot be read as PEM.
    """
    if settings.ca_file is None:
        return None
    context = ssl.create_default_context(cafile=certifi.where())
    try:
        certificates = (
            read_text(settings.ca_file).encode("ascii", "ignore").decode("ascii")
        )  # Comments may be anything.
        context.load_verify_locations(cadata=certificates)
    except (OSError, ValueError) as error:  # SSLError is one of the former.
        reason = (
            None if isinstance(error, ssl.SSLError) else getattr(error, "strerror", None)
        ) or "it holds no certificate"
        raise SettingInvalid(f"FRAMERELAY_CA_FILE = {str(settings.ca_file)!r}: {reason}") from None
    return context
