"""Text in columns, where a Chinese sign takes two, and in lines that end where Chinese ones may."""

import re
import unicodedata
from typing import Final

HANGING: Final = "    "  # Before what did not fit into the line above.
_WIDE: Final = frozenset("WF")
_CLOSING: Final = "，。；：、？！…）》」』”’"  # None of them begins a line, and none of these ends one:
_OPENING: Final = "（《「『“‘"
_SIGN: Final = "\u2e80-\u2fdf\u3040-\ufaff\uff61-\uffef"  # A line may end behind each.
_PIECE: Final = re.compile(rf"[{_OPENING}]*(?:[{_SIGN}]|[^\s{_SIGN}{_OPENING}{_CLOSING}]+)?[{_CLOSING}]*\s*")


def width_of(text: str) -> int:
    """How many columns *text* takes on a terminal."""
    return len(text) if text.isascii() else sum(1 + (unicodedata.east_asian_width(sign) in _WIDE) for sign in text)


def ljust(text: str, width: int) -> str:
    """*text*, filled up with blanks behind it."""
    return text + " " * (width - width_of(text))


def rjust(text: str, width: int) -> str:
    """*text*, filled up with blanks before it."""
    return " " * (width - width_of(text)) + text


def wrap(text: str, width: int) -> list[str]:
    """
    *text* in lines of at most *width* columns: parted at blanks and between Chinese signs, but before no full stop.

    A word that is wider stands in a line of its own, whole, so that it can be copied.
    """
    lines, line = [], ""
    for piece in filter(None, _PIECE.findall(text)):
        if line and width_of((line + piece).rstrip()) > width:
            lines.append(line.rstrip())
            line = ""
        line += piece
    return [*lines, line.rstrip()]
