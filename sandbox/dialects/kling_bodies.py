"""What Kling's new API takes: the bodies of its calls."""

import base64
from typing import Final, Literal

import msgspec
from msgspec import UNSET, UnsetType

from framerelay.sandbox.dialects.bodies import WireBody
from framerelay.upstream.wire import JobInput

LIST_MAX: Final = 500


class KlingPrompt(WireBody, frozen=True, kw_only=True, tag_field="type", tag="prompt"):
    text: str


class KlingFirstFrame(WireBody, frozen=True, kw_only=True, tag_field="type", tag="first_frame"):
    url: str


class KlingLastFrame(WireBody, frozen=True, kw_only=True, tag_field="type", tag="last_frame"):
    url: str


class KlingSettings(WireBody, frozen=True, kw_only=True):
    resolution: Literal["720p", "1080p", "4k"] | UnsetType = UNSET
    duration: int | UnsetType = UNSET
    audio: Literal["native", "off"] | UnsetType = UNSET
    multi_shot: bool | UnsetType = UNSET
    aspect_ratio: Literal["16:9", "9:16", "1:1"] | UnsetType = UNSET


class KlingWatermark(WireBody, frozen=True, kw_only=True):
    enabled: bool


class KlingOptions(WireBody, frozen=True, kw_only=True):
    callback_url: str | UnsetType = UNSET
    external_task_id: str | UnsetType = UNSET
    watermark_info: KlingWatermark | UnsetType = UNSET


class KlingCreate(WireBody, frozen=True, kw_only=True):
    """The body of a create."""

    contents: list[KlingPrompt | KlingFirstFrame | KlingLastFrame]
    settings: KlingSettings = KlingSettings()
    options: KlingOptions = KlingOptions()


class KlingFilter(WireBody, frozen=True, kw_only=True):
    key: Literal["status", "product_type"]
    values: list[str]


class KlingPage(WireBody, frozen=True, kw_only=True):
    """The body of a listing; its times are milliseconds, as text."""

    start_time: str | UnsetType = UNSET
    end_time: str | UnsetType = UNSET
    cursor: str | UnsetType = UNSET
    limit: int = LIST_MAX
    filters: list[KlingFilter] = msgspec.field(default_factory=list)


def input_of(create: KlingCreate) -> JobInput:
    """*create* in the words of the jobs API."""
    settings, options = create.settings, create.options
    resolution = settings.resolution
    frames = {type(part): part.url for part in create.contents if not isinstance(part, KlingPrompt)}
    return JobInput(
        prompt=next(part.text for part in create.contents if isinstance(part, KlingPrompt)),
        first_frame_url=picture(frames.get(KlingFirstFrame)) or UNSET,
        last_frame_url=picture(frames.get(KlingLastFrame)) or UNSET,
        resolution="1080p" if resolution == "4k" else resolution,
        duration=settings.duration,
        ratio=settings.aspect_ratio,
        callback_url=options.callback_url,
        watermark=options.watermark_info is not UNSET and options.watermark_info.enabled,
        generate_audio=settings.audio == "native",
    )


def picture(url: str | None) -> str | None:
    """A picture is named by its address, or is there as base64 without anything before it."""
    if url is None or url.startswith(("http://", "https://")):
        return url
    try:
        base64.b64decode(url, validate=True)
    except ValueError:
        return None
    return f"data:image/png;base64,{url}" if url else None
