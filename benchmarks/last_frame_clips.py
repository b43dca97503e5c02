"""
The clips of the last-frame benchmark, and of each the last frame by a full decode: `python -m … FOLDER`.

A separate process, so that the memory used for rendering is not counted for the program that takes the frame.
"""

import sys
import threading
from pathlib import Path

import av
from av.video.frame import PictureType

from benchmarks.last_frame_peers import FRAMES
from framerelay.media.child.clips import find_picture, last_sample, list_samples, open_clip
from framerelay.media.child.frames import decode_everything, tags_of, write_frame
from framerelay.sandbox.clip import ClipOrder, render_clip

SIZES = {"720p": (1280, 720), "1080p": (1920, 1080), "late": (1280, 720)}
LATE = 101
"""Where the clip with a late keyframe has its second one, as a scene cut makes it."""


def make_clips(folder: Path) -> None:
    """``720p.mp4``, ``1080p.mp4``, ``late.mp4``, and next to each its frame, named .png."""
    first = folder / "720p.mp4"
    width, height = SIZES["720p"]
    order = ClipOrder(number=1, prompt="bench", seed=1, width=width, height=height, frames=FRAMES, bframes=3)
    render_clip(order, first, last_frame_into=None, stop=threading.Event())
    encode_again(first, folder / "1080p.mp4", keyframe=None)
    encode_again(first, folder / "late.mp4", keyframe=LATE)
    for name in SIZES:
        write_reference(folder / f"{name}.mp4")


def encode_again(clip: Path, into: Path, *, keyframe: int | None) -> None:
    """The picture of *clip* in the size for *into*, index at the end; rendering it again takes three times as long."""
    with av.open(clip) as source, av.open(into, "w") as target:
        options = {"preset": "superfast", "crf": "20", "bf": "3", "g": "250"}
        stream = target.add_stream("libx264", rate=24, options=options)
        stream.width, stream.height = SIZES[into.stem]
        stream.pix_fmt = "yuv420p"
        for number, frame in enumerate(source.decode(video=0)):
            image = frame.reformat(stream.width, stream.height)
            image.pict_type = PictureType.I if number == keyframe else PictureType.NONE
            target.mux(stream.encode(image))
        target.mux(stream.encode(None))


def write_reference(clip: Path) -> None:
    """The last frame after decoding everything, in one thread."""
    with open_clip(clip, "mp4", probe=False) as container:
        stream = find_picture(container)
        last_pts = last_sample(list_samples(container, stream)).pts
        tags = tags_of(clip, "mp4", stream)
    write_frame(decode_everything(clip, "mp4", last_pts, tags), clip.with_suffix(".png"))


if __name__ == "__main__":
    make_clips(Path(sys.argv[1]))
