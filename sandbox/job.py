"""One job of the sandbox, and how the API describes it in either dialect."""

import asyncio
import time
from dataclasses import dataclass, field

from msgspec import UNSET

from framerelay.sandbox.clip import FRAMES_PER_SECOND
from framerelay.upstream.wire import CreateRequest, JobState


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One callback: the job's description as it was when it changed."""

    state: JobState
    body: bytes


@dataclass(slots=True, kw_only=True)
class Job:
    """
    A job from its acceptance to its end; only ``Workshop`` changes it.

    ``number`` counts the accepted jobs from 1 and is burnt into the clip. ``ended_at``: its last change, by the
    monotonic clock. ``given`` says which pictures were used, ``callbacks`` what became of each callback; both are for
    tests and bug reports.
    """

    id: str
    number: int
    request: CreateRequest
    base_url: str
    request_id: str
    idempotency_key: str | None
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
    given: dict[str, dict[str, object]] = field(default_factory=dict)
    callbacks: list[dict[str, object]] = field(default_factory=list)
    look_ups: int = 0
    outbox: asyncio.Queue[Letter] = field(default_factory=asyncio.Queue)
    answered: asyncio.Event = field(default_factory=asyncio.Event)
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


def describe(job: Job, dialect: str) -> dict[str, object]:
    """The answer to a look-up, which is also the body of a callback."""
    return _in_arks_words(job) if dialect == "ark" else _in_jobs_words(job)


def _in_jobs_words(job: Job) -> dict[str, object]:
    """``status`` and ``output.status`` differ while the job runs: the page shows only ``processing`` for the former."""
    output: dict[str, object] = {"task_id": job.id, "status": job.state.value}
    if job.state is JobState.SUCCEEDED:
        output["videos"] = [{"url": f"{job.base_url}/outputs/{job.video_name}"}]
        if job.wants_last_frame:
            output["last_frame_url"] = f"{job.base_url}/outputs/{job.last_frame_name}"
    document: dict[str, object] = {
        "id": job.id,
        "object": "job",
        "status": "processing" if job.state is JobState.RUNNING else job.state.value,
        "model": job.request.model,
        "created": job.created,
        "updated": job.updated,
        "request_id": job.request_id,
        "output": output,
    }
    return document | _facts(job)


def _in_arks_words(job: Job) -> dict[str, object]:
    document: dict[str, object] = {
        "id": job.id,
        "model": job.request.model,
        "status": job.state.value,
        "created_at": job.created,
        "updated_at": job.updated,
        "service_tier": "default",
    }
    if job.state is JobState.SUCCEEDED:
        content = {"video_url": f"{job.base_url}/outputs/{job.video_name}"}
        if job.wants_last_frame:
            content["last_frame_url"] = f"{job.base_url}/outputs/{job.last_frame_name}"
        document["content"] = content
    return document | _facts(job)


def _facts(job: Job) -> dict[str, object]:
    """What stands beside the result in both dialects: facts of a success, the reason of a failure."""
    if job.error:
        code, message = job.error
        return {"error": {"code": code, "message": message}}
    if job.state is not JobState.SUCCEEDED:
        return {}
    tokens = job.width * job.height * job.frames // 1024
    return {
        "seed": job.seed,
        "resolution": job.resolution,
        "ratio": job.ratio,
        "duration": max(1, (job.frames - 1) // FRAMES_PER_SECOND),
        "framespersecond": FRAMES_PER_SECOND,
        "usage": {"completion_tokens": tokens, "total_tokens": tokens},
    }
