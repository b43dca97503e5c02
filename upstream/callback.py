"""Reading the body of a callback: bytes in, a job report out; nothing else happens here."""

import json
import math
from codecs import BOM_UTF8
from collections.abc import Callable
from typing import Annotated, Any, NoReturn

import msgspec

from framerelay.runs.errors import RequestInvalid
from framerelay.upstream.job import JobReport, read_job

DEPTH_MAX = 32
"""Levels of nesting; the deepest documented body has five."""

DIGITS_MAX = 64
"""Digits of one number; the time to read more grows with the square of their number."""

QUICK_LEVELS = 6
"""Levels of nesting up to which the quick reader is used."""

COMMAS_MAX = 10_000
"""Commas, and so values, in a body; a mebibyte of ``1,1,1`` would keep all other callbacks waiting for a second."""


def read_callback(body: bytes) -> JobReport:
    """
    What a callback says about its job. *body* is untrusted: the caller limits its size, this function the rest.

    Raises: RequestInvalid for anything that is not a JSON object in UTF-8, or that has a duplicate key, a number that
    JSON does not allow or that is longer than ``DIGITS_MAX``, more than ``DEPTH_MAX`` levels or ``COMMAS_MAX`` values,
    or half a surrogate pair. A byte order mark before it is ignored.
    """
    return read_job(parse_object(body))


def parse_object(body: bytes) -> dict[str, object]:
    """The JSON object in *body*, within the limits of :func:`read_callback`."""
    body = body.removeprefix(BOM_UTF8)  # Some platforms put it in front of what they send.
    if len(body) > COMMAS_MAX and body.count(b",") > COMMAS_MAX:
        raise RequestInvalid(f"the body holds more than {COMMAS_MAX} values")
    return _read_quickly(body) or _read_strictly(body)


# What the quick reader accepts: no fraction, no large number, few levels. It checks the types as it reads.
_plain: Any = str | bool | Annotated[int, msgspec.Meta(gt=-(2**53), lt=2**53)] | None
for _ in range(QUICK_LEVELS):
    _plain = str | bool | Annotated[int, msgspec.Meta(gt=-(2**53), lt=2**53)] | list[_plain] | dict[str, _plain] | None
_BACKSLASH, _QUOTE = b'\\"'  # As numbers: bytes look for one of these in a fifth of the time.
_decode_plain: Callable[[bytes], dict[str, object]] = msgspec.json.Decoder(dict[str, _plain]).decode


def _read_quickly(body: bytes) -> dict[str, object] | None:
    """
    The object in a body in which the quick reader cannot have missed anything that the strict one refuses, otherwise
    None.

    If nothing is escaped, each text has two quotation marks; a duplicate key leaves one text too few.
    """
    if _BACKSLASH in body and body.count(_BACKSLASH) != body.count(rb"\u0026"):  # Go writes & like this.
        return None
    try:
        document = _decode_plain(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return document if _encode(document).count(_QUOTE) == body.count(_QUOTE) else None


def _read_strictly(body: bytes) -> dict[str, object]:
    try:
        document = _decode(body.decode())
    except UnicodeDecodeError:
        raise RequestInvalid("the body is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise RequestInvalid(f"the body is not JSON: {error.msg} at character {error.pos}") from None
    except RecursionError:
        raise RequestInvalid(_TOO_DEEP) from None
    if not isinstance(document, dict):
        raise RequestInvalid("the body is not a JSON object")
    brackets = body.count(b"{") + body.count(b"[")
    if b"\\" in body or brackets >= DEPTH_MAX:  # Any other body is neither too deep nor holds half a pair.
        _check(document)
    return document


_TOO_DEEP = f"the body nests deeper than {DEPTH_MAX} levels"


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Two readers of one body must agree on it; with a duplicate key one takes the first value, another the last."""
    document = dict(pairs)
    if len(document) != len(pairs):
        raise RequestInvalid("the body holds the same key twice")
    return document


def _whole(digits: str) -> int:
    _check_length(digits)
    return int(digits)


def _fraction(digits: str) -> float:
    _check_length(digits)
    number = float(digits)
    if not math.isfinite(number):
        raise RequestInvalid("the body holds a number that is too large")
    return number


def _check_length(digits: str) -> None:
    if len(digits) > DIGITS_MAX:
        raise RequestInvalid(f"the body holds a number of more than {DIGITS_MAX} digits")


def _constant(name: str) -> NoReturn:
    raise RequestInvalid(f"the body holds {name}, which is not JSON")


_encode = msgspec.json.Encoder().encode
_decode = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_whole, parse_float=_fraction, parse_constant=_constant
).decode


def _check(document: dict[str, object]) -> None:
    """Limit the depth, and refuse text that cannot be written out again. A loop, so that depth costs no stack."""
    level: list[object] = [document]
    for _ in range(DEPTH_MAX):
        texts = [value for value in level if isinstance(value, str)]
        texts += [key for value in level if isinstance(value, dict) for key in value]
        if not all(_is_writable(text) for text in texts):
            raise RequestInvalid("the body holds half a surrogate pair")
        level = [child for value in level for child in _children(value)]
        if not level:
            return
    raise RequestInvalid(_TOO_DEEP)


def _children(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _is_writable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
