"""Numbers, times and names as people read them; and what text must not do to a terminal."""

import re
from collections.abc import Sequence
from typing import Final

_PLAIN_WORD: Final = re.compile(r"[^\W\d_]+(?=[\s,;:'’-]|$)")
_JOINERS: Final = "\u200c\u200d"  # Parts of words in Persian and Hindi, and of many emoji; harmless to a terminal.


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


def join_names(names: Sequence[str], last: str) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return f" {last} ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def amount_words(amount: float, currency: str) -> str:
    """An amount of money: ``1.56 USD``; small ones keep the digits that they need."""
    return f"{amount:.2f} {currency}" if amount == 0 or amount >= 0.1 else f"{amount:.4f} {currency}"


def range_words(low: float, high: float, currency: str) -> str:
    """An approximate amount: ``about 1.50 USD``, or ``0.84 to 1.26 USD``."""
    least, most = amount_words(low, currency), amount_words(high, currency)
    return f"about {most}" if least == most else f"{least.removesuffix(f' {currency}')} to {most}"


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th, 11th, 22nd."""
    ending = "th" if number // 10 % 10 == 1 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def clause(message: str) -> str:
    """*message* as part of a sentence; ours have no period, but the words of others may end with one."""
    return message.rstrip().rstrip(".")


def sentence(message: str) -> str:
    """*message* on its own: ``the clip has no picture`` becomes ``The clip has no picture.``; names stay unchanged."""
    text = clause(message)
    words = text[:1].upper() + text[1:] if _PLAIN_WORD.match(text) else text
    return words if words.endswith(("!", "?", "…")) else f"{words}."


def printable(text: str) -> str:
    """*text* without anything that could control a terminal: titles and errors are written by others."""
    return "".join(letter if letter.isprintable() or letter in _JOINERS else " " for letter in text)
