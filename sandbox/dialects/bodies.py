"""What bodies of several dialects have in common: how they are read, and which addresses they may name."""

import string
from random import SystemRandom
from typing import TypeVar

import msgspec

from framerelay.sandbox.job import Dialect
from framerelay.sandbox.refusals import Objection, complaint_of

T = TypeVar("T")


class WireBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of a request: a field that nobody documents is refused, and so is a value of another type."""


def read(body: bytes, kind: type[T], dialect: Dialect) -> T:
    """The request in *body*. Raises: Refusal, naming the first field that is missing, unknown, or wrong."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise dialect.refusal(*complaint_of(error)) from None
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise dialect.refusal(Objection.WRONG, f"The body is not JSON: {error}.", "") from None


def wrong(dialect: Dialect, field: str, why: str) -> Exception:
    """The refusal of one field."""
    return dialect.refusal(Objection.WRONG, f"{field} {why}.", field)


def check_callback(url: str | None, dialect: Dialect, field: str) -> None:
    """Raises: Refusal, unless *url* can be called."""
    if url is not None and not url.startswith(("http://", "https://")):
        raise wrong(dialect, field, "must be an http(s) address")


def check_picture(url: str | None, dialect: Dialect, field: str) -> None:
    """Raises: Refusal, unless *url* is one that a picture can come from."""
    if url is not None and not url.startswith(("http://", "https://", "data:image/")):
        raise wrong(dialect, field, "must be an http(s) address or data:image/…;base64")


def document(body: bytes) -> object:
    """*body* as it came, for the journal; it has been read already."""
    return msgspec.json.decode(body)


def digits(count: int) -> str:
    """An id made of digits."""
    return SystemRandom().choice("123456789") + "".join(SystemRandom().choices(string.digits, k=count - 1))
