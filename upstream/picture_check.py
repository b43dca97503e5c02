"""What a picture is, by the first bytes of its file, and which limits of a provider it exceeds. Nothing is decoded."""

import base64
import binascii
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from framerelay.upstream.profile_media import ImageLimits

HEAD_BYTES: Final = 256 << 10  # A JPEG may have a preview of itself before its size.
MEGABYTE: Final = 1_000_000
_FRAMES_OF_JPEG: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH: Final = frozenset((0x01, *range(0xD0, 0xD9)))
_SPELLINGS: Final = {"jpg": "jpeg", "tif": "tiff"}
_NEAR: Final = 0.05  # Makers round the sides of a clip to 8 or 16 pixels.


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenPicture:
    """A picture as far as it is known: *kind* (``png``), bytes, and pixels; *about*: what a warning calls it."""

    kind: str | None = None
    size_bytes: int | None = None
    width: int | None = None
    height: int | None = None
    about: str = "this one"

    @property
    def pixels(self) -> str:
        """``1280x720``."""
        return f"{self.width}x{self.height}"


def picture_at(path: Path) -> GivenPicture | None:
    """The picture in the file *path*, by its beginning; None if it is of no kind that we take. Raises: OSError."""
    with path.open("rb") as file:
        return picture_in(file.read(HEAD_BYTES), size_bytes=path.stat().st_size)


def picture_of_data(address: str) -> GivenPicture | None:
    """The picture in a data URI; None if there is none."""
    head, comma, text = address.partition(",")
    if not comma or not head.lower().endswith(";base64"):
        return None
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return picture_in(content[:HEAD_BYTES], size_bytes=len(content))


def picture_in(head: bytes, *, size_bytes: int) -> GivenPicture | None:
    """What a file of *size_bytes* that begins with *head* is; None if it is no picture, sizes if they can be read."""
    for kind, (is_one, size_of) in _KINDS.items():
        if is_one(head):
            width, height = size_of(head) or (None, None)
            return GivenPicture(kind=kind, size_bytes=size_bytes, width=width, height=height)
    return None


def made_picture(fields: Mapping[str, object], ratio: object, about: str) -> GivenPicture | None:
    """
    The approximate last frame of a clip that was requested with a resolution among *fields*, and that *ratio*.

    Sizes with the same name have about the same area whatever their ratio; None if either is not given.
    """
    sides = re.fullmatch(r"([0-9]{1,2}):([0-9]{1,2})", str(ratio or ""))
    size = re.fullmatch(r"([0-9]{3,4})p", str(fields.get("resolution") or "").lower())
    if sides is None or size is None or not int(sides[1]) or not int(sides[2]):
        return None
    shape, area = int(sides[1]) / int(sides[2]), 16 / 9 * int(size[1]) ** 2
    width, height = math.sqrt(area * shape), math.sqrt(area / shape)
    return GivenPicture(kind="png", width=round(width), height=round(height), about=about)


def broken_limits(
    picture: GivenPicture, limits: ImageLimits, name: str, *, is_exact: bool = True
) -> Iterator[tuple[str, str]]:
    """
    A code and a sentence for each of the *limits* of the provider *name* that *picture* exceeds.

    *is_exact*: its pixels were counted; otherwise values close to a limit count as within it.
    """
    hedge, slack = "as far as is known", 0.0 if is_exact else _NEAR
    if limits.max_mb is not None and (picture.size_bytes or 0) > limits.max_mb * MEGABYTE:
        megabytes, rule = f"{(picture.size_bytes or 0) / MEGABYTE:.1f}", f"pictures of {limits.max_mb:g} MB"
        yield "picture_too_large", f"{name} takes {rule}, {hedge}: {picture.about} has {megabytes}"
    if limits.types and picture.kind and picture.kind not in {_SPELLINGS.get(each, each) for each in limits.types}:
        yield "picture_type", f"{name} takes {', '.join(limits.types)}, {hedge}: {picture.about} is {picture.kind}"
    if not picture.width or not picture.height:
        return
    sides = sorted((picture.width, picture.height))
    if not _is_within(sides[0], limits.side_px, slack) or not _is_within(sides[1], limits.side_px, slack):
        rule = f"{name} takes pictures with sides of {_words(limits.side_px)} pixels"
        yield "picture_size", f"{rule}, {hedge}: {picture.about} has {picture.pixels}"
    if not _is_within(picture.width / picture.height, limits.ratio, slack):
        rule = f"{name} takes pictures {_words(limits.ratio)} times as wide as they are high"
        yield "picture_ratio", f"{rule}, {hedge}: {picture.about} has {picture.pixels}"


def _is_within(value: float, limits: list[int | None] | list[float | None] | None, slack: float) -> bool:
    least, most = _ends(limits)
    return (least is None or value >= least * (1 - slack)) and (most is None or value <= most * (1 + slack))


def _ends(limits: list[int | None] | list[float | None] | None) -> tuple[float | None, float | None]:
    least, most = (*(limits or ()), None, None)[:2]
    return least, most


def _words(limits: list[int | None] | list[float | None] | None) -> str:
    least, most = _ends(limits)
    if least is None:
        return f"at most {most:g}"
    return f"at least {least:g}" if most is None else f"{least:g} to {most:g}"


Sides = tuple[int, int]


def _begins(*magics: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(magics)


def _size_of_png(head: bytes) -> Sides | None:
    return _size(head, 16, 4, "big") if head[12:16] == b"IHDR" else None


def _size_of_gif(head: bytes) -> Sides | None:
    return _size(head, 6, 2, "little")


def _size_of_bmp(head: bytes) -> Sides | None:
    """A negative height: its rows are stored from the top."""
    if len(head) < 26:
        return None
    width, height = (int.from_bytes(head[at : at + 4], "little", signed=True) for at in (18, 22))
    return (width, abs(height)) if width > 0 and height else None


def _size_of_webp(head: bytes) -> Sides | None:
    form = head[12:16]
    if form == b"VP8X":
        size = [int.from_bytes(head[at : at + 3], "little") + 1 for at in (24, 27)]
    elif form == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        size = [(bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1]
    else:
        size = [int.from_bytes(head[at : at + 2], "little") & 0x3FFF for at in (26, 28)]
    return (size[0], size[1]) if len(head) >= 30 and all(size) else None


def _size_of_jpeg(head: bytes) -> Sides | None:
    """From its first frame: segment by segment, each of which says how long it is."""
    at = 2
    while at + 9 <= len(head) and head[at] == 0xFF:
        marker = head[at + 1]
        if marker in _FRAMES_OF_JPEG:
            height, width = (int.from_bytes(head[place : place + 2], "big") for place in (at + 5, at + 7))
            return (width, height) if width and height else None
        if marker == 0xFF:
            at += 1
        elif marker in _WITHOUT_LENGTH:
            at += 2
        else:
            at += 2 + max(2, int.from_bytes(head[at + 2 : at + 4], "big"))
    return None


def _no_size(_: bytes) -> Sides | None:
    return None


def _size(head: bytes, at: int, each: int, order: Literal["big", "little"]) -> Sides | None:
    if len(head) < at + 2 * each:
        return None
    width, height = (int.from_bytes(head[place : place + each], order) for place in (at, at + each))
    return (width, height) if width and height else None


_KINDS: Final[Mapping[str, tuple[Callable[[bytes], bool], Callable[[bytes], Sides | None]]]] = {
    "png": (_begins(b"\x89PNG\r\n\x1a\n"), _size_of_png),
    "jpeg": (_begins(b"\xff\xd8\xff"), _size_of_jpeg),
    "webp": (lambda head: head[:4] == b"RIFF" and head[8:12] == b"WEBP", _size_of_webp),
    "gif": (_begins(b"GIF8"), _size_of_gif),
    "bmp": (_begins(b"BM"), _size_of_bmp),
    "tiff": (_begins(b"II*\x00", b"MM\x00*"), _no_size),
}
