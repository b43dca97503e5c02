"""
The first frame of a clip, as it is shown, and how far it is from the picture that the clip was to begin with.

Only runs in the decoder process, after the clip was examined and its last frame handed on. Only what is before the
first frame is decoded, usually nothing: that costs less than carrying it along while the last frame is taken, where
every millisecond delays the next submit.
"""

from collections.abc import Sequence
from pathlib import Path

from av.container import InputContainer
from av.video.stream import VideoStream

from framerelay.media.child.clips import check_size, find_picture, foreseen_errors, list_samples, open_clip
from framerelay.media.child.color import Tags
from framerelay.media.child.containers import identify
from framerelay.media.child.frames import Picture, develop, set_up_decoder, tags_of, write_frame
from framerelay.media.child.images import distance
from framerelay.media.child.small import write_small
from framerelay.media.model import Opening
from framerelay.runs.errors import ClipUnusable


def take_opening(
    clip: Path, *, frame_into: Path, begun_with: Path | None, small: Sequence[tuple[Path, Path]] = ()
) -> Opening:
    """
    Write the frame of *clip* that is shown first to *frame_into* as PNG, with the same color conversion as the last
    one.

    *small*: frames, and where a small copy of each goes (see media.child.small), including that of this frame.
    The difference is from the picture *begun_with* (see media.child.images.distance); None without one.
    Raises: ClipUnusable, also if *begun_with* is not a picture; the frame is written then.
    """
    demuxer = identify(clip)
    with foreseen_errors(), open_clip(clip, demuxer, probe=False) as container:
        stream = find_picture(container)
        picture = first_picture(container, stream, tags_of(clip, demuxer, stream))
    frame = write_frame(picture, frame_into)
    for whole, into in small:
        write_small(whole, into)
    return Opening(frame=frame, difference=distance(picture.image, begun_with) if begun_with else None)


def first_picture(container: InputContainer, stream: VideoStream, tags: Tags) -> Picture:
    """The frame with the smallest time that is shown; an edit list may hide some that are decoded before it."""
    samples = list_samples(container, stream)
    first_pts = min(sample.pts for sample in samples if sample.is_shown)
    set_up_decoder(stream, threads=1)
    container.seek(min(sample.pts for sample in samples), stream=stream)
    for packet in container.demux(stream):
        for frame in packet.decode():
            check_size(frame.width, frame.height)
            if frame.pts is not None and frame.pts >= first_pts and not frame.is_corrupt:
                return develop(frame, stream, tags)
    raise ClipUnusable("the clip has no first frame", reason="corrupt")
