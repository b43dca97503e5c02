"""The sound of a film: each shot's own while its picture shows, silence where it has none."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest

from framerelay.media.child.film import join
from framerelay.media.model import FilmPart
from tests.media.child.films import (
    SHORT,
    FilmOf,
    MakeClip,
    Watch,
    assert_sound_ends_with_the_picture,
    level,
    overwrite,
    pitch,
    remux,
)


def test_sound_changes_with_the_picture(film_of: FilmOf, watch: Watch) -> None:
    """Each shot's tone is heard exactly while its picture shows, at 44.1, 32 and 48 kHz, mono output never louder."""
    path, _ = film_of({"audio_rate": 44_100}, {"audio_rate": 32_000}, {"audio_rate": 48_000})
    film = watch(path)
    assert film.sound_rate == 48_000
    assert film.sound.shape[0] == 2
    joints = [0, 23 / 24, 46 / 24, 70 / 24]
    for n, (begin, end) in enumerate(pairwise(joints)):
        shot = film.sound[0, round(begin * 48_000) : round(end * 48_000)]
        assert pitch(shot, 48_000) == pytest.approx(220 + 23 * n, abs=1.5)
        assert pitch(shot[:6000], 48_000) == pytest.approx(220 + 23 * n, abs=8)
        assert pitch(shot[-6000:], 48_000) == pytest.approx(220 + 23 * n, abs=8)
        assert level(shot) == pytest.approx(0.2 / 2**0.5, rel=0.05)
    assert_sound_ends_with_the_picture(film)


def test_a_shot_without_sound_is_silent(film_of: FilmOf, watch: Watch) -> None:
    """The sound of the others stays in its place."""
    path, _ = film_of({}, {"audio_s": None}, {})
    film = watch(path)
    rate = film.sound_rate or 0
    first, second, third = (
        film.sound[0, round(a * rate) : round(b * rate)] for a, b in ((0, 0.95), (1, 1.88), (1.95, 2.9))
    )
    assert level(second) < 0.001
    assert pitch(first, rate) == pytest.approx(220, abs=1.5)
    assert pitch(third, rate) == pytest.approx(266, abs=1.5)
    assert_sound_ends_with_the_picture(film)


def test_a_film_without_any_sound_has_no_sound_track(film_of: FilmOf, watch: Watch) -> None:
    """No empty track is made up."""
    path, facts = film_of({"audio_s": None}, {"audio_s": None})
    assert watch(path).sound_s is None
    assert facts.copied


def test_short_sound_is_filled_with_silence(film_of: FilmOf, watch: Watch) -> None:
    """The next shot's sound does not move forward."""
    path, _ = film_of({"audio_s": 0.5}, {})
    film = watch(path)
    rate = film.sound_rate or 0
    assert level(film.sound[0, round(0.55 * rate) : round(0.94 * rate)]) < 0.001
    assert pitch(film.sound[0, round(0.97 * rate) :], rate) == pytest.approx(243, abs=1.5)
    assert_sound_ends_with_the_picture(film)


def test_sound_from_before_the_first_frame_is_left_out(make_clip: MakeClip, tmp_path: Path, watch: Watch) -> None:
    """A clip whose picture begins a quarter of a second late: the film begins with the picture."""
    late = remux(make_clip("clip.mp4", **SHORT), tmp_path / "late.mp4", picture_later_s=Fraction(1, 4))
    join([FilmPart(path=late, continued=False)], tmp_path / "film.mp4")
    film = watch(tmp_path / "film.mp4")
    rate = film.sound_rate or 0
    assert film.numbers == list(range(24))
    assert level(film.sound[0, rate // 100 : rate // 2]) == pytest.approx(0.2 / 2**0.5, rel=0.05)
    assert level(film.sound[0, round(0.82 * rate) : round(0.98 * rate)]) < 0.001
    assert_sound_ends_with_the_picture(film)


def test_damaged_sound_is_silence_in_its_place(make_clip: MakeClip, tmp_path: Path, watch: Watch) -> None:
    """What comes after it keeps its time; the picture is not lost for it."""
    clip = make_clip("clip.mp4", **SHORT)
    overwrite(clip, "audio", range(10, 20), lambda size: bytes([0xFF]) * size)
    facts = join([FilmPart(path=clip, continued=False)], tmp_path / "film.mp4")
    film = watch(tmp_path / "film.mp4")
    rate = film.sound_rate or 0
    assert facts.copied
    assert level(film.sound[0, 12 * 1024 : 17 * 1024]) < 0.001
    assert level(film.sound[0, 22 * 1024 : 35 * 1024]) == pytest.approx(0.2 / 2**0.5, rel=0.05)
    assert pitch(film.sound[0, 22 * 1024 :], rate) == pytest.approx(220, abs=1.5)


def test_joints_do_not_click(film_of: FilmOf, watch: Watch) -> None:
    """Each shot's sound begins and ends at nothing, within 5 ms."""
    path, _ = film_of({}, {})
    film = watch(path)
    rate = film.sound_rate or 0
    joint = round(23 / 24 * rate)
    assert abs(film.sound[:, joint - 20 : joint + 20]).max() < 0.05
    assert abs(film.sound[:, joint - rate // 50 : joint - rate // 100]).max() > 0.15
