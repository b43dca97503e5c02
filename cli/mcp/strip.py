"""The film strip as one picture: a row per scene, a cell per shot with its first and its last frame."""

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from PIL import Image, ImageDraw, ImageFont, UnidentifiedImageError

from framerelay.api import shapes

FetchFrame = Callable[[str], bytes | None]
StripFrame = shapes.Frame | shapes.FirstFrame

SHOTS_MAX: Final = 12
IN_A_ROW: Final = 4
FRAME: Final = (140, 96)
CELL: Final = 2 * FRAME[0] + 6
CAPTION: Final = 20
MARGIN: Final = 12
PAPER: Final = (24, 24, 27)
LINE: Final = (82, 82, 91)
INK: Final = (228, 228, 231)
INKS: Final = {"waiting": (250, 204, 21), "failed": (248, 113, 113), "pending": (113, 113, 122)}
KEPT: Final = 256  # Small pictures in memory, 40 KB each; a film is asked about again and again.


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """A PNG, 1,204 pixels wide and at most 1,548 high. *frames*: how many pictures are in it; *shots*: which ones."""

    png: bytes
    frames: int
    shots: tuple[str, ...]


def draw_strip(run: shapes.Run, fetch: FetchFrame, thumbnails: "Thumbnails") -> Strip:
    """
    The shots of *run*, or if there are many the twelve around the first that is not done; anything missing is an empty
    box.

    *fetch* gives the bytes of a picture by its address, None if it cannot be fetched.
    """
    shots = _around_open(run.shots)
    rows = list(_rows(shots))
    width = MARGIN + IN_A_ROW * (CELL + MARGIN)
    sheet = Image.new("RGB", (width, MARGIN + len(rows) * (FRAME[1] + CAPTION + MARGIN)), PAPER)
    frames = 0
    for row, cells in enumerate(rows):
        top = MARGIN + row * (FRAME[1] + CAPTION + MARGIN)
        for column, shot in enumerate(cells):
            left = MARGIN + column * (CELL + MARGIN)
            frames += _draw_cell(sheet, (left, top), shot, lambda frame: thumbnails.of(frame, fetch))
    file = io.BytesIO()
    sheet.save(file, "PNG")
    return Strip(png=file.getvalue(), frames=frames, shots=tuple(shot.id for shot in shots))


class Thumbnails:
    """Frames made small; the latest ones are cached by their content."""

    def __init__(self) -> None:
        self._by_content: dict[str, Image.Image] = {}

    def of(self, frame: StripFrame, fetch: FetchFrame) -> Image.Image | None:
        """The picture within its box; None if it cannot be fetched or read: it is requested again next time."""
        name = (isinstance(frame, shapes.Frame) and frame.sha256) or frame.url
        if (picture := self._by_content.get(name)) is not None:
            return picture
        try:
            picture = Image.open(io.BytesIO(fetch(frame.url) or b"")).convert("RGB")
        except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError):
            return None
        picture.thumbnail(FRAME)
        if len(self._by_content) >= KEPT:
            self._by_content.clear()
        self._by_content[name] = picture
        return picture


def _around_open(shots: Sequence[shapes.Shot]) -> Sequence[shapes.Shot]:
    first = next((index for index, shot in enumerate(shots) if shot.status != "done"), 0)
    begin = max(0, min(first - SHOTS_MAX // 2, len(shots) - SHOTS_MAX))
    return shots[begin : begin + SHOTS_MAX]


def _rows(shots: Sequence[shapes.Shot]) -> Iterator[list[shapes.Shot]]:
    for _, scene in groupby(shots, key=lambda shot: str(shot.scene)):
        cells = list(scene)
        for begin in range(0, len(cells), IN_A_ROW):
            yield cells[begin : begin + IN_A_ROW]


def _draw_cell(
    sheet: Image.Image, corner: tuple[int, int], shot: shapes.Shot, small: Callable[[StripFrame], Image.Image | None]
) -> int:
    """One shot with its caption below; returns how many of its two frames exist."""
    left, top = corner
    pen = ImageDraw.Draw(sheet)
    count = 0
    for place, frame in enumerate(_frames(shot)):
        x = left + place * (FRAME[0] + 6)
        picture = small(frame) if frame else None
        if picture is None:
            pen.rectangle((x, top, x + FRAME[0] - 1, top + FRAME[1] - 1), outline=LINE)
            continue
        sheet.paste(picture, (x + (FRAME[0] - picture.width) // 2, top + (FRAME[1] - picture.height) // 2))
        count += 1
    words = f"{shot.id[:24]}  {shot.status}"
    pen.text((left, top + FRAME[1] + 3), words, fill=INKS.get(shot.status, INK), font=ImageFont.load_default(13))
    return count


def _frames(shot: shapes.Shot) -> tuple[StripFrame | None, StripFrame | None]:
    """The first and the last frame of the take that counts; before it is done, what it was given to begin with."""
    take = next((take for take in shot.takes if take.number == shot.picked), None)
    take = take or (shot.takes[-1] if shot.takes else None)
    if take is None:
        return None, None
    first = take.first_frame if take.first_frame and "/media/" in take.first_frame.url else None
    return take.opening or first, take.last_frame or take.provider_frame
