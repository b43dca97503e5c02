"""
Whether a packet holds a frame that shows, judged by its first bytes; nothing is decoded.

VP9 and AV1 have frames that only others refer to. They should be in one packet with a frame that shows, but are not
always: some tools write them as separate packets. H.264 and HEVC may have packets without any picture.
"""

from collections.abc import Iterator
from typing import Any

from av.packet import Packet

Bytes = bytes | memoryview
LENGTH_AT = {"h264": 4, "hevc": 21}
"""Where the decoder's configuration says how many bytes the length of a unit has (ISO 14496-15)."""

WITHOUT_PICTURE = {"h264": range(6, 13), "hevc": range(32, 41)}
"""Kinds of units: parameters, notes, marks and filling (H.264 and H.265, table 7-1)."""


def holds_picture(packet: "Packet[Any]", codec: str, headers: bytes) -> bool:
    """True if it cannot be known. *headers*: the decoder's configuration."""
    data = memoryview(packet)
    try:
        match codec:
            case "vp9":
                return any(shows_vp9(frame) for frame in frames_of_vp9(data))
            case "av1":
                return shows_av1(data)
            case "h264" | "hevc":
                firsts = list(first_bytes_of_units(data, codec, headers))
                return not firsts or any(kind(codec, first) not in WITHOUT_PICTURE[codec] for first in firsts)
    except IndexError:
        return True
    return True


def frames_of_vp9(data: Bytes) -> Iterator[Bytes]:
    """The frames of a packet: those of a superframe (VP9 specification, annex B), or all of it."""
    marker = data[-1]
    count, width = (marker & 7) + 1, (marker >> 3 & 3) + 1
    index = len(data) - 2 - count * width
    if marker & 0xE0 != 0xC0 or index < 0 or data[index] != marker:
        yield data
        return
    at = 0
    for n in range(count):
        place = index + 1 + n * width
        size = int.from_bytes(data[place : place + width], "little")
        if size:
            yield data[at : at + size]
        at += size


def shows_vp9(frame: Bytes) -> bool:
    """By its uncompressed header (section 6.2): show_existing_frame, or show_frame, which follows frame_type."""
    if frame[0] >> 6 != 2:  # No frame at all: damaged, which is for the decoder to report.
        return True
    at = 5 if frame[0] & 0x30 == 0x30 else 4  # Profile 3 has a reserved bit.
    shows_existing, shows = (frame[0] >> 7 - bit & 1 for bit in (at, at + 2))
    return bool(shows_existing or shows)


def shows_av1(data: Bytes) -> bool:
    """According to the first frame header in any of its units (AV1 specification, 5.3 and 5.9.2) that says so."""
    at, has_headers = 0, False
    while at < len(data):
        kind, has_extension, has_size = data[at] >> 3 & 15, data[at] >> 2 & 1, data[at] >> 1 & 1
        at += 1 + has_extension
        size = len(data) - at
        if has_size:
            size, at = leb128(data, at)
        if kind == 1 and data[at] & 0x08:  # A sequence of one still picture.
            return True
        if kind in (3, 6):  # A frame's header, alone or with the frame.
            has_headers = True
            if data[at] & 0x80 or data[at] & 0x10:
                return True
        at += size
    return not has_headers


def leb128(data: Bytes, at: int) -> tuple[int, int]:
    """(the number that begins at *at*, where it ends)."""
    value = 0
    for n in range(8):
        value |= (data[at + n] & 0x7F) << 7 * n
        if not data[at + n] & 0x80:
            return value, at + n + 1
    return value, at + 8


def kind(codec: str, first: int) -> int:
    """The kind of the unit that begins with the byte *first*."""
    return first >> 1 & 0x3F if codec == "hevc" else first & 0x1F


def first_bytes_of_units(data: Bytes, codec: str, headers: bytes) -> Iterator[int]:
    """
    The first byte of each unit of H.264 or HEVC, which gives its `kind`; each is preceded by its length.

    Raises: IndexError if configuration or lengths are not in the form that MP4 requires.
    """
    if headers[0] != 1:
        raise IndexError
    width = (headers[LENGTH_AT[codec]] & 3) + 1
    at = 0
    while at < len(data):
        yield data[at + width]
        at += width + int.from_bytes(data[at : at + width])
    if at != len(data):
        raise IndexError
