"""What a join that was cut short has encoded is taken over by the next one."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from framerelay.media.child import film_picture
from framerelay.media.child.film import join
from framerelay.media.model import FilmPart
from tests.media.child.films import SHORT, MakeClip

UNLIKE: tuple[dict[str, Any], ...] = (
    {},
    {"size": (320, 180)},
    {"bframes": 0},
    {"size": (320, 180), "fps": Fraction(25)},
)
"""Clips that cannot be in one track as they are."""


class CutShort(BaseException):
    """As a worker that is killed: nothing may take it for trouble with a clip."""


@pytest.fixture
def parts(make_clip: MakeClip) -> list[FilmPart]:
    clips = [
        make_clip(f"part{n}.mp4", **SHORT | {"first_number": 23 * n} | options) for n, options in enumerate(UNLIKE)
    ]
    return [FilmPart(path=clip, continued=n > 0) for n, clip in enumerate(clips)]


@pytest.fixture
def encodings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The clips that were decoded for a film, in order, from now on."""
    names: list[str] = []
    frames_of = film_picture.frames_of

    def noting(part: Any, *, threads: int) -> Iterator[Any]:
        names.append(part.path.name)
        return frames_of(part, threads=threads)

    monkeypatch.setattr(film_picture, "frames_of", noting)
    return names


@pytest.fixture
def cut_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], None]:
    """``cut_at("part2.mp4", 5)``: joining ends there, at that frame of that clip, as if its process were killed."""

    def cut(name: str, at: int) -> None:
        frames_of = film_picture.frames_of

        def ending(part: Any, *, threads: int) -> Iterator[Any]:
            for n, frame in enumerate(frames_of(part, threads=threads)):
                if (part.path.name, n) == (name, at):
                    raise CutShort
                yield frame

        monkeypatch.setattr(film_picture, "frames_of", ending)

    return cut


def test_the_same_clips_give_the_same_bytes(make_clip: MakeClip, tmp_path: Path) -> None:
    """Pictures as small as these were encoded otherwise once in some twenty times, by what lay in memory after them."""
    tiny = SHORT | {"size": (96, 64), "frames": 16, "audio_s": None}
    clips = [make_clip(f"tiny{n}.mp4", **tiny | {"bframes": n}) for n in (0, 2)]
    parts = [FilmPart(path=clip, continued=False) for clip in clips]
    films, in_memory = set[str](), []
    for number in range(60):
        in_memory.append(bytearray(number.to_bytes() * (997 * number % 200_000)))
        if number % 3 == 0:
            in_memory.pop(number % len(in_memory))
        films.add(join(parts, tmp_path / "film.mp4").sha256)

    assert len(films) == 1


def hidden_names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("."))


@pytest.mark.parametrize("at", [0, 5, 22])
def test_finished_shots_are_not_encoded_again(
    parts: list[FilmPart], tmp_path: Path, encodings: list[str], cut_at: Callable[[str, int], None], at: int
) -> None:
    """The third shot was under way: two are taken over, two are made, and the film is the same to the byte."""
    whole = join(parts, tmp_path / "whole.mp4")
    assert encodings == ["part0.mp4", "part1.mp4", "part2.mp4", "part3.mp4"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(film_picture, "frames_of", film_picture.frames_of)
        cut_at("part2.mp4", at)
        with pytest.raises(CutShort):
            join(parts, tmp_path / "film.mp4")
    assert not (tmp_path / "film.mp4").exists()
    encodings.clear()

    again = join(parts, tmp_path / "film.mp4")

    assert "part0.mp4" not in encodings
    assert "part1.mp4" not in encodings
    assert (again.sha256, again.frames) == (whole.sha256, whole.frames)
    assert (tmp_path / "film.mp4").read_bytes() == (tmp_path / "whole.mp4").read_bytes()
    assert hidden_names(tmp_path) == []


@pytest.mark.parametrize("damage", [lambda data: data[:-3], lambda data: data[: len(data) // 2], lambda _: b""])
def test_a_shot_that_a_machine_went_down_with_is_made_again(
    parts: list[FilmPart], tmp_path: Path, encodings: list[str], cut_at: Callable[[str, int], None], damage: Any
) -> None:
    """Only what was written to its end counts."""
    whole = join(parts, tmp_path / "whole.mp4")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(film_picture, "frames_of", film_picture.frames_of)
        cut_at("part1.mp4", 3)
        with pytest.raises(CutShort):
            join(parts, tmp_path / "film.mp4")
    (shot,) = tmp_path.glob(".shot-*.mp4")
    shot.write_bytes(damage(shot.read_bytes()))
    encodings.clear()

    again = join(parts, tmp_path / "film.mp4")

    assert encodings[0] == "part0.mp4"
    assert again.sha256 == whole.sha256


def test_a_shot_of_another_take_is_not_used_for_this_film(
    parts: list[FilmPart], make_clip: MakeClip, tmp_path: Path, cut_at: Callable[[str, int], None]
) -> None:
    """The same name with other frames in it: what was encoded before is not taken for it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(film_picture, "frames_of", film_picture.frames_of)
        cut_at("part1.mp4", 3)
        with pytest.raises(CutShort):
            join(parts, tmp_path / "film.mp4")
    clip = make_clip("other.mp4", **SHORT | {"first_number": 40})
    clip.replace(parts[0].path)

    again = join(parts, tmp_path / "film.mp4")
    anew = tmp_path / "anew"
    anew.mkdir()

    assert again.sha256 == join(parts, anew / "film.mp4").sha256
