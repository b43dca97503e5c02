"""What a file is, and whether all of it is there: boxes that come in pieces, lie, or lie one inside the other."""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from framerelay.media.child.containers import identify
from framerelay.media.child.frames import examine, examine_coming
from framerelay.media.child.growing import GrowingFile
from framerelay.media.wire import Has
from framerelay.runs.errors import ClipUnusable
from tests.media.odd_clip_making import box, told_length, with_box

MakeClip = Callable[..., Path]
FEW: dict[str, Any] = {"size": (64, 64), "frames": 12, "audio_s": None, "manifest": False}


def coming(clip: Path, step: int) -> GrowingFile:
    """*clip* as it comes, *step* bytes at a time."""
    size = clip.stat().st_size
    parts = iter(range(0, size, step))

    def listen() -> Has:
        first = next(parts)
        return Has(first=first, end=min(first + step, size))

    return GrowingFile(clip, size, listen=listen, want=lambda _: None)


@pytest.mark.parametrize("fields", [{}, {"faststart": True}, {"fragmented": True, "gop": 4}])
@pytest.mark.parametrize("step", [1, 5, 7, 600])
def test_a_clip_that_arrives_in_small_pieces_is_read_as_a_whole(
    step: int, fields: dict[str, Any], make_clip: MakeClip, tmp_path: Path
) -> None:
    """The edge of what is there may be within a header, at the first byte as at any other."""
    clip = make_clip(**FEW, **fields)
    whole = examine(clip, frame_into=tmp_path / "whole.png")

    examination = examine_coming(coming(clip, step), frame_into=tmp_path / "came.png", announce=lambda _: None)

    assert whole.frame.sha256 == examination.frame.sha256
    assert whole.clip == examination.clip


@pytest.mark.parametrize("name", ["clip.mkv", "clip.webm"])
def test_matroska_in_small_pieces_is_read_as_a_whole(name: str, make_clip: MakeClip) -> None:
    """Its lengths have one to eight bytes."""
    clip = make_clip(name, codec="vp9" if name == "clip.webm" else "h264", **FEW)

    assert identify(coming(clip, 1)) == "matroska"


def refusal(clip: Path) -> ClipUnusable:
    """Why it is refused."""
    with pytest.raises(ClipUnusable) as failure:
        identify(clip)
    return failure.value


@pytest.mark.parametrize(
    "change",
    [
        lambda data: with_box(data, (b"moov", b"mvex"), box(b"mehd", bytes(3))),
        lambda data: with_box(data, (b"moov", b"mvex"), box(b"mehd", b"\1" + bytes(5))),
        lambda data: with_box(data, (b"moov",), struct.pack(">I4s", 999_999, b"trak")),
        lambda data: with_box(data, (b"moov",), box(b"trak", box(b"mdia"), struct.pack(">I4s", 3, b"stbl"))),
        lambda data: data + box(b"sidx", bytes(9)),
        lambda data: data + box(b"sidx", b"\1" + bytes(29) + struct.pack(">H", 9000)),
        lambda data: data + box(b"moof", box(b"traf", box(b"trun", bytes(4)))),
        lambda data: (
            data + box(b"moof", box(b"traf", box(b"tfhd", bytes(8)), box(b"trun", b"\0\0\1\0\xff\xff\xff\xff")))
        ),
    ],
)
def test_boxes_that_are_damaged_within_are_for_the_demuxer_to_judge(
    change: Callable[[bytes], bytes], make_clip: MakeClip
) -> None:
    """We look into them to say why a clip cannot be used; that they cannot be read is no reason."""
    clip = make_clip(fragmented=True, gop=4, **FEW)
    clip.write_bytes(change(clip.read_bytes()))

    assert identify(clip) == "mp4"


@pytest.mark.parametrize("seconds", [0.0, 0.4, 0.55])
def test_fragments_that_last_as_long_as_they_say_are_all_there(
    seconds: float, make_clip: MakeClip, clipmaker: Any
) -> None:
    """Within a tenth of a second, which is less than any is worth; twelve frames last half of one."""
    clip = make_clip(fragmented=True, gop=4, **FEW)
    clip.write_bytes(told_length(seconds)(clip.read_bytes(), clipmaker))

    assert identify(clip) == "mp4"


def test_fragments_of_sound_that_lasts_longer_are_no_sign_of_missing_ones(make_clip: MakeClip, clipmaker: Any) -> None:
    """The reported length is that of the longest track."""
    clip = make_clip(fragmented=True, gop=4, **{**FEW, "audio_s": 1.5})
    clip.write_bytes(told_length(1.5)(clip.read_bytes(), clipmaker))

    assert identify(clip) == "mp4"


def test_fragments_are_missed_by_more_than_rounding(make_clip: MakeClip, clipmaker: Any) -> None:
    """Each kind of what is said."""
    clip = make_clip(fragmented=True, gop=4, **FEW)
    clip.write_bytes(told_length(0.65)(clip.read_bytes(), clipmaker))

    assert refusal(clip).reason == "truncated"


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"G" + bytes(187) + b"G" + bytes(300), "MPEG-TS"),
        (b"\0\0\1\2G" + bytes(191) + b"G" + bytes(300), "MPEG-TS"),
        (b"\0\0\1\x67\x64" + bytes(50), "an H.264 stream without a container"),
        (b"\0\0\0\1\x40\1\x0c" + bytes(50), "an HEVC stream without a container"),
        (b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\x02" + bytes(40), "animated WebP"),
        (b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\x10" + bytes(40), "a still picture (WebP)"),
    ],
    ids=["ts", "m2ts", "h264", "hevc", "animation", "still"],
)
def test_a_file_is_recognized_by_its_first_bytes(head: bytes, name: str, tmp_path: Path) -> None:
    """Whatever it is called."""
    file = tmp_path / "clip.mp4"
    file.write_bytes(head)

    assert refusal(file).message == f"the file is {name}, which is not taken: ask the provider for MP4"
    assert refusal(file).reason == "not_a_clip"


@pytest.mark.parametrize(
    "head", [b"G" + bytes(600), b"Good morning, a page of text" + bytes(200), bytes(600)], ids="gtz"
)
def test_an_unknown_container_has_no_name(head: bytes, tmp_path: Path) -> None:
    """A G alone makes no MPEG-TS."""
    file = tmp_path / "clip.mp4"
    file.write_bytes(head)

    assert refusal(file).message == "the file is neither MP4 nor Matroska/WebM"
