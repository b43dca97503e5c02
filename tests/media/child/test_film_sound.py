"""The sound of a film: which codecs are taken, what is reported of others, and that no film fails for one."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest

from framerelay.media.child.film import join
from framerelay.media.child.frames import examine
from framerelay.media.model import FilmFacts, FilmPart

FRAMES, RATE = 24, 48_000
X264 = "libx264", {"preset": "ultrafast"}
BEEPS_S = (0.25, 0.5, 0.75)


def write(path: Path, codec: str | None, *, layout: str = "stereo", rate: int = RATE, **options: str) -> Path:
    """One second of picture, and of sound that beeps for 20 ms at `BEEPS_S`."""
    with av.open(str(path), "w") as container:
        encoder = ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8"}) if path.suffix == ".webm" else X264
        picture: Any = container.add_stream(encoder[0], rate=24, options=encoder[1])
        picture.width, picture.height, picture.pix_fmt = 96, 64, "yuv420p"
        sound: Any = container.add_stream(codec, rate=rate, options={"strict": "-2"} | options) if codec else None
        if sound:
            sound.layout = layout
        for n in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(np.full((64, 96, 3), 10 * n, np.uint8), format="rgb24")
            frame.pts, frame.time_base = n, Fraction(1, 24)
            container.mux(picture.encode(frame))
        container.mux(picture.encode())
        if sound:
            encode(container, sound, beeps(rate), layout)
    return path


def beeps(rate: int) -> npt.NDArray[np.float32]:
    """One second."""
    t = np.arange(rate) / rate
    wave = 0.5 * np.sin(2 * np.pi * 1000 * t)
    return np.where(np.any([(t >= s) & (t < s + 0.02) for s in BEEPS_S], axis=0), wave, 0).astype(np.float32)


def encode(container: Any, stream: Any, wave: npt.NDArray[np.float32], layout: str) -> None:
    """The same in every channel."""
    channels = av.AudioLayout(layout).nb_channels
    for start in range(0, len(wave), 960):
        block = np.ascontiguousarray(np.stack([wave[start : start + 960]] * channels))
        frame = av.AudioFrame.from_ndarray(block, format="fltp", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = len(wave), start, Fraction(1, len(wave))
        container.mux(stream.encode(frame))
    container.mux(stream.encode())


def film_of(*clips: Path) -> tuple[FilmFacts, Path]:
    """Each is a part that repeats nothing."""
    film = clips[0].with_name("film.mp4")
    return join([FilmPart(path=clip, continued=False) for clip in clips], film), film


def beeps_at(film: Path) -> list[float]:
    """When each beep of the first second begins, in seconds after the first frame; to a quarter of a millisecond."""
    with av.open(str(film)) as container:
        stream = container.streams.audio[0]
        rate = stream.codec_context.sample_rate
        frames = list(container.decode(stream))
    wave = np.concatenate([frame.to_ndarray()[0] for frame in frames])
    start = float(frames[0].time or 0)
    t = np.arange(round(0.02 * rate)) / rate
    places = []
    for s in BEEPS_S:
        begin = round((s - 0.03 - start) * rate)
        window = wave[begin : begin + round(0.09 * rate)]
        likeness = np.correlate(window, np.sin(2 * np.pi * 1000 * t), "valid")
        assert likeness.max() > 0.1 * rate * 0.02, "there is no beep"
        places.append(start + (begin + int(likeness.argmax())) / rate)
    return places


@pytest.mark.parametrize(
    ("codec", "name"),
    [
        ("pcm_s16le", "clip.mov"),
        ("pcm_s16be", "clip.mov"),
        ("pcm_s24be", "clip.mov"),
        ("pcm_f32le", "clip.mkv"),
        ("pcm_alaw", "clip.mov"),
        ("pcm_s16le", "clip.mp4"),
        ("mp2", "clip.mp4"),
        ("aac", "clip.mp4"),
        ("flac", "clip.mkv"),
        ("ac3", "clip.mp4"),
        ("alac", "clip.mov"),
        ("libopus", "clip.mp4"),
        ("libopus", "clip.mkv"),
        ("libopus", "clip.webm"),
    ],
)
def test_sound_is_in_its_place(tmp_path: Path, codec: str, name: str) -> None:
    """Within a millisecond; encoders that begin with a few hundred samples of their own have said so."""
    facts, film = film_of(write(tmp_path / name, codec))
    assert facts.warnings == ()
    assert beeps_at(film) == pytest.approx(BEEPS_S, abs=0.001)


@pytest.mark.parametrize("bframes", [0, 2])
def test_opus_in_matroska_by_an_older_ffmpeg_is_in_its_place(tmp_path: Path, bframes: int) -> None:
    """It puts all but the sound later by what is to be skipped of it; nobody meant that."""
    whole = write(tmp_path / "whole.mkv", "libopus", bf=str(bframes))
    clip = tmp_path / "clip.mkv"
    with av.open(str(whole)) as source, av.open(str(clip), "w") as output:
        streams = {stream.index: output.add_stream_from_template(stream, opaque=True) for stream in source.streams}
        for packet in source.demux():
            if packet.size and packet.pts is not None and packet.dts is not None:
                if packet.stream.type == "video":
                    packet.pts, packet.dts = packet.pts + 7, packet.dts + 7
                packet.stream = streams[packet.stream.index]
                output.mux(packet)
    with av.open(str(clip)) as container:
        first: dict[str, int | None] = {}
        for packet in container.demux():
            first.setdefault(packet.stream.type, packet.pts)
    assert first == {"video": 7, "audio": -7}
    facts, film = film_of(clip)
    assert beeps_at(film) == pytest.approx(BEEPS_S, abs=0.001)
    assert facts.duration_s == pytest.approx(1)


def as_dts(clip: Path) -> Path:
    """AC-3 that is labeled DTS, for which there is no encoder here."""
    data = clip.read_bytes()
    assert data.count(b"A_AC3") == 1
    clip.write_bytes(data.replace(b"A_AC3", b"A_DTS"))
    return clip


@pytest.mark.parametrize("word", ["dts", "adpcm_ima_qt"])
def test_sound_that_is_left_out_is_reported(tmp_path: Path, word: str) -> None:
    """A film without it is better than none, but nobody should have to hear that for himself."""
    odd = as_dts(write(tmp_path / "odd.mkv", "ac3")) if word == "dts" else write(tmp_path / "odd.mov", word)
    assert examine(odd, frame_into=tmp_path / "last.png").clip.has_audio
    facts, film = film_of(write(tmp_path / "good.mp4", "aac"), odd)
    assert [(warning.part, warning.message) for warning in facts.warnings] == [(2, f"its sound ({word}) is left out")]
    assert beeps_at(film) == pytest.approx(BEEPS_S, abs=0.001)
    alone, film = film_of(odd)
    assert len(alone.warnings) == 1
    with av.open(str(film)) as container:
        assert not container.streams.audio


def test_of_several_sounds_a_decodable_one_is_chosen(tmp_path: Path) -> None:
    """The first may be in a codec that we leave alone."""
    first, second = as_dts(write(tmp_path / "dts.mkv", "ac3")), write(tmp_path / "aac.mkv", "aac")
    clip = tmp_path / "clip.mkv"
    with av.open(str(first)) as one, av.open(str(second)) as other, av.open(str(clip), "w") as output:
        sources = [*one.streams, other.streams.audio[0]]
        copies = [output.add_stream_from_template(stream, opaque=True) for stream in sources]
        packets: list[Any] = [(copies[p.stream.index], p) for p in one.demux() if p.size]
        packets += [(copies[2], p) for p in other.demux(audio=0) if p.size]
        for copy, packet in packets:
            packet.stream = copy
            output.mux(packet)
    facts, film = film_of(clip)
    assert facts.warnings == ()
    assert beeps_at(film) == pytest.approx(BEEPS_S, abs=0.001)


@pytest.mark.parametrize("layout", ["mono", "5.1", "3.0"])
@pytest.mark.parametrize("rate", [8_000, 96_000])
def test_every_layout_and_rate_becomes_the_films(tmp_path: Path, layout: str, rate: int) -> None:
    """Down to stereo, and to 48 kHz."""
    facts, film = film_of(write(tmp_path / "clip.mkv", "pcm_s16le", layout=layout, rate=rate))
    assert facts.warnings == ()
    assert beeps_at(film) == pytest.approx(BEEPS_S, abs=0.001)


@pytest.mark.parametrize("codec", ["aac", "libopus", "flac", "ac3", "mp2", "libmp3lame", "pcm_s16le"])
@pytest.mark.parametrize("seed", [1, 2])
def test_no_film_fails_for_its_sound(tmp_path: Path, codec: str, seed: int) -> None:
    """Noise in place of every piece of sound, its headers aside: the picture is joined, whatever is heard."""
    clip = write(tmp_path / "clip.mkv", codec)
    data = bytearray(clip.read_bytes())
    with av.open(str(clip)) as container:
        pieces = [bytes(packet) for packet in container.demux(audio=0) if packet.size > 8]
    dice = np.random.default_rng(seed)
    for piece in pieces:
        at = data.find(piece)
        if at >= 0:
            data[at : at + len(piece)] = dice.integers(0, 256, len(piece), np.uint8).tobytes()
    clip.write_bytes(data)
    facts, _ = film_of(clip, clip)
    assert facts.frames == 2 * FRAMES
    assert all(warning.message.startswith("its sound") for warning in facts.warnings)
