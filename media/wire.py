"""Messages between the worker and its decoder process: one JSON document per line, one answer per request."""

from pathlib import Path
from typing import Any, TypeVar

import msgspec

from framerelay.media.model import FilmPart, FrameFacts

T = TypeVar("T")


class Examine(msgspec.Struct, frozen=True, tag="examine"):
    """Measure *clip* and write its last frame; answered with an Examination."""

    clip: Path
    frame_into: Path


class Follow(msgspec.Struct, frozen=True, tag="follow"):
    """
    Like Examine, for a *clip* that is still downloading and will have *size* bytes; messages about it follow, both
    ways.

    A Has for each part that arrived; a Stop if there is something else to do, which is answered with Stopped. The
    process says Wants if it waits for a part, and FrameTaken as soon as the frame is written, which may be long before
    the clip is complete.
    """

    clip: Path
    size: int
    frame_into: Path


class Has(msgspec.Struct, frozen=True, tag="has"):
    """The bytes from *first* to before *end* are in the file."""

    first: int
    end: int


class Stop(msgspec.Struct, frozen=True, tag="stop"):
    """No more parts will arrive."""


class Open(msgspec.Struct, frozen=True, tag="open"):
    """
    Write the first frame of *clip*, and measure how far it is from *begun_with*; answered with an Opening.

    *small*: frames, and where a small copy of each goes; all in the folder of *frame_into*.
    """

    clip: Path
    frame_into: Path
    begun_with: Path | None
    small: list[tuple[Path, Path]] = []


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


Request = Examine | Follow | Open | Compare | Check | Join
Word = Has | Stop
"""Messages about a clip that is being followed; late ones reach a process that no longer knows about it."""


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The first line of the process: everything is loaded, and *holds* are the limits that its jobs have here."""

    holds: list[str] = []


class Done(msgspec.Struct, frozen=True, tag="done"):
    """It worked; *result* is the answer to the request."""

    result: msgspec.Raw


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """One of our errors: its code and message, and its reason or param if it has one."""

    code: str
    message: str
    detail: str | None = None


class SystemFailed(msgspec.Struct, frozen=True, tag="system_failed"):
    """An OSError: no such file, disk full, …"""

    number: int
    message: str
    path: str | None = None


class Wants(msgspec.Struct, frozen=True, tag="wants"):
    """The process waits for the byte *at*, and will read on from there."""

    at: int


class FrameTaken(msgspec.Struct, frozen=True, tag="frame_taken"):
    """The last frame is written; the clip has yet to be measured, and may still be refused."""

    frame: FrameFacts


class Stopped(msgspec.Struct, frozen=True, tag="stopped"):
    """The process stopped as requested, and knows nothing about the clip."""


Interim = Wants | FrameTaken
Answer = Ready | Done | Failed | SystemFailed | Stopped | Interim


def to_json(value: Any) -> bytes:
    """*value* as JSON; paths travel as strings."""
    return msgspec.json.encode(value, enc_hook=str)


def read_request(line: bytes) -> Request | Word:
    """The request or word in *line*; raises msgspec.MsgspecError."""
    request: Request | Word = msgspec.json.decode(line, type=Request | Word, dec_hook=decode_path)
    return request


def read_answer(line: bytes) -> Answer:
    """The answer in *line*; raises msgspec.MsgspecError."""
    answer: Answer = msgspec.json.decode(line, type=Answer, dec_hook=decode_path)
    return answer


def read_result(answer: Done, kind: type[T]) -> T:
    """The result in the answer to a request; raises msgspec.MsgspecError."""
    return msgspec.json.decode(answer.result, type=kind, dec_hook=decode_path)


def decode_path(kind: Any, value: str) -> Any:
    """Paths are the only type of ours that JSON does not have."""
    return kind(value)


class GaveWay(Exception):
    """The owner has other work for this process, or the file starts over."""


def merge_parts(parts: list[tuple[int, int]], new: tuple[int, int]) -> list[tuple[int, int]]:
    """*parts* with *new* among them, in order; adjoining ones are merged."""
    spans: list[tuple[int, int]] = []
    for first, end in sorted([*parts, new]):
        if spans and first <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
        else:
            spans.append((first, end))
    return spans
