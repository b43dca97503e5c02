"""Turns and mirrors, by the display matrix alone, and pixels that are not square."""

import struct
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest
from av.filter import Graph

from framerelay.media.child.orientation import Orientation, orientation_by, orientation_of, square_pixel_size

ONE = 1 << 16
MATRICES = [(ONE, 0, 0, ONE), (-ONE, 0, 0, ONE), (ONE, 0, 0, -ONE), (-ONE, 0, 0, -ONE)]
MATRICES += [(b, a, d, c) for a, b, c, d in MATRICES]
"""Every way in which a picture can be turned: a, b, c, d of ISO 14496-12, 6.2.2."""


def display_matrix(a: int, b: int, c: int, d: int) -> bytes:
    """As libav keeps it."""
    return struct.pack("=9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)


def turn(image: np.ndarray[Any, np.dtype[np.uint8]], a: int, b: int, c: int, d: int) -> Any:
    """*image* as the standard says: pixel by pixel, x, y to ax + cy, bx + dy."""
    y, x = np.mgrid[0 : image.shape[0], 0 : image.shape[1]]
    to_x, to_y = (a * x + c * y) // ONE, (b * x + d * y) // ONE
    result = np.zeros((np.ptp(to_y) + 1, np.ptp(to_x) + 1, 3), np.uint8)
    result[to_y - to_y.min(), to_x - to_x.min()] = image
    return result


IMAGE = np.random.default_rng(1).integers(0, 256, (6, 10, 3), dtype=np.uint8)


@pytest.mark.parametrize("matrix", MATRICES)
def test_a_picture_is_moved_as_the_standard_says(matrix: tuple[int, int, int, int]) -> None:
    """Turned, mirrored, or both; the size with it."""
    orientation = orientation_by(display_matrix(*matrix))
    expected = turn(IMAGE, *matrix)

    assert np.array_equal(expected, orientation.apply(IMAGE))
    assert (expected.shape[1], expected.shape[0]) == orientation.turn_size((10, 6))


@pytest.mark.parametrize("matrix", MATRICES)
def test_the_filters_do_the_same(matrix: tuple[int, int, int, int]) -> None:
    """A film is turned by libav, a frame by ourselves: alike."""
    orientation = orientation_by(display_matrix(*matrix))
    graph = Graph()
    chain = [graph.add_buffer(None, 10, 6, av.VideoFormat("rgb24"), time_base=Fraction(1, 25))]
    chain += [graph.add(name, argument) for name, argument in orientation.filters()]
    graph.link_nodes(*chain, graph.add("buffersink")).configure()
    graph.vpush(av.VideoFrame.from_ndarray(IMAGE, format="rgb24"))

    assert np.array_equal(orientation.apply(IMAGE), graph.vpull().to_ndarray())


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        ((0, 0, 0, 0), Orientation()),
        ((2 * ONE, 0, 0, 2 * ONE), Orientation()),
        ((64_000, 8_000, -8_000, 64_000), Orientation()),
        ((-8_000, -64_000, 64_000, -8_000), Orientation(swapped=True, mirrored_y=True)),
    ],
)
def test_a_matrix_that_turns_by_no_quarter_counts_as_the_nearest(matrix: Any, expected: Orientation) -> None:
    """Scaled, slanted, or nothing at all."""
    assert expected == orientation_by(display_matrix(*matrix))


def test_a_frame_without_a_matrix_is_upright() -> None:
    """As most are."""
    assert Orientation() == orientation_of(av.VideoFrame(16, 16, "yuv420p"))


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        (Fraction(4, 3), (427, 180)),
        (Fraction(1, 2), (160, 180)),
        (Fraction(1), (320, 180)),
        (Fraction(100, 101), (320, 180)),
        (Fraction(98, 100), (314, 180)),
        (Fraction(1, 10_000), (1, 180)),
    ],
)
def test_pixels_become_square_at_the_same_height(shape: Fraction, size: tuple[int, int]) -> None:
    """What is a hundredth off is left as it is."""
    assert size == square_pixel_size(320, 180, shape)
