"""
How large a clip is.

Source: Ark's create page (2026-02), table of Seedance 1.5 pro; ``adaptive`` takes the ratio closest to the image's.
"""

import math

SIZES: dict[str, dict[str, tuple[int, int]]] = {
    "480p": {
        "16:9": (864, 496),
        "4:3": (752, 560),
        "1:1": (640, 640),
        "3:4": (560, 752),
        "9:16": (496, 864),
        "21:9": (992, 432),
    },
    "720p": {
        "16:9": (1280, 720),
        "4:3": (1112, 834),
        "1:1": (960, 960),
        "3:4": (834, 1112),
        "9:16": (720, 1280),
        "21:9": (1470, 630),
    },
    "1080p": {
        "16:9": (1920, 1080),
        "4:3": (1664, 1248),
        "1:1": (1440, 1440),
        "3:4": (1248, 1664),
        "9:16": (1080, 1920),
        "21:9": (2206, 946),
    },
}


def clip_size(resolution: str, ratio: str, *, scale: float) -> tuple[int, int]:
    """Width and height in pixels, both even, for a *ratio* other than ``adaptive``."""
    width, height = SIZES[resolution][ratio]
    return _even(width * scale), _even(height * scale)


def closest_ratio(width: int, height: int) -> str:
    """The ratio that ``adaptive`` means for an image of this size."""

    def distance(ratio: str) -> float:
        across, down = map(int, ratio.split(":"))
        return abs(math.log(width / height * down / across))

    return min(SIZES["720p"], key=distance)


def _even(length: float) -> int:
    return max(2, round(length / 2) * 2)
