"""The last frame of a clip, exactly. Only runs in the decoder process: it feeds strangers' bytes to libav."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from framerelay.media.child.clips import (
    PACKETS_MAX,
    PIXELS_MAX,
    Sample,
    check_samples,
    check_size,
    codec_name,
    find_picture,
    foreseen_errors,
    is_end,
    last_sample,
    list_samples,
    measure,
    open_clip,
    to_sample,
)
from framerelay.media.child.color import Tags, curve_of, read_tags, to_rgb
from framerelay.media.child.containers import identify
from framerelay.media.child.growing import GrowingFile
from framerelay.media.child.orientation import pixel_shape, square_pixel_size
from framerelay.media.child.png import write_png
from framerelay.media.child.siting import needs_first_packet
from framerelay.media.model import ClipFacts, Examination, FrameFacts
from framerelay.runs.errors import ClipUnusable

SPARING_CODECS = frozenset({"h264", "hevc"})
"""Their decoders can skip frames to which no other refers; dav1d cannot change that setting later."""

THREADS_MAX = 8
PAST_THE_END = 1 << 40
"""Ticks: a jump to the time of the last keyframe itself lands one keyframe too early."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A frame in RGB as a player shows it, the matrix by which it was read, and its oddities (see ClipFacts.notes)."""

    image: npt.NDArray[np.uint8]
    matrix: str
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LastPicture:
    """A last frame, its time in ticks, and the facts of its clip if all of that was read on the way."""

    picture: Picture
    pts: int
    facts: ClipFacts | None


def examine(clip: Path | GrowingFile, *, frame_into: Path) -> Examination:
    """
    Measure *clip* and write its last frame, in presentation order, to *frame_into* as PNG.

    Only what the last frame depends on is decoded: from the last keyframe before it, and there only frames to which
    others refer. The result must have the largest time stamp of the clip. If it does not, or if the decoder complains
    (it may after a jump to a keyframe which later frames reach across), everything is decoded once from the start, in
    one thread. If that fails, the clip is damaged, and no frame is written.
    Raises: ClipUnusable; its ``reason`` tells a truncated file (fetch it again) from the others.
    """
    demuxer = identify(clip)
    with foreseen_errors():
        with open_clip(clip, demuxer, probe=False) as container:
            stream = find_picture(container)
            tags = tags_of(clip, demuxer, stream)
            samples = list_samples(container, stream)
            facts = measure(container, stream, samples)
            picture = decode_from_keyframe(container, stream, samples, tags)
        if picture is None:
            picture = decode_everything(clip, demuxer, last_sample(samples).pts, tags)
    return examination(facts, write_frame(picture, frame_into), picture)


def examine_coming(clip: GrowingFile, *, frame_into: Path, announce: Callable[[FrameFacts], object]) -> Examination:
    """
    Like `examine`, for a clip that is still downloading; an MP4 is decoded at the same time.

    Its index is read first, wherever it is, then the pictures from the last keyframe on: a position that is read before
    it has arrived may be fetched before the rest (media/child/growing.py). *announce* is called when a frame is written
    while the rest has yet to arrive and be measured. Whatever does not work out is done again in the way of `examine`.
    Raises: as `examine`; GaveWay.
    """
    if identify(clip) == "mp4":
        with foreseen_errors():
            coming = take_coming(clip)
            if coming:
                frame = write_frame(coming.picture, frame_into)
                if coming.facts:
                    return examination(coming.facts, frame, coming.picture)
                announce(frame)
                facts, last_pts = measure_whole(clip)
                if last_pts == coming.pts:
                    return examination(facts, frame, coming.picture)
    return examine(clip, frame_into=frame_into)


def examination(facts: ClipFacts, frame: FrameFacts, picture: Picture) -> Examination:
    """Both; a clip is as large as its decoded frames, whatever it says."""
    return Examination(
        clip=replace(facts, width=frame.width, height=frame.height, notes=picture.notes),
        frame=frame,
    )


def tags_of(clip: Path | GrowingFile, demuxer: str, stream: VideoStream) -> Tags:
    """What *clip* says about the colors of *stream*, of which nothing was decoded yet."""
    if not needs_first_packet(stream):
        return read_tags(stream)
    with open_clip(clip, demuxer, probe=False) as container:  # Opened separately: no jump back can be relied on.
        return read_tags(stream, bytes(next(container.demux(find_picture(container)))))


def take_coming(clip: GrowingFile) -> LastPicture | None:
    """The last frame of an MP4, decoded as it arrives; None if that did not work out."""
    with open_clip(clip, "mp4", probe=False) as container:
        stream = find_picture(container)
        tags = tags_of(clip, "mp4", stream)
        entries = stream.index_entries
        keyframes = [n for n in range(len(entries)) if entries[n].is_keyframe]
        if not keyframes:
            return None  # Usually a fragmented one: its contents are known when it is complete.
        samples: list[Sample] = []
        try:
            if keyframes[-1]:
                container.seek(entries[len(entries) - 1].timestamp + PAST_THE_END, stream=stream)
            set_up_decoder(stream, threads=min(THREADS_MAX, 2 * cores()))
            latest = decode_latest(container, stream, samples, sparing=codec_name(stream) in SPARING_CODECS)
        except MemoryError:
            raise
        except av.FFmpegError:
            return None
        if not any(sample.is_shown for sample in samples):
            return None
        last = last_sample(samples)
        picture = to_picture(latest, last.pts, stream, tags)
        if picture is None:
            return None
        if keyframes[-1]:
            return LastPicture(picture=picture, pts=last.pts, facts=None)
        check_samples(stream, samples)
        return LastPicture(picture=picture, pts=last.pts, facts=measure(container, stream, samples))


def measure_whole(clip: GrowingFile) -> tuple[ClipFacts, int]:
    """The facts of an MP4, and when its last frame is due, from all its packets; nothing is decoded."""
    with open_clip(clip, "mp4", probe=False) as container:
        stream = find_picture(container)
        samples = list_samples(container, stream)
        return measure(container, stream, samples), last_sample(samples).pts


def decode_from_keyframe(
    container: InputContainer, stream: VideoStream, samples: list[Sample], tags: Tags
) -> Picture | None:
    """The last frame, by decoding as little as possible; None if that did not work out."""
    last = last_sample(samples)
    keyframes = [sample for sample in samples[: samples.index(last) + 1] if sample.is_keyframe]
    begin = keyframes[-1] if keyframes else samples[0]
    # Frame threads wait for each other's reference rows, so twice as many as cores took a tenth less time.
    set_up_decoder(stream, threads=min(THREADS_MAX, 2 * cores()))
    try:
        container.seek(begin.pts, stream=stream)
        sparing = codec_name(stream) in SPARING_CODECS
        latest = decode_latest(container, stream, [], begin_pts=begin.pts, sparing=sparing)
        return to_picture(latest, last.pts, stream, tags)
    except MemoryError:
        raise
    except av.FFmpegError:
        return None


def decode_everything(clip: Path | GrowingFile, demuxer: str, last_pts: int, tags: Tags) -> Picture:
    """The last frame, by decoding all of *clip* in order, with every complaint being final."""
    with open_clip(clip, demuxer, probe=True) as container:
        stream = find_picture(container)
        set_up_decoder(stream, threads=1)
        picture = to_picture(decode_latest(container, stream, [], sparing=False), last_pts, stream, tags)
        if picture is None:
            raise ClipUnusable("the last frame of the clip is missing or damaged", reason="corrupt")
        return picture


def set_up_decoder(stream: VideoStream, *, threads: int) -> None:
    """Frame threads, and an error instead of a repaired picture; av.open does not pass options on to the decoder."""
    context = stream.codec_context
    context.options = {"err_detect": "explode", "max_pixels": str(PIXELS_MAX)}
    context.thread_count = threads
    context.thread_type = "FRAME" if threads > 1 else "NONE"


def cores() -> int:
    """How many cores we may use; a container often may not use all of the machine's."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def decode_latest(
    container: InputContainer,
    stream: VideoStream,
    samples: list[Sample],
    *,
    begin_pts: int | None = None,
    sparing: bool,
) -> VideoFrame | None:
    """
    The frame with the largest time, decoding from the packet of *begin_pts* (None: from the next one) to the end.

    What is read is added to *samples*. *sparing* skips frames to which none refers, except those that are due later
    than all before them: any of these may be the last.
    """
    latest: VideoFrame | None = None
    has_begun, front = begin_pts is None, None
    for packet in container.demux(stream):
        has_begun = has_begun or packet.pts == begin_pts
        if not has_begun:
            continue
        if not is_end(packet):
            sample = to_sample(packet)
            samples.append(sample)
            if len(samples) > PACKETS_MAX:
                raise ClipUnusable(f"the clip has more than {PACKETS_MAX} frames", reason="not_allowed")
            is_front = sample.is_shown and (front is None or sample.pts >= front)
            front = sample.pts if is_front else front
            if sparing:
                stream.codec_context.skip_frame = "DEFAULT" if is_front else "NONREF"
        for frame in packet.decode():
            check_size(frame.width, frame.height)
            if frame.pts is not None and (latest is None or latest.pts is None or frame.pts >= latest.pts):
                latest = frame
    return latest


def to_picture(latest: VideoFrame | None, last_pts: int, stream: VideoStream, tags: Tags) -> Picture | None:
    """*latest* as RGB; None if it is not the frame of *last_pts*, or is damaged."""
    if latest is None or latest.pts != last_pts or latest.is_corrupt:
        return None
    return develop(latest, stream, tags)


def develop(frame: VideoFrame, stream: VideoStream, tags: Tags) -> Picture:
    """*frame*, which is of *stream*, as a player shows it."""
    shape = pixel_shape(stream)
    check_size(*square_pixel_size(frame.width, frame.height, shape))
    image, matrix = to_rgb(frame, tags, shape)
    curve = curve_of(frame, tags)
    notes = (f"hdr_{curve}" if curve else None, "interlaced" if frame.interlaced_frame else None)
    return Picture(image=image, matrix=matrix, notes=tuple(filter(None, notes)))


def write_frame(picture: Picture, into: Path) -> FrameFacts:
    """Write *picture* as PNG."""
    height, width, _ = picture.image.shape
    size, sha256 = write_png(picture.image, into)
    return FrameFacts(path=into, width=width, height=height, bytes=size, sha256=sha256, matrix=picture.matrix)
