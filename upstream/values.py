"""Values in answers, checked by kind: each function returns None for a value of another kind. Pure functions."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from framerelay.upstream.words import CODE_CHARACTERS_MAX, cut

NUMBER_MAX: Final = 10**40  # As long as a UUID that is written as a number.


def mapping_of(value: object) -> Mapping[str, object] | None:
    """A JSON object."""
    return value if isinstance(value, dict) else None


def text_of(value: object) -> str | None:
    """
    A non-empty string; a whole number counts too, as some gateways number their jobs and states.

    ``7.0`` is 7: some languages have no whole numbers.
    """
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) and abs(value) < NUMBER_MAX else None


def word_of(value: object) -> str | None:
    """A word, or a number, cut."""
    text = text_of(value)
    return text if text is None or len(text) <= CODE_CHARACTERS_MAX else cut(text, CODE_CHARACTERS_MAX)


def sentence_of(value: object) -> str | None:
    """Words for a person, cut."""
    text = text_of(value)
    return None if text is None else cut(text)


def number_of(value: object) -> float | None:
    """A finite number; digits in a string count (Kling writes ``"duration": "5"``)."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def integer_of(value: object) -> int | None:
    """A whole number that every program can hold."""
    number = number_of(value)
    return int(number) if number is not None and number.is_integer() and abs(number) < 2**53 else None


def time_of(value: object) -> datetime | None:
    """Epoch seconds, or milliseconds (Kling) when the number is too large for seconds."""
    seconds = number_of(value)
    if seconds is None or seconds <= 0:
        return None
    try:
        return datetime.fromtimestamp(seconds / 1000 if seconds > 1e11 else seconds, tz=UTC)
    except (ValueError, OverflowError, OSError):
        return None
