"""
JSON that its writer got almost right: a job that was paid for must not be lost for a value that nobody reads.

Half an emoji of a prompt that was cut by JavaScript, the NaN of Python, a line break as it is, a letter in Latin-1, a
number that no program can hold. Pure. What breaks off stays unreadable: its other half is not known.
"""

import json
import math
import re
from typing import Final

DIGITS_MAX: Final = 400
"""The largest of what others call a number; one with more is none."""
_ESCAPE: Final = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)"
)


def decode_leniently(body: bytes) -> object:
    """
    What *body* says; null for what is no number, and the sign of a lost letter for half a pair or another encoding.

    Raises: ValueError, RecursionError for what cannot be read even so.
    """
    text = body.decode("utf-8", "replace")
    text = _ESCAPE.sub(lambda each: r"\ufffd" if each[1] else each[0], text)
    return json.loads(text, strict=False, parse_constant=lambda _: None, parse_float=_number, parse_int=_whole)


def _number(digits: str) -> float | None:
    number = float(digits)
    return number if math.isfinite(number) else None


def _whole(digits: str) -> int | None:
    return int(digits) if len(digits) <= DIGITS_MAX else None
