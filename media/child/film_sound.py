"""The sound of a film: each shot's own, decoded, cut or filled to exactly the time its picture shows, encoded once."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Protocol

import numpy as np
import numpy.typing as npt
from av import AudioFrame, AudioResampler
from av.audio.stream import AudioStream
from av.container import OutputContainer

from framerelay.media.child.clips import open_clip
from framerelay.media.child.film_parts import ClipPart, clip_errors, decode
from framerelay.media.child.sounds import Sound
from framerelay.media.model import FilmWarning
from framerelay.runs.errors import ClipUnusable

FADE_S = 0.005
"""At both ends of each shot's sound: two waves that do not meet would click."""

JITTER_S = 0.03
"""Time stamps that are off by less are rounding; more is a gap, which stays."""

RATE_MAX = 48_000
BITS_PER_CHANNEL = 96_000
ENCODING = {"aac_coder": "fast", "aac_is": "0", "aac_pns": "0"}
"""
At this many bits the quick search leaves less noise than the default one (at 44.1 kHz stereo: 37 against 30 dB below
music, 44 against 36 below plain tones, 17 against 14 below rain), in a fifth to a half of the time. No intensity stereo
and no synthetic noise: there are enough bits for the real waves.
"""

Samples = npt.NDArray[np.float32]
"""Channels x samples, -1 to 1."""


def common_sound(parts: Sequence[ClipPart]) -> Sound | None:
    """The rate and channels that hold every shot's sound without loss, up to 48 kHz stereo; None for a silent film."""
    sounds = [part.sound for part in parts if part.sound]
    if not sounds:
        return None
    rate = max(sound.rate for sound in sounds)
    rate = rate if rate in (32_000, 44_100) else RATE_MAX
    return Sound(rate=rate, channels=min(2, max(sound.channels for sound in sounds)))


class SoundPlace(Protocol):
    """Where a part is in the film (see film.py)."""

    @property
    def part(self) -> ClipPart: ...
    @property
    def number(self) -> int: ...
    @property
    def end(self) -> Fraction: ...


class Soundtrack:
    """One AAC track. Shots are added in order, each from its start to its end in seconds of the film."""

    def __init__(self, output: OutputContainer, sound: Sound) -> None:
        self._sound = sound
        self._layout = "stereo" if sound.channels == 2 else "mono"
        self._output = output
        self._stream: AudioStream = output.add_stream("aac", rate=sound.rate, layout=self._layout, options=ENCODING)
        self._stream.bit_rate = BITS_PER_CHANNEL * sound.channels
        self._sample_count = 0
        self.warnings: list[FilmWarning] = []

    def add(self, shot: SoundPlace) -> None:
        """
        Write the sound of *shot*, from where the last one ended up to its end; silence if it has none.

        Sound that cannot be decoded is silence, too, from there on: no film fails because of it.
        """
        length = round(shot.end * self._sound.rate) - self._sample_count
        samples = np.zeros((self._sound.channels, length), np.float32)
        if shot.part.sound and length:
            first, last = self._fill(samples, shot, shot.part.sound)
            _fade(samples[:, first:last], round(FADE_S * self._sound.rate))
        for start in range(0, samples.shape[1], self._sound.rate):
            self._encode(samples[:, start : start + self._sound.rate])

    def close(self) -> None:
        """Write what the encoder still holds."""
        self._output.mux(self._stream.encode(None))

    def _fill(self, samples: Samples, shot: SoundPlace, sound: Sound) -> tuple[int, int]:
        """Put the decoded sound at its place in *samples*; return where it begins and ends."""
        begin, at = samples.shape[1], 0
        try:
            for start_s, block in self._blocks(shot.part, sound):
                place = round(start_s * self._sound.rate)
                if abs(place - at) > JITTER_S * self._sound.rate or not at:
                    at = place
                lead = max(0, -at)  # Sound from before the first frame.
                fitting = block[:, lead : max(lead, samples.shape[1] - at)]
                samples[:, at + lead : at + lead + fitting.shape[1]] = fitting
                begin = min(begin, at + lead)
                at += block.shape[1]
                if at >= samples.shape[1]:
                    break
        except ClipUnusable:
            self.warnings.append(FilmWarning(part=shot.number, message="its sound cannot be decoded to its end"))
        else:
            if begin == samples.shape[1] and not at:
                self.warnings.append(FilmWarning(part=shot.number, message="its sound cannot be decoded"))
        return begin, max(begin, min(at, samples.shape[1]))

    def _blocks(self, part: ClipPart, sound: Sound) -> Iterator[tuple[float, Samples]]:
        """
        Blocks of sound in the film's rate and channels, each with its time (s) after the first frame.

        Raises: ClipUnusable.
        """
        shown_at = float(part.pts[0] * part.time_base)
        with clip_errors(part.path), open_clip(part.path, part.demuxer, probe=True) as container:
            form, resampler = None, None
            for n, packet in enumerate(container.demux(container.streams[sound.index])):
                if n == 0 and part.demuxer == "matroska" and packet.pts == -part.pts[0]:
                    shown_at = 0  # FFmpeg up to 5 delayed the picture by what Opus skips: not intended.
                for frame in decode(packet):  # A damaged packet gives none; its place stays silent.
                    if form != (frame.format.name, frame.layout.name, frame.sample_rate) or resampler is None:
                        form = (frame.format.name, frame.layout.name, frame.sample_rate)
                        resampler = AudioResampler(format="fltp", layout=self._layout, rate=self._sound.rate)
                    for block in resampler.resample(frame):
                        if block.samples and block.time is not None:
                            yield block.time - shown_at, block.to_ndarray().astype(np.float32)

    def _encode(self, samples: Samples) -> None:
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout=self._layout)
        rate = self._sound.rate
        frame.sample_rate, frame.pts, frame.time_base = rate, self._sample_count, Fraction(1, rate)
        self._sample_count += samples.shape[1]
        self._output.mux(self._stream.encode(frame))


def _fade(samples: Samples, length: int) -> None:
    """Raise the first and lower the last *length* samples, in place."""
    length = min(length, samples.shape[1] // 2)
    if length:
        ramp = np.linspace(0, 1, length, dtype=np.float32)
        samples[:, :length] *= ramp
        samples[:, -length:] *= ramp[::-1]
