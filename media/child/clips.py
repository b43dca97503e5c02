"""
Open a stranger's clip and list what its picture holds, without decoding anything.

Only runs in the decoder process. Never touch a stream after its container was closed: it crashes the process.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av

# PyAV would import these when it meets a stream of that kind, in a job that can no longer open any file of ours.
import av.subtitles.codeccontext
import av.subtitles.stream
import av.subtitles.subtitle
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard, Disposition
from av.video.stream import VideoStream

from framerelay.media.child.containers import ENCRYPTED
from framerelay.media.child.growing import GrowingFile
from framerelay.media.child.hidden import holds_picture
from framerelay.media.child.sounds import SOUND_CODECS
from framerelay.media.model import ClipFacts
from framerelay.media.wire import GaveWay
from framerelay.media.words import in_words
from framerelay.runs.errors import ClipUnusable

CODECS = frozenset({"h264", "hevc", "av1", "vp9", "mpeg4"})
"""The last is MPEG-4 Part 2 (``mp4v``), which OpenCV writes by default."""
SIDE_MAX = 8192
PIXELS_MAX = 4096 * 2304
DURATION_S_MAX = 600
RATE_MAX = 240  # Frames per second.
STREAMS_MAX = 16  # Picture, sound, cover art and a few tracks of data.
PACKETS_MAX = 5000  # Three minutes at 24 frames per second; a bomb of tiny frames has a hundred thousand.

BESIDE = Disposition.timed_thumbnails | Disposition.still_image | Disposition.dependent
"""Roles of a picture that is not the main one; cover art is not a picture of the clip at all."""

DEMUXER_OPTIONS = {
    "mp4": {"enable_drefs": "0", "use_absolute_path": "0"},  # Its samples may claim to be in another file.
    "matroska": {},
}
ENCRYPTION_KEY = "enc_key_id"
"""Which key a track of Matroska is encrypted with; an MP4 says so in its boxes (media/child/containers.py)."""

PROBE_DECODERS = ",".join(["h264,hevc,av1,libdav1d,vp9,mpeg4,mp3float,mp2float,libopus", *sorted(SOUND_CODECS)])
"""What opening may decode with, if it does, including sound; which codec is accepted is checked after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One packet of the picture, in decode order; times in ticks of the stream."""

    pts: int
    duration: int
    is_keyframe: bool
    is_shown: bool
    is_hidden: bool = False  # By an edit list; a packet that holds nothing to show is neither.


def open_clip(clip: Path | GrowingFile, demuxer: str, *, probe: bool) -> InputContainer:
    """
    Open *clip*, a local file or a growing one, with that demuxer and no other.

    Nothing that it names is opened, neither a file nor an address. Without *probe* opening decodes nothing, which saves
    5 to 20 ms; until the first frame is decoded, frame size and pixel format are then what the container claims.
    """
    options = DEMUXER_OPTIONS[demuxer] | {
        "max_pixels": str(PIXELS_MAX),
        "max_streams": str(STREAMS_MAX + 1),  # Matroska's demuxer reads no frame of a file that has more.
        "codec_whitelist": PROBE_DECODERS,
        "protocol_whitelist": "file",
    }
    if not probe:
        options["skip_frame"] = "all"
        options["probesize"] = "32"  # Otherwise megabytes would be read in search of a pixel format.
    source: Any = clip if isinstance(clip, GrowingFile) else f"file:{clip}"
    if isinstance(clip, GrowingFile):
        clip.seek(0)
    container: InputContainer = av.open(source, "r", format=demuxer, options=options, metadata_errors="replace")
    return container


def find_picture(container: InputContainer) -> VideoStream:
    """
    The video stream that a player shows, set up to be read alone; sound may well be stream 0.

    Cover art, thumbnails, still pictures and disabled streams have lower priority, whatever comes first in the file.
    """
    if len(container.streams) > STREAMS_MAX:
        raise ClipUnusable(f"the clip has more than {STREAMS_MAX} streams", reason="not_allowed")
    pictures = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not pictures:
        raise ClipUnusable("the clip has no picture", reason="no_picture")
    stream = max(pictures, key=standing)
    for other in container.streams:
        if other.index != stream.index:
            other.discard = Discard.all
    check_limits(stream)
    return stream


def standing(stream: VideoStream) -> tuple[bool, bool, bool, bool, float]:
    """How likely *stream* is the one that a player shows; the larger one wins, and of equals the first."""
    return (
        codec_name(stream) in CODECS,
        not stream.disposition & BESIDE,
        declared_frames(stream) != 1,
        bool(stream.disposition & Disposition.default),
        float((stream.duration or 0) * (stream.time_base or 0)) or float(declared_frames(stream)),
    )


def declared_frames(stream: VideoStream) -> int:
    """How many frames the container says that *stream* has; 0 if it does not."""
    return stream.frames or len(stream.index_entries)


def check_limits(stream: VideoStream) -> None:
    """Refuse codecs that we do not know to be safe, and pictures that are too large for a clip."""
    codec = codec_name(stream)
    if ENCRYPTION_KEY in stream.metadata:
        raise ClipUnusable(ENCRYPTED, reason="not_allowed")
    if codec not in CODECS:
        raise ClipUnusable(f"the codec {codec} is not accepted", reason="not_allowed")
    check_size(stream.width, stream.height)
    if len(stream.index_entries) > PACKETS_MAX:
        raise ClipUnusable(f"the clip has more than {PACKETS_MAX} frames", reason="not_allowed")


def codec_name(stream: VideoStream) -> str:
    """``h264`` and the like, whichever decoder stands for it."""
    context = getattr(stream, "codec_context", None)  # None, whatever the types say, if there is no decoder for it.
    return context.codec.canonical_name if context else "unknown"


def decoder_configuration(stream: VideoStream) -> bytes:
    """The decoder's configuration, as the container has it."""
    context = getattr(stream, "codec_context", None)
    return (context.extradata or b"") if context else b""


def check_size(width: int, height: int) -> None:
    """Refuse what no model renders, before memory is allocated for it."""
    if max(width, height) > SIDE_MAX or width * height > PIXELS_MAX:
        raise ClipUnusable(f"the picture is too large: {width}x{height}", reason="not_allowed")


def list_samples(container: InputContainer, stream: VideoStream) -> list[Sample]:
    """Read all packets of the picture without decoding them; this alone detects every truncation."""
    samples: list[Sample] = []
    for packet in container.demux(stream):
        if is_end(packet):
            break
        samples.append(to_sample(packet))
        check_count(samples)
    check_samples(stream, samples)
    return samples


def check_count(samples: list[Sample]) -> None:
    """Refuse a bomb of tiny frames while it is read."""
    if len(samples) > PACKETS_MAX:
        raise ClipUnusable(f"the clip has more than {PACKETS_MAX} frames", reason="not_allowed")


def is_end(packet: "Packet[Any]") -> bool:
    """PyAV's mark for the end, which is not a packet."""
    return not packet.size and packet.dts is None


def to_sample(packet: "Packet[Any]") -> Sample:
    """The facts about *packet*, if it is complete."""
    if packet.is_corrupt:
        raise ClipUnusable("the clip breaks off within a frame", reason="truncated")
    if packet.pts is None:
        raise ClipUnusable("a frame has no time", reason="corrupt")
    return Sample(
        pts=packet.pts,
        duration=packet.duration or 0,
        is_keyframe=packet.is_keyframe,
        is_shown=not packet.is_discard
        and holds_picture(packet, codec_name(packet.stream), decoder_configuration(packet.stream)),
        is_hidden=packet.is_discard,
    )


def check_samples(stream: VideoStream, samples: list[Sample]) -> None:
    """Whether *samples* are all that the clip says it has."""
    if len(samples) < len(stream.index_entries):
        raise ClipUnusable("the clip has fewer frames than its index says", reason="truncated")
    if not any(sample.is_shown for sample in samples):
        raise ClipUnusable("the clip has no frames", reason="no_picture")


def measure(container: InputContainer, stream: VideoStream, samples: list[Sample]) -> ClipFacts:
    """The facts of the clip, from its shown samples; the size as the container claims it."""
    visible = [sample for sample in samples if sample.is_shown]
    last = last_sample(samples)
    time_base = stream.time_base or 0
    ticks = last.pts - min(sample.pts for sample in visible)
    still = still_ticks(samples)
    duration_s = float((ticks + still) * time_base)
    # The announced duration may count from the file's beginning, whenever the picture begins.
    end_s = max(duration_s, float((last.pts + still) * time_base))
    if end_s < announced_s(container, stream) - float(still * time_base) / 2:
        raise ClipUnusable("the picture ends before the file says it does", reason="truncated")
    if duration_s > DURATION_S_MAX:
        raise ClipUnusable(f"the clip lasts {duration_s:.0f} s", reason="not_allowed")
    if (len(visible) - 1) > RATE_MAX * float(ticks * time_base):
        raise ClipUnusable(f"the clip has more than {RATE_MAX} frames per second", reason="not_allowed")
    rate = stream.average_rate or (len(visible) / duration_s if duration_s else 0)
    return ClipFacts(
        width=stream.width,
        height=stream.height,
        frames=len(visible),
        fps=float(rate),
        duration_s=duration_s,
        video_codec=codec_name(stream),
        has_audio=bool(container.streams.audio),
    )


def still_ticks(samples: list[Sample]) -> int:
    """How long the last frame shows: as its packet says, or else as long as the others do on average."""
    times = [sample.pts for sample in samples if sample.is_shown]
    return last_sample(samples).duration or (round((max(times) - min(times)) / (len(times) - 1)) if times[1:] else 0)


def announced_s(container: InputContainer, stream: VideoStream) -> float:
    """
    How long a Matroska file says that its picture lasts; 0 if it does not.

    Its demuxer skips damaged places silently, so this is how missing frames are detected. An MP4 has an index.
    """
    if "matroska" not in container.format.name:
        return 0
    tag = stream.metadata.get("DURATION", "").split(":")
    if len(tag) == 3:
        return float(tag[0]) * 3600 + float(tag[1]) * 60 + float(tag[2])
    alone = len(container.streams) == 1
    return (container.duration or 0) / av.time_base if alone else 0


def last_sample(samples: list[Sample]) -> Sample:
    """The sample that is presented last; with B-frames it is not the last one in the file."""
    return max((sample for sample in samples if sample.is_shown), key=lambda sample: sample.pts)


@contextmanager
def foreseen_errors() -> Iterator[None]:
    """
    Turn any error of a decoder about a stranger's bytes into ClipUnusable.

    What the system says about our own files stays an OSError: no clip is to blame for a full disk.
    """
    try:
        yield
    except (ClipUnusable, GaveWay):
        raise
    except MemoryError as error:
        message = "the clip needs more memory, or has more streams, than a clip may"
        raise ClipUnusable(message, reason="not_allowed") from error
    except Exception as error:
        if isinstance(error, OSError) and not isinstance(error, av.FFmpegError):
            raise
        # Fuzzing showed a dozen types, from UnicodeDecodeError to PatchWelcomeError.
        raise ClipUnusable(f"the clip cannot be decoded: {in_words(error)}", reason="corrupt") from error
