"""Which container a file is, told from its first bytes, and whether all of it is there; nothing is decoded here."""

import os
import struct
from pathlib import Path
from typing import BinaryIO

from media.growing import Growing
from runs.errors import ClipUnusable

MP4_FIRST_BOXES = frozenset({b"ftyp", b"styp", b"moov", b"mdat", b"wide", b"free", b"skip"})
EBML = b"\x1a\x45\xdf\xa3"
SEGMENT = b"\x18\x53\x80\x67"
BOXES_MAX = 100_000  # A fragment has two, and may hold a single frame; more are a way to keep us busy.


def identify(clip: Path | Growing) -> str:
    """
    The name of the demuxer to force on *clip*: ``mp4`` or ``matroska``.

    Whatever the file is called, only its bytes count: a playlist or a web page named x.mp4 must never reach a
    demuxer that would open what it names.
    Raises: ClipUnusable ``not_a_clip`` for anything else, ``truncated`` where the file's own sizes say that its
    end is missing, ``corrupt`` where the index of an MP4 is not there although the file is whole.
    """
    if isinstance(clip, Growing):
        clip.seek(0)
        return identify_bytes(clip, clip.size)
    with clip.open("rb") as file:
        return identify_bytes(file, clip.stat().st_size)


def identify_bytes(file: BinaryIO | Growing, size: int) -> str:
    """As `identify`, of an open file."""
    head = file.read(12)
    if len(head) < 12:
        raise ClipUnusable(f"The file has {len(head)} bytes.", reason="truncated")
    if head[4:8] in MP4_FIRST_BOXES:
        check_boxes(file, size)
        return "mp4"
    if head[:4] == EBML:
        check_segment(file, size)
        return "matroska"
    raise ClipUnusable("The file is neither MP4 nor Matroska/WebM.", reason="not_a_clip")


def check_boxes(file: BinaryIO | Growing, size: int) -> None:
    """Walk the top-level boxes of an MP4: the last one must end within the file, and a moov must be among them."""
    at, count, names = 0, 0, set()
    while at + 8 <= size:
        count += 1
        if count > BOXES_MAX:
            raise ClipUnusable(f"The MP4 has more than {BOXES_MAX} boxes.", reason="not_allowed")
        length, name = read_box(file, at)
        if not name.isalnum():
            break  # Junk after the boxes; players ignore it, and so do we if a moov was found.
        names.add(name)
        if length == 0:  # "Up to the end of the file."
            break
        if length < 8:
            raise ClipUnusable("The boxes of the MP4 are damaged.", reason="corrupt")
        if at + length > size:
            raise ClipUnusable(f"The file ends {at + length - size} bytes too early.", reason="truncated")
        at += length
    if b"moov" not in names:
        reason = "corrupt" if at + 8 <= size else "truncated"
        raise ClipUnusable("The MP4 has no index (moov).", reason=reason)


def read_box(file: BinaryIO | Growing, at: int) -> tuple[int, bytes]:
    """(length, name) of the box that starts at *at*; length includes the header, 0 means up to the end."""
    file.seek(at)
    header = file.read(16)
    length, name = struct.unpack_from(">I4s", header)
    if length == 1 and len(header) == 16:
        (length,) = struct.unpack_from(">Q", header, 8)
        length = max(length, 1)  # Never read a broken large size as "up to the end".
    return length, name


def check_segment(file: BinaryIO | Growing, size: int) -> None:
    """The segment of a Matroska file must end within the file; a live recording does not say where it ends."""
    file.seek(4)
    header_length = read_vint(file)
    if header_length is None:
        raise ClipUnusable("The header of the Matroska file is damaged.", reason="corrupt")
    if file.tell() + header_length > size:  # The system refuses to go as far as it may say.
        raise ClipUnusable("The file ends within its header.", reason="truncated")
    file.seek(header_length, os.SEEK_CUR)
    if file.read(4) != SEGMENT:
        raise ClipUnusable(
            "The Matroska file has no segment.", reason="truncated" if file.tell() >= size else "corrupt"
        )
    length = read_vint(file)
    if length is not None and file.tell() + length > size:
        raise ClipUnusable(f"The file ends {file.tell() + length - size} bytes too early.", reason="truncated")


def read_vint(file: BinaryIO | Growing) -> int | None:
    """A length as EBML writes it (the first set bit tells how many bytes it has); None for "unknown"."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    more = 8 - first[0].bit_length()
    value = int.from_bytes(first + file.read(more)) & ((1 << 7 * (more + 1)) - 1)
    return None if value == (1 << 7 * (more + 1)) - 1 else value
