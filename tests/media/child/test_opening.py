"""The first frame of a clip: exact on every kind that we accept, and how far it is from what the clip began with."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from framerelay.media.child.opening import take_opening
from framerelay.media.child.png import write_png
from framerelay.media.child.small import write_small
from framerelay.media.decoder import Decoder
from framerelay.media.model import Opening
from framerelay.runs.errors import ClipUnusable

MakeClip = Callable[..., Path]
FEW: dict[str, Any] = {"frames": 12, "audio_s": None, "first_number": 700}


def opening(clip: Path, begun_with: Path | None = None) -> tuple[Opening, np.ndarray[Any, np.dtype[np.uint8]]]:
    """What is found, and the picture that was written."""
    opening = take_opening(clip, frame_into=clip.with_suffix(".first.png"), begun_with=begun_with)
    with Image.open(opening.frame.path) as image:
        return opening, np.asarray(image.convert("RGB"))


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("clip.mp4", {}),
        ("clip.mp4", {"cut_at": 7}),
        ("clip.mp4", {"gop": 4, "faststart": True}),
        ("clip.mp4", {"fragmented": True, "manifest": False}),
        ("clip.mp4", {"codec": "hevc"}),
        ("clip.mp4", {"codec": "av1"}),
        ("clip.mkv", {}),
        ("clip.webm", {"codec": "vp9", "bframes": 0}),
        ("clip.mp4", {"cover": True, "audio_first": True, "audio_s": 0.5}),
        ("clip.mp4", {"shown_frames": 9}),
    ],
)
def test_the_frame_that_is_shown_first_is_taken(
    make_clip: MakeClip, clipmaker: ModuleType, name: str, fields: dict[str, Any]
) -> None:
    """Its number is printed on it; B-frames, late keyframes, cover art and sound do not mislead."""
    found_opening, picture = opening(make_clip(name, **{**FEW, **fields}))

    assert clipmaker.read_number(picture) == 700
    assert (found_opening.frame.width, found_opening.frame.height) == (320, 180)
    assert found_opening.frame.bytes == found_opening.frame.path.stat().st_size


def test_a_turned_clip_opens_upright(make_clip: MakeClip) -> None:
    """As its last frame does."""
    found_opening, _ = opening(make_clip(**FEW, rotation=90))
    assert (found_opening.frame.width, found_opening.frame.height) == (180, 320)


def test_the_difference_is_zero_from_itself_and_large_from_another_picture(make_clip: MakeClip, tmp_path: Path) -> None:
    """In levels of 255, the mean over all pixels and channels."""
    clip = make_clip(**FEW)
    _, picture = opening(clip)
    same, far = tmp_path / "same.png", tmp_path / "far.png"
    write_png(picture, same)
    write_png(np.asarray(picture ^ 0x40, np.uint8), far)

    assert opening(clip)[0].difference is None
    assert opening(clip, same)[0].difference == 0
    assert opening(clip, far)[0].difference == 64


def test_a_picture_of_another_size_covers_the_clip_and_is_cut_evenly(make_clip: MakeClip, tmp_path: Path) -> None:
    """As providers do: twice as large is scaled, and what extends above and below does not count."""
    clip = make_clip(**FEW)
    _, picture = opening(clip)
    large, tall = tmp_path / "large.png", tmp_path / "tall.png"
    enlargement = picture.repeat(2, axis=0).repeat(2, axis=1)
    write_png(np.ascontiguousarray(enlargement), large)
    write_png(np.pad(picture, ((50, 50), (0, 0), (0, 0)), constant_values=255), tall)

    assert (opening(clip, large)[0].difference or 99) < 3
    assert opening(clip, tall)[0].difference == 0


def test_a_large_frame_has_a_small_copy(tmp_path: Path) -> None:
    """Scaled whole: a tall one is as high as a wide one is wide."""
    whole, small = tmp_path / "whole.png", tmp_path / "small.jpg"
    write_png(np.full((1920, 1080, 3), 90, np.uint8), whole)
    write_small(whole, small)
    with Image.open(small) as picture:
        assert picture.size == (270, 480)
        assert picture.getpixel((100, 100)) == (90, 90, 90)
    whole.write_text("no picture")
    with pytest.raises(ClipUnusable):
        write_small(whole, small)


@pytest.fixture
def decoder(decoders: tuple[Decoder, Decoder]) -> Decoder:
    """A decoder that is ready."""
    return decoders[0]


@pytest.mark.anyio
async def test_it_is_taken_in_the_cage(decoder: Decoder, make_clip: MakeClip, tmp_path: Path) -> None:
    """With everything loaded that it needs, scaling included; and it says of a file that it is not a picture."""
    clip = make_clip(**FEW)
    into, other, none = tmp_path / "first.png", tmp_path / "other.png", tmp_path / "none.png"
    write_png(np.zeros((90, 320, 3), np.uint8), other)
    none.write_text("no picture")

    opening = await decoder.open(clip, frame_into=into, begun_with=other, small=[(into, tmp_path / "first.jpg")])

    assert (opening.frame.path, opening.difference is not None) == (into, True)
    with Image.open(tmp_path / "first.jpg") as small, Image.open(into) as whole:
        assert (small.format, small.size) == ("JPEG", (320, 180))
        assert np.abs(np.asarray(small).astype(np.int16) - np.asarray(whole.convert("RGB"))).mean() < 3
    assert not decoder.is_busy
    with pytest.raises(ClipUnusable):
        await decoder.open(clip, frame_into=into, begun_with=none)
