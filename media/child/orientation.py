"""
How a decoded picture has to be rotated, mirrored and stretched to look as a player shows it.

Only runs in the decoder process. The display matrix itself is read: the angle that libraries derive from it cannot tell
a mirror image from half a turn.
"""

import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from av.sidedata.sidedata import SideDataContainer, Type
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

SHAPE_TOLERANCE = Fraction(1, 100)
"""Pixels that are this close to square stay as they are: scaling would blur everything because of a rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Orientation:
    """First the axes are swapped (``picture[y, x]`` goes to ``[x, y]``), then the result is mirrored along them."""

    swapped: bool = False
    mirrored_x: bool = False
    mirrored_y: bool = False

    def apply(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """*image* (height x width x channels) as a player shows it."""
        image = image.swapaxes(0, 1) if self.swapped else image
        view = image[:: -1 if self.mirrored_y else 1, :: -1 if self.mirrored_x else 1]
        return np.ascontiguousarray(view)

    def turn_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Width and height of a picture that had *size* before."""
        return (size[1], size[0]) if self.swapped else size

    def filters(self) -> tuple[tuple[str, str | None], ...]:
        """The same as FFmpeg filters: names and their arguments, in order."""
        steps = {
            ("transpose", "cclock_flip"): self.swapped,
            ("hflip", None): self.mirrored_x,
            ("vflip", None): self.mirrored_y,
        }
        return tuple(step for step, is_needed in steps.items() if is_needed)


def orientation_of(frame: VideoFrame) -> Orientation:
    """By the display matrix that *frame* carries; upright without one."""
    # Not ``frame.side_data``: a frame keeps that, and it keeps the frame, with its pixels and the threads of its
    # conversion, until garbage is collected.
    side_data = cast(Any, SideDataContainer)(frame)  # Its types say less than it can do.
    matrix = side_data.get(Type.DISPLAYMATRIX)
    return Orientation() if matrix is None else orientation_by(bytes(matrix))


def orientation_by(matrix: bytes) -> Orientation:
    """
    From a display matrix, as libav keeps it.

    A rotation that is not a quarter turn counts as the nearest one that is. (ISO 14496-12, 6.2.2: a point x, y is shown
    at ax + cy, bx + dy; the nine numbers are a b u c d v x y w.)
    """
    a, b, _, c, d = struct.unpack_from("=5i", matrix)
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Orientation(mirrored_x=a < 0, mirrored_y=d < 0)
    return Orientation(swapped=True, mirrored_x=c < 0, mirrored_y=b < 0)


def pixel_shape(stream: VideoStream) -> Fraction:
    """
    Width divided by height of a pixel; 1 if nothing says.

    What the container says takes precedence, as in players. What the codec says is known once a frame was decoded, or
    opening has probed.
    """
    shape = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio
    return Fraction(shape) if shape and shape > 0 else Fraction(1)


def square_pixel_size(width: int, height: int, shape: Fraction) -> tuple[int, int]:
    """The size at which pixels of that *shape* become square: the same height, and wider or narrower."""
    if abs(shape - 1) <= SHAPE_TOLERANCE:
        return width, height
    return max(1, round(width * shape)), height
