"""How a request is refused: what is wrong with it, which each dialect says in its own words."""

from collections.abc import Mapping
from enum import StrEnum

import msgspec
from starlette.responses import JSONResponse, Response


class Objection(StrEnum):
    """What keeps the sandbox from doing what it was asked."""

    KEY = "key"
    MISSING = "missing"
    WRONG = "wrong"
    MODEL = "model"
    ABSENT = "absent"
    TOO_LARGE = "too_large"
    NO_LENGTH = "no_length"
    RATE = "rate"
    FULL = "full"
    BUSY = "busy"
    INTERNAL = "internal"


class Refusal(Exception):
    """The request is answered with *status* and *body*, and there is no job of it."""

    def __init__(self, status: int, body: object, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"answered {status}")
        self.status = status
        self.body = body
        self.headers = headers

    def response(self) -> Response:
        return JSONResponse(msgspec.to_builtins(self.body), self.status, headers=self.headers)


def complaint_of(error: msgspec.ValidationError) -> tuple[Objection, str, str]:
    """
    What is wrong, in a sentence, and with which field (``a.b[0].c``).

    msgspec says "Object contains unknown field `x` - at `$.input`"; answers want the field by itself.
    """
    text, _, place = str(error).partition(" - at `$")
    path = place.rstrip("`").lstrip(".")
    name = text.rsplit("`", 2)[-2] if "field `" in text else ""
    field = ".".join(part for part in (path, name) if part)
    return Objection.MISSING if "missing required field" in text else Objection.WRONG, f"{text}.", field
