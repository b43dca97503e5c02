"""The census of clips: each is handed on as a player shows it, or refused in words; docs/film.md counts them."""

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from framerelay.media.child.frames import examine
from framerelay.media.child.opening import take_opening
from framerelay.runs.errors import ClipUnusable
from tests.media.odd_clip_making import Kit, Picture, Refusal, Row
from tests.media.odd_clips import ROWS

FILM = Path(__file__).parents[3] / "docs" / "film.md"
TAKEN = [row for row in ROWS if isinstance(row.right, Picture)]
REFUSED = [row for row in ROWS if isinstance(row.right, Refusal)]


def name_of(row: Row) -> str:
    """For pytest."""
    return f"{row.kind}: {row.name}"


@pytest.fixture
def kit(make_clip: Callable[..., Path], clipmaker: ModuleType, ffmpeg: str, tmp_path: Path, shelf: Path) -> Kit:
    """What the rows are made with."""
    return Kit(folder=tmp_path, shelf=shelf, ffmpeg=ffmpeg, clipmaker=clipmaker, make_clip=make_clip)


@pytest.mark.parametrize("row", TAKEN, ids=name_of)
def test_a_clip_is_handed_on_as_a_player_shows_it(row: Row, kit: Kit, oracle: ModuleType, tmp_path: Path) -> None:
    """The right frame, the right way up, in the right size, shape and colors; and its facts are true."""
    assert isinstance(row.right, Picture)
    right, clip = row.right, row.clip(kit)

    examination = examine(clip, frame_into=tmp_path / "last.png")

    image = np.asarray(Image.open(examination.frame.path))
    assert kit.clipmaker.read_number(unturned(image, right.display)) == right.number
    assert (image.shape[1], image.shape[0]) == (examination.clip.width, examination.clip.height) == right.size
    assert (examination.clip.frames, examination.clip.video_codec, examination.clip.notes) == (
        right.frames,
        right.codec,
        right.notes,
    )
    assert examination.frame.matrix == right.matrix
    if right.like == "samples":
        frames, layout = oracle.frames(kit.ffmpeg, clip, right.stream)
        assert len(frames) == right.frames
        expected = oracle.to_rgb(frames[-1], layout, matrix=right.matrix, full=right.full, siting=right.siting)
        oracle.assert_same(expected, unturned(image, right.display))
    elif right.like == "plain":
        plain = examine(kit.clip("plain.mp4"), frame_into=tmp_path / "plain.png")
        assert examination.frame.sha256 == plain.frame.sha256
    else:
        picture = Image.fromarray(kit.draw(right.number)).resize(right.size, Image.Resampling.BICUBIC)
        error = image - np.asarray(picture).astype(float)
        assert np.abs(error).mean() < 4
        assert np.abs(error.mean((0, 1))).max() < (3 if right.like == "light" else 1)


@pytest.mark.parametrize(
    "row", [row for row in TAKEN if row.kind in ("shape", "oddity") or "PQ" in row.name], ids=name_of
)
def test_its_first_frame_is_kept_in_the_same_way(row: Row, kit: Kit, tmp_path: Path) -> None:
    """Else a seam would be measured between a picture and its mirror image."""
    assert isinstance(row.right, Picture)
    clip = row.clip(kit)

    opening = take_opening(clip, frame_into=tmp_path / "first.png", begun_with=None)
    last = examine(clip, frame_into=tmp_path / "last.png").frame

    image = np.asarray(Image.open(opening.frame.path))
    assert kit.clipmaker.read_number(unturned(image, row.right.display)) == 0
    assert (opening.frame.width, opening.frame.height, opening.frame.matrix) == (last.width, last.height, last.matrix)
    assert (image.shape[1], image.shape[0]) == row.right.size
    picture = np.asarray(Image.fromarray(kit.draw(0)).resize(image_size(image, row.right.display))).astype(float)
    assert np.abs((unturned(image, row.right.display) - picture).mean((0, 1))).max() < 3


@pytest.mark.parametrize("row", REFUSED, ids=name_of)
def test_a_clip_that_cannot_be_handed_on_is_refused_with_a_sentence(row: Row, kit: Kit, tmp_path: Path) -> None:
    """That say what it is and, where that helps, what to do; and nothing is left behind."""
    assert isinstance(row.right, Refusal)
    clip, into = row.clip(kit), tmp_path / "frames" / "last.png"
    into.parent.mkdir()

    with pytest.raises(ClipUnusable) as failure:
        examine(clip, frame_into=into)

    assert row.right.words in failure.value.message
    assert row.right.reason == failure.value.reason
    assert str(tmp_path) not in failure.value.message
    assert not list(into.parent.iterdir())


def test_the_manual_counts_what_is_tried() -> None:
    """The table of docs/film.md is this one, summed up."""
    rows = re.findall(r"(?m)^\| (\w+) .*\| (\d+) \| (\d+) \|$", FILM.read_text(encoding="utf-8"))
    counts = {kind: (int(successes), int(failures)) for kind, successes, failures in rows}
    good, bad = (Counter(row.kind for row in rows) for rows in (TAKEN, REFUSED))

    expected = {kind: (good[kind], bad[kind]) for kind in good | bad}
    assert {**expected, "all": (len(TAKEN), len(REFUSED))} == counts
    assert len({name_of(row) for row in ROWS}) == len(ROWS)


def image_size(image: Any, display: tuple[int, int, int, int]) -> tuple[int, int]:
    """Its width and height before it was shown by that display matrix."""
    height, width = unturned(image, display).shape[:2]
    return width, height


def unturned(image: Any, display: tuple[int, int, int, int]) -> Any:
    """*image* before it was shown by that display matrix: its inverse, pixel by pixel."""
    a, b, c, d = display
    y, x = np.mgrid[0 : image.shape[0], 0 : image.shape[1]]
    to_x, to_y = a * x + b * y, c * x + d * y  # The matrix turns and mirrors alone: its inverse is its transpose.
    before = np.empty((np.ptp(to_y) + 1, np.ptp(to_x) + 1, 3), image.dtype)
    before[to_y - to_y.min(), to_x - to_x.min()] = image
    return before
