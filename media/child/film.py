"""
Joining clips into a film; only runs in the decoder process, since it feeds strangers' bytes to a demuxer.

The picture is copied without loss if all clips match, and encoded again if not (film_picture.py); the sound is always
fitted to the picture and encoded once (film_sound.py). ``docs/film.md`` explains which and why.
"""

import hashlib
import math
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from pathlib import Path

import av
from av.container import OutputContainer

from framerelay.media.child.film_parts import ClipPart, difference, measure_part
from framerelay.media.child.film_picture import THREADS, Copier, Encoder
from framerelay.media.child.film_shots import EncodedShots
from framerelay.media.child.film_sound import Soundtrack, common_sound
from framerelay.media.model import FilmFacts, FilmPart, FilmWarning
from framerelay.media.words import in_words
from framerelay.runs.errors import RequestInvalid
from framerelay.store.files import hold

SCALE_MIN, SCALE_MAX = 10_000, 1_000_000
"""Ticks per second of the film's picture: any common frame rate is exact."""


COPIED = 0  # Threads: nothing is decoded.


def join(parts: Sequence[FilmPart], into: Path) -> FilmFacts:
    """
    Join *parts*, in this order, into one MP4 at *into*, whose folder exists; it appears whole or not at all.

    The first frame of a continued part repeats the last frame of the part before; the film shows it once. Every other
    frame shows in order and for as long as in its clip, with no gap between parts. ``FilmFacts.frames`` counts the
    frames that show (a repeated one that lasts a single tick, see docs/film.md, is not counted). The same parts give
    the same bytes. A second call replaces the file, and reuses what an interrupted one has encoded.
    Raises: RequestInvalid without parts; ClipUnusable for a clip that cannot be read to its end.
    """
    if not parts:
        raise RequestInvalid("a film needs at least one clip", param="parts")
    clip_parts = [measure_part(part.path, continued=part.continued and n > 0) for n, part in enumerate(parts)]
    reason = reason_to_encode(clip_parts)
    temporary = into.with_name(f".{into.name}.{secrets.token_hex(4)}.part")
    cache = EncodedShots(into.parent)
    try:
        with temporary.open("xb") as draft:
            hold(draft)
            shots, warnings, reason = write_with_fallback(clip_parts, temporary, reason, cache)
        size, sha256 = publish(temporary, into)
        cache.remove()
    finally:
        temporary.unlink(missing_ok=True)
    return FilmFacts(
        bytes=size,
        sha256=sha256,
        duration_s=float(shots[-1].end),
        frames=sum(shot.frames_shown for shot in shots),
        copied=reason is None,
        reason=reason,
        warnings=tuple(sorted(warnings, key=lambda warning: warning.part)),
    )


def reason_to_encode(parts: Sequence[ClipPart]) -> str | None:
    """Why the packets of *parts* cannot be in one track unchanged, in words; None if they can."""
    for n, part in enumerate(parts, start=1):
        if part.obstacle:
            return f"part {n}: {part.obstacle}"
        unlike = difference(parts[0].picture, part.picture)
        if unlike:
            return f"part {n} is not like part 1: {unlike}"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedPart:
    """
    A part at its place in the film, the *number*-th. Times are seconds from the film's start; ticks are 1/``scale`` s.

    ``frames`` are those that are written, and ``ticks`` when each of them shows, and when the last one ends;
    ``frames_shown`` counts those that show for their whole time.
    """

    part: ClipPart
    number: int
    scale: int
    frames: range
    ticks: tuple[int, ...]
    frames_shown: int

    def tick(self, frame: int) -> int:
        """When *frame* of the part shows, in ticks of the film; the one past the last gives the end of the shot."""
        return self.ticks[min(frame, len(self.frames))]

    @property
    def end(self) -> Fraction:
        """Where the next shot begins."""
        return Fraction(self.ticks[-1], self.scale)


def place_parts(parts: Sequence[ClipPart], *, cut_exactly: bool) -> list[PlacedPart]:
    """
    Give each part its place.

    The frame that the next part repeats is left out of the part that it ends. Among copied packets that is only
    possible if no other depends on it; otherwise it stays, and lasts one tick: the next part comes that much sooner.
    *cut_exactly*: frames are encoded again, so that any of them can be left out.
    """
    scale = common_scale(parts)
    shots: list[PlacedPart] = []
    start = Fraction(0)
    for n, part in enumerate(parts):
        count, offsets = len(part.pts), part.offsets()
        repeated = n + 1 < len(parts) and parts[n + 1].continued
        left_out = repeated and (cut_exactly or part.last_is_droppable)
        lasts = offsets[-1] + (0 if left_out else Fraction(1, scale)) if repeated else part.length
        frames = range(count - left_out)
        ticks = make_increasing(
            [round((start + offset) * scale) for offset in offsets[: len(frames)]] + [round((start + lasts) * scale)]
        )
        shots.append(
            PlacedPart(part=part, number=n + 1, scale=scale, frames=frames, ticks=ticks, frames_shown=count - repeated)
        )
        start = shots[-1].end
    return shots


def make_increasing(ticks: Sequence[int]) -> tuple[int, ...]:
    """*ticks*, each moved to one past the one before it if it is not later: no two frames have the same time."""
    return tuple(accumulate(ticks, lambda before, tick: max(before + 1, tick)))


def common_scale(parts: Sequence[ClipPart]) -> int:
    """Ticks per second in which every frame of every part falls on a tick, if that is possible at all."""
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


def write_with_fallback(
    parts: Sequence[ClipPart], path: Path, reason: str | None, cache: EncodedShots
) -> tuple[list[PlacedPart], list[FilmWarning], str | None]:
    """
    Like `write`: copied unless there is a *reason*, otherwise encoded; and the reason, which may only show on the way.

    Encoding the largest pictures may take more memory than there is; on one thread it takes less.
    """
    for threads in (THREADS,) if reason else (COPIED, THREADS):
        try:
            return *write(parts, path, cache, threads=threads), reason
        except Unsuitable as obstacle:
            reason = reason or f"its packets cannot be in an MP4: {obstacle}"
        # Here, and not above: an error that is being handled keeps everything that its frames had in memory.
    return *write(parts, path, cache, threads=1), reason


def write(
    parts: Sequence[ClipPart], path: Path, cache: EncodedShots, *, threads: int
) -> tuple[list[PlacedPart], list[FilmWarning]]:
    """
    Write the film, its index first so that it can be played while it loads; what it lacks is in its warnings.

    *threads*: of decoder and encoder, or `COPIED`. *cache*: shots that an earlier join has encoded, and this one does.
    Raises: Unsuitable if it does not work in this way; ClipUnusable; OSError.
    """
    shots = place_parts(parts, cut_exactly=threads != COPIED)
    options = {
        "movflags": "+faststart",
        "movie_timescale": str(shots[0].scale),  # The edit list counts in it; in milliseconds it would cut the end.
        "fflags": "+bitexact",  # No version of the writer in the file.
    }
    with unsuitable_errors(threads), av.open(str(path), "w", format="mp4", options=options) as output:
        picture = Copier(output, shots) if threads == COPIED else Encoder(output, shots, threads, cache)
        sound = add_sound(output, shots)
        for shot in shots:
            # Sound first: the writer orders by time, and so never holds back more than one shot's sound.
            if sound:
                sound.add(shot)
            picture.add(shot)
        picture.close()
        if sound:
            sound.close()
    left_out = [FilmWarning(part=n, message=part.left_out) for n, part in enumerate(parts, start=1) if part.left_out]
    return shots, left_out + picture.warnings + (sound.warnings if sound else [])


class Unsuitable(Exception):
    """A film cannot be made in this way, in words."""


@contextmanager
def unsuitable_errors(threads: int) -> Iterator[None]:
    """
    A failure of one way of making a film is no reason to have no film, unless there is no other way.

    Errors of the system, such as a full disk, are.
    """
    try:
        yield
    except OSError:
        raise
    except Exception as error:  # From the reader, the writer, or a clip that differs from its index.
        if threads == 1:
            raise
        raise Unsuitable(in_words(error)) from error


def add_sound(output: OutputContainer, shots: Sequence[PlacedPart]) -> Soundtrack | None:
    """The film's sound track; none if no shot has sound."""
    sound = common_sound([shot.part for shot in shots])
    return Soundtrack(output, sound) if sound else None


def publish(temporary: Path, into: Path) -> tuple[int, str]:
    """Make the bytes durable, then the name; return how many there are, and their SHA-256 (hex)."""
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
        size = os.fstat(file.fileno()).st_size
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    temporary.replace(into)
    return size, sha256
