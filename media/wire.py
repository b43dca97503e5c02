"""What the worker and its decoder process say to each other: one JSON document per line, one answer per request."""

from pathlib import Path
from typing import Any, TypeVar

import msgspec

from media.model import FilmPart

T = TypeVar("T")


class Examine(msgspec.Struct, frozen=True, tag="examine"):
    """Measure *clip* and write its last frame; answered with an Examination."""

    clip: Path
    frame_into: Path


class Compare(msgspec.Struct, frozen=True, tag="compare"):
    """How far two pictures differ; answered with a Level."""

    a: Path
    b: Path


class Check(msgspec.Struct, frozen=True, tag="check"):
    """Whether *picture*, which a person gave, can be decoded; answered with its Size."""

    picture: Path


class Size(msgspec.Struct, frozen=True):
    """Of a picture, in pixels."""

    width: int
    height: int


class Level(msgspec.Struct, frozen=True):
    """The mean difference of two pictures, or null if their sizes differ."""

    mean: float | None


class Join(msgspec.Struct, frozen=True, tag="join"):
    """Join clips into a film; answered with FilmFacts."""

    parts: list[FilmPart]
    into: Path


Request = Examine | Compare | Check | Join


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The first line of the process: everything is loaded, and *holds* are the limits that its jobs have here."""

    holds: list[str] = []


class Done(msgspec.Struct, frozen=True, tag="done"):
    """It worked; *result* is what the request is answered with."""

    result: msgspec.Raw


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """An error of ours: its code and message, and its reason or param where it has one."""

    code: str
    message: str
    detail: str | None = None


class SystemFailed(msgspec.Struct, frozen=True, tag="system_failed"):
    """An OSError: no such file, disk full, …"""

    number: int
    message: str
    path: str | None = None


Answer = Ready | Done | Failed | SystemFailed


def to_json(value: Any) -> bytes:
    """*value* as JSON; paths travel as strings."""
    return msgspec.json.encode(value, enc_hook=str)


def read_request(line: bytes) -> Request:
    """The request in *line*; raises msgspec.MsgspecError."""
    request: Request = msgspec.json.decode(line, type=Request, dec_hook=restore)
    return request


def read_answer(line: bytes) -> Answer:
    """The answer in *line*; raises msgspec.MsgspecError."""
    answer: Answer = msgspec.json.decode(line, type=Answer)
    return answer


def read_result(done: Done, kind: type[T]) -> T:
    """What a request was answered with; raises msgspec.MsgspecError."""
    return msgspec.json.decode(done.result, type=kind, dec_hook=restore)


def restore(kind: Any, value: str) -> Any:
    """Paths are the one type of ours that JSON does not know."""
    return kind(value)
