"""
Whether a fragmented MP4 has all its fragments, as far as it says how many there should be.

Cut between two of them, it looks complete: each holds its own index. An overview that some writers put at the beginning
(sidx), or the total length of all fragments (mehd), tells. ISO 14496-12, 8.8 and 8.16.3.
"""

import struct
from collections.abc import Sequence
from typing import Final

from framerelay.media.child.boxes import Box, ByteSource, children, descend, read_body
from framerelay.runs.errors import ClipUnusable

MISSING_S_MAX: Final = 0.1  # Stated durations are rounded; the shortest fragments of a writer hold a second.

HEADER_FIELDS: Final = ((0x01, 8), (0x02, 4))  # What may be in a tfhd before the duration, and how long it is.
HEADER_DURATION: Final = 0x08
RUN_FIELDS: Final = (0x100, 0x200, 0x400, 0x800)  # Duration, size, flags and offset of each sample of a trun.


def check_overview(file: ByteSource, sidx: Box, size: int) -> None:
    """All parts listed in *sidx* must end within the file of *size* bytes."""
    body = read_body(file, sidx)
    head, wide = (">QQHH", 12) if body[0] else (">IIHH", 12)
    _, first, _, count = struct.unpack_from(head, body, wide)
    entries = wide + struct.calcsize(head)
    sizes = (struct.unpack_from(">I", body, entries + 12 * n)[0] & 0x7FFF_FFFF for n in range(count))
    missing = sidx.end + first + sum(sizes) - size
    if missing > 0:
        raise ClipUnusable(f"the file ends {missing} bytes too early", reason="truncated")


def check_length(file: ByteSource, moov: Box, moofs: Sequence[Box]) -> None:
    """The longest track must last as long as the beginning says that all fragments do together."""
    boxes = descend(file, moov, b"mvex", b"mehd")
    header = descend(file, moov, b"mvhd")
    if not boxes or not header:
        return
    body = read_body(file, boxes[0])
    (duration,) = struct.unpack_from(">Q" if body[0] else ">I", body, 4)
    head = read_body(file, header[0])
    (scale,) = struct.unpack_from(">I", head, 20 if head[0] else 12)
    if scale and duration / scale - longest_s(file, moov, moofs) > MISSING_S_MAX:
        raise ClipUnusable("the clip has fewer fragments than it says", reason="truncated")


def longest_s(file: ByteSource, moov: Box, moofs: Sequence[Box]) -> float:
    """When the last sample of the longest track ends, in seconds."""
    scales, usual = {}, {}
    for trak in descend(file, moov, b"trak"):
        head, media = (read_body(file, descend(file, trak, *path)[0]) for path in ((b"tkhd",), (b"mdia", b"mdhd")))
        (track,) = struct.unpack_from(">I", head, 20 if head[0] else 12)
        (scales[track],) = struct.unpack_from(">I", media, 20 if media[0] else 12)
    for trex in descend(file, moov, b"mvex", b"trex"):
        track, _, usual[track] = struct.unpack_from(">III", read_body(file, trex), 4)
    ends: dict[int, int] = {}
    for moof in moofs:
        for traf in descend(file, moof, b"traf"):
            track, begins, lasts = measure(file, traf, usual)
            ends[track] = (ends.get(track, 0) if begins is None else begins) + lasts
    return max((end / scales[track] for track, end in ends.items() if scales.get(track)), default=0)


def measure(file: ByteSource, traf: Box, usual: dict[int, int]) -> tuple[int, int | None, int]:
    """A fragment's track, when it begins if it says so, and the total duration of its samples."""
    bodies: dict[bytes, list[bytes]] = {b"tfhd": [], b"tfdt": [], b"trun": []}
    for box in children(file, traf):
        if box.name in bodies:
            bodies[box.name].append(read_body(file, box))
    header = bodies[b"tfhd"][0]
    flags, track = struct.unpack_from(">II", header)
    at = 8 + sum(size for flag, size in HEADER_FIELDS if flags & flag)
    each = struct.unpack_from(">I", header, at)[0] if flags & HEADER_DURATION else usual.get(track, 0)
    begins = [struct.unpack_from(">Q" if body[0] else ">I", body, 4)[0] for body in bodies[b"tfdt"]]
    return track, begins[0] if begins else None, sum(run_ticks(run, each) for run in bodies[b"trun"])


def run_ticks(run: bytes, each: int) -> int:
    """The total duration of the samples of a trun; *each* if it does not say."""
    flags, count = struct.unpack_from(">II", run)
    if not flags & RUN_FIELDS[0]:
        return int(count * each)
    at = 8 + 4 * bool(flags & 0x01) + 4 * bool(flags & 0x04)
    step = 4 * sum(bool(flags & field) for field in RUN_FIELDS)
    return sum(struct.unpack_from(">I", run, at + step * n)[0] for n in range(count))
