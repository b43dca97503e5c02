"""Numbers, times and names as a person reads them; what a text may not do to a terminal."""

from collections.abc import Sequence
from typing import Final

_JOINERS: Final = "\u200c\u200d"  # Parts of words in Persian and Hindi, and of many an emoji; they steer nothing.


def duration(seconds: float) -> str:
    """``8 s``, ``1:20``, ``2 h 05``, ``3 days``."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02}"
    return f"{whole // 3600} h {whole % 3600 // 60:02}" if whole < 172_800 else f"{whole // 86_400} days"


def soon(seconds: float) -> str:
    """``now``, ``in 12 s``."""
    return "now" if seconds < 1 else f"in {duration(seconds)}"


def number_of(noun: str, count: int) -> str:
    """``1 job``, ``3 jobs``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def new_submits(count: int) -> str:
    """``no new submits``, ``1 new submit``, ``3 new submits``."""
    return f"{count or 'no'} new submit{'' if count == 1 else 's'}"


def listed(names: Sequence[str], last: str) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return f" {last} ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def printable(text: str) -> str:
    """*text* without anything that could steer a terminal: titles and errors are written by others."""
    return "".join(letter if letter.isprintable() or letter in _JOINERS else " " for letter in text)
