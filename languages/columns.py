"""Text in columns, where a Chinese character takes two, and in lines that break where Chinese allows it."""

import re
import unicodedata
from typing import Final

HANGING: Final = "    "  # Before what did not fit on the line above.
_WIDE: Final = frozenset("WF")
_CLOSING: Final = "，。；：、？！…）》」』”’"  # None of them begins a line, and none of these ends one:
_OPENING: Final = "（《「『“‘"
_SIGN: Final = "\u2e80-\u2fdf\u3040-\ufaff\uff61-\uffef"  # A line may break after each.
_PIECE: Final = re.compile(rf"[{_OPENING}]*(?:[{_SIGN}]|[^\s{_SIGN}{_OPENING}{_CLOSING}]+)?[{_CLOSING}]*\s*")


def width_of(text: str) -> int:
    """How many columns *text* takes on a terminal."""
    return len(text) if text.isascii() else sum(1 + (unicodedata.east_asian_width(sign) in _WIDE) for sign in text)


def ljust(text: str, width: int) -> str:
    """*text*, padded with spaces on the right."""
    return text + " " * (width - width_of(text))


def rjust(text: str, width: int) -> str:
    """*text*, padded with spaces on the left."""
    return " " * (width - width_of(text)) + text


def wrap(text: str, width: int) -> list[str]:
    """
    *text* in lines of at most *width* columns: broken at spaces and between Chinese characters, but not before a
    period.

    A word that is wider is on a line of its own, whole, so that it can be copied.
    """
    lines, line = [], ""
    for piece in filter(None, _PIECE.findall(text)):
        if line and width_of((line + piece).rstrip()) > width:
            lines.append(line.rstrip())
            line = ""
        line += piece
    return [*lines, line.rstrip()]
