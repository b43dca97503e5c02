"""First and last frames as the sandbox is given them: fetched or unpacked, checked, and cut to the clip's size."""

import base64
import binascii
from dataclasses import dataclass
from io import BytesIO

import httpx
from PIL import Image, ImageOps

IMAGE_BYTES_MAX = 30 * 1024 * 1024
SIDE_MIN, SIDE_MAX = 300, 6000
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")


class ImageRefused(Exception):
    """The image cannot be used; *code* is in the provider's words."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenImage:
    """An image as it came: the bytes, and the picture in them as RGB."""

    content: bytes
    picture: Image.Image


async def fetch_image(client: httpx.AsyncClient, url: str) -> bytes:
    """
    The bytes behind *url* (http, https, or ``data:``), at most 30 MB in 20 s.

    Any address is contacted: this is a tool for your own machine. Raises: ImageRefused.
    """
    if url.startswith("data:"):
        return _unpack(url)
    content = bytearray()
    try:
        async with client.stream("GET", url, timeout=20.0, follow_redirects=True) as response:
            if response.status_code != 200:
                raise ImageRefused("InvalidImageURL.Unreachable", f"The image is answered with {response.status_code}.")
            async for chunk in response.aiter_bytes():
                content += chunk
                if len(content) > IMAGE_BYTES_MAX:
                    raise ImageRefused("InvalidParameter.OversizedImage", "The image is larger than 30 MB.")
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        message = f"The image cannot be fetched ({type(error).__name__})."
        raise ImageRefused("InvalidImageURL.Unreachable", message) from error
    return bytes(content)


def read_image(content: bytes, *, scale: float) -> GivenImage:
    """
    The picture in *content*; sides and ratio are limited as the real API does, sides times *scale*.

    Raises: ImageRefused. Blocks for some milliseconds.
    """
    try:
        with Image.open(BytesIO(content), formats=FORMATS) as image:
            width, height = image.size
            if not SIDE_MIN * scale <= min(width, height) <= max(width, height) <= SIDE_MAX:
                message = f"The image measures {width} x {height}; sides must lie between {SIDE_MIN} and {SIDE_MAX}."
                raise ImageRefused("InvalidParameter.OversizedImage", message)
            if not 0.4 < width / height < 2.5:
                raise ImageRefused("InvalidParameter.ImageRatio", "The image's ratio must lie between 0.4 and 2.5.")
            return GivenImage(content=content, picture=image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        message = "The image cannot be read; jpeg, png, webp, bmp, tiff and gif can."
        raise ImageRefused("InvalidParameter.UnsupportedImageFormat", message) from error


def fit(picture: Image.Image, width: int, height: int) -> Image.Image:
    """*picture* in that size: as it is if it fits, else scaled and cropped around its middle."""
    if picture.size == (width, height):
        return picture
    return ImageOps.fit(picture, (width, height), Image.Resampling.LANCZOS)


def _unpack(url: str) -> bytes:
    head, _, payload = url.partition(",")
    if not head.endswith(";base64") or len(payload) > IMAGE_BYTES_MAX * 4 // 3 + 4:
        raise ImageRefused("InvalidImageURL.InvalidFormat", "A data: URL must be base64, of at most 30 MB.")
    try:
        return base64.b64decode(payload, validate=True)
    except (binascii.Error, ValueError):
        raise ImageRefused("InvalidImageURL.InvalidFormat", "The data: URL is not base64.") from None
