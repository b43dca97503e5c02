"""
The input fields of the jobs API, as a storyboard may contain them: the kind of value for each, and which are ours.

Values are checked for their kind and passed on as they were written. Which words and ranges a model accepts is up to
the provider: they differ by model and change (see `upstream`), and a refused job costs nothing.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from framerelay.storyboards.notation import excerpt
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

# These have their own rules: a prompt and frames make a shot, and the callback address is ours.
_OWN_RULES: Final = ("prompt", "first_frame_url", "last_frame_url", "callback_url")
PLAIN_FIELDS: Final = tuple(name for name in INPUT_FIELDS if name not in _OWN_RULES)

REFERENCE_FILES: Final[Mapping[str, str]] = {
    "reference_images": "reference_image_urls",
    "reference_videos": "reference_video_urls",
}
"""Keys whose entries may be files, like frames; they are kept under the name of the input field."""

LOCAL: Final = "path:"  # Before a local file, until it is uploaded and becomes ``file:NAME``.

CALLBACK_IS_OURS: Final = (
    "callback_url is ours: FrameRelay is what the provider calls back; to hear of the run yourself, set notify_url"
)


def read_inputs(parts: Mapping[str, Part], *, allow_paths: bool = False) -> dict[str, Any]:
    """The plain input fields among *parts*, unchanged; wrong ones are reported as mistakes and left out."""
    values = {name: _read_input(parts[name], INPUT_FIELDS[name]) for name in parts if name in PLAIN_FIELDS}
    for name, field in REFERENCE_FILES.items():
        if name in parts and field in parts:
            parts[name].complain(f"this says the same as {field}: keep one of the two")
        elif name in parts:
            values[field] = _read_files(parts[name], allow_paths=allow_paths)
    return {name: value for name, value in values.items() if value is not None}


def _read_files(part: Part, *, allow_paths: bool) -> list[str] | None:
    """Each a URL or ``file:NAME`` as written, or a local file with `LOCAL` before it."""
    entries = part.items()
    if entries is None:
        return None
    files = [read_file(entry, allow_paths=allow_paths) for entry in entries]
    return [file for file in files if file is not None]


def read_file(part: Part, *, allow_paths: bool) -> str | None:
    """A URL or ``file:NAME`` as written; a local file with `LOCAL` before it; otherwise a mistake is reported."""
    text = part.text()
    if text is None or is_web_address(text) or DATA.match(text) or GIVEN.fullmatch(text):
        return text
    if SCHEME.match(text):
        part.complain(f'"{excerpt(text)}" cannot be a file here: write {_CHOICE}')
    elif not allow_paths:
        part.complain(NO_PATHS)
    elif "\0" in text or "\n" in text:
        part.complain("a file's name cannot have such signs in it")
    else:
        return f"{LOCAL}{text}"
    return None


DATA: Final = re.compile(r"data:(?:image|video)/[a-z0-9.+-]+[;,]", re.IGNORECASE)
GIVEN: Final = re.compile(r"file:(?:[A-Za-z0-9_]{1,60}/)?[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")
SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")  # Two letters at least: C:\ begins a path.
NO_PATHS: Final = (
    "a file on your computer cannot be read from here: give files with `framerelay run`, or POST them to "
    "/v1/files and use the name it answers"
)
_CHOICE: Final = "a path such as ./refs/street.png, a URL (https://…), or file:NAME of a given file"


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
    """An empty list is a value too: with it, a shot can drop the references of ``defaults``."""
    entries = part.items()
    if entries is None:
        return None
    texts = [entry.text() for entry in entries]
    for entry, text in zip(entries, texts, strict=True):
        if text is not None and not is_reference(text):
            entry.complain(f"a reference must be a URL (https://… or data:…); for files write {_files_key(part)}")
    return [text for text in texts if text is not None]


def _files_key(part: Part) -> str:
    return str(part.path[-1]).removesuffix("_urls") + "s"


def is_reference(text: str) -> bool:
    """Whether the provider can fetch *text*, as far as one can tell: ``scheme://…`` or ``data:…``."""
    scheme, _, rest = text.partition("://")
    foreign = bool(rest) and scheme.isalnum() and scheme.lower() not in ("file", "http", "https")
    return is_web_address(text) or text.startswith("data:") or foreign
