"""The boxes of an MP4, one inside the other (ISO 14496-12, 4.2); only requested contents are read."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from framerelay.media.child.growing import GrowingFile

BODY_BYTES_MAX = 4 * 1024 * 1024
BOXES_MAX = 100_000  # A fragment has two, and may hold a single frame; more are an attempt to keep us busy.

ByteSource = BinaryIO | GrowingFile


@dataclass(frozen=True, slots=True)
class Box:
    """It extends from *at* to just before *end* of the file; its body begins at *body*."""

    name: bytes
    at: int
    body: int
    end: int


def read_exactly(file: ByteSource, count: int) -> bytes:
    """This many bytes, or as many as there are up to the end of the file; a growing file gives fewer at a time."""
    data = file.read(count)
    while len(data) < count and (more := file.read(count - len(data))):
        data += more
    return data


def read_box(file: ByteSource, at: int) -> tuple[int, bytes, int]:
    """(length, name, length of the header) of the box that starts at *at*; a length of 0 means up to the end."""
    file.seek(at)
    header = read_exactly(file, 16)
    length, name = struct.unpack_from(">I4s", header)
    if length == 1 and len(header) == 16:
        (length,) = struct.unpack_from(">Q", header, 8)
        return max(length, 1), name, 16  # Never read a broken large size as "up to the end".
    return length, name, 8


def children(file: ByteSource, parent: Box, skip: int = 0) -> Iterator[Box]:
    """
    The boxes within *parent*, skipping the first *skip* bytes of its body, which are something else.

    Raises: ValueError if they are damaged, or too many.
    """
    at = parent.body + skip
    for _ in range(BOXES_MAX):
        if at + 8 > parent.end:
            return
        length, name, header = read_box(file, at)
        end = at + length if length else parent.end
        if end < at + header or end > parent.end:
            raise ValueError("a box that is longer than the one around it")
        yield Box(name, at, at + header, end)
        at = end
    raise ValueError("too many boxes")


def descend(file: ByteSource, parent: Box, *path: bytes) -> list[Box]:
    """All boxes within *parent* along that path of names."""
    boxes = [box for box in children(file, parent) if box.name == path[0]]
    return boxes if len(path) == 1 else [box for each in boxes for box in descend(file, each, *path[1:])]


def read_body(file: ByteSource, box: Box) -> bytes:
    """The content of *box*, if it is small; raises ValueError if it is not."""
    if box.end - box.body > BODY_BYTES_MAX:
        raise ValueError("a box that is longer than any of its kind")
    file.seek(box.body)
    return read_exactly(file, box.end - box.body)
