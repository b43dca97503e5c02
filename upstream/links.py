"""Addresses in the provider's answers, cleaned up: without anything pasted around them, and joined. Pure functions."""

import re
from typing import Final
from urllib.parse import urljoin

from framerelay.upstream.words import ADDRESS_CHARACTERS_MAX

_AROUND: Final = "\ufeff\u200b\u200c\u200d\u2060"
_INSIDE: Final = str.maketrans("", "", "\r\n\t")  # As browsers read an address; a space in it stays.
_FILE: Final = re.compile(r"[^\s:?#]{1,1000}\.(mp4|m4v|mov|webm|mkv|png|jpe?g|webp)(\?\S*)?", re.IGNORECASE)


def read_address(text: str, *, root: str | None) -> str | None:
    """
    The http(s) address that *text* is, or None; whether it may be opened is checked when it is opened.

    Relative ones (``/outputs/a.mp4``, ``//host/a.mp4``, ``outputs/a.mp4``) are joined to *root*, an address without a
    trailing slash; without a *root* they are not addresses.
    """
    if len(text) > ADDRESS_CHARACTERS_MAX:
        return None
    plain = text.strip().strip(_AROUND).strip().translate(_INSIDE)
    if plain.lower().startswith(("http://", "https://")):
        return plain
    if root is None or not (plain.startswith(("/", "./", "../")) or _FILE.fullmatch(plain)):
        return None
    return join_address(plain, root=root)


def join_address(text: str, *, root: str) -> str | None:
    """*text* joined to *root*; None if the two make no address."""
    try:
        return urljoin(root + "/", text)
    except ValueError:  # Half an IPv6 address.
        return None
