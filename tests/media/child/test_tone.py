"""HDR becomes the SDR that it stands for."""

import tracemalloc
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from framerelay.media.child.tone import ROWS, TO_BT709, to_sdr

PATCHES = np.array(
    [[190, 40, 42], [42, 178, 66], [48, 66, 200], [206, 198, 60], [64, 188, 198], [128, 128, 128], [235, 235, 235]]
)
WHITE = 203


def wide(light: npt.NDArray[Any], primaries: int) -> npt.NDArray[Any]:
    """Linear BT.709 in other primaries."""
    return light if primaries == 1 else light @ np.linalg.inv(np.array(TO_BT709[primaries])).T


def pq(candelas: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """SMPTE ST 2084, from light to code."""
    power = (candelas / 10_000) ** (2610 / 16384)
    return ((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)


def hlg(candelas: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """ARIB STD-B67, from the light of a screen of 1,000 cd/m² to code."""
    levels = candelas / 1000
    luma = levels @ np.array([0.2627, 0.678, 0.0593])
    scene = levels * np.maximum(luma, 1e-9)[..., None] ** (1 / 1.2 - 1)
    return np.where(
        scene <= 1 / 12, np.sqrt(3 * scene), 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    )


def codes(curve: str, light: npt.NDArray[Any]) -> npt.NDArray[np.uint16]:
    """*light* (1 is paper white) as the clip holds it."""
    curves = {"pq": pq, "hlg": hlg}
    return np.rint(65_535 * np.clip(curves[curve](np.maximum(light, 0) * WHITE), 0, 1)).astype(np.uint16)[np.newaxis]


@pytest.mark.parametrize("primaries", [1, 9, 12])
@pytest.mark.parametrize("curve", ["pq", "hlg"])
def test_what_was_sdr_before_it_became_hdr_comes_back(curve: str, primaries: int) -> None:
    """Within two levels, but for a white of 235, which makes room for what is brighter."""
    light = wide((PATCHES / 255) ** 2.4, primaries)

    image = to_sdr(codes(curve, light), curve, primaries)[0].astype(int)

    assert np.abs(image - PATCHES)[:-1].max() <= 2
    assert np.abs(image - PATCHES)[-1].max() <= 6


@pytest.mark.parametrize("curve", ["pq", "hlg"])
def test_what_is_brighter_than_paper_stays_apart(curve: str) -> None:
    """Up to 1,000 cd/m² each half more of light can be seen; nothing is dark or colored by it."""
    greys = np.repeat((1.5 ** np.arange(-1, 4) * 1000 / WHITE / 1.5**3)[:, np.newaxis], 3, axis=1)

    image = to_sdr(codes(curve, greys), curve, 9)[0].astype(int)

    assert np.abs(np.ptp(image, axis=1)).max() <= 1
    assert (np.diff(image[:, 1]) > 0).all()
    assert image[-1].min() >= 254


def test_dark_greys_have_no_steps() -> None:
    """From black on each level is there."""
    light = np.repeat(((np.arange(40) / 255) ** 2.4)[:, np.newaxis], 3, axis=1)

    assert np.abs(to_sdr(codes("pq", light), "pq", 9)[0] - np.arange(40)[:, np.newaxis].astype(int)).max() <= 1


def test_untagged_primaries_count_as_bt2020() -> None:
    """Who writes PQ writes those."""
    picture = np.random.default_rng(3).integers(0, 65_536, (4, 5, 3)).astype(np.uint16)

    assert np.array_equal(to_sdr(picture, "pq", 9), to_sdr(picture, "pq", 2))


@pytest.mark.parametrize("curve", ["pq", "hlg"])
def test_a_large_picture_needs_little_extra_memory(curve: str) -> None:
    """Its light as a whole is more than the film of a 4K clip may have. Each row comes out as if it were alone."""
    picture = np.random.default_rng(3).integers(0, 65_536, (8 * ROWS + 5, 300, 3)).astype(np.uint16)
    alone = np.concatenate([to_sdr(row[np.newaxis], curve, 9) for row in picture])

    tracemalloc.start()
    try:
        image = to_sdr(picture, curve, 9)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert np.array_equal(alone, image)
    assert most < 2 * picture.nbytes
