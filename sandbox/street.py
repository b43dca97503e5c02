"""
A rainy street at night, painted with numbers: the opening picture of a clip that was given no first frame.

Colors and houses follow from the seed and the prompt, so the same input gives the same picture.
"""

import colorsys
import random
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter

HORIZON = 0.60
"""Where the road begins, as a share of the height."""

Color = tuple[int, int, int]


def paint_street(width: int, height: int, *, seed: int, prompt: str) -> Image.Image:
    """The picture, *width* x *height* pixels, RGB."""
    canvas = _Canvas.of(width, height, seed=seed, prompt=prompt)
    picture = _sky(canvas)
    for depth in range(4):
        _houses(canvas, picture, depth)
    lights = _neon(canvas)
    picture = ImageChops.screen(picture, lights)
    picture = _wet_road(canvas, picture)
    picture = _glow(canvas, picture)
    return _vignette(picture).resize((width, height), Image.Resampling.LANCZOS)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Canvas:
    """Where we paint (larger than the result, to be smooth), what with, and the dice."""

    width: int
    height: int
    horizon: int
    center: int
    palette: tuple[Color, ...]
    dice: random.Random

    @classmethod
    def of(cls, width: int, height: int, *, seed: int, prompt: str) -> "_Canvas":
        finer = 1.5 if width * height < 1_500_000 else 1.0
        wide, high = round(width * finer), round(height * finer)
        dice = random.Random(f"{seed}:{prompt}")  # noqa: S311 - a picture, no secret
        air = dice.uniform(0.55, 0.92)  # From blue over violet to pink: the air over a city at night.
        palette = (_color(air, 0.75, 1.0), *(_color(hue, 0.8, 1.0) for hue in (air + 0.45, 0.9, 0.51, 0.08)))
        return cls(width=wide, height=high, horizon=round(high * HORIZON), center=wide // 2, palette=palette, dice=dice)

    @property
    def unit(self) -> float:
        """A hundredth of the shorter side."""
        return min(self.width, self.height) / 100


def _color(hue: float, saturation: float, value: float) -> Color:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)


def _dim(color: Color, factor: float) -> Color:
    return round(color[0] * factor), round(color[1] * factor), round(color[2] * factor)


def _sky(canvas: _Canvas) -> Image.Image:
    """Dark above, with the haze of the city's own light over the horizon."""
    down = np.linspace(0, 1 / HORIZON, canvas.height, dtype=np.float32).clip(0, 1)[:, None, None]
    across = np.abs(np.arange(canvas.width, dtype=np.float32) - canvas.center)[None, :, None] / canvas.width
    top = np.array([6, 8, 22], np.float32)
    haze = np.array(_dim(canvas.palette[0], 0.62), np.float32) + np.array([30, 22, 40], np.float32)
    light = down**1.9 * np.exp(-(across**2) * 3.2)
    return Image.fromarray((top + (haze - top) * light).clip(0, 255).astype(np.uint8))


def _houses(canvas: _Canvas, picture: Image.Image, depth: int) -> None:
    """One row of houses, far (0) to near (3); near ones are tall, dark, and leave the middle of the street free."""
    pen = ImageDraw.Draw(picture)
    dice, unit = canvas.dice, canvas.unit
    gap = canvas.width * (0.0, 0.05, 0.15, 0.29)[depth]
    wall = _mix(_dim(canvas.palette[0], 0.36), (8, 9, 18), (0.30, 0.55, 0.76, 0.90)[depth])
    left = -dice.uniform(0, 6) * unit
    while left < canvas.width:
        wide = dice.uniform(6, 11) * unit * (0.7 + 0.35 * depth)
        middle = left + wide / 2
        away = abs(middle - canvas.center)
        if away - wide / 2 >= gap:
            share = (0.20, 0.30, 0.40, 0.52)[depth] + 0.42 * away / canvas.width + dice.uniform(-0.10, 0.12)
            roof = canvas.horizon - canvas.horizon * min(share, 1.1)
            box = (left, roof, left + wide - 0.2 * unit, canvas.horizon)
            pen.rectangle(box, fill=wall)
            _roof_things(canvas, pen, box, wall)
            _windows(canvas, pen, box, depth)
            _shop(canvas, pen, box, depth)
        left += wide


def _mix(one: Color, other: Color, share: float) -> Color:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def _roof_things(
    canvas: _Canvas, pen: ImageDraw.ImageDraw, box: tuple[float, float, float, float], wall: Color
) -> None:
    """A tank or an antenna here and there breaks the straight line."""
    left, roof, right, _ = box
    if canvas.dice.random() < 0.4:
        at = canvas.dice.uniform(left, right)
        pen.line(
            (at, roof, at, roof - canvas.dice.uniform(2, 6) * canvas.unit),
            fill=wall,
            width=max(1, round(canvas.unit / 4)),
        )
    elif canvas.dice.random() < 0.5:
        wide = (right - left) * 0.3
        at = canvas.dice.uniform(left, right - wide)
        pen.rectangle((at, roof - 1.6 * canvas.unit, at + wide, roof), fill=wall)


def _windows(canvas: _Canvas, pen: ImageDraw.ImageDraw, box: tuple[float, float, float, float], depth: int) -> None:
    """A grid of windows; few are lit, in whole floors or alone, warm or cold."""
    left, roof, right, bottom = box
    dice = canvas.dice
    step_x, step_y = canvas.unit * (0.9 + 0.42 * depth), canvas.unit * (1.25 + 0.6 * depth)
    shine = (0.42, 0.58, 0.75, 0.9)[depth]
    colors = ((255, 206, 130), (255, 176, 92), (190, 214, 255), canvas.palette[1], canvas.palette[3])
    house_color = dice.choice(colors[:3])
    y = roof + step_y * 0.8
    while y < bottom - step_y:
        lit = dice.uniform(0.04, 0.5) if dice.random() < 0.8 else 0.0
        x = left + step_x * 0.6
        while x < right - step_x * 0.7:
            if dice.random() < lit:
                color = house_color if dice.random() < 0.85 else dice.choice(colors)
                strength = shine * dice.uniform(0.35, 1.0)
                pen.rectangle((x, y, x + step_x * 0.52, y + step_y * 0.5), fill=_dim(color, strength))
            x += step_x
        y += step_y


def _shop(canvas: _Canvas, pen: ImageDraw.ImageDraw, box: tuple[float, float, float, float], depth: int) -> None:
    """A lit shop front at street level, with a colored strip over it."""
    if depth == 0 or canvas.dice.random() < 0.3:
        return
    left, _, right, bottom = box
    high = canvas.unit * (1.1, 2.0, 3.3)[depth - 1]
    inside = canvas.dice.choice(((255, 196, 120), (214, 228, 255), canvas.palette[2], canvas.palette[3]))
    edge = (right - left) * 0.08
    pen.rectangle((left + edge, bottom - high, right - edge, bottom - min(1, high)), fill=_dim(inside, 0.55))
    for pane in range(1, 4):
        x = left + edge + (right - left - 2 * edge) * pane / 4
        pen.line((x, bottom - high, x, bottom), fill=(16, 14, 22), width=max(1, round(canvas.unit * 0.3)))
    strip = canvas.dice.choice(canvas.palette)
    pen.rectangle((left + edge, bottom - high * 1.3, right - edge, bottom - high * 1.06), fill=_dim(strip, 0.9))


def _neon(canvas: _Canvas) -> Image.Image:
    """Signs on the near houses, and lamps that march to the vanishing point: light only, on black."""
    lights = Image.new("RGB", (canvas.width, canvas.height))
    pen = ImageDraw.Draw(lights)
    dice, unit = canvas.dice, canvas.unit
    for number in range(13):
        side = -1 if number % 2 else 1
        x = canvas.center + side * dice.uniform(0.13, 0.52) * canvas.width
        nearness = 0.35 + 1.3 * abs(x - canvas.center) / canvas.width
        y = canvas.horizon * dice.uniform(0.34, 0.86)
        _sign(canvas, pen, x, y, nearness, canvas.palette[number % len(canvas.palette)])
    for side in (-1, 1):
        for step in range(1, 8):
            near = 1.35**-step
            x = canvas.center + side * canvas.width * 0.62 * near
            y = canvas.horizon * (1 - 0.55 * near)
            radius = unit * 1.1 * near
            pen.line((x, y, x, canvas.horizon), fill=(20, 18, 22), width=max(1, round(radius * 0.4)))
            pen.ellipse((x - radius * 1.3, y - radius * 0.6, x + radius * 1.3, y + radius * 0.6), fill=(255, 222, 170))
    return lights


def _sign(canvas: _Canvas, pen: ImageDraw.ImageDraw, x: float, y: float, size: float, color: Color) -> None:
    """One neon sign: a column of strokes that read as letters of no language, a bar, or a ring."""
    dice, unit = canvas.dice, canvas.unit * size
    line = max(2, round(unit * 0.55))
    kind = dice.random()
    if kind < 0.6:
        for letter in range(dice.randint(2, 4)):
            top = y + letter * unit * 5.2
            for _ in range(dice.randint(3, 4)):
                ends = [(x + dice.choice((0, 2, 4)) * unit, top + dice.choice((0, 2, 4)) * unit) for _ in range(2)]
                pen.line([ends[0], (ends[1][0], ends[0][1]), ends[1]], fill=color, width=line, joint="curve")
        pen.rectangle(
            (x - 1.4 * unit, y - 1.4 * unit, x + 5.4 * unit, top + 5.4 * unit),
            outline=_dim(color, 0.55),
            width=max(1, line // 2),
        )
    elif kind < 0.85:
        for row in range(dice.randint(1, 3)):
            pen.line(
                (x, y + row * 1.8 * unit, x + dice.uniform(8, 14) * unit, y + row * 1.8 * unit), fill=color, width=line
            )
    else:
        radius = dice.uniform(2.5, 4.5) * unit
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), outline=color, width=line)


def _wet_road(canvas: _Canvas, picture: Image.Image) -> Image.Image:
    """The street mirrors what stands over it: stretched, blurred downwards, broken by ripples, darker."""
    upper = picture.crop((0, 0, canvas.width, canvas.horizon)).transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    depth = canvas.height - canvas.horizon
    mirror = np.asarray(upper.resize((canvas.width, depth), Image.Resampling.BILINEAR), np.float32)
    soft = upper.resize((canvas.width, max(2, depth // 40)), Image.Resampling.BOX)
    soft = soft.resize((canvas.width, depth), Image.Resampling.BICUBIC).filter(
        ImageFilter.GaussianBlur(canvas.unit * 0.35)
    )
    near = np.linspace(0, 1, depth, dtype=np.float32)[:, None, None]
    light = mirror * (1 - near) * 0.4 + np.asarray(soft, np.float32) * (0.7 + 0.6 * near)
    light = _ripple(canvas, light)
    asphalt = np.array([9, 10, 17], np.float32)
    road = asphalt + light * (0.95 - 0.25 * near)
    result = np.asarray(picture).copy()
    result[canvas.horizon :] = road.clip(0, 255).astype(np.uint8)
    image = Image.fromarray(result)
    return ImageChops.screen(image, _lanes(canvas))


def _ripple(canvas: _Canvas, road: NDArray[np.float32]) -> NDArray[np.float32]:
    """Shift each row sideways a little, more towards the viewer."""
    rows = np.arange(len(road))
    noise = np.random.default_rng(canvas.dice.getrandbits(32))
    shift = np.sin(rows * 0.55 + np.sin(rows * 0.13) * 4) * 0.5 + noise.normal(0, 0.5, len(rows))
    shift *= canvas.unit * (0.25 + 1.1 * rows / len(rows))
    columns = (np.arange(road.shape[1])[None, :] + np.round(shift)[:, None].astype(np.int64)).clip(0, road.shape[1] - 1)
    return np.take_along_axis(road, columns[:, :, None], axis=1)


def _lanes(canvas: _Canvas) -> Image.Image:
    """Worn lane marks and kerbs that meet at the vanishing point."""
    lanes = Image.new("RGB", (canvas.width, canvas.height))
    pen = ImageDraw.Draw(lanes)
    depth = canvas.height - canvas.horizon
    for step in range(9):
        near, far = 0.68**step, 0.68 ** (step + 0.45)
        wide = canvas.unit * 1.5
        pen.polygon(
            [
                (canvas.center + side * wide * share, canvas.horizon + depth * share)
                for side, share in ((-1, near), (1, near), (1, far), (-1, far))
            ],
            fill=(46, 46, 54),
        )
    for side in (-1, 1):
        foot = canvas.center + side * canvas.width * 0.62
        pen.line(
            (canvas.center, canvas.horizon, foot, canvas.height),
            fill=(24, 25, 32),
            width=max(1, round(canvas.unit * 0.5)),
        )
    return lanes.filter(ImageFilter.GaussianBlur(canvas.unit * 0.25))


def _glow(canvas: _Canvas, picture: Image.Image) -> Image.Image:
    """Wet air: what is bright shines into its surroundings, near and wide."""
    bright = picture.point([max(0, level - 70) * 255 // 185 for level in range(256)] * 3)
    for radius, strength in ((0.9, 0.8), (3.5, 0.75), (11.0, 0.7)):
        small = bright.resize((canvas.width // 4, canvas.height // 4), Image.Resampling.BOX)
        halo = small.filter(ImageFilter.GaussianBlur(canvas.unit * radius / 4)).resize(
            picture.size, Image.Resampling.BICUBIC
        )
        picture = ImageChops.screen(picture, halo.point([round(level * strength) for level in range(256)] * 3))
    return picture


def _vignette(picture: Image.Image) -> Image.Image:
    """Darker towards the corners."""
    width, height = picture.size
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    shade = 1 - 0.34 * ((x**2 + y**2) / 2) ** 1.5
    return Image.fromarray((np.asarray(picture, np.float32) * shade[:, :, None]).clip(0, 255).astype(np.uint8))
