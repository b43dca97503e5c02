"""What must be known of a clip before it becomes part of a film: its parameters, and when each of its frames shows."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from fractions import Fraction
from pathlib import Path

from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from media.clips import Sample, codec_name, find_picture, foreseen_errors, list_samples, open_clip
from media.containers import identify
from runs.errors import ClipUnusable

SOUND_CODECS = frozenset({"aac", "mp3", "opus", "vorbis", "flac", "alac", "ac3", "eac3"})
IDR_UNITS = {"h264": frozenset({5}), "hevc": frozenset({19, 20})}
"""Kinds of units that begin a sequence to which nothing before it matters (ITU-T H.264 and H.265, table 7-1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """All in which the pictures of two clips must be alike to stand in one track without being encoded again."""

    codec: str
    size: tuple[int, int]
    pixel_format: str
    pixel_shape: Fraction  # Width through height; 1 where the file does not say.
    rotation: int  # Degrees, counter-clockwise, in which a player turns the picture.
    range: int  # The four tags of colour as FFmpeg numbers them.
    matrix: int
    primaries: int
    transfer: int
    rate: Fraction | None  # Frames per second; None where the frames do not stand equally long.
    headers: bytes  # The decoder's configuration (SPS and PPS, for H.264): a track has one.


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """Samples per second, and channels."""

    rate: int
    channels: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A clip, measured. Frames that show are counted from 0, in the order in which they do."""

    path: Path
    demuxer: str
    continued: bool
    picture: Picture
    sound: Sound | None
    time_base: Fraction
    pts: tuple[int, ...]  # When each frame shows.
    order: tuple[int, ...]  # Which frame the n-th packet of the file holds.
    length: Fraction  # Seconds from the first frame to the end of the last.
    obstacle: str | None  # Why its packets cannot be taken over as they are.

    def offset(self, frame: int) -> Fraction:
        """Seconds from the first frame to *frame*; without the jitter of a container that counts in milliseconds."""
        if self.picture.rate is not None:
            return frame / self.picture.rate
        return (self.pts[frame] - self.pts[0]) * self.time_base

    @property
    def last_is_droppable(self) -> bool:
        """Whether the last frame is also the last packet: then no other frame can depend on it."""
        return self.order[-1] == len(self.order) - 1


def measure_part(path: Path, *, continued: bool) -> Part:
    """
    Read the index of a clip and decode one frame.

    Raises: ClipUnusable.
    """
    demuxer = identify(path)
    with clip_errors(path), open_clip(path, demuxer, probe=True) as container:
        stream = find_picture(container)
        samples = list_samples(container, stream)
        pts = _times(samples)
        time_base = stream.time_base or Fraction(1, 90_000)
        rate = _constant_rate(stream, pts, time_base)
        container.seek(0)
        obstacle = _obstacle(samples, next(container.demux(stream)))
        container.seek(0)
        return Part(
            path=path,
            demuxer=demuxer,
            continued=continued,
            picture=_picture(stream, next(container.decode(stream)), rate),
            sound=_sound(container),
            time_base=time_base,
            pts=pts,
            order=_order(samples, pts),
            length=_length(samples, pts, time_base, rate),
            obstacle=obstacle,
        )


def read_packets(part: Part) -> Iterator["Packet[VideoStream]"]:
    """
    The packets of a part's picture, one for each entry of ``part.order``.

    What the reader does with a packet is not mistaken for an error of the clip.
    """
    with clip_errors(part.path), open_clip(part.path, part.demuxer, probe=False) as container:
        for packet in container.demux(find_picture(container)):
            if packet.size:
                yield packet


@contextmanager
def clip_errors(path: Path) -> Iterator[None]:
    """Whatever is wrong with a clip is one error, which names it."""
    try:
        with foreseen_errors():
            yield
    except ClipUnusable as error:
        raise ClipUnusable(f"{path.name}: {error.message}", reason=error.reason) from error


def difference(first: Picture, other: Picture) -> str | None:
    """In what *other* is not like *first*, in words; None if they are alike."""
    for field in fields(Picture):
        ours, theirs = getattr(first, field.name), getattr(other, field.name)
        if ours == theirs:
            continue
        match field.name:
            case "range" | "matrix" | "primaries" | "transfer":
                return f"its colour {field.name} is tagged otherwise"
            case "headers":
                return "its codec is set up otherwise"
            case "size":
                return f"{theirs[0]}x{theirs[1]} pixels instead of {ours[0]}x{ours[1]}"
            case "rate":
                return f"{theirs or 'a varying number of'} frames per second instead of {ours or 'a varying number'}"
        return f"{field.name.replace('_', ' ')} {theirs} instead of {ours}"
    return None


def _times(samples: Sequence[Sample]) -> tuple[int, ...]:
    pts = tuple(sorted(sample.pts for sample in samples if sample.is_shown))
    if len(set(pts)) < len(pts):
        raise ClipUnusable("Two frames show at the same time.", reason="corrupt")
    return pts


def _order(samples: Sequence[Sample], pts: Sequence[int]) -> tuple[int, ...]:
    place = {time: n for n, time in enumerate(pts)}
    return tuple(place[sample.pts] for sample in samples if sample.is_shown)


def _length(samples: Sequence[Sample], pts: Sequence[int], time_base: Fraction, rate: Fraction | None) -> Fraction:
    if rate:
        return len(pts) / rate
    stands = next(sample.duration for sample in samples if sample.pts == pts[-1])
    return (pts[-1] - pts[0] + (stands or pts[-1] - pts[-2])) * time_base


def _constant_rate(stream: VideoStream, pts: Sequence[int], time_base: Fraction) -> Fraction | None:
    """The rate at which every frame falls on its place, to one tick of the container; None if there is none."""
    candidates = [stream.average_rate, stream.guessed_rate, stream.base_rate]
    if len(pts) > 1:
        candidates.append(1 / ((pts[1] - pts[0]) * time_base))
    for rate in filter(None, candidates):
        if all(abs((time - pts[0]) * time_base - n / rate) <= time_base for n, time in enumerate(pts)):
            return Fraction(rate)
    return None if len(pts) > 1 else Fraction(24)


def _picture(stream: VideoStream, frame: VideoFrame, rate: Fraction | None) -> Picture:
    context = stream.codec_context
    return Picture(
        codec=codec_name(stream),
        size=(frame.width, frame.height),
        pixel_format=frame.format.name,
        pixel_shape=stream.sample_aspect_ratio or Fraction(1),
        rotation=frame.rotation % 360,
        range=int(context.color_range),
        matrix=int(context.colorspace),
        primaries=int(context.color_primaries),
        transfer=int(context.color_trc),
        rate=rate,
        headers=context.extradata or b"",
    )


def _sound(container: InputContainer) -> Sound | None:
    for stream in container.streams.audio[:1]:
        context = stream.codec_context
        known = context and context.codec.canonical_name in SOUND_CODECS
        if known and context.sample_rate and context.layout.nb_channels:
            return Sound(rate=context.sample_rate, channels=context.layout.nb_channels)
    return None


def _obstacle(samples: Sequence[Sample], first: "Packet[VideoStream]") -> str | None:
    if not all(sample.is_shown for sample in samples):
        return "an edit list hides some of its frames"
    if not _starts_afresh(first) or samples[0].pts != min(sample.pts for sample in samples):
        return "it does not begin with a frame that needs no other"
    return None


def _starts_afresh(packet: "Packet[VideoStream]") -> bool:
    """
    Whether a decoder that has just shown another clip can go on here.

    A keyframe alone is not enough in H.264 and HEVC, whose open kind still counts on from what came before.
    """
    codec = codec_name(packet.stream)
    if codec not in IDR_UNITS or not packet.is_keyframe:
        return packet.is_keyframe
    headers = packet.stream.codec_context.extradata or b""
    if len(headers) < 23 or headers[0] != 1:
        return False  # Not in the form that MP4 wants.
    width = (headers[21 if codec == "hevc" else 4] & 3) + 1
    kinds = {unit >> 1 & 0x3F if codec == "hevc" else unit & 0x1F for unit in _first_bytes(bytes(packet), width)}
    return not kinds.isdisjoint(IDR_UNITS[codec])


def _first_bytes(data: bytes, width: int) -> Iterator[int]:
    """The first byte of each unit, which tells its kind; each is preceded by its length in *width* bytes."""
    at = 0
    while at + width < len(data):
        yield data[at + width]
        at += width + int.from_bytes(data[at : at + width])
