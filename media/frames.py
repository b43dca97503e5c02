"""The last frame of a clip, exactly. Runs in the decoder process alone: it feeds strangers' bytes to libav."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from media.clips import (
    PIXELS_MAX,
    Sample,
    check_size,
    codec_name,
    find_picture,
    foreseen_errors,
    last_shown,
    list_samples,
    measure,
    open_clip,
)
from media.colour import to_rgb
from media.containers import identify
from media.model import Examination, FrameFacts
from media.png import write_png
from runs.errors import ClipUnusable

SPARING_CODECS = frozenset({"h264", "hevc"})
"""Their decoders can leave out frames to which no other refers; dav1d cannot change its mind about that."""

THREADS_MAX = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A frame as RGB, upright, and the matrix by which it was read."""

    image: npt.NDArray[np.uint8]
    matrix: str


def examine(clip: Path, *, frame_into: Path) -> Examination:
    """
    Measure *clip* and write its last frame, in presentation order, to *frame_into* as PNG.

    Only what the last frame depends on is decoded: from the last keyframe before it, and there only frames to which
    others refer. What comes out must carry the largest time stamp of the clip. If it does not, or if the decoder
    complains (it may after a jump to a keyframe which later frames reach across), everything is decoded once from
    the start, in one thread. What fails then is damaged, and no frame is written.
    Raises: ClipUnusable; its ``reason`` tells a truncated file (fetch it again) from the others.
    """
    demuxer = identify(clip)
    with foreseen_errors():
        with open_clip(clip, demuxer, probe=False) as container:
            stream = find_picture(container)
            samples = list_samples(container, stream)
            facts = measure(container, stream, samples)
            picture = decode_sparingly(container, stream, samples)
        if picture is None:
            picture = decode_everything(clip, demuxer, last_shown(samples).pts)
    frame = write_frame(picture, frame_into)
    return Examination(clip=replace(facts, width=frame.width, height=frame.height), frame=frame)


def decode_sparingly(container: InputContainer, stream: VideoStream, samples: list[Sample]) -> Picture | None:
    """The last frame, by decoding as little as can be; None if that did not work out."""
    last = last_shown(samples)
    keyframes = [sample for sample in samples[: samples.index(last) + 1] if sample.is_keyframe]
    begin = keyframes[-1] if keyframes else samples[0]
    # Frame threads wait for each other's reference rows, so that twice as many as cores took a tenth less time.
    set_up_decoder(stream, threads=min(THREADS_MAX, 2 * cores()))
    try:
        container.seek(begin.pts, stream=stream)
        return decode_until(container, stream, begin.pts, last.pts, sparing=codec_name(stream) in SPARING_CODECS)
    except MemoryError:
        raise
    except av.FFmpegError:
        return None


def decode_everything(clip: Path, demuxer: str, last_pts: int) -> Picture:
    """The last frame, by decoding all of *clip* in order, every complaint being final."""
    with open_clip(clip, demuxer, probe=True) as container:
        stream = find_picture(container)
        set_up_decoder(stream, threads=1)
        picture = decode_until(container, stream, None, last_pts, sparing=False)
        if picture is None:
            raise ClipUnusable("The last frame of the clip is missing or damaged.", reason="corrupt")
        return picture


def set_up_decoder(stream: VideoStream, *, threads: int) -> None:
    """Frame threads, and an error instead of a repaired picture; av.open does not hand its options to the decoder."""
    context = stream.codec_context
    context.options = {"err_detect": "explode", "max_pixels": str(PIXELS_MAX)}
    context.thread_count = threads
    context.thread_type = "FRAME" if threads > 1 else "NONE"


def cores() -> int:
    """How many cores we may use; a container often may not use all of the machine's."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def decode_until(
    container: InputContainer, stream: VideoStream, begin_pts: int | None, last_pts: int, *, sparing: bool
) -> Picture | None:
    """
    Decode from the packet of *begin_pts* (None: the first one) to the end.

    Returns the frame of *last_pts*; None if that did not come out, or was not the latest.
    *sparing* leaves out frames to which none refers, except the one that is wanted.
    """
    latest: VideoFrame | None = None
    has_begun = begin_pts is None
    for packet in container.demux(stream):
        has_begun = has_begun or packet.pts == begin_pts
        if not has_begun:
            continue
        if sparing:
            stream.codec_context.skip_frame = "DEFAULT" if packet.pts == last_pts else "NONREF"
        for frame in packet.decode():
            check_size(frame.width, frame.height)
            if frame.pts is not None and (latest is None or latest.pts is None or frame.pts > latest.pts):
                latest = frame
    if latest is None or latest.pts != last_pts or latest.is_corrupt:
        return None
    image, matrix = to_rgb(latest)
    return Picture(image=image, matrix=matrix)


def write_frame(picture: Picture, into: Path) -> FrameFacts:
    """Write *picture* as PNG."""
    height, width, _ = picture.image.shape
    size, sha256 = write_png(picture.image, into)
    return FrameFacts(path=into, width=width, height=height, bytes=size, sha256=sha256, matrix=picture.matrix)
