"""
From a decoder's frame to RGB without a bias: what swscale rounds away by default adds up from shot to shot.

What a clip says about its colors counts, with the picture taking precedence over the container. An untagged one is read
as BT.601 in limited range, with its chroma in the center (media/child/siting.py): encoders that are fed RGB write that.
HDR becomes SDR (media/child/tone.py).
"""

from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from av.video.stream import VideoStream

from framerelay.media.child.orientation import orientation_of, square_pixel_size
from framerelay.media.child.siting import center_chroma, says_siting
from framerelay.media.child.tone import CURVES, to_sdr
from framerelay.runs.errors import ClipUnusable

EXACT = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
"""The three together; without them each extraction darkens by 1 to 1.5 levels, and ACCURATE_RND alone is worse."""

THREADS = 4
"""By default it takes one for each core, up to sixteen, and each maps 8 MB of the memory that a job may have."""

SILENT = 2
"""Tags that say nothing."""
MATRICES = {1: "bt709", 4: "fcc", 5: "bt601", 6: "bt601", 7: "smpte240m", 9: "bt2020", 10: "bt2020"}
"""The numbers of ITU-T H.273, table 4."""
UNREADABLE = {8: "YCgCo", 11: "YDzDx", 14: "ICtCp", 15: "IPT-C2", 16: "YCgCo-Re", 17: "YCgCo-Ro"}
"""Read as any of the others, a picture would have false colors."""

COEFFICIENTS = {
    "bt601": Colorspace.ITU601,
    "bt709": Colorspace.ITU709,
    "fcc": Colorspace.FCC,
    "smpte240m": Colorspace.SMPTE240M,
    "bt2020": Colorspace.BT2020,
    "rgb": Colorspace.ITU601,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tags:
    """
    What a clip says about the colors of its frames, besides what each frame says: numbers of ITU-T H.273.

    ``sited``: it says where its chroma is sited, so that frames can be trusted about that.
    """

    matrix: int = SILENT
    transfer: int = SILENT
    primaries: int = SILENT
    sited: bool = False


def read_tags(stream: VideoStream, first_packet: bytes = b"") -> Tags:
    """
    Those of *stream*, before any of it was decoded: the decoder overwrites the container's values even with nothing.

    *first_packet*: of its picture, for a clip whose headers are not in the container (see media.child.siting).
    """
    context = stream.codec_context
    return Tags(
        matrix=int(context.colorspace),
        transfer=int(context.color_trc),
        primaries=int(context.color_primaries),
        sited=says_siting(stream, first_packet),
    )


def curve_of(frame: VideoFrame, tags: Tags) -> str | None:
    """``pq`` or ``hlg`` for a picture in HDR."""
    return CURVES.get(first_answer(int(frame.color_trc), tags.transfer))


def matrix_of(frame: VideoFrame, tags: Tags) -> str:
    """
    The name of the matrix by which *frame* must be read, a key of `COEFFICIENTS`.

    Raises: ClipUnusable for one that swscale does not know.
    """
    if frame.format.is_rgb:
        return "rgb"
    number = first_answer(int(frame.colorspace), tags.matrix)
    if number in UNREADABLE:
        raise ClipUnusable(f"the color matrix {UNREADABLE[number]} is not taken", reason="not_allowed")
    return MATRICES.get(number, "bt2020" if curve_of(frame, tags) else "bt601")


def first_answer(by_picture: int, by_container: int) -> int:
    """The meaningful one, with the picture's taking precedence."""
    return by_container if by_picture == SILENT else by_picture


def to_rgb(frame: VideoFrame, tags: Tags = Tags(), shape: Fraction = Fraction(1)) -> tuple[npt.NDArray[np.uint8], str]:
    """
    *frame* as a player shows it: 8-bit RGB (height x width x 3) in SDR, upright, in square pixels.

    *shape*: width divided by height of its pixels.
    Returns: the picture, and the name of the matrix by which YUV was read, or ``rgb``.
    Raises: ClipUnusable, see `matrix_of`.
    """
    matrix, curve = matrix_of(frame, tags), curve_of(frame, tags)
    full = matrix == "rgb" or frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj")
    is_deep = curve is not None or (full and frame.format.components[0].bits > 8)
    pixels: npt.NDArray[Any]
    if frame.format.name.startswith("gray"):
        pixels, is_deep = gray_codes(frame, shape, full=full), True
    else:
        pixels = convert(frame, tags, shape, matrix, full=full, is_deep=is_deep)
    if curve:
        pixels = to_sdr(pixels.astype(np.uint16), curve, first_answer(int(frame.color_primaries), tags.primaries))
    elif is_deep:
        pixels = (pixels.astype(np.uint32) * 255 + 32_767) // 65_535
    return orientation_of(frame).apply(pixels.astype(np.uint8, copy=False)), matrix


def convert(
    frame: VideoFrame, tags: Tags, shape: Fraction, matrix: str, *, full: bool, is_deep: bool
) -> npt.NDArray[Any]:
    """*frame* as RGB of 8 bits, or if *is_deep* of 16, in square pixels; not rotated, in its own transfer curve."""
    width, height = square_pixel_size(frame.width, frame.height, shape)
    # Not the frame's own, which keeps its threads as long as the frame exists.
    image = VideoReformatter().reformat(
        frame if tags.sited or matrix == "rgb" else center_chroma(frame),
        width=width,
        height=height,
        format="rgb48le" if is_deep else "rgb24",
        src_colorspace=COEFFICIENTS[matrix],
        src_color_range=ColorRange.JPEG if full else ColorRange.MPEG,
        dst_color_range=ColorRange.JPEG,
        interpolation=EXACT,
        threads=THREADS,
    )
    pixels: npt.NDArray[Any] = image.to_ndarray()
    return spread(frame.format.components[0].bits)[pixels] if full and is_deep and matrix != "rgb" else pixels


def gray_codes(frame: VideoFrame, shape: Fraction, *, full: bool) -> npt.NDArray[np.uint16]:
    """
    Like `convert`, for a grayscale picture, in 16 bits.

    swscale treats gray as full range whatever it is told.
    """
    width, height = square_pixel_size(frame.width, frame.height, shape)
    gray = VideoReformatter().reformat(frame, width=width, height=height, interpolation=EXACT, threads=THREADS)
    plane = gray.to_ndarray().astype(np.float32)
    unit = 1 << (frame.format.components[0].bits - 8)
    level = plane / (256 * unit - 1) if full else (plane / unit - 16) / 219
    codes = np.rint(np.clip(level, 0, 1) * 65_535).astype(np.uint16)
    return np.repeat(codes[..., np.newaxis], 3, axis=2)


@cache
def spread(bits: int) -> npt.NDArray[np.uint16]:
    """
    From full-range codes as swscale gives them to those of 16 bits.

    It shifts the bits, so that the brightest code of ten bits becomes 65,472 of 65,535.
    """
    top = ((1 << bits) - 1) << (16 - bits)
    return np.rint(np.minimum(np.arange(65_536), top) * (65_535 / top)).astype(np.uint16)
