"""
Small copies of frames, for pages with many pictures: next to the frame, under its name, as JPEG.

Made in the decoder process, in the job that nobody waits for: a frame of 1080p is read and scaled in some 60 ms there,
and a page of a hundred shots weighs 4 MB instead of 300.
"""

from io import BytesIO
from pathlib import Path
from typing import Final

from PIL import Image

from framerelay.media.child.images import FRAME_FORMATS, PIXELS_MAX, SIDE_MAX, open_picture
from framerelay.media.child.png import write_file

SMALL_SIDE: Final = 480  # The width of half a phone's screen in pixels.
QUALITY: Final = 80


def write_small(frame: Path, into: Path) -> None:
    """
    Write *frame* to *into*, at most `SMALL_SIDE` pixels on its longer side; the file appears whole or not at all.

    Raises: ClipUnusable if *frame* is not a picture.
    """
    with open_picture(frame, FRAME_FORMATS, side_max=SIDE_MAX, pixels_max=PIXELS_MAX) as picture:
        picture.load()
        small = picture.convert("RGB")
    small.thumbnail((SMALL_SIDE, SMALL_SIDE), Image.Resampling.BICUBIC)
    file = BytesIO()
    small.save(file, "JPEG", quality=QUALITY)
    write_file(file.getvalue(), into)
