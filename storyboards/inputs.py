"""
The input fields of the jobs API, as a storyboard may hold them: what kind of value each takes, and which are ours.

Values are checked for their kind and passed on as they were written. Which words and ranges a model accepts is the
provider's to say: they differ by model and change (see `upstream`), and a refused job costs nothing.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from framerelay.storyboards.parts import Part, is_web_address


class FieldKind(StrEnum):
    """What a field takes."""

    TEXT = "text"
    WHOLE_NUMBER = "whole number"
    NUMBER = "number"
    BOOLEAN = "true or false"
    URL = "URL"
    URLS = "list of URLs"


# Source: the input schema on the jobs API's page, November 2026.
INPUT_FIELDS: Final[Mapping[str, FieldKind]] = {
    "prompt": FieldKind.TEXT,
    "first_frame_url": FieldKind.URL,
    "last_frame_url": FieldKind.URL,
    "reference_image_urls": FieldKind.URLS,
    "reference_video_urls": FieldKind.URLS,
    "resolution": FieldKind.TEXT,
    "duration": FieldKind.NUMBER,
    "aspect_ratio": FieldKind.TEXT,
    "seed": FieldKind.WHOLE_NUMBER,
    "callback_url": FieldKind.URL,
    "ratio": FieldKind.TEXT,
    "frames": FieldKind.WHOLE_NUMBER,
    "camera_fixed": FieldKind.BOOLEAN,
    "watermark": FieldKind.BOOLEAN,
    "return_last_frame": FieldKind.BOOLEAN,
    "service_tier": FieldKind.TEXT,
    "generate_audio": FieldKind.BOOLEAN,
    "execution_expires_after": FieldKind.WHOLE_NUMBER,
    "draft": FieldKind.BOOLEAN,
}

# These have rules of their own: a prompt and frames make a shot, the address of the callback is ours.
_OWN_RULES: Final = ("prompt", "first_frame_url", "last_frame_url", "callback_url")
PLAIN_FIELDS: Final = tuple(name for name in INPUT_FIELDS if name not in _OWN_RULES)

CALLBACK_IS_OURS: Final = (
    "callback_url is ours: FrameRelay is what the provider calls back; to hear of the run yourself, set notify_url"
)


def read_inputs(parts: Mapping[str, Part]) -> dict[str, Any]:
    """The plain input fields among *parts*, unchanged; wrong ones are noted as mistakes and left out."""
    values = {name: _read_input(parts[name], INPUT_FIELDS[name]) for name in parts if name in PLAIN_FIELDS}
    return {name: value for name, value in values.items() if value is not None}


def _read_input(part: Part, kind: FieldKind) -> Any:
    match kind:
        case FieldKind.TEXT:
            return part.text()
        case FieldKind.WHOLE_NUMBER:
            return part.whole_number()
        case FieldKind.NUMBER:
            return part.number()
        case FieldKind.BOOLEAN:
            return part.boolean()
        case FieldKind.URLS:
            return _read_urls(part)
        case FieldKind.URL:
            return part.web_address()


def _read_urls(part: Part) -> list[str] | None:
    """An empty list is a value too: a shot can put the references of ``defaults`` away with it."""
    entries = part.items()
    if entries is None:
        return None
    texts = [entry.text() for entry in entries]
    for entry, text in zip(entries, texts, strict=True):
        if text is not None and not is_reference(text):
            entry.complain("a reference must be a URL (https://… or data:…); files are taken for frames alone")
    return [text for text in texts if text is not None]


def is_reference(text: str) -> bool:
    """Whether *text* can be fetched by the provider, as far as one can see: ``scheme://…`` or ``data:…``."""
    scheme, _, rest = text.partition("://")
    foreign = bool(rest) and scheme.isalnum() and scheme.lower() not in ("file", "http", "https")
    return is_web_address(text) or text.startswith("data:") or foreign
