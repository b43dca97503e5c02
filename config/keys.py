"""The API keys and the signing secret: given in the settings, or created once and kept in the data folder."""

import ipaddress
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Secret

from framerelay.config.env_file import SettingInvalid
from framerelay.config.settings import Settings
from framerelay.config.text import read_text, trim

CHARS_MIN: Final = 20
DIFFERENT_MIN: Final = 8
# Found in examples everywhere, and so in every list of guesses.
COMMON: Final = ("changeme", "change-me", "change_me", "password", "example", "default", "your-", "your_", "123456")


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """
    The keys to ``/v1`` and the one that signs our addresses; ``new_api_key`` is set on the start that created it.

    ``api_key`` may do everything, as may ``further`` ones; those of ``read`` may only look.
    """

    api_key: Secret
    secret: Secret
    new_api_key: bool
    further: tuple[Secret, ...] = ()
    read: tuple[Secret, ...] = ()

    @property
    def operate(self) -> tuple[Secret, ...]:
        """All keys that may do everything."""
        return (self.api_key, *self.further)


def load_keys(settings: Settings) -> Keys:
    """
    The keys of this installation; those that the settings leave out are created on the first call and found on later
    ones.

    Raises: SettingInvalid for a stored file that holds no key; OSError if the data folder cannot be written.
    """
    keys, new = (list(settings.api_key), False) if settings.api_key else (None, False)
    if keys is None:
        key, new = _load_or_make(settings.data_dir / "api_key", "fr_")
        keys = [key]
    secret, _ = (settings.secret, False) if settings.secret else _load_or_make(settings.data_dir / "secret", "fr_")
    return Keys(api_key=keys[0], further=tuple(keys[1:]), read=settings.read_key, secret=secret, new_api_key=new)


def refuse_weak_keys(settings: Settings) -> None:
    """
    A receiver that others can reach must not accept a key that can be guessed.

    Raises: SettingInvalid, naming the variable; never for keys that we made, nor while only this machine reaches us.
    """
    if not _is_public(settings):
        return
    keys = [("FRAMERELAY_API_KEY", key) for key in settings.api_key]
    keys += [("FRAMERELAY_READ_KEY", key) for key in settings.read_key]
    keys += [("FRAMERELAY_SECRET", settings.secret)] if settings.secret else []
    for variable, key in keys:
        if reason := weakness(key):
            raise SettingInvalid(
                f"{variable}: {reason}, and this receiver can be reached from elsewhere. Leave it unset and a key is "
                "made, or take one from: openssl rand -hex 24"
            )


def _is_public(settings: Settings) -> bool:
    hosts = [settings.host, urlsplit(settings.public_url or "").hostname or "localhost"]
    return not all(is_loopback(host) for host in hosts)


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def weakness(secret: Secret) -> str | None:
    """Why *secret* can be guessed, in words that do not show it; None if it cannot."""
    key = str(secret)
    if len(key) < CHARS_MIN:
        return f"it is shorter than {CHARS_MIN} characters"
    if len(set(key)) < DIFFERENT_MIN:
        return f"it has fewer than {DIFFERENT_MIN} different characters"
    if any(word in key.lower() for word in COMMON):
        return "it is made of words that are tried first"
    return None


def find_api_key(settings: Settings) -> Secret | None:
    """The API key if there is one already; none is created (for the command, which only talks to a receiver)."""
    if settings.api_key:
        return settings.api_key[0]
    path = settings.data_dir / "api_key"
    return _read(path) if path.exists() else None


def find_secret(settings: Settings) -> Secret | None:
    """The signing secret if there is one already; none is created (for `doctor`, which leaves nothing behind)."""
    if settings.secret:
        return settings.secret
    path = settings.data_dir / "secret"
    return _read(path) if path.exists() else None


def _load_or_make(path: Path, prefix: str) -> tuple[Secret, bool]:
    """Two processes that start at once must end up with the same key: the file appears whole, by a link, and once."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    if not path.exists():
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(prefix + secrets.token_urlsafe(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
            return _read(path), True
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return _read(path), False


def _read(path: Path) -> Secret:
    """An empty key would be one that everybody has."""
    try:
        text = trim(read_text(path))
    except UnicodeDecodeError:
        text = ""
    if not text or not text.isascii():
        raise SettingInvalid(f"{path} holds no key: remove it, and the next start makes a new one")
    return Secret(text)
