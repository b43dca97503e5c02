"""The census of clips, joined: what is handed on of a clip is what its film shows, the same colors the same way up."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from framerelay.media.child.color import to_rgb
from framerelay.media.child.film import join
from framerelay.media.child.frames import examine, tags_of
from framerelay.media.child.orientation import pixel_shape
from framerelay.media.model import FilmPart
from tests.media.child.test_odd_clips import TAKEN, kit, name_of
from tests.media.odd_clip_making import Kit, Row

__all__ = ["kit"]  # A fixture.
CODES_OF_HDR = {16, 18}
LOOKS = [row for row in TAKEN if row.kind in ("color", "orientation", "shape")]


def frame_of(film: Path, number: int) -> npt.NDArray[np.float32]:
    """What a player shows as frame *number* of the film, which must not be HDR; -1 is the last."""
    with av.open(str(film)) as container:
        stream = container.streams.video[0]
        tags = tags_of(film, "mp4", stream)
        assert tags.transfer not in CODES_OF_HDR
        frame = list(container.decode(stream))[number]
        assert int(frame.color_trc) not in CODES_OF_HDR
        image, _ = to_rgb(frame, tags, pixel_shape(stream))
    return image.astype(np.float32)


@pytest.mark.parametrize("row", TAKEN, ids=name_of)
def test_the_film_shows_what_is_handed_on(row: Row, kit: Kit, make_clip: Callable[..., Path], tmp_path: Path) -> None:
    """Doubled, which is copied where that is possible, and before another clip, which is encoded in its look."""
    clip, film = row.clip(kit), tmp_path / "film.mp4"
    other = make_clip("other.mp4", size=(64, 64), frames=2, audio_s=None, manifest=False, tagged=True, matrix="bt709")
    examination = examine(clip, frame_into=tmp_path / "last.png")
    handed_on = np.asarray(Image.open(examination.frame.path)).astype(np.float32)

    twice = join([FilmPart(path=clip, continued=False), FilmPart(path=clip, continued=True)], film)
    assert twice.frames == 2 * examination.clip.frames - 1
    assert_alike(frame_of(film, -1), handed_on, exactly=twice.copied)

    other_film = join([FilmPart(path=clip, continued=False), FilmPart(path=other, continued=False)], film)
    assert (other_film.copied, other_film.frames) == (False, examination.clip.frames + 2)
    assert_alike(frame_of(film, examination.clip.frames - 1), handed_on)


@pytest.mark.parametrize("row", LOOKS, ids=name_of)
def test_after_another_clip_the_film_shows_it_in_the_format_of_that(
    row: Row, kit: Kit, make_clip: Callable[..., Path], tmp_path: Path
) -> None:
    """Fitted into its size, and read back by its tags."""
    clip, film = row.clip(kit), tmp_path / "film.mp4"
    examination = examine(clip, frame_into=tmp_path / "last.png")
    size = (examination.clip.width + examination.clip.width % 2, examination.clip.height + examination.clip.height % 2)
    first: dict[str, Any] = {"size": size, "frames": 2, "audio_s": None, "manifest": False, "codec": "vp9"}
    handed_on = np.asarray(Image.open(examination.frame.path)).astype(np.float32)
    for look in ({}, {"tagged": True, "matrix": "bt709"}):
        parts = [make_clip("first.mp4", **first | look), clip]
        join([FilmPart(path=path, continued=False) for path in parts], film)
        assert_alike(frame_of(film, examination.clip.frames + 1), handed_on)


def assert_alike(image: npt.NDArray[np.float32], handed_on: npt.NDArray[np.float32], *, exactly: bool = False) -> None:
    """To what an encoder loses; an encoded film may be a pixel wider or higher, since its sides are even."""
    height, width = handed_on.shape[:2]
    assert 0 <= image.shape[0] - height <= 1
    assert 0 <= image.shape[1] - width <= 1
    if image.shape != handed_on.shape:
        image_resized = Image.fromarray(image.astype(np.uint8)).resize((width, height), Image.Resampling.BICUBIC)
        image = np.asarray(image_resized).astype(np.float32)
    error = image - handed_on
    assert not exactly or not error.any()
    assert (
        np.abs(error).mean() < 7
    )  # Small pictures with hard edges, some of them scaled by a pixel; a mirror makes 30 of it.
    assert np.abs(error.mean((0, 1))).max() < 1.5
