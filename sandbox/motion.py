"""
Animates a picture: the camera moves into it, rain falls, cars pass, the wet lower part shimmers.

The first frame is the picture itself. Everything on top of it fades in and out again, so that the last frame, which the
next shot begins with, holds no frozen rain; only the camera's move remains.
"""

import random
from functools import cached_property, lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from framerelay.sandbox.label import Pixels
from framerelay.sandbox.street import HORIZON

FADE = 0.15
"""The share of the clip in which rain and cars appear, and in which they vanish again."""


class Motion:
    """
    The frames of one clip, made from *picture*; ``frame`` may be requested in any order.

    With *target* (of the same size) the clip dissolves into that picture and ends exactly on it.
    """

    def __init__(
        self, picture: Image.Image, *, frames: int, seed: int, prompt: str, still: bool, target: Image.Image | None
    ) -> None:
        self._picture = picture
        self._target = None if target is None else np.asarray(target)
        self._frames = frames
        self._dice = random.Random(f"{seed}/{prompt}")  # noqa: S311 - a picture, no secret
        self._zoom = 1.0 if still else self._dice.uniform(1.05, 1.09)
        self._fall = self._dice.uniform(0.055, 0.075)
        self._lane = self._dice.choice((-1, 1))

    def frame(self, number: int) -> Pixels:
        """Frame *number*, counted from 0 (the picture itself): height x width x RGB, the caller's own copy."""
        time = number / max(1, self._frames - 1)
        if self._target is not None and number == self._frames - 1:
            return self._target.copy()
        frame = self._seen_by_camera(time)
        strength = min(1.0, time / FADE, (1 - time) / FADE)
        if strength > 0:
            self._shimmer(frame, number, strength)
            self._cars(frame, time, strength)
            self._rain(frame, number, strength)
        if self._target is not None:
            share = _smooth((time - 0.5) / 0.5)
            frame = np.asarray(Image.blend(Image.fromarray(frame), Image.fromarray(self._target), share)).copy()
        return frame

    def _seen_by_camera(self, time: float) -> Pixels:
        """Move into the street at constant speed; where the road vanishes stays where it is."""
        if self._zoom == 1.0:
            return np.array(self._picture)
        width, height = self._picture.size
        zoom = self._zoom**time
        left, top = width * 0.5 * (1 - 1 / zoom), height * HORIZON * (1 - 1 / zoom)
        box = (left, top, left + width / zoom, top + height / zoom)
        return np.array(self._picture.resize((width, height), Image.Resampling.BICUBIC, box=box))

    def _shimmer(self, frame: Pixels, number: int, strength: float) -> None:
        """Shift the rows of the lower part sideways in waves, as wet asphalt does."""
        height = len(frame)
        top, thick = round(height * (HORIZON + 0.02)), max(1, height // 180)
        for row in range(top, height, thick):
            depth = (row - top) / (height - top)
            wave = np.sin(row * 0.21 - number * 0.55) + np.sin(row * 0.083 + number * 0.31)
            shift = round(float(wave) * strength * height / 400 * (0.4 + depth))
            if shift:
                frame[row : row + thick] = np.roll(frame[row : row + thick], shift, axis=1)

    def _cars(self, frame: Pixels, time: float, strength: float) -> None:
        """One car comes towards us, one drives away: a pair of lights each, with their streaks on the road."""
        coming, going = _smooth((time - 0.1) / 0.75), 1 - _smooth((time - 0.1) / 0.85)
        _shine(frame, _lamps((255, 244, 220)), along=coming**3, side=self._lane, strength=strength)
        _shine(frame, _lamps((255, 40, 36)), along=going**3, side=-self._lane, strength=strength)

    def _rain(self, frame: Pixels, number: int, strength: float) -> None:
        height, width = frame.shape[:2]
        fall = round(number * self._fall * height)
        top, left = -fall % height, round(fall * 0.12) % width
        drops = self._drops[top : top + height, left : left + width]
        if strength < 1:
            drops = (drops * np.float32(strength)).astype(np.uint8)
        np.add(frame, np.minimum(drops, 255 - frame), out=frame)

    @cached_property
    def _drops(self) -> Pixels:
        """Streaks on black, four times the frame so that any window of it is rain."""
        width, height = self._picture.size
        layer = Image.new("L", (width, height))
        pen = ImageDraw.Draw(layer)
        for _ in range(260):
            x, y = self._dice.uniform(0, width), self._dice.uniform(0, height)
            length = height * self._dice.uniform(0.03, 0.09)
            line = max(1, height // 500)
            for across in (-width, 0, width):
                for down in (-height, 0):
                    ends = (x + across, y + down, x + across - length * 0.12, y + down + length)
                    pen.line(ends, fill=self._dice.randint(22, 62), width=line)
        soft = np.asarray(layer.filter(ImageFilter.GaussianBlur(height / 1400)))
        return np.tile(soft[:, :, None], (2, 2, 3))


def _shine(frame: Pixels, lamps: Image.Image, *, along: float, side: int, strength: float) -> None:
    """Add the light of *lamps* to *frame*, where a car is that came *along* its lane: 0 far away, 1 past us."""
    height, width = frame.shape[:2]
    scale = 0.012 + 0.75 * along
    wide, high = max(2, round(width * scale)), max(2, round(width * scale))
    middle = width * (0.5 + side * (0.015 + 0.75 * along))
    left, top = round(middle - wide / 2), round(height * (HORIZON + 0.01 + 0.55 * along) - high / 2)
    window = (max(0, left), max(0, top), min(width, left + wide), min(height, top + high))
    if window[0] >= window[2] or window[1] >= window[3]:
        return
    part = (window[0] - left, window[1] - top, window[2] - left, window[3] - top)
    factor = lamps.width / wide
    box = (part[0] * factor, part[1] * factor, part[2] * factor, part[3] * factor)
    size = (window[2] - window[0], window[3] - window[1])
    light = np.asarray(lamps.resize(size, Image.Resampling.BILINEAR, box=box))
    light = (light * np.float32(strength * min(1.0, along * 40))).astype(np.uint8)
    place = frame[window[1] : window[3], window[0] : window[2]]
    np.add(place, np.minimum(light, 255 - place), out=place)


@lru_cache(maxsize=4)
def _lamps(color: tuple[int, int, int]) -> Image.Image:
    """Two lamps with a halo, and their reflections that run down the picture: light only, on black, 256 pixels."""
    y, x = np.mgrid[0:256, 0:256].astype(np.float32) / 256 - 0.5
    light = np.zeros((256, 256), np.float32)
    for middle in (-0.11, 0.11):
        away = np.hypot((x - middle) * 1.0, y)
        light += np.exp(-((away / 0.022) ** 2)) * 2 + np.exp(-((away / 0.075) ** 2)) * 0.5
        below = np.clip(y, 0, None)
        light += np.exp(-(((x - middle) / 0.035) ** 2)) * np.exp(-below * 9) * (y > 0) * 0.55
    light *= np.clip((0.5 - np.abs(x)) * 6, 0, 1) * np.clip((0.5 - np.abs(y)) * 6, 0, 1)
    return Image.fromarray((light[:, :, None] * np.array(color, np.float32)).clip(0, 255).astype(np.uint8))


def _smooth(time: float) -> float:
    time = min(1.0, max(0.0, time))
    return time * time * (3 - 2 * time)
