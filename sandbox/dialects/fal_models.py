"""
What the models at fal.ai take: each has fields of its own.

Source: fal.ai's model pages, as third parties quote them. Whether a duration is text or a number is not known of
Seedance, so both are taken.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec
from msgspec import UNSET, UnsetType

from framerelay.sandbox.dialects.bodies import WireBody
from framerelay.upstream.wire import JobInput

Url = str | UnsetType


class SeedanceText(WireBody, frozen=True, kw_only=True):
    """``bytedance/seedance-2.0/text-to-video``; a duration is taken as text and as a number."""

    prompt: str
    resolution: Literal["480p", "720p", "1080p"] | UnsetType = UNSET
    duration: Literal["auto"] | int | str | UnsetType = UNSET
    aspect_ratio: Literal["auto", "21:9", "16:9", "4:3", "1:1", "3:4", "9:16"] | UnsetType = UNSET
    generate_audio: bool | UnsetType = UNSET
    seed: int | UnsetType = UNSET


class SeedanceImage(SeedanceText, frozen=True, kw_only=True):
    """``bytedance/seedance-2.0/image-to-video``."""

    image_url: str
    end_image_url: Url = UNSET


class KlingImage(WireBody, frozen=True, kw_only=True):
    """``fal-ai/kling-video/v2.5-turbo/pro/image-to-video``."""

    prompt: str
    image_url: str
    tail_image_url: Url = UNSET
    duration: Literal["5", "10"] | UnsetType = UNSET
    negative_prompt: str | UnsetType = UNSET
    cfg_scale: float | UnsetType = UNSET


MODELS: Final[Mapping[str, Any]] = {
    "bytedance/seedance-2.0/text-to-video": SeedanceText,
    "bytedance/seedance-2.0/image-to-video": SeedanceImage,
    "bytedance/seedance-2.0/fast/text-to-video": SeedanceText,
    "bytedance/seedance-2.0/fast/image-to-video": SeedanceImage,
    "fal-ai/kling-video/v2.5-turbo/pro/image-to-video": KlingImage,
}


def input_of(create: SeedanceText | KlingImage, callback_url: Url) -> JobInput:
    """*create* in the words of the jobs API. Raises: msgspec.ValidationError."""
    duration = create.duration
    if isinstance(create, KlingImage):
        first, last = create.image_url, create.tail_image_url
        return JobInput(
            prompt=create.prompt,
            first_frame_url=first,
            last_frame_url=last,
            duration=UNSET if duration is UNSET else int(duration),
            callback_url=callback_url,
        )
    seconds = UNSET if duration in (UNSET, "auto") else int(duration)
    if seconds is not UNSET and not 4 <= seconds <= 15:
        raise msgspec.ValidationError("Expected a duration from 4 to 15 - at `$.duration`")
    return JobInput(
        prompt=create.prompt,
        first_frame_url=create.image_url if isinstance(create, SeedanceImage) else UNSET,
        last_frame_url=create.end_image_url if isinstance(create, SeedanceImage) else UNSET,
        resolution=create.resolution,
        ratio="adaptive" if create.aspect_ratio == "auto" else create.aspect_ratio,
        duration=seconds,
        seed=create.seed,
        generate_audio=create.generate_audio,
        callback_url=callback_url,
    )
