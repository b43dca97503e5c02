"""From a decoder's frame to RGB without a bias: what swscale rounds away by default adds up from shot to shot."""

import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation

EXACT = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
"""The three together; without them each extraction darkens by 1 to 1.5 levels, and ACCURATE_RND alone is worse."""

RGB_TAG = 0
MATRICES = {1: "bt709", 4: "fcc", 5: "bt601", 6: "bt601", 7: "smpte240m", 9: "bt2020", 10: "bt2020"}
"""The numbers of ITU-T H.273, table 4. Untagged (2) is read as BT.601: encoders that are fed RGB write that."""

COEFFICIENTS = {
    "bt601": Colorspace.ITU601,
    "bt709": Colorspace.ITU709,
    "fcc": Colorspace.FCC,
    "smpte240m": Colorspace.SMPTE240M,
    "bt2020": Colorspace.BT2020,
    "rgb": Colorspace.ITU601,
}


def to_rgb(frame: VideoFrame) -> tuple[npt.NDArray[np.uint8], str]:
    """
    *frame* as 8-bit RGB (height x width x 3), turned upright, and the name of the matrix by which YUV was read.

    Matrix and range are those of the frame's tags; an untagged frame is read as BT.601, limited range.
    """
    matrix = "rgb" if frame.format.is_rgb else MATRICES.get(int(frame.colorspace), "bt601")
    full = frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj")
    image = frame.reformat(
        format="rgb24",
        src_colorspace=COEFFICIENTS[matrix],
        src_color_range=ColorRange.JPEG if full or matrix == "rgb" else ColorRange.MPEG,
        dst_color_range=ColorRange.JPEG,
        interpolation=EXACT,
    ).to_ndarray()
    upright = np.rot90(image, k=round(frame.rotation / 90) % 4)
    return np.ascontiguousarray(upright, dtype=np.uint8), matrix
