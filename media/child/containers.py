"""Which container a file is, judged by its first bytes, and whether all of it is there; nothing is decoded here."""

import os
import struct
from contextlib import suppress
from pathlib import Path

from framerelay.media.child.boxes import BOXES_MAX, Box, ByteSource, children, descend, read_box, read_exactly
from framerelay.media.child.fragments import check_length, check_overview
from framerelay.media.child.growing import GrowingFile
from framerelay.media.child.kinds import HEAD_BYTES, name_of
from framerelay.runs.errors import ClipUnusable

MP4_FIRST_BOXES = frozenset({b"ftyp", b"styp", b"moov", b"mdat", b"wide", b"free", b"skip", b"uuid", b"pnot", b"pdin"})
EBML = b"\x1a\x45\xdf\xa3"
ENCRYPTED = "the clip is encrypted"
SEGMENT = b"\x18\x53\x80\x67"
CLEAR_PICTURES = frozenset({b"avc1", b"avc3", b"hvc1", b"hev1", b"av01", b"vp09", b"mp4v"})
"""Kinds of samples that are a picture, and not encrypted."""


def identify(clip: Path | GrowingFile) -> str:
    """
    The name of the demuxer to force on *clip*: ``mp4`` or ``matroska``.

    Whatever the file is called, only its bytes count: a playlist or a web page named x.mp4 must never reach a demuxer
    that would open what it names.
    Raises: ClipUnusable ``not_a_clip`` for anything else, ``truncated`` if the file's own sizes say that its end is
    missing, ``corrupt`` if an MP4 has no index although the file is complete.
    """
    if isinstance(clip, GrowingFile):
        clip.seek(0)
        return identify_bytes(clip, clip.size)
    with clip.open("rb") as file:
        return identify_bytes(file, clip.stat().st_size)


def identify_bytes(file: ByteSource, size: int) -> str:
    """Like `identify`, for an open file."""
    head = read_exactly(file, HEAD_BYTES)
    if len(head) < 12:
        raise ClipUnusable(f"the file has {len(head)} bytes", reason="truncated")
    if head[4:8] in MP4_FIRST_BOXES:
        check_mp4(file, size)
        return "mp4"
    if head[:4] == EBML:
        check_segment(file, size)
        return "matroska"
    if name := name_of(head):
        raise ClipUnusable(f"the file is {name}, which is not taken: ask the provider for MP4", reason="not_a_clip")
    raise ClipUnusable("the file is neither MP4 nor Matroska/WebM", reason="not_a_clip")


def check_mp4(file: ByteSource, size: int) -> None:
    """All of an MP4 must be there, as far as its boxes say, and its picture must not be encrypted."""
    boxes, end = list_boxes(file, size)
    moov = next((box for box in boxes if box.name == b"moov"), None)
    if moov is None:
        reason = "corrupt" if end + 8 <= size else "truncated"
        raise ClipUnusable("the MP4 has no index (moov)", reason=reason)
    with suppress(ValueError, LookupError, struct.error):  # Damage within is for the demuxer to judge.
        check_lock(file, moov)
        for box in boxes:
            if box.name == b"sidx":
                check_overview(file, box, size)
        check_length(file, moov, [box for box in boxes if box.name == b"moof"])


def check_lock(file: ByteSource, moov: Box) -> None:
    """An encrypted picture has another kind of samples, or one besides those that are not."""
    tables = descend(file, moov, b"trak", b"mdia", b"minf", b"stbl", b"stsd")
    kinds = {entry.name for table in tables for entry in children(file, table, skip=8)}
    if b"encv" in kinds and not kinds & CLEAR_PICTURES:
        raise ClipUnusable(ENCRYPTED, reason="not_allowed")


def list_boxes(file: ByteSource, size: int) -> tuple[list[Box], int]:
    """The top-level boxes of an MP4, and where a next one would begin; the last one must end within the file."""
    boxes: list[Box] = []
    at = 0
    while at + 8 <= size:
        if len(boxes) == BOXES_MAX:
            raise ClipUnusable(f"the MP4 has more than {BOXES_MAX} boxes", reason="not_allowed")
        length, name, header = read_box(file, at)
        if not name.isalnum():
            break  # Junk after the boxes; players ignore it, and so do we if a moov was found.
        boxes.append(Box(name, at, at + header, at + length if length else size))
        if length == 0:  # "Up to the end of the file."
            break
        if length < 8:
            raise ClipUnusable("the boxes of the MP4 are damaged", reason="corrupt")
        if at + length > size:
            raise ClipUnusable(f"the file ends {at + length - size} bytes too early", reason="truncated")
        at += length
    return boxes, at


def check_segment(file: ByteSource, size: int) -> None:
    """The segment of a Matroska file must end within the file; a live recording does not say where it ends."""
    file.seek(4)
    header_length = read_vint(file)
    if header_length is None:
        raise ClipUnusable("the header of the Matroska file is damaged", reason="corrupt")
    if file.tell() + header_length > size:  # The system refuses to seek as far as it may say.
        raise ClipUnusable("the file ends within its header", reason="truncated")
    file.seek(header_length, os.SEEK_CUR)
    if read_exactly(file, 4) != SEGMENT:
        raise ClipUnusable("the Matroska file has no segment", reason="truncated" if file.tell() >= size else "corrupt")
    length = read_vint(file)
    if length is not None and file.tell() + length > size:
        raise ClipUnusable(f"the file ends {file.tell() + length - size} bytes too early", reason="truncated")


def read_vint(file: ByteSource) -> int | None:
    """A length in EBML format (the first set bit tells how many bytes it has); None for "unknown"."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    more = 8 - first[0].bit_length()
    value = int.from_bytes(first + read_exactly(file, more)) & ((1 << 7 * (more + 1)) - 1)
    return None if value == (1 << 7 * (more + 1)) - 1 else value
