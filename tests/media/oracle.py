"""
What a frame must look like, by other means than the product's: FFmpeg's command decodes, arithmetic makes RGB of it.

The command is the system's, on Debian 12 years older than the libraries of PyAV. It runs in one thread from the
first frame to the last, and gives the samples of brightness and color as they are. What follows is floating point by
the formulas of ITU-R BT.601, 709 and 2020, with color interpolated from where it is.
"""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[Any]
WRITTEN = re.compile(r"Output #0, rawvideo[\s\S]*?Video: rawvideo[^,]*, (\w+)(?:\([^)]*\))?, (\d+)x(\d+)")
"""What FFmpeg says of the samples that it writes: format, width and height."""
LUMA = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722), "bt2020": (0.2627, 0.0593), "fcc": (0.30, 0.11)}
LUMA["smpte240m"] = (0.212, 0.087)
CENTER, LEFT, TOP_LEFT = (0.5, 0.5), (0.0, 0.5), (0.0, 0.0)
"""Where a sample of color is, across and down, in pixels from the first of those that it covers."""


@dataclass(frozen=True)
class Layout:
    """How FFmpeg writes frames of a format: planes of samples, and what they are."""

    bits: int
    across: int  # How many pixels a sample of color covers; 0: there is no color.
    down: int
    is_rgb: bool = False


LAYOUTS = {
    "yuv420p": Layout(8, 2, 2),
    "yuvj420p": Layout(8, 2, 2),
    "yuv422p": Layout(8, 2, 1),
    "yuv444p": Layout(8, 1, 1),
    "yuv420p10le": Layout(10, 2, 2),
    "yuv422p10le": Layout(10, 2, 1),
    "yuv444p10le": Layout(10, 1, 1),
    "yuv420p12le": Layout(12, 2, 2),
    "gray": Layout(8, 0, 0),
    "gray10le": Layout(10, 0, 0),
    "gbrp": Layout(8, 1, 1, is_rgb=True),
}


def frames(ffmpeg: str, clip: Path, stream: str = "v:0", limit: int | None = None) -> tuple[list[list[Pixels]], Layout]:
    """Each shown frame of *clip* in order, as planes of samples; *limit*: only that many from the beginning."""
    command = [ffmpeg, "-hide_banner", "-nostats", "-nostdin", "-threads", "1", "-noautorotate", "-i", str(clip)]
    command += ["-map", f"0:{stream}", "-vsync", "passthrough", "-f", "rawvideo"]  # In the format that it decodes to.
    command += ["-frames:v", str(limit)] if limit else []
    process = subprocess.run([*command, "-"], check=True, capture_output=True)
    match = WRITTEN.search(process.stderr.decode(errors="replace"))
    assert match is not None
    layout, width, height = LAYOUTS[match[1]], int(match[2]), int(match[3])
    kind = np.dtype("<u1" if layout.bits == 8 else "<u2")
    sizes = [(height, width)]
    if layout.across:
        sizes += [(-(-height // layout.down), -(-width // layout.across))] * 2
    samples = np.frombuffer(process.stdout, kind).reshape(-1, sum(h * w for h, w in sizes))
    pictures = []
    for frame in samples:
        at, planes = 0, []
        for h, w in sizes:
            planes.append(frame[at : at + h * w].reshape(h, w))
            at += h * w
        pictures.append(planes)
    return pictures, layout


def to_rgb(
    planes: list[Pixels],
    layout: Layout,
    *,
    matrix: str = "bt601",
    full: bool = False,
    siting: tuple[float, float] = CENTER,
) -> Pixels:
    """RGB in floating point, 0 to 255, not rounded."""
    unit = 2 ** (layout.bits - 8)
    if layout.is_rgb:
        green, blue, red = (plane / unit for plane in planes)
        return np.stack([red, green, blue], axis=-1)
    y = planes[0] / unit
    u, v = (
        (enlarged(plane / unit, y.shape, layout, siting) - 128 for plane in planes[1:])
        if layout.across
        else (np.zeros(y.shape), np.zeros(y.shape))
    )
    if full:  # The brightest code is 1023 of 10 bits, not 1020.
        y, u, v = (value * 255 * unit / (256 * unit - 1) for value in (y, u, v))
    else:
        y, u, v = (y - 16) * 255 / 219, u * 255 / 224, v * 255 / 224
    kr, kb = LUMA[matrix]
    red, blue = y + 2 * (1 - kr) * v, y + 2 * (1 - kb) * u
    green = (y - kr * red - kb * blue) / (1 - kr - kb)
    return np.clip(np.stack([red, green, blue], axis=-1), 0, 255)


def assert_same(expected: Pixels, image: Pixels) -> None:
    """
    No pixel of *image* is further from *expected* than rounding takes it, and none of it adds up.

    At the very edge, where there is no neighbour to interpolate with, converters differ by a little more.
    """
    error = image - expected
    assert np.abs(error.mean((0, 1))).max() < 0.1
    assert np.abs(error).max(initial=0) < 5
    assert np.abs(error[4:-4, 4:-4]).max(initial=0) < 1.5


def enlarged(plane: Pixels, shape: tuple[int, ...], layout: Layout, siting: tuple[float, float]) -> Pixels:
    """A plane of color at the size of the picture, by cubic interpolation."""
    plane = along(plane, shape[0], layout.down, siting[1])
    return along(plane.T, shape[1], layout.across, siting[0]).T


def along(plane: Pixels, count: int, step: int, offset: float) -> Pixels:
    """*plane* stretched to *count* rows: each of its own is *step* of them, and is *offset* below the first."""
    if step == 1:
        return plane
    places = (np.arange(count) - offset) / step
    first = np.floor(places).astype(int)
    result = np.zeros((count, plane.shape[1]))
    for neighbour in range(-1, 3):
        rows = np.clip(first + neighbour, 0, len(plane) - 1)
        result += cubic(places - first - neighbour)[:, np.newaxis] * plane[rows]
    return result


def cubic(distance: Pixels) -> Pixels:
    """The weight of a sample at that distance; the curve of FFmpeg's "bicubic" (0, 0.6)."""
    x, a = np.abs(distance), -0.6
    near = (a + 2) * x**3 - (a + 3) * x**2 + 1
    far = a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0))
