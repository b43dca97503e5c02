"""
From HDR to SDR: what a PQ or HLG picture looks like on an ordinary screen, as codes of BT.709.

Generators take and give SDR. Codes of PQ that are handed on unchanged look gray and dim to them.

Light up to `KNEE` of paper white is shown as it is, and anything brighter gets closer to white the brighter it is, all
three channels alike, so that no hue shifts. Paper white is at 203 cd/m² (ITU-R BT.2408), and codes of SDR are those of
a screen according to ITU-R BT.1886 (gamma 2.4).
"""

from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

Light = npt.NDArray[np.float32]
"""Linear, red, green and blue; 1 is paper white."""

CURVES: Final = {16: "pq", 18: "hlg"}
"""Transfer characteristics by their numbers in ITU-T H.273, table 3: SMPTE ST 2084, and ARIB STD-B67."""

WHITE_CD_M2: Final = 203.0
PEAK: Final = 1000 / WHITE_CD_M2  # Brighter than that is white; HLG ends there, and most of PQ does.
KNEE: Final = 0.7
DISPLAY_GAMMA: Final = 2.4
HLG_GAMMA: Final = 1.2  # Of a screen of 1,000 cd/m².

TO_BT709: Final = {
    9: ((1.660491, -0.587641, -0.072850), (-0.124550, 1.132900, -0.008349), (-0.018151, -0.100579, 1.118730)),
    12: ((1.224940, -0.224940, 0.0), (-0.042057, 1.042057, 0.0), (-0.019638, -0.078636, 1.098273)),
}
"""Linear RGB to that of BT.709, by the number of the primaries (table 2): BT.2020, and P3 with the white of D65."""
AS_THEY_ARE: Final = 1
LUMA: Final = np.array((0.2627, 0.6780, 0.0593), np.float32)  # Of BT.2020, which HLG counts by.
STEPS: Final = 4096
ROWS: Final = 64
"""Converted at once: light takes four times as much memory as codes, and for a whole picture of 4K half a gigabyte."""


def to_sdr(codes: npt.NDArray[np.uint16], curve: str, primaries: int) -> npt.NDArray[np.uint8]:
    """
    *codes* (RGB, full range, 65535 is one, height x width x 3) of the *curve* ``pq`` or ``hlg`` as SDR of 8 bits.

    *primaries* is the number that the clip is tagged with; untagged ones count as BT.2020.
    """
    picture = np.empty(codes.shape, np.uint8)
    for top in range(0, len(codes), ROWS):
        rows = slice(top, top + ROWS)
        picture[rows] = rows_in_sdr(codes[rows], curve, primaries)
    return picture


def rows_in_sdr(codes: npt.NDArray[np.uint16], curve: str, primaries: int) -> npt.NDArray[np.uint8]:
    """Some of the rows of `to_sdr`."""
    light = light_of_pq()[codes] if curve == "pq" else light_of_hlg(codes)
    if primaries != AS_THEY_ARE:
        light = light @ np.array(TO_BT709.get(primaries, TO_BT709[9]), np.float32).T
    roots = np.sqrt(roll_off(light))  # This many steps of light itself would not do: eight codes lie below the first.
    return codes_of_screen()[(roots * (STEPS - 1) + 0.5).astype(np.uint16)]


@cache
def light_of_pq() -> Light:
    """What each of the 65,536 codes stands for."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    root = (np.arange(65_536) / 65_535) ** (1 / m2)
    candelas = 10_000 * (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)
    light: Light = (candelas / WHITE_CD_M2).astype(np.float32)
    return light


@cache
def scene_of_hlg() -> Light:
    """The light before the camera, 0 to 1, that each of the 65,536 codes stands for."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    code = np.arange(65_536) / 65_535
    return np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12).astype(np.float32)


def light_of_hlg(codes: npt.NDArray[np.uint16]) -> Light:
    """On a screen of 1,000 cd/m²: what is bright in the scene is even brighter on it."""
    scene = scene_of_hlg()[codes]
    gain: Light = np.maximum(scene @ LUMA, 1e-6) ** np.float32(HLG_GAMMA - 1)
    light: Light = scene * (gain * np.float32(PEAK))[..., np.newaxis]
    return light


def roll_off(light: Light) -> Light:
    """*light* within 0 to 1 (see above); colors outside BT.709 are clipped."""
    light = np.maximum(light, 0)
    brightest = np.minimum(light.max(-1, keepdims=True), np.float32(PEAK))
    past = (brightest - np.float32(KNEE)) / np.float32(1 - KNEE)
    room = np.float32((PEAK - KNEE) / (1 - KNEE))
    curve = KNEE + (1 - KNEE) * past * (1 + past / room**2) / (1 + past)
    gain = np.where(past > 0, curve / np.maximum(brightest, np.float32(KNEE)), 1).astype(np.float32)
    rolled_off: Light = np.minimum(light * gain, 1)
    return rolled_off


@cache
def codes_of_screen() -> npt.NDArray[np.uint8]:
    """The code for each of `STEPS` square roots of light, from 0 to 1."""
    return np.rint(255 * (np.arange(STEPS) / (STEPS - 1)) ** (2 / DISPLAY_GAMMA)).astype(np.uint8)
