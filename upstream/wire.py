"""
The provider's JSON, one struct per message, as its page shows it.

Source: the jobs API's page (request, response, upload), read in November 2026; value sets and the error envelope are
those of the API behind it (Volcengine Ark, create page dated 2026-02-10, error page 2025-11-07), whose field names the
jobs API flattens into ``input``. We send any mapping (see ``upstream.client``): these structs say what is documented,
and the sandbox refuses anything else.
"""

from enum import StrEnum
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType


class JobInput(msgspec.Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The nineteen input fields of ``POST /v1/jobs``; all but ``prompt`` may be left out."""

    prompt: str
    first_frame_url: str | UnsetType = UNSET
    last_frame_url: str | UnsetType = UNSET
    reference_image_urls: list[str] | UnsetType = UNSET
    reference_video_urls: list[str] | UnsetType = UNSET
    resolution: Literal["480p", "720p", "1080p"] | UnsetType = UNSET
    duration: int | float | UnsetType = UNSET
    aspect_ratio: Literal["16:9", "4:3", "1:1", "3:4", "9:16", "21:9", "adaptive"] | UnsetType = UNSET
    seed: int | UnsetType = UNSET
    callback_url: str | UnsetType = UNSET
    ratio: Literal["16:9", "4:3", "1:1", "3:4", "9:16", "21:9", "adaptive"] | UnsetType = UNSET
    frames: int | UnsetType = UNSET
    camera_fixed: bool | UnsetType = UNSET
    watermark: bool | UnsetType = UNSET
    return_last_frame: bool | UnsetType = UNSET
    service_tier: Literal["auto", "default", "flex"] | UnsetType = UNSET
    generate_audio: bool | UnsetType = UNSET
    execution_expires_after: int | UnsetType = UNSET
    draft: bool | UnsetType = UNSET


class CreateRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The body of ``POST /v1/jobs``."""

    model: str
    input: JobInput


class CreateAnswer(msgspec.Struct, kw_only=True):
    """The answer to ``POST /v1/jobs``; the only status word that the page shows is ``processing``."""

    id: str
    model: str
    created: int
    request_id: str
    object: str = "job"
    status: str = "processing"


class ErrorBody(msgspec.Struct, kw_only=True):
    """What went wrong, in Ark's words; ``type`` is a class of codes such as ``BadRequest``."""

    code: str
    message: str
    param: str = ""
    type: str = ""


class ErrorEnvelope(msgspec.Struct, kw_only=True):
    """The body of every refusal (4xx, 5xx)."""

    error: ErrorBody


class JobState(StrEnum):
    """The state of a job; only ``unknown`` is ours, and it is never final."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"

    @property
    def is_final(self) -> bool:
        """Whether the provider will no longer change it."""
        return self in _FINAL


_FINAL = (JobState.SUCCEEDED, JobState.FAILED, JobState.EXPIRED, JobState.CANCELLED)  # An Enum is slow to hash.

# Words seen at the jobs API, Ark, and the gateways that sell the same models, compared without case.
_WORDS: dict[JobState, str] = {
    JobState.QUEUED: "queued pending submitted waiting queuing created starting not_start preparing",
    JobState.RUNNING: "running processing in_progress generating dreaming throttled",
    JobState.SUCCEEDED: "succeeded succeed success completed complete finish finished ok 1",
    JobState.FAILED: "failed fail failure error nsfw rejected",
    JobState.EXPIRED: "expired timeout timed_out",
    JobState.CANCELLED: "cancelled canceled",
}
_STATE_OF_WORD = {word: state for state, words in _WORDS.items() for word in words.split()}


def read_state(word: str | None) -> JobState:
    """The state that a status word means; a word we do not know is ``unknown``: look again later."""
    if word is None:
        return JobState.UNKNOWN
    if (state := _STATE_OF_WORD.get(word)) is not None:  # Most are written as we list them.
        return state
    return _STATE_OF_WORD.get(word.strip().lower().replace("-", "_").replace(" ", "_"), JobState.UNKNOWN)
