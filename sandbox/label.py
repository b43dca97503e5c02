"""
The label that is burnt into each frame: clip and frame number, for people and for programs.

It is in the lower left corner, opaque and always of one size, so that it covers the label of a handed-on frame.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Pixels = NDArray[np.uint8]

_COLUMNS, _ROWS = 12, 2
_CLIP_BITS, _FRAME_BITS, _CHECK_BITS = 8, 10, 6


def stamp(frame: Pixels, *, clip: int, number: int) -> None:
    """Draw the label of frame *number* of *clip* into *frame* (height x width x RGB), in place."""
    label = _label(frame.shape[1], frame.shape[0], clip, number)
    frame[-label.shape[0] :, : label.shape[1]] = label


def read_label(frame: Pixels) -> tuple[int, int] | None:
    """
    The clip number (modulo 256) and frame number in *frame* (height x width x RGB), or None if there is no label.

    Blocks are black or white and at least four pixels wide, so that they survive compression and halved color.
    """
    block = _block(frame.shape[1], frame.shape[0])
    top, left = frame.shape[0] - block * (_ROWS + 1), block
    area = frame[top : top + block * _ROWS, left : left + block * _COLUMNS].astype(np.float64).mean(axis=2)
    if area.shape != (block * _ROWS, block * _COLUMNS):
        return None
    cells = area.reshape(_ROWS, block, _COLUMNS, block)[:, 1:-1, :, 1:-1].mean(axis=(1, 3))
    code = int("".join("1" if level > 128 else "0" for level in cells.ravel()), 2)
    check = code & ((1 << _CHECK_BITS) - 1)
    number = (code >> _CHECK_BITS) & ((1 << _FRAME_BITS) - 1)
    clip = code >> (_CHECK_BITS + _FRAME_BITS)
    return (clip, number) if check == _check(clip, number) else None


def stamp_watermark(frame: Pixels) -> None:
    """Write "sandbox" into the lower right corner, as the input field ``watermark`` asks, in place."""
    mark = _watermark(_block(frame.shape[1], frame.shape[0]))
    corner = frame[-mark.shape[0] :, -mark.shape[1] :]
    np.maximum(corner, mark, out=corner)


def _block(width: int, height: int) -> int:
    """The side of one block in pixels, even."""
    return max(4, round(min(width, height) / 120) * 2)


def _check(clip: int, number: int) -> int:
    return (clip * 7 + number * 13 + 21) % (1 << _CHECK_BITS)


def _label(width: int, height: int, clip: int, number: int) -> Pixels:
    block = _block(width, height)
    font = _font(round(block * 1.6))
    text_wide = round(font.getlength("clip 000 · frame 000"))
    wide = _even(max(text_wide, _COLUMNS * block) + 2 * block)
    high = _even(block * (_ROWS + 1) + round(block * 2.6))
    picture = Image.new("RGB", (wide, high), (0, 0, 0))
    pen = ImageDraw.Draw(picture)
    pen.text((block, round(block * 0.4)), f"clip {clip} · frame {number:03d}", fill=(235, 235, 235), font=font)
    label = np.array(picture)
    label[-block * (_ROWS + 1) : -block, block : block * (_COLUMNS + 1)] = _blocks(clip, number, block)
    return label


def _blocks(clip: int, number: int, block: int) -> Pixels:
    clip, number = clip % (1 << _CLIP_BITS), number % (1 << _FRAME_BITS)
    code = ((clip << _FRAME_BITS | number) << _CHECK_BITS) | _check(clip, number)
    bits = np.array([int(bit) for bit in f"{code:0{_ROWS * _COLUMNS}b}"], np.uint8).reshape(_ROWS, _COLUMNS)
    return np.kron(bits * np.uint8(255), np.ones((block, block), np.uint8))[:, :, None]


@lru_cache(maxsize=8)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(max(8, size))


@lru_cache(maxsize=8)
def _watermark(block: int) -> Pixels:
    font = _font(round(block * 1.6))
    picture = Image.new("RGB", (round(font.getlength("sandbox")) + 2 * block, block * 3))
    ImageDraw.Draw(picture).text((block, block // 2), "sandbox", fill=(190, 190, 190), font=font)
    return np.array(picture)


def _even(length: int) -> int:
    return length + length % 2
