"""Text in columns, where a Chinese sign takes two."""

import unicodedata
from typing import Final

_WIDE: Final = frozenset("WF")


def width_of(text: str) -> int:
    """How many columns *text* takes on a terminal."""
    return len(text) if text.isascii() else sum(1 + (unicodedata.east_asian_width(sign) in _WIDE) for sign in text)


def ljust(text: str, width: int) -> str:
    """*text*, filled up with blanks behind it."""
    return text + " " * (width - width_of(text))


def rjust(text: str, width: int) -> str:
    """*text*, filled up with blanks before it."""
    return " " * (width - width_of(text)) + text
