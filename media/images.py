"""Compare two pictures, one of which a stranger sent; runs in the decoder process alone."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, MpoImagePlugin, UnidentifiedImageError, WebPImagePlugin

from runs.errors import ClipUnusable

FORMATS = ("PNG", "JPEG", "WEBP")
SIDE_MAX = 8192
PIXELS_MAX = 4096 * 2304
LOADED = MpoImagePlugin, WebPImagePlugin
"""Pillow would import them, and those of `preinit`, at the first picture: too late in a job, which can open no code."""

Image.preinit()


def difference(a: Path, b: Path) -> float | None:
    """
    The mean absolute difference of two pictures, in levels of 0 to 255 over all pixels and RGB channels.

    None if their sizes differ, so that no pixel has a counterpart.
    Raises: ClipUnusable, with the reasons of a clip, if one of them is no picture, damaged or too large.
    """
    first, second = load(a), load(b)
    if first.shape != second.shape:
        return None
    return float(np.abs(first.astype(np.int16) - second).mean())


def load(path: Path) -> npt.NDArray[np.uint8]:
    """The picture at *path* as RGB; its size is checked before memory is taken for it."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            if max(image.size) > SIDE_MAX or image.width * image.height > PIXELS_MAX:
                raise ClipUnusable(f"The picture is too large: {image.width}x{image.height}.", reason="not_allowed")
            return np.asarray(image.convert("RGB"))
    except ClipUnusable:
        raise
    except UnidentifiedImageError as error:
        raise ClipUnusable("The file is no PNG, JPEG or WebP picture.", reason="not_a_clip") from error
    except Image.DecompressionBombError as error:
        raise ClipUnusable("The picture is too large.", reason="not_allowed") from error
    except Exception as error:  # Pillow says OSError without a number, SyntaxError, ValueError, … to damaged files.
        if isinstance(error, OSError) and error.errno:
            raise
        raise ClipUnusable(f"The picture cannot be read: {error}.", reason="corrupt") from error
