"""The words that profiles are written in: what a key may contain, and what every section has in common."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

Text = str | int | bool
PathText = Annotated[str, Meta(extra={"kind": "path"}, examples=["data.id", "output[0]", "a.b|c"])]
Template = Annotated[Any, Meta(extra={"kind": "template"})]
TemplateText = Annotated[str, Meta(extra={"kind": "template"})]
Fact = Literal["duration", "frames", "fps", "seed", "ratio", "resolution", "cost", "usage", "model", "reference"]
Codes = str | int
StateName = Literal["queued", "running", "succeeded", "failed", "expired", "cancelled"]
FamilyName = Literal[
    "text_moderated",
    "image_moderated",
    "audio_moderated",
    "video_moderated",
    "request_invalid",
    "account",
    "rate",
    "quota",
    "server",
    "expired",
    "cancelled",
    "unknown",
]
Frames = Literal["both", "first", "last", "none"]
MediaForm = Literal["url", "data_uri", "base64", "upload"]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A part of a profile: unknown keys are mistakes."""
