"""Films as a player sees and hears them, and clips that are changed before they are joined."""

import resource
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from framerelay.media.model import FilmFacts

SHORT = {"size": (160, 90), "frames": 24, "audio_s": 1.04, "manifest": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Playback:
    """A film as a player sees it: for each frame its number and how long it shows; its sound."""

    numbers: list[int]
    shows_s: list[Fraction]
    images: list[npt.NDArray[np.uint8]]
    codec: str
    size: tuple[int, int]
    tags: tuple[int, int, int, int]
    rotation: int
    picture_s: float
    sound_s: float | None
    sound_rate: int | None
    sound: npt.NDArray[np.float32]  # Channels x samples.

    def without_ticks(self) -> list[int]:
        """The numbers that show for more than a tick: what an eye can see."""
        return [number for number, s in zip(self.numbers, self.shows_s, strict=True) if s > Fraction(1, 1000)]


MakeClip = Callable[..., Path]
FilmOf = Callable[..., tuple[Path, FilmFacts]]
Watch = Callable[[Path], Playback]


def listen(path: Path) -> dict[str, Any]:
    """The sound of a film."""
    with av.open(str(path), format="mp4") as container:
        if not container.streams.audio:
            return {"sound_s": None, "sound_rate": None, "sound": np.zeros((0, 0), np.float32)}
        stream = container.streams.audio[0]
        assert stream.duration is not None
        assert stream.time_base is not None
        blocks = [frame.to_ndarray() for frame in container.decode(stream)]
        return {
            "sound_s": float(stream.duration * stream.time_base),
            "sound_rate": stream.codec_context.sample_rate,
            "sound": np.concatenate(blocks, axis=1),
        }


def assert_no_gap(film: Playback, frame_s: Fraction) -> None:
    """Every frame shows for a frame's time, or for one tick."""
    assert set(film.shows_s) <= {frame_s, Fraction(1, 12288)}
    assert film.shows_s.count(frame_s) == len(film.without_ticks())


def assert_sound_ends_with_the_picture(film: Playback) -> None:
    """Within one AAC frame; the decoded samples too, with what the encoder adds."""
    assert film.sound_s is not None
    frame_s = 1024 / (film.sound_rate or 1)
    assert abs(film.sound_s - film.picture_s) <= frame_s
    assert abs(film.sound.shape[1] / (film.sound_rate or 1) - film.picture_s) <= frame_s


def overwrite(clip: Path, kind: str, packets: Iterable[int], make: Callable[[int], bytes]) -> None:
    """Put other bytes of the same number into some packets."""
    data = bytearray(clip.read_bytes())
    with av.open(str(clip)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(**{kind: 0}) if packet.size]
    for n in packets:
        place, size = places[n]
        assert place is not None
        data[place : place + size] = make(size)
    clip.write_bytes(data)


def remux(source: Path, into: Path, *, picture_later_s: Fraction = Fraction(0), from_s: Fraction = Fraction(0)) -> Path:
    """Copy a clip; its picture later than its sound, or only from the first keyframe at *from_s* on."""
    with av.open(str(source)) as clip, av.open(str(into), "w") as output:
        streams = {stream.index: output.add_stream_from_template(stream, opaque=True) for stream in clip.streams}
        first: int | None = None
        for packet in clip.demux():
            if not packet.size or packet.pts is None or packet.dts is None:
                continue
            if packet.stream.type == "video":
                if first is None and packet.is_keyframe and packet.pts * packet.time_base >= from_s:
                    first = packet.pts
                if first is None or packet.pts < first:
                    continue
                move = round(picture_later_s / packet.time_base) - first
                packet.pts, packet.dts = packet.pts + move, packet.dts + move
            packet.stream = streams[packet.stream.index]
            output.mux_one(packet)
    return into


def pitch(samples: npt.NDArray[np.float32], rate: int) -> float:
    """The strongest frequency (Hz) in *samples*."""
    size = 1 << 18
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), size))
    return float(spectrum.argmax() * rate / size)


def level(samples: npt.NDArray[np.float32]) -> float:
    """The effective value of *samples*."""
    return float(np.sqrt(np.mean(samples**2)))


def boxes(data: bytes) -> Iterator[tuple[bytes, int]]:
    """Name and length of each top-level box."""
    at = 0
    while at < len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        yield name, length
        at += length


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """No file of this process may grow past *size* bytes: as near as a test comes to a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
