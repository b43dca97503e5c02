"""
What is accepted can be joined: the film of a clip that was paid for does not fail at the end, however odd the clip is.

Every clip here goes through the examination that decides before the next submit, and the joiner: alone, doubled, and
after a plain clip, so that it is copied where that is possible, and encoded. The boxes of MP4 are patched where no
writer makes what is wanted.
"""

import random
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import av
import numpy as np
import pytest
from av.bitstream import BitStreamFilterContext
from PIL import Image

from framerelay.media.child.film import join
from framerelay.media.child.film_parts import decode
from framerelay.media.child.frames import examine
from framerelay.media.model import FilmFacts, FilmPart
from framerelay.runs.errors import ClipUnusable

MakeClip = Callable[..., Path]
SMALL: dict[str, Any] = {"size": (96, 64), "frames": 16, "audio_s": None, "manifest": False, "bframes": 0}
STBL = (b"moov", b"trak", b"mdia", b"minf", b"stbl")


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """A film that was made, and the numbers that its frames carry."""

    facts: FilmFacts
    numbers: list[int]


@pytest.fixture
def film_of(tmp_path: Path, clipmaker: ModuleType) -> Callable[..., Film]:
    """``film_of(clip, …)``: all but the first repeat the last frame of the one before."""

    def make(*clips: Path) -> Film:
        film = tmp_path / "film.mp4"
        facts = join([FilmPart(path=clip, continued=n > 0) for n, clip in enumerate(clips)], film)
        with av.open(str(film)) as container:
            frames = [frame for packet in container.demux(video=0) for frame in decode(packet)]
        numbers = [clipmaker.read_number(frame.to_ndarray(format="rgb24")) for frame in frames]
        if facts.copied:
            # Frames of one tick, which only joints have here, are no frames; damaged ones may be lost to this decoder.
            ends = [frame.pts for frame in frames[1:]] + [1 << 60]
            numbers = [n for n, frame, end in zip(numbers, frames, ends, strict=False) if end - frame.pts > 1]
        else:
            assert len(numbers) == facts.frames
        return Film(facts=facts, numbers=numbers)

    return make


FilmOf = Callable[..., Film]


@pytest.fixture
def plain(make_clip: MakeClip) -> Path:
    """A clip that nothing else is like."""
    return make_clip("plain.mp4", **SMALL | {"size": (128, 96), "frames": 3, "first_number": 500})


def assert_film(clip: Path, plain: Path, film_of: FilmOf, frames: int, tmp_path: Path) -> tuple[Film, Film]:
    """Whether the examiner takes *clip*, of so many *frames*, and it can be joined alone, doubled and with others."""
    examination = examine(clip, frame_into=tmp_path / "last.png")
    assert examination.clip.frames == frames
    assert film_of(clip).facts.frames == frames
    return film_of(clip, clip), film_of(plain, clip)


# --- times


@pytest.mark.parametrize("at", [0, 7, 14])
def test_a_frame_that_lasts_no_time_gets_some(
    make_clip: MakeClip, film_of: FilmOf, plain: Path, tmp_path: Path, clipmaker: ModuleType, at: int
) -> None:
    """Two frames claim one time: each of them shows, in order, and the film is as long as the clips."""
    clip = make_clip("clip.mp4", **SMALL)
    durations = [0 if n == at else 512 for n in range(16)]
    patch(clip, (*STBL, b"stts"), lambda _: runs_of(durations))
    twice, behind = assert_film(clip, plain, film_of, 16, tmp_path)
    assert twice.facts.frames == 31
    assert twice.numbers == [*range(15), *range(16)]
    assert behind.numbers == [500, 501, *range(16)]
    handed_on = np.asarray(Image.open(tmp_path / "last.png"))
    assert clipmaker.read_number(handed_on) == 15, "the film ends on what is handed on"
    assert twice.facts.duration_s == pytest.approx(29.5 / 24 if at == 14 else 29 / 24, abs=0.001)
    assert not twice.facts.warnings


def test_two_of_one_time_among_b_frames_keep_their_order(
    make_clip: MakeClip, film_of: FilmOf, plain: Path, tmp_path: Path
) -> None:
    """The decoder gives frames in the order in which they show, whatever their times say."""
    clip = make_clip("clip.mp4", **SMALL | {"bframes": 2})
    patch(clip, (*STBL, b"ctts"), lambda body: moved(body, sample=8, by=-512))
    twice, behind = assert_film(clip, plain, film_of, 16, tmp_path)
    assert twice.numbers == [*range(15), *range(16)]
    assert behind.numbers == [500, 501, *range(16)]


@pytest.mark.parametrize("seed", range(12))
def test_whatever_the_times_are_what_is_accepted_is_joined(
    make_clip: MakeClip, film_of: FilmOf, plain: Path, tmp_path: Path, seed: int
) -> None:
    """Times, offsets, keyframes and edits at random; a refusal says why, and comes before the next submit."""
    dice = random.Random(seed)
    clip = make_clip("clip.mp4", **SMALL | {"bframes": dice.choice([0, 2]), "gop": dice.choice([4, 250])})
    durations = [dice.choice([0, 1, 100, 512, 512, 512, 3000]) for _ in range(16)]
    if dice.random() < 0.7:
        patch(clip, (*STBL, b"stts"), lambda _: runs_of(durations))
    if dice.random() < 0.5:
        patch(clip, (*STBL, b"ctts"), lambda body: moved(body, sample=dice.randrange(16), by=dice.choice([-512, 700])))
    if dice.random() < 0.5:
        patch(clip, (*STBL, b"stss"), lambda _: numbers_of(sorted(dice.sample(range(1, 17), dice.randrange(1, 4)))))
    if dice.random() < 0.6:
        patch(clip, (b"moov", b"trak", b"edts", b"elst"), lambda body: edited(body, dice.randrange(4) * 512, 1000))
    refusal = None
    try:
        examination = examine(clip, frame_into=tmp_path / "last.png")
    except ClipUnusable as error:
        refusal = error.message
    if refusal is not None:
        assert is_a_reason(refusal)
        return
    for film, first in ((film_of(clip, clip), examination.clip.frames), (film_of(plain, clip), 3)):
        assert film.facts.frames == first + examination.clip.frames - 1


@pytest.mark.parametrize("begin", [2, 6])
def test_an_edit_that_begins_between_sync_frames(
    make_clip: MakeClip, film_of: FilmOf, plain: Path, tmp_path: Path, begin: int
) -> None:
    """The frames up to the first one that can be decoded are stood in for; the reason is never empty."""
    clip = make_clip("clip.mp4", **SMALL | {"gop": 8})
    patch(clip, (*STBL, b"stss"), lambda _: numbers_of([9]))
    patch(clip, (b"moov", b"trak", b"edts", b"elst"), lambda body: edited(body, begin * 512, 600))
    examination = examine(clip, frame_into=tmp_path / "last.png")
    twice, behind = film_of(clip, clip), film_of(plain, clip)
    assert twice.facts.frames == 2 * examination.clip.frames - 1
    assert twice.numbers[-1] == behind.numbers[-1] == 15
    assert twice.facts.reason
    assert is_a_reason(twice.facts.reason)


def test_times_finer_than_a_film_counts(make_clip: MakeClip, film_of: FilmOf, plain: Path, tmp_path: Path) -> None:
    """Ten million ticks a second, some frames a few of them apart: no two get one time in the film."""
    clip = make_clip("clip.mp4", **SMALL)
    patch(
        clip, (b"moov", b"trak", b"mdia", b"mdhd"), lambda body: body[:12] + struct.pack(">I", 10_000_000) + body[16:]
    )
    durations = [417_001, 3, 833_333, 5, 416_667, 416_666, 7, 416_667] * 2
    patch(clip, (*STBL, b"stts"), lambda _: runs_of(durations))
    patch(clip, (b"moov", b"trak", b"edts", b"elst"), lambda body: edited(body, 0, 60_000))
    examination = examine(clip, frame_into=tmp_path / "last.png")
    assert examination.clip.frames == 16
    facts = join([FilmPart(path=clip, continued=n > 0) for n in range(2)], tmp_path / "film.mp4")
    with av.open(str(tmp_path / "film.mp4")) as film:
        times = [frame.pts for frame in film.decode(video=0)]
    assert (facts.frames, len(set(times))) == (31, len(times))
    assert film_of(plain).facts.frames == 3


# --- packets


def test_packets_of_frames_that_do_not_show_are_no_frames(
    make_clip: MakeClip, film_of: FilmOf, plain: Path, tmp_path: Path
) -> None:
    """AV1: hidden frames as packets of their own, as some tools write them, are no frames of the clip or the film."""
    options = {"preset": "10", "crf": "40"}
    whole = make_clip("whole.mkv", **SMALL | {"codec": "av1", "frames": 32, "encoder_options": options})
    clip = split(whole, tmp_path / "split.mp4", "av1_frame_split")
    with av.open(str(clip)) as container:
        assert sum(1 for packet in container.demux(video=0) if packet.size) > 32
    twice, behind = assert_film(clip, plain, film_of, 32, tmp_path)
    assert twice.facts.reason == "part 1: some of its packets hold no frame that shows"
    assert twice.numbers == [*range(31), *range(32)]
    assert behind.numbers == [500, 501, *range(32)]
    assert film_of(whole).facts.copied, "what lies as it should is copied"


def test_a_picture_that_is_shown_by_a_packet_of_its_own(
    make_clip: MakeClip, film_of: FilmOf, plain: Path, tmp_path: Path
) -> None:
    """VP9: a keyframe that does not show, and a byte that shows it."""
    whole = make_clip("whole.mp4", **SMALL | {"codec": "vp9", "frames": 8})
    assert film_of(hidden_first(whole, tmp_path / "together.mp4", together=True)).facts.copied, "one packet, one frame"
    clip = hidden_first(whole, tmp_path / "hidden.mp4", together=False)
    twice, behind = assert_film(clip, plain, film_of, 8, tmp_path)
    assert twice.numbers == [*range(7), *range(8)]
    assert behind.numbers == [500, 501, *range(8)]


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_a_packet_without_a_picture_is_no_frame(
    make_clip: MakeClip, film_of: FilmOf, tmp_path: Path, codec: str
) -> None:
    """A note of its own between two frames (SEI), which shows nothing: the film has none for it."""
    unit = bytes([0x06, 0x05, 0x01, 0x00, 0x80]) if codec == "h264" else bytes([0x4E, 0x01, 0x05, 0x01, 0x00, 0x80])
    whole = make_clip("whole.mkv", **SMALL | {"codec": codec, "frames": 8})
    clip = with_packet(whole, tmp_path / "noted.mkv", after=4, data=len(unit).to_bytes(4) + unit)
    film = film_of(clip, clip)
    assert film.numbers == [*range(7), *range(8)]
    assert not film.facts.warnings


@pytest.mark.parametrize("codec", ["h264", "hevc", "vp9", "av1"])
@pytest.mark.parametrize("victims", [(3,), (0,), (0, 1, 2, 3, 4)], ids=str)
def test_a_damaged_frame_that_the_examination_does_not_need_is_stood_in_for(
    make_clip: MakeClip, film_of: FilmOf, plain: Path, tmp_path: Path, codec: str, victims: Sequence[int]
) -> None:
    """The clip's last frame is sound, so it was taken, and others were paid for: the film says what it lacks."""
    clip = make_clip("clip.mkv", **SMALL | {"codec": codec, "gop": 8})
    damage(clip, victims)
    examination = examine(clip, frame_into=tmp_path / "last.png")
    behind = film_of(plain, clip)
    assert behind.facts.frames == 2 + examination.clip.frames
    assert behind.numbers[-8:] == list(range(8, 16))
    (warning,) = behind.facts.warnings
    assert warning.part == 2
    assert "missing or damaged" in warning.message
    assert film_of(clip, clip).facts.frames == 2 * examination.clip.frames - 1


def test_a_damaged_last_frame_is_refused_at_once(make_clip: MakeClip, tmp_path: Path) -> None:
    """Nothing can be made from it, so nothing more is paid for."""
    clip = make_clip("clip.mkv", **SMALL)
    damage(clip, [15])
    with pytest.raises(ClipUnusable) as failure:
        examine(clip, frame_into=tmp_path / "last.png")
    assert is_a_reason(failure.value.message)


def test_a_clip_that_goes_on_in_another_size(
    make_clip: MakeClip, film_of: FilmOf, plain: Path, tmp_path: Path, clipmaker: ModuleType
) -> None:
    """VP9 may change its size on the way; each picture is fitted by itself."""
    small = make_clip("small.mkv", **SMALL | {"codec": "vp9", "frames": 8})
    large = make_clip("large.mkv", **SMALL | {"codec": "vp9", "frames": 8, "size": (192, 128), "first_number": 8})
    clip = one_after_the_other(small, large, tmp_path / "clip.mp4")
    _, behind = assert_film(clip, plain, film_of, 16, tmp_path)
    assert behind.numbers[2:] == list(range(16))


# --- what stands beside, and pictures of every kind


@pytest.mark.parametrize(
    "options",
    [
        {"frames": 1},
        {"frames": 2},
        {"fps": Fraction(240)},
        {"fps": Fraction(1, 2), "frames": 3},
        {"fps": Fraction(30_000, 1001)},
        {"fps": Fraction(119, 7)},
        {"stands": [1, 9, 1, 1, 30, 1, 2, 3] * 2},
        {"pix_fmt": "yuv444p", "size": (97, 65)},
        {"pix_fmt": "yuv422p10le"},
        {"pix_fmt": "gray", "codec": "h264"},
        {"rotation": 90},
        {"rotation": 180},
        {"full_range": True, "tagged": True},
        {"cover": True},
        {"fragmented": True, "gop": 5},
        {"codec": "hevc", "bframes": 3, "gop": 5},
        {"codec": "vp9", "name": "clip.webm"},
        {"codec": "av1", "name": "clip.webm", "pix_fmt": "yuv420p10le"},
        {"name": "clip.mkv", "bframes": 3},
        {"shown_frames": 9},
    ],
    ids=repr,
)
def test_odd_but_sound_clips_are_joined(
    make_clip: MakeClip, film_of: FilmOf, plain: Path, tmp_path: Path, options: dict[str, Any]
) -> None:
    """Whatever the examiner counts is what the film shows."""
    options = dict(options)
    clip = make_clip(options.pop("name", "clip.mp4"), **SMALL | options)
    frames = options.get("shown_frames") or options.get("frames", 16)
    twice, behind = assert_film(clip, plain, film_of, frames, tmp_path)
    assert twice.facts.frames == 2 * frames - 1
    assert behind.facts.frames == frames + 2
    assert not twice.facts.warnings + behind.facts.warnings


def test_no_reason_is_empty(tmp_path: Path, make_clip: MakeClip) -> None:
    """An error of the library without words gets its name; a clip without anything to decode is refused in words."""
    clip = make_clip("clip.mkv", **SMALL)
    damage(clip, range(16))
    with pytest.raises(ClipUnusable) as failure:
        join([FilmPart(path=clip, continued=False)], tmp_path / "film.mp4")
    assert is_a_reason(failure.value.message)


# --- what the tests share


def is_a_reason(message: str) -> bool:
    """Whether there are words before the stop."""
    return len(message.rstrip(". :").split()) > 3 and ": ." not in message and not message.rstrip(".").endswith(":")


def patch(clip: Path, path: Sequence[bytes], change: Callable[[bytes], bytes]) -> None:
    """Give the box at *path* another body, and all boxes around it their new size; the index is at the end."""
    data = clip.read_bytes()
    clip.write_bytes(patched(data, 0, len(data), path, change))


def patched(data: bytes, start: int, end: int, path: Sequence[bytes], change: Callable[[bytes], bytes]) -> bytes:
    """The boxes from *start* to *end*, so changed."""
    parts = []
    while start < end:
        size, name = struct.unpack_from(">I4s", data, start)
        body = data[start + 8 : start + size]
        if name == path[0]:
            body = change(body) if len(path) == 1 else patched(body, 0, len(body), path[1:], change)
        parts.append(struct.pack(">I4s", 8 + len(body), name) + body)
        start += size
    return b"".join(parts)


def runs_of(values: Iterable[int]) -> bytes:
    """The body of stts: one entry for each sample."""
    entries = [struct.pack(">II", 1, value) for value in values]
    return bytes(4) + struct.pack(">I", len(entries)) + b"".join(entries)


def numbers_of(values: Sequence[int]) -> bytes:
    """The body of stss."""
    return bytes(4) + struct.pack(f">I{len(values)}I", len(values), *values)


def moved(ctts: bytes, *, sample: int, by: int) -> bytes:
    """The body of ctts, where one sample shows earlier or later."""
    (count,) = struct.unpack_from(">I", ctts, 4)
    offsets = [offset for n, offset in struct.iter_unpack(">Ii", ctts[8 : 8 + 8 * count]) for _ in range(n)]
    offsets[sample] += by
    return bytes([1]) + bytes(3) + struct.pack(">I", len(offsets)) + b"".join(struct.pack(">Ii", 1, o) for o in offsets)


def edited(elst: bytes, media_time: int, duration_ms: int) -> bytes:
    """The body of elst: one edit from *media_time* (ticks of the track), so long in the movie's milliseconds."""
    assert elst[0] == 0
    return bytes(4) + struct.pack(">IIiI", 1, duration_ms, media_time, 0x1_0000)


def split(source: Path, into: Path, bit_filter: str) -> Path:
    """Each packet's frames as packets of their own."""
    with av.open(str(source)) as clip, av.open(str(into), "w") as output:
        stream = clip.streams.video[0]
        copy = output.add_stream_from_template(stream, opaque=True)
        splitter = BitStreamFilterContext(bit_filter, stream)
        last = -1
        for packet in clip.demux(stream):
            for part in splitter.filter(packet if packet.size else None):
                part.dts = part.pts = last = max(last + 1, part.pts if part.pts is not None else 0)
                part.stream = copy
                output.mux_one(part)
    return into


def hidden_first(source: Path, into: Path, *, together: bool) -> Path:
    """The first frame's show_frame bit taken away, and what shows the frame after it: in its packet, or the next."""
    with av.open(str(source)) as clip, av.open(str(into), "w") as output:
        copy = output.add_stream_from_template(clip.streams.video[0], opaque=True)
        for n, packet in enumerate(clip.demux(video=0)):
            if not packet.size:
                continue
            data = bytearray(bytes(packet))
            pieces = [bytes(data)]
            if n == 0:
                assert data[0] & 0xFE == 0x82, "a keyframe of profile 0 that shows"
                data[0] &= 0xFD
                index = bytes([0xC9]) + len(data).to_bytes(2, "little") + bytes([1, 0, 0xC9])
                pieces = [bytes(data) + b"\x88" + index] if together else [bytes(data), b"\x88"]
            for place, piece in enumerate(pieces):
                part = av.Packet(piece)
                part.pts = part.dts = (packet.pts or 0) + place
                part.time_base, part.stream, part.is_keyframe = packet.time_base, copy, packet.is_keyframe and not place
                output.mux_one(part)
    return into


def with_packet(source: Path, into: Path, *, after: int, data: bytes) -> Path:
    """A copy with one packet more, after that many."""
    with av.open(str(source)) as clip, av.open(str(into), "w") as output:
        copy = output.add_stream_from_template(clip.streams.video[0], opaque=True)
        for n, packet in enumerate(clip.demux(video=0)):
            if not packet.size:
                continue
            pts, base = packet.pts, packet.time_base
            packet.stream = copy
            output.mux_one(packet)
            if n + 1 == after:
                more = av.Packet(data)
                more.pts = more.dts = (pts or 0) + 5
                more.time_base, more.stream = base, copy
                output.mux_one(more)
    return into


def one_after_the_other(first: Path, second: Path, into: Path) -> Path:
    """The packets of both in one track."""
    with av.open(str(into), "w") as output:
        copy: Any = None
        start = 0
        for source in (first, second):
            with av.open(str(source)) as clip:
                copy = copy or output.add_stream_from_template(clip.streams.video[0], opaque=True)
                packets = [packet for packet in clip.demux(video=0) if packet.size]
                for packet in packets:
                    packet.pts = packet.dts = start + (packet.pts or 0)
                    end = packet.pts + 42
                    packet.stream = copy
                    output.mux_one(packet)
                start = end
    return into


def damage(clip: Path, victims: Iterable[int]) -> None:
    """Other bytes of the same number in some packets."""
    data = bytearray(clip.read_bytes())
    with av.open(str(clip)) as container:
        places = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    for n in victims:
        at = data.index(places[n])
        noise = np.random.default_rng(n).integers(0, 256, len(places[n]), np.uint8).tobytes()
        data[at : at + len(noise)] = noise
    clip.write_bytes(data)
