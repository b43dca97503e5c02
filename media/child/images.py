"""Examine strangers' pictures: compare two, or check one. Only runs in the decoder process."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, MpoImagePlugin, UnidentifiedImageError, WebPImagePlugin

from framerelay.media.words import in_words
from framerelay.runs.errors import ClipUnusable

FRAME_FORMATS = ("PNG", "JPEG", "WEBP")
SIDE_MAX = 8192
PIXELS_MAX = 4096 * 2304
GIVEN_FORMATS = (*FRAME_FORMATS, "GIF", "BMP", "TIFF")
GIVEN_SIDE_MAX = 6000  # Ark's limit for an input image.
LOADED = MpoImagePlugin, WebPImagePlugin
"""Pillow would import them, and those of `preinit`, at the first picture: too late in a job, which can open no code."""

Image.preinit()


def difference(a: Path, b: Path) -> float | None:
    """
    The mean absolute difference of two pictures, in levels of 0 to 255 over all pixels and RGB channels.

    None if their sizes differ, so that no pixel has a counterpart.
    Raises: ClipUnusable, with the reasons of a clip, if one of them is not a picture, damaged or too large.
    """
    first, second = load(a), load(b)
    if first.shape != second.shape:
        return None
    return float(np.abs(first.astype(np.int16) - second).mean())


def distance(image: npt.NDArray[np.uint8], picture: Path) -> float:
    """
    Like `difference`, for *image* (RGB, height x width x 3) and a *picture* that is scaled to its size if necessary.

    As providers do with a first frame: scaled until it covers the whole (bicubic), and cropped evenly at the sides that
    stick out.
    """
    height, width, _ = image.shape
    other = load(picture)
    if other.shape != image.shape:
        other = np.asarray(ImageOps.fit(Image.fromarray(other), (width, height), Image.Resampling.BICUBIC))
    return float(np.abs(image.astype(np.int16) - other).mean())


def check(picture: Path) -> tuple[int, int]:
    """
    Width and height of a picture that a person gave, after checking that all its pixels (of a GIF: of its first frame)
    are there.

    Raises: ClipUnusable, with the reasons of a clip, if it is not a picture, damaged or too large.
    """
    with open_picture(picture, GIVEN_FORMATS, side_max=GIVEN_SIDE_MAX, pixels_max=GIVEN_SIDE_MAX**2) as image:
        image.load()
        return image.size


def load(path: Path) -> npt.NDArray[np.uint8]:
    """The picture at *path* as RGB."""
    with open_picture(path, FRAME_FORMATS, side_max=SIDE_MAX, pixels_max=PIXELS_MAX) as image:
        return np.asarray(image.convert("RGB"))


@contextmanager
def open_picture(path: Path, formats: tuple[str, ...], *, side_max: int, pixels_max: int) -> Iterator[Image.Image]:
    """The picture at *path*, one of *formats*; its size is checked before memory is allocated for it."""
    try:
        # Given its name, Pillow would import what it thinks fitting, and in a job no code can be opened any more.
        with path.open("rb") as file, Image.open(file, formats=formats) as image:
            if max(image.size) > side_max or image.width * image.height > pixels_max:
                raise ClipUnusable(f"the picture is too large: {image.width}x{image.height}", reason="not_allowed")
            yield image
    except ClipUnusable:
        raise
    except UnidentifiedImageError as error:
        raise ClipUnusable(
            f"the file is not a picture of a kind that we take ({', '.join(formats)})", reason="not_a_clip"
        ) from error
    except Image.DecompressionBombError as error:
        raise ClipUnusable("the picture is too large", reason="not_allowed") from error
    except Exception as error:  # Pillow raises OSError without a number, SyntaxError, ValueError, … for damaged files.
        if isinstance(error, OSError) and error.errno:
            raise
        raise ClipUnusable(f"the picture cannot be read: {in_words(error)}", reason="corrupt") from error
