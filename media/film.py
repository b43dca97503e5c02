"""
Joining clips into a film; runs in the decoder process alone, since it feeds strangers' bytes to a demuxer.

The picture is taken over without loss where all clips are alike, and encoded again where not (film_picture.py); the
sound is always fitted to the picture and encoded once (film_sound.py). ``docs/film.md`` tells which and why.
"""

import math
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container import OutputContainer

from media.film_parts import Part, difference, measure_part
from media.film_picture import Copier, Encoder
from media.film_sound import Soundtrack, common_sound
from media.model import FilmFacts, FilmPart
from runs.errors import RequestInvalid
from runs.files import hold

SCALE_MIN, SCALE_MAX = 10_000, 1_000_000
"""Ticks per second of the film's picture: any common frame rate is exact."""


def join(parts: Sequence[FilmPart], into: Path) -> FilmFacts:
    """
    Join *parts*, in this order, into one MP4 at *into*, whose folder exists; it appears whole or not at all.

    The first frame of a continued part repeats the last frame of the part before; the film shows it once. Every other
    frame shows in order and for as long as in its clip, with no gap between parts. ``FilmFacts.frames`` counts the
    frames that show (a repeated one that lasts a single tick, see docs/film.md, is not counted). The same parts give
    the same bytes. A second call replaces the file.
    Raises: RequestInvalid without parts; ClipUnusable for a clip that cannot be read to its end.
    """
    if not parts:
        raise RequestInvalid("A film needs at least one clip.", param="parts")
    measured = [measure_part(part.path, continued=part.continued and n > 0) for n, part in enumerate(parts)]
    reason = reason_to_encode(measured)
    shots = lay_out(measured, cut_exactly=reason is not None)
    temporary = into.with_name(f".{into.name}.{secrets.token_hex(4)}.part")
    try:
        with temporary.open("xb") as draft:
            hold(draft)
            write(shots, temporary, encode=reason is not None)
        size = publish(temporary, into)
    finally:
        temporary.unlink(missing_ok=True)
    return FilmFacts(
        bytes=size,
        duration_s=float(shots[-1].end),
        frames=sum(shot.shown for shot in shots),
        copied=reason is None,
        reason=reason,
    )


def reason_to_encode(parts: Sequence[Part]) -> str | None:
    """Why the packets of *parts* cannot stand in one track as they are, in words; None if they can."""
    for n, part in enumerate(parts, start=1):
        if part.obstacle:
            return f"part {n}: {part.obstacle}"
        unlike = difference(parts[0].picture, part.picture)
        if unlike:
            return f"part {n} is not like part 1: {unlike}"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """
    A part at its place in the film. Times are seconds from the film's start; ticks are 1/``scale`` seconds.

    ``frames`` are those that are written; ``shown`` counts those that stand for their whole time.
    """

    part: Part
    start: Fraction
    end: Fraction
    scale: int
    frames: range
    shown: int

    def tick(self, frame: int) -> int:
        """When *frame* of the part shows, in ticks of the film; the one past the last tells where the shot ends."""
        if frame >= len(self.frames):
            return round(self.end * self.scale)
        return round((self.start + self.part.offset(frame)) * self.scale)


def lay_out(parts: Sequence[Part], *, cut_exactly: bool) -> list[Shot]:
    """
    Give each part its place.

    The frame that the next part repeats is left out of the part that it ends. Among copied packets that is possible
    only where no other depends on it; else it stays, and lasts one tick: the next part comes that much sooner.
    *cut_exactly*: frames are encoded again, so that any of them can be left out.
    """
    scale = common_scale(parts)
    shots: list[Shot] = []
    start = Fraction(0)
    for n, part in enumerate(parts):
        count = len(part.pts)
        repeated = n + 1 < len(parts) and parts[n + 1].continued
        left_out = repeated and (cut_exactly or part.last_is_droppable)
        if not repeated:
            end = start + part.length
        else:
            end = start + part.offset(count - 1) + (0 if left_out else Fraction(1, scale))
        frames = range(count - left_out)
        shots.append(Shot(part=part, start=start, end=end, scale=scale, frames=frames, shown=count - repeated))
        start = end
    return shots


def common_scale(parts: Sequence[Part]) -> int:
    """Ticks per second in which every frame of every part falls on a tick, where that is possible at all."""
    rates = {part.picture.rate for part in parts}
    steps = [rate.numerator for rate in rates if rate] + [
        part.time_base.denominator for part in parts if not part.picture.rate
    ]
    scale = math.lcm(*steps)
    if scale > SCALE_MAX:
        return 90_000
    while scale < SCALE_MIN:
        scale *= 2
    return scale


def write(shots: Sequence[Shot], path: Path, *, encode: bool) -> None:
    """Write the film, its index in front so that it can be played while it is loaded."""
    options = {
        "movflags": "+faststart",
        "movie_timescale": str(shots[0].scale),  # The edit list counts in it; in milliseconds it would cut the end.
        "fflags": "+bitexact",  # No version of the writer in the file.
    }
    with av.open(str(path), "w", format="mp4", options=options) as output:
        picture = (Encoder if encode else Copier)(output, shots, shots[0].scale)
        sound = add_sound(output, shots)
        for shot in shots:
            # Sound first: the writer orders by time, and so never holds back more than one shot's sound.
            if sound:
                sound.add(shot.part, shot.end)
            picture.add(shot)
        picture.close()
        if sound:
            sound.close()


def add_sound(output: OutputContainer, shots: Sequence[Shot]) -> Soundtrack | None:
    """The film's sound track; none if no shot has sound."""
    sound = common_sound([shot.part for shot in shots])
    return Soundtrack(output, sound) if sound else None


def publish(temporary: Path, into: Path) -> int:
    """Make the bytes durable, then the name; return how many there are."""
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
        size = os.fstat(file.fileno()).st_size
    temporary.replace(into)
    return size
