"""One job of the sandbox, and what the sandbox needs to know about the provider that it imitates for it."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from msgspec import UNSET

from framerelay.sandbox.refusals import Objection, Refusal
from framerelay.upstream.wire import JobInput, JobState


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """
    How one provider speaks.

    ``key_word`` comes before the key in ``Authorization``. ``refusal``: of the trouble, a sentence and the field that
    it is about. ``callback_body``: of a callback about a job in its current state, None if this provider does not
    call back. ``sign``: headers that prove who sent a body. ``moderation``: code and sentence for a clip that may not
    be shown. ``polite``: a refusal inside an HTTP 200, if the provider has such a form.
    """

    name: str
    new_id: Callable[[], str]
    refusal: Callable[[Objection, str, str], Refusal]
    callback_body: Callable[["Job"], object]
    moderation: tuple[str, str]
    key_word: str = "Bearer"
    sign: Callable[["Job", bytes], Mapping[str, str]] | None = None
    polite: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """
    What was submitted: *input* in the words of the jobs API, *body* as it came.

    ``reference``: the client's own. ``error``: what the job fails with as soon as it runs; ``detail``: that in the
    provider's own form.
    """

    model: str
    input: JobInput
    body: object = None
    reference: str | None = None
    error: tuple[str, str] | None = None
    detail: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingCallback:
    """One callback: the job's description at the time of the change; None if nothing is sent."""

    state: JobState
    body: bytes | None


@dataclass(slots=True, kw_only=True)
class Job:
    """
    A job from its acceptance to its end; only ``Renderer`` changes it.

    ``number`` counts the accepted jobs from 1 and is burnt into the clip. ``ended_at``: its last change, by the
    monotonic clock. ``pictures`` says which were used, ``callbacks`` what became of each callback; both are for
    tests and bug reports.
    """

    id: str
    number: int
    dialect: Dialect
    request: JobRequest
    base_url: str
    request_id: str
    seed: int
    state: JobState = JobState.QUEUED
    created: int = field(default_factory=lambda: int(time.time()))
    updated: int = field(default_factory=lambda: int(time.time()))
    ended_at: float = 0.0
    width: int = 0
    height: int = 0
    frames: int = 0
    resolution: str = ""
    ratio: str = ""
    error: tuple[str, str] | None = None
    pictures: dict[str, dict[str, object]] = field(default_factory=dict)
    callbacks: list[dict[str, object]] = field(default_factory=list)
    look_ups: int = 0
    outbox: asyncio.Queue[OutgoingCallback] = field(default_factory=asyncio.Queue)
    answer_sent: asyncio.Event = field(default_factory=asyncio.Event)
    callback_sent: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def callback_url(self) -> str | None:
        url = self.request.input.callback_url
        return None if url is UNSET else url

    @property
    def wants_last_frame(self) -> bool:
        return self.request.input.return_last_frame is True

    @property
    def video_name(self) -> str:
        return f"{self.id}.mp4"

    @property
    def last_frame_name(self) -> str:
        return f"{self.id}.png"

    @property
    def video_url(self) -> str:
        return f"{self.base_url}/outputs/{self.video_name}"

    @property
    def last_frame_url(self) -> str:
        return f"{self.base_url}/outputs/{self.last_frame_name}"

    @property
    def fresh_video_url(self) -> str:
        """The clip's current address: if each look-up gives a new one, its life begins again."""
        return f"{self.video_url}?issued={time.time():.3f}"
