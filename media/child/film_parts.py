"""What must be known about a clip before it becomes part of a film: its parameters, and when each frame shows."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from fractions import Fraction
from pathlib import Path
from typing import Any

from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from framerelay.media.child.clips import (
    Sample,
    check_count,
    check_samples,
    codec_name,
    decoder_configuration,
    find_picture,
    foreseen_errors,
    is_end,
    open_clip,
    still_ticks,
    to_sample,
)
from framerelay.media.child.color import Tags, first_answer
from framerelay.media.child.containers import identify
from framerelay.media.child.frames import tags_of
from framerelay.media.child.hidden import first_bytes_of_units, kind
from framerelay.media.child.orientation import Orientation, orientation_of, pixel_shape
from framerelay.media.child.sounds import Sound, find_sound
from framerelay.media.child.tone import CURVES
from framerelay.runs.errors import ClipUnusable

COPIED_CODECS = frozenset({"h264", "hevc", "vp9", "av1"})
"""What players show; anything else that is accepted is encoded."""

IDR_UNITS = {"h264": frozenset({5}), "hevc": frozenset({19, 20})}
"""Kinds of units that begin a sequence that depends on nothing before it (ITU-T H.264 and H.265, table 7-1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackFormat:
    """Everything in which the pictures of two clips must match to be in one track without being encoded again."""

    codec: str
    size: tuple[int, int]
    pixel_format: str
    pixel_shape: Fraction  # Width divided by height; 1 if the file does not say.
    orientation: Orientation  # How a player rotates and mirrors the picture.
    says_siting: bool  # Otherwise its chroma is in the center, whatever the decoder says.
    range: int  # The four tags of color as FFmpeg numbers them.
    matrix: int
    primaries: int
    transfer: int
    rate: Fraction | None  # Frames per second; None if the frames do not all last equally long.
    headers: bytes  # The decoder's configuration (SPS and PPS, for H.264): a track has one.


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipPart:
    """A clip, measured. Frames that show are counted from 0, in the order in which they do."""

    path: Path
    demuxer: str
    continued: bool
    picture: TrackFormat
    sound: Sound | None
    time_base: Fraction
    pts: tuple[int, ...]  # When each frame shows; two may have the same time.
    order: tuple[int, ...]  # Which frame the n-th packet of the file holds; meaningless if there is an obstacle.
    length: Fraction  # Seconds from the first frame to the end of the last.
    obstacle: str | None  # Why its packets cannot be copied unchanged.
    left_out: str | None  # Why the film does not have its sound, though it has one.
    tags: Tags

    def offsets(self) -> tuple[Fraction, ...]:
        """
        Seconds from the first frame to each.

        Without the jitter of a container that counts in milliseconds. Frames that claim the same time share the time
        that is left until the next, so that each of them shows.
        """
        if self.picture.rate is not None:
            return tuple(frame / self.picture.rate for frame in range(len(self.pts)))
        places = Counter(self.pts)
        times = sorted(places)
        ends = dict(zip(times, [*((time - times[0]) * self.time_base for time in times[1:]), self.length], strict=True))
        offsets: list[Fraction] = []
        for time in times:
            start, count = (time - times[0]) * self.time_base, places[time]
            offsets += [start + (ends[time] - start) * n / count for n in range(count)]
        return tuple(offsets)

    @property
    def last_is_droppable(self) -> bool:
        """Whether the last frame is also the last packet: then no other frame can depend on it."""
        return self.order[-1] == len(self.order) - 1


def measure_part(path: Path, *, continued: bool) -> ClipPart:
    """
    Read the index of a clip and decode one frame.

    The rule for what counts as a frame is the same as when a clip is examined (media/child/clips.py), so that an
    accepted clip can be joined, however odd it is.
    Raises: ClipUnusable.
    """
    demuxer = identify(path)
    with clip_errors(path), open_clip(path, demuxer, probe=False) as container:  # A probe would decode.
        tags = tags_of(path, demuxer, find_picture(container))
    with clip_errors(path), open_clip(path, demuxer, probe=True) as container:
        sound, left_out = find_sound(container)
        stream = find_picture(container)
        samples, first, frame = _read(container, stream)
        pts = tuple(sorted(sample.pts for sample in samples if sample.is_shown))
        time_base = stream.time_base or Fraction(1, 90_000)
        rate = _constant_rate(stream, pts, time_base)
        picture = _picture(stream, frame, rate, tags)
        return ClipPart(
            path=path,
            demuxer=demuxer,
            continued=continued,
            picture=picture,
            sound=sound,
            time_base=time_base,
            pts=pts,
            order=_order(samples, pts),
            length=len(pts) / rate if rate else (pts[-1] - pts[0] + still_ticks(samples)) * time_base,
            obstacle=_obstacle(picture, samples, first),
            left_out=left_out,
            tags=tags,
        )


def _read(container: InputContainer, stream: VideoStream) -> tuple[list[Sample], "Packet[VideoStream]", VideoFrame]:
    """Every packet's facts, the first packet, and the first frame that can be decoded."""
    samples: list[Sample] = []
    packets: list[Packet[VideoStream]] = []
    frame: VideoFrame | None = None
    for packet in container.demux(stream):
        if not is_end(packet):
            samples.append(to_sample(packet))
            check_count(samples)
            packets = packets or [packet]
        if frame is None:
            frame = next(iter(decode(packet)), None)
    check_samples(stream, samples)
    if frame is None:
        raise ClipUnusable("none of the clip's frames can be decoded", reason="corrupt")
    return samples, packets[0], frame


def decode(packet: "Packet[Any]") -> list[Any]:
    """The frames that the decoder gives for *packet*; empty if it cannot make anything of it."""
    try:
        return list(packet.decode())
    except MemoryError:
        raise
    except (FFmpegError, ValueError):
        return []


def read_packets(part: ClipPart) -> Iterator["Packet[VideoStream]"]:
    """
    The packets of a part's picture, one for each entry of ``part.order``.

    Errors of the code that reads the packets are not mistaken for errors of the clip.
    """
    with clip_errors(part.path), open_clip(part.path, part.demuxer, probe=False) as container:
        for packet in container.demux(find_picture(container)):
            if packet.size:
                yield packet


@contextmanager
def clip_errors(path: Path) -> Iterator[None]:
    """Anything wrong with a clip is one kind of error, which names it."""
    try:
        with foreseen_errors():
            yield
    except ClipUnusable as error:
        raise ClipUnusable(f"{path.name}: {error.message}", reason=error.reason) from error


def difference(first: TrackFormat, other: TrackFormat) -> str | None:
    """How *other* differs from *first*, in words; None if they match."""
    for field in fields(TrackFormat):
        ours, theirs = getattr(first, field.name), getattr(other, field.name)
        if ours == theirs:
            continue
        match field.name:
            case "range" | "matrix" | "primaries" | "transfer":
                return f"its color {field.name} is tagged otherwise"
            case "headers":
                return "its codec is set up otherwise"
            case "says_siting":
                return "where its color lies is tagged otherwise"
            case "orientation":
                return "it is turned or mirrored otherwise"
            case "size":
                return f"{theirs[0]}x{theirs[1]} pixels instead of {ours[0]}x{ours[1]}"
            case "rate":
                return f"{theirs or 'a varying number of'} frames per second instead of {ours or 'a varying number'}"
        return f"{field.name.replace('_', ' ')} {theirs} instead of {ours}"
    return None


def _order(samples: Sequence[Sample], pts: Sequence[int]) -> tuple[int, ...]:
    place = {time: n for n, time in enumerate(pts)}
    return tuple(place[sample.pts] for sample in samples if sample.is_shown)


def _constant_rate(stream: VideoStream, pts: Sequence[int], time_base: Fraction) -> Fraction | None:
    """The rate at which every frame falls on its place, to one tick of the container; None if there is none."""
    candidates = [stream.average_rate, stream.guessed_rate, stream.base_rate]
    if pts[1:] and pts[1] > pts[0]:
        candidates.append(1 / ((pts[1] - pts[0]) * time_base))
    for rate in filter(None, candidates):
        if all(abs((time - pts[0]) * time_base - n / rate) <= time_base for n, time in enumerate(pts)):
            return Fraction(rate).limit_denominator(100_000)
    return None if len(pts) > 1 else Fraction(24)


def _picture(stream: VideoStream, frame: VideoFrame, rate: Fraction | None, tags: Tags) -> TrackFormat:
    context = stream.codec_context
    return TrackFormat(
        codec=codec_name(stream),
        size=(frame.width, frame.height),
        pixel_format=frame.format.name,
        pixel_shape=pixel_shape(stream),
        orientation=orientation_of(frame),
        says_siting=tags.sited,
        range=int(context.color_range),
        matrix=first_answer(int(frame.colorspace), tags.matrix),
        primaries=first_answer(int(frame.color_primaries), tags.primaries),
        transfer=first_answer(int(frame.color_trc), tags.transfer),
        rate=rate,
        headers=context.extradata or b"",
    )


def _obstacle(picture: TrackFormat, samples: Sequence[Sample], first: "Packet[VideoStream]") -> str | None:
    if picture.transfer in CURVES:
        return "it is HDR, and the film is not"
    if picture.codec not in COPIED_CODECS:
        return f"few players show {picture.codec}"
    if any(sample.is_hidden for sample in samples):
        return "an edit list hides some of its frames"
    if not all(sample.is_shown for sample in samples):
        return "some of its packets hold no frame that shows"
    if len({sample.pts for sample in samples}) < len(samples):
        return "some of its frames claim the same time"
    if not _starts_afresh(first) or samples[0].pts != min(sample.pts for sample in samples):
        return "it does not begin with a frame that needs no other"
    return None


def _starts_afresh(packet: "Packet[VideoStream]") -> bool:
    """
    Whether a decoder that has just shown another clip can continue here.

    A keyframe alone is not enough in H.264 and HEVC, whose open kind still depends on what came before.
    """
    codec = codec_name(packet.stream)
    if codec not in IDR_UNITS or not packet.is_keyframe:
        return packet.is_keyframe
    try:
        units = list(first_bytes_of_units(bytes(packet), codec, decoder_configuration(packet.stream)))
    except IndexError:
        return False  # Not in the form that MP4 requires.
    return not IDR_UNITS[codec].isdisjoint(kind(codec, first) for first in units)
