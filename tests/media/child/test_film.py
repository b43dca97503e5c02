"""
The film: every frame in its place, the repeated one once, picture and sound together.

Each frame of the clips carries its number (see clipmaker.py), so that a film can be read like a counter.
"""

from collections import Counter
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from av.video.reformatter import Colorspace

import framerelay.media.child.film
from framerelay.media.child.film import join
from framerelay.media.model import FilmPart
from framerelay.runs.errors import ClipUnusable, RequestInvalid
from framerelay.store.files import is_held
from tests.media.child.films import (
    SHORT,
    FilmOf,
    MakeClip,
    Playback,
    Watch,
    assert_no_gap,
    assert_sound_ends_with_the_picture,
    boxes,
    files_up_to,
    overwrite,
    remux,
)

CODECS = ["h264", "hevc", "vp9", "av1"]


def test_twins_of_a_real_provider_are_joined_without_loss(
    make_clip: MakeClip, tmp_path: Path, watch: Watch, clipmaker: ModuleType
) -> None:
    """Three clips as the provider makes them, 44.1 and 32 kHz: each number once and in order, no gap, A/V together."""
    parts = [
        FilmPart(path=make_clip("a.mp4"), continued=False),
        FilmPart(path=make_clip("b.mp4", first_number=120, audio_rate=32_000), continued=True),
        FilmPart(path=make_clip("c.mp4", first_number=240), continued=True),
    ]
    facts = join(parts, tmp_path / "film.mp4")
    film = watch(tmp_path / "film.mp4")
    assert (facts.copied, facts.reason, facts.frames) == (True, None, 361)
    assert film.without_ticks() == list(range(361))
    assert_no_gap(film, Fraction(1, 24))
    assert_sound_ends_with_the_picture(film)
    assert facts.duration_s == pytest.approx(film.picture_s, abs=1e-6)
    assert facts.duration_s == pytest.approx(361 / 24, abs=0.0002)
    assert facts.bytes == (tmp_path / "film.mp4").stat().st_size
    assert film.tags == (0, 2, 2, 2), "a tag was made up"
    # The shot in the middle, bit for bit: the decoder gives the same pictures as from the clip.
    with av.open(str(parts[1].path)) as clip:
        for n, frame in zip(range(119), clip.decode(video=0), strict=False):
            image = frame.to_ndarray(format="rgb24", interpolation=clipmaker.EXACT)
            assert np.array_equal(
                image, film.images[film.numbers.index(120 + n) + 1 if n == 0 else index(film, 120 + n)]
            )


def index(film: Playback, number: int) -> int:
    """Where the frame of *number* shows, the one-tick frames aside."""
    return next(
        n
        for n, shown_number in enumerate(film.numbers)
        if shown_number == number and film.shows_s[n] > Fraction(1, 1000)
    )


def test_with_b_frames_the_repeated_frame_lasts_one_tick(film_of: FilmOf, watch: Watch) -> None:
    """Later packets depend on it, so it cannot be left out; the next shot begins that much sooner instead."""
    path, facts = film_of({"bframes": 3}, {"bframes": 3}, {"bframes": 3})
    film = watch(path)
    assert facts.copied
    assert len(film.numbers) == 72
    assert Counter(film.shows_s) == {Fraction(1, 24): 70, Fraction(1, 12288): 2}
    assert film.without_ticks() == list(range(70))
    assert facts.frames == 70


@pytest.mark.parametrize("codec", ["h264", "vp9", "av1"])
def test_without_b_frames_the_repeated_frame_is_left_out(film_of: FilmOf, watch: Watch, codec: str) -> None:
    """Nothing depends on the last packet: the film keeps a constant rate, and its number of frames is exact."""
    clip = {"codec": codec, "bframes": 0}
    path, facts = film_of(clip, clip, clip)
    film = watch(path)
    assert facts.copied
    assert film.numbers == list(range(70))
    assert set(film.shows_s) == {Fraction(1, 24)}
    assert facts.duration_s == pytest.approx(70 / 24)


@pytest.mark.parametrize("codec", CODECS)
def test_every_codec_that_we_accept_is_copied(film_of: FilmOf, watch: Watch, codec: str) -> None:
    """HEVC, VP9 and AV1 stay what they are."""
    path, facts = film_of({"codec": codec}, {"codec": codec})
    film = watch(path)
    assert facts.copied
    assert film.codec == codec
    assert film.without_ticks() == list(range(47))
    assert_no_gap(film, Fraction(1, 24))
    assert_sound_ends_with_the_picture(film)


@pytest.mark.parametrize("codec", ["vp9", "av1"])
def test_webm_clips_are_copied_into_an_mp4(film_of: FilmOf, watch: Watch, codec: str) -> None:
    """Its times are whole milliseconds; in the film every frame lasts exactly 1/24 s again. Opus becomes AAC."""
    clip = {"codec": codec, "suffix": ".webm", "audio_rate": 48_000}
    path, facts = film_of(clip, clip)
    film = watch(path)
    assert facts.copied
    assert film.without_ticks() == list(range(47))
    assert_no_gap(film, Fraction(1, 24))
    assert_sound_ends_with_the_picture(film)


def test_parts_that_do_not_continue_keep_all_frames(film_of: FilmOf, watch: Watch) -> None:
    """A cut: the last frame of one, the first of the next, each for its full time."""
    path, facts = film_of({}, {}, continued=False)
    film = watch(path)
    assert facts.copied
    assert film.numbers == list(range(48))
    assert set(film.shows_s) == {Fraction(1, 24)}


def test_a_single_part_is_a_film(film_of: FilmOf, watch: Watch) -> None:
    """``continued`` has no meaning for the first part."""
    path, facts = film_of({})
    film = watch(path)
    assert (facts.copied, facts.frames) == (True, 24)
    assert film.numbers == list(range(24))
    assert_sound_ends_with_the_picture(film)


def test_a_film_is_held_while_it_is_written(film_of: FilmOf, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that nobody takes what a long join writes for something that a killed one left."""
    held: list[bool] = []

    def write(parts: Any, path: Path, kept_shots: Any, go: Any = framerelay.media.child.film.write, **how: int) -> Any:
        result = go(parts, path, kept_shots, **how)
        held.append(is_held(path))
        return result

    monkeypatch.setattr(framerelay.media.child.film, "write", write)
    path, _ = film_of({})

    assert (held, is_held(path)) == ([True], False)


def test_a_part_of_one_frame_is_its_own_repetition(film_of: FilmOf, watch: Watch) -> None:
    """A clip of one frame that is continued gives the film nothing of its own."""
    path, _ = film_of({"bframes": 0}, {"frames": 1, "bframes": 0}, {"bframes": 0})
    film = watch(path)
    assert film.numbers == list(range(47))


def test_a_part_of_one_frame_is_its_own_repetition_where_all_is_encoded(film_of: FilmOf, watch: Watch) -> None:
    """The same, where the film begins with it and its size is that of none of the others."""
    path, facts = film_of({"frames": 1}, {"size": (320, 180)}, {})
    film = watch(path)
    assert not facts.copied
    assert film.numbers == list(range(len(film.numbers)))
    assert film.size == (160, 90)


def test_other_codec_set_up_is_encoded_again_with_every_frame(film_of: FilmOf, watch: Watch) -> None:
    """A track has one SPS: clips with and without B-frames cannot share it, so all is encoded, exact to the frame."""
    path, facts = film_of({"bframes": 3}, {"bframes": 0}, {"bframes": 3})
    film = watch(path)
    assert (facts.copied, facts.reason) == (False, "part 2 is not like part 1: its codec is set up otherwise")
    assert film.numbers == list(range(70))
    assert set(film.shows_s) == {Fraction(1, 24)}
    assert film.tags == (0, 2, 2, 2)
    assert_sound_ends_with_the_picture(film)


def test_other_size_and_rate_are_encoded_and_no_frame_is_made_up_or_dropped(film_of: FilmOf, watch: Watch) -> None:
    """Each shot keeps its own rate; the picture takes the size of the first."""
    path, facts = film_of({}, {"size": (320, 180), "fps": Fraction(30)}, {"fps": Fraction(25)})
    film = watch(path)
    assert not facts.copied
    assert facts.reason == "part 2 is not like part 1: 320x180 pixels instead of 160x90"
    assert film.size == (160, 90)
    assert film.numbers == list(range(70))
    assert film.shows_s == [Fraction(1, 24)] * 23 + [Fraction(1, 30)] * 23 + [Fraction(1, 25)] * 24
    assert facts.duration_s == pytest.approx(film.picture_s)
    assert_sound_ends_with_the_picture(film)


def test_other_rate_alone_is_named(film_of: FilmOf, watch: Watch) -> None:
    """NTSC rates stay exact fractions."""
    options = {"encoder_options": {"bf": "0"}, "codec": "vp9"}  # VP9 does not write its rate into its headers.
    path, facts = film_of(options, options | {"fps": Fraction(30_000, 1001)})
    film = watch(path)
    assert facts.reason == "part 2 is not like part 1: 30000/1001 frames per second instead of 24"
    assert film.numbers == list(range(47))
    assert film.shows_s == [Fraction(1, 24)] * 23 + [Fraction(1001, 30_000)] * 24


def test_another_shape_is_fitted_between_black_bars(film_of: FilmOf, watch: Watch, clipmaker: ModuleType) -> None:
    """A portrait shot in a landscape film is seen whole, undistorted."""
    path, _ = film_of({}, {"size": (90, 160), "bframes": 0})
    film = watch(path)
    image = film.images[-1]
    assert film.size == (160, 90)
    assert image[:, :48].max() < 12
    assert image[:, -48:].max() < 12
    inside = image[:, 55:105]
    assert [clipmaker.read_number(other[:, 55:105]) for other in film.images[23:]] == list(range(23, 47))
    assert inside.mean() > 40


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_rotated_parts_among_others_are_turned_upright(
    film_of: FilmOf, watch: Watch, clipmaker: ModuleType, rotation: int
) -> None:
    """What a player would have turned is turned for good, the right way round."""
    size = (90, 160) if rotation % 180 else (160, 90)
    path, facts = film_of({"size": (160, 90)}, {"size": size, "rotation": rotation})
    film = watch(path)
    assert facts.reason is not None
    assert film.rotation == 0
    assert film.size == (160, 90)
    turned_back = [np.rot90(image, -rotation // 90) for image in film.images[23:]]
    assert [clipmaker.read_number(image) for image in turned_back] == list(range(23, 47))


def test_clips_that_are_rotated_alike_are_copied_with_their_rotation(film_of: FilmOf, watch: Watch) -> None:
    """The player turns the film as it would have turned the clips."""
    path, facts = film_of({"rotation": 90}, {"rotation": 90})
    assert facts.copied
    assert watch(path).rotation == 90


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"matrix": "bt709", "tagged": True}, {"matrix": "bt601"}),
        ({"matrix": "bt601"}, {"matrix": "bt709", "tagged": True}),
        ({"matrix": "bt601"}, {"full_range": True, "tagged": True}),
        ({"full_range": True, "tagged": True}, {"matrix": "bt709", "tagged": True}),
        ({"pix_fmt": "yuv420p10le", "matrix": "bt709", "tagged": True}, {"matrix": "bt601"}),
    ],
    ids=["709+untagged", "untagged+709", "untagged+full", "full+709", "10bit+untagged"],
)
def test_colors_survive_encoding_whatever_their_tags(
    film_of: FilmOf, watch: Watch, clipmaker: ModuleType, first: dict[str, Any], second: dict[str, Any]
) -> None:
    """Matrix and range are converted to the first shot's: the film shows the clips' own colors, without a cast."""
    path, facts = film_of({"size": (320, 180)} | first, {"size": (320, 180)} | second)
    assert not facts.copied
    film = rgb(path, "bt709" if watch(path).tags[1] == Colorspace.ITU709 else "bt601", clipmaker)
    clips = (first, film[:23], "part0.mp4"), (second, film[23:], "part1.mp4")
    for options, images, name in clips:
        truth = rgb(path.with_name(name), options.get("matrix", "bt601"), clipmaker)
        for n in (5, 17):
            error = images[n][40:].astype(np.float32) - truth[n][40:]
            assert abs(error.mean(axis=(0, 1))).max() < 1.2  # The scaler rounds chroma when it changes the range.
            assert abs(error).mean() < 3


def rgb(path: Path, matrix: str, clipmaker: ModuleType) -> list[npt.NDArray[np.uint8]]:
    """All frames, read by *matrix* whatever the tags say."""
    space = Colorspace.ITU709 if matrix == "bt709" else Colorspace.ITU601
    with av.open(str(path)) as container:
        return [
            frame.to_ndarray(format="rgb24", interpolation=clipmaker.EXACT, src_colorspace=space)
            for frame in container.decode(video=0)
        ]


def test_tags_of_the_clips_stay(film_of: FilmOf, watch: Watch) -> None:
    """Copied clips that say what they are still say so."""
    options = {"matrix": "bt709", "tagged": True}
    path, facts = film_of(options, options)
    assert facts.copied
    assert watch(path).tags == (1, 1, 1, 1)


def test_untagged_hd_stays_untagged(film_of: FilmOf, watch: Watch) -> None:
    """Writers like to take HD for BT.709; nobody said so."""
    path, facts = film_of({"size": (1280, 720), "frames": 3}, {"size": (1280, 720), "frames": 3})
    assert facts.copied
    assert watch(path).tags == (0, 2, 2, 2)


def test_frames_that_an_edit_list_hides_stay_hidden(film_of: FilmOf, watch: Watch) -> None:
    """They cannot be hidden in a copy, so the film is encoded."""
    path, facts = film_of({"shown_frames": 20}, {})
    film = watch(path)
    assert facts.reason == "part 1: an edit list hides some of its frames"
    assert film.numbers == list(range(43))


def test_a_clip_that_begins_inside_a_sequence_is_encoded(make_clip: MakeClip, tmp_path: Path, watch: Watch) -> None:
    """Its first frame is a keyframe of the open kind, which counts on from what came before."""
    open_kind = {"x264-params": "open-gop=1:keyint=12:min-keyint=12:bframes=3"}
    first = make_clip("first.mp4", **SHORT)
    whole = make_clip(
        "whole.mp4", **SHORT | {"frames": 48, "gop": 12, "first_number": 12, "encoder_options": open_kind}
    )
    inside = remux(whole, tmp_path / "inside.mp4", from_s=Fraction(1, 3))
    parts = [FilmPart(path=first, continued=False), FilmPart(path=inside, continued=True)]
    facts = join(parts, tmp_path / "film.mp4")
    assert facts.reason == "part 2: it does not begin with a frame that needs no other"
    assert watch(tmp_path / "film.mp4").numbers == [*range(23), *range(24, 60)]


def test_clips_with_frames_of_unequal_length_keep_their_times(film_of: FilmOf, watch: Watch) -> None:
    """A variable rate is copied as it is."""
    stands = [1, 2, 3] * 8
    clip = {"stands": stands, "bframes": 0}
    path, facts = film_of(clip, clip)
    film = watch(path)
    assert facts.copied
    assert film.numbers == list(range(47))
    assert [round(s * 24) for s in film.shows_s] == [1, 2, 3] * 7 + [1, 2] + stands


def test_a_variable_rate_with_b_frames_ends_with_its_last_frame(film_of: FilmOf, watch: Watch) -> None:
    """The last packet is not the last frame; the track is as long as the film all the same."""
    path, facts = film_of({"stands": [1, 2] * 12}, {"stands": [1, 2] * 12})
    film = watch(path)
    assert facts.copied
    assert film.picture_s == pytest.approx(facts.duration_s, abs=1e-6)


def test_variable_and_constant_rates_together_are_encoded_with_their_times(film_of: FilmOf, watch: Watch) -> None:
    """The encoder is told when each frame shows."""
    stands = [1, 2, 3] * 8
    path, facts = film_of({}, {"stands": stands, "bframes": 0})
    film = watch(path)
    assert not facts.copied
    assert film.numbers == list(range(47))
    assert [round(s * 24) for s in film.shows_s] == [1] * 23 + stands


def test_the_index_comes_first(film_of: FilmOf) -> None:
    """A player can start before all of the film is loaded."""
    path, _ = film_of({}, {})
    assert [name for name, _ in boxes(path.read_bytes())][:2] == [b"ftyp", b"moov"]


@pytest.mark.parametrize("other", [{}, {"size": (320, 180)}], ids=["copied", "encoded"])
def test_the_same_parts_give_the_same_bytes(film_of: FilmOf, other: dict[str, Any]) -> None:
    """A film that is made twice, after a crash say, has one hash."""
    first = film_of({}, other)[0].read_bytes()
    assert film_of({}, other)[0].read_bytes() == first


@pytest.mark.parametrize("other", [{}, {"size": (320, 180)}], ids=["copied", "encoded"])
def test_a_damaged_part_gives_no_film(make_clip: MakeClip, tmp_path: Path, other: dict[str, Any]) -> None:
    """The error names the clip; an earlier film stays."""
    good = make_clip("good.mp4", **SHORT)
    cut = make_clip("cut.mp4", **SHORT | other)
    cut.write_bytes(cut.read_bytes()[:-2000])
    (tmp_path / "film.mp4").write_bytes(b"earlier")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ClipUnusable):
        join([FilmPart(path=good, continued=False), FilmPart(path=cut, continued=True)], tmp_path / "film.mp4")
    assert (tmp_path / "film.mp4").read_bytes() == b"earlier"
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(("codec", "victim"), [("h264", 3), ("h264", -1), ("av1", -1)])
def test_a_frame_that_cannot_be_decoded_is_replaced_and_reported(
    make_clip: MakeClip, tmp_path: Path, watch: Watch, codec: str, victim: int
) -> None:
    """Where frames are decoded, a hole is seen: also at the end, and where the decoder does not say a word."""
    good = make_clip("good.mp4", **SHORT | {"size": (320, 180)})
    bad = make_clip("bad.mp4", **SHORT | {"codec": codec, "first_number": 23})
    overwrite(bad, "video", [victim], av1_padding if codec == "av1" else bytes)
    facts = join([FilmPart(path=good, continued=False), FilmPart(path=bad, continued=True)], tmp_path / "film.mp4")
    (warning,) = facts.warnings
    assert warning.part == 2
    assert "missing or damaged" in warning.message
    film = watch(tmp_path / "film.mp4")
    assert len(film.numbers) == facts.frames == 47
    assert film.numbers[:23] == list(range(23))
    assert_sound_ends_with_the_picture(film)


def av1_padding(size: int) -> bytes:
    """A sound AV1 packet of *size* bytes without a picture: a temporal delimiter and a padding unit."""
    head = bytes([0x12, 0x00, 0x7A])
    body = size - len(head) - 2
    return head + bytes([body & 0x7F | 0x80, body >> 7]) + bytes([0xFF] * (body - 1) + [0x80])


def test_a_disk_without_room_is_not_blamed_on_a_clip(make_clip: MakeClip, tmp_path: Path) -> None:
    """Writing fails with the system's own error, also at the very end; no half film is left."""
    clip = make_clip("clip.mp4", **SHORT)
    part = FilmPart(path=clip, continued=False)
    size = join([part], tmp_path / "film.mp4").bytes
    before = sorted(tmp_path.iterdir())
    for room in (1000, size // 2, size - 100):
        with files_up_to(room), pytest.raises(OSError, match="File too large"):
            join([part], tmp_path / "film.mp4")
        assert sorted(tmp_path.iterdir()) == before


def test_no_parts_are_no_film(tmp_path: Path) -> None:
    """Said in words, before anything is written."""
    with pytest.raises(RequestInvalid):
        join([], tmp_path / "film.mp4")
