"""
Volcengine Ark: ``/ark/api/v3/contents/generations/tasks``.

Source: volcengine.com/docs/82379/1520757 (create), 1521309 (get), 1521675 (list), 1521720 (delete), 1299023 (errors).
"""

import random
import string
import time
from typing import Any, Final, Literal

from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from framerelay.sandbox.checks import envelope, refusal_of
from framerelay.sandbox.clip import FRAMES_PER_SECOND
from framerelay.sandbox.dialects.bodies import WireBody, check_callback, check_picture, document, read, wrong
from framerelay.sandbox.job import Dialect, Job, JobRequest
from framerelay.sandbox.refusals import Objection
from framerelay.sandbox.service import SandboxService
from framerelay.upstream.wire import JobInput, JobState

MODERATED: Final = (
    "OutputVideoSensitiveContentDetected",
    "The request failed because the output video may contain sensitive information.",
)
TASKS: Final = "/ark/api/v3/contents/generations/tasks"
MODEL_PREFIXES: Final = ("doubao-seedance-", "dreamina-seedance-", "seedance-", "ep-")
Ratio = Literal["16:9", "4:3", "1:1", "3:4", "9:16", "21:9", "adaptive"]


class ArkText(WireBody, frozen=True, kw_only=True, tag_field="type", tag="text"):
    text: str


class ArkLink(WireBody, frozen=True, kw_only=True):
    url: str


class ImageLink(WireBody, frozen=True, kw_only=True, tag_field="type", tag="image_url"):
    image_url: ArkLink
    role: Literal["first_frame", "last_frame", "reference_image"] = "first_frame"


class VideoLink(WireBody, frozen=True, kw_only=True, tag_field="type", tag="video_url"):
    video_url: ArkLink
    role: Literal["reference_video"]


class AudioLink(WireBody, frozen=True, kw_only=True, tag_field="type", tag="audio_url"):
    audio_url: ArkLink
    role: Literal["reference_audio"]


class ArkCreate(WireBody, frozen=True, kw_only=True):
    """The body of a create; parameters are strictly checked (create page)."""

    model: str
    content: list[ArkText | ImageLink | VideoLink | AudioLink]
    callback_url: str | UnsetType = UNSET
    return_last_frame: bool | UnsetType = UNSET
    service_tier: Literal["default", "flex"] | UnsetType = UNSET
    execution_expires_after: int | UnsetType = UNSET
    safety_identifier: str | UnsetType = UNSET
    priority: int | UnsetType = UNSET
    generate_audio: bool | UnsetType = UNSET
    draft: bool | UnsetType = UNSET
    camera_fixed: bool | UnsetType = UNSET
    watermark: bool | UnsetType = UNSET
    seed: int | UnsetType = UNSET
    resolution: Literal["480p", "720p", "1080p"] | UnsetType = UNSET
    ratio: Ratio | UnsetType = UNSET
    duration: int | UnsetType = UNSET
    frames: int | UnsetType = UNSET


def routes(service: SandboxService) -> list[Route]:
    """Its paths."""
    api = _ArkApi(service)
    return [
        Route(TASKS, api.submit, methods=["POST"]),
        Route(TASKS, api.page, methods=["GET"]),
        Route(f"{TASKS}/{{job_id}}", api.look_up, methods=["GET"]),
        Route(f"{TASKS}/{{job_id}}", api.delete, methods=["DELETE"]),
    ]


class _ArkApi:
    def __init__(self, service: SandboxService) -> None:
        self._service = service
        self._dialect = Dialect(
            name="ark", new_id=_new_id, refusal=refusal_of, callback_body=_callback_body, moderation=MODERATED
        )

    async def submit(self, request: Request) -> Response:
        return await self._service.submit(request, self._dialect, self._read, lambda job: {"id": job.id})

    async def _read(self, request: Request, body: bytes) -> JobRequest:
        create = read(body, ArkCreate, self._dialect)
        if not create.model.startswith(MODEL_PREFIXES):
            raise refusal_of(Objection.MODEL, f"The model or endpoint {create.model} does not exist.", "model")
        self._check(create)
        return JobRequest(model=create.model, input=_input(create), body=document(body))

    def _check(self, create: ArkCreate) -> None:
        dialect, duration, expires = self._dialect, create.duration, create.execution_expires_after
        if duration is not UNSET and duration != -1 and not 2 <= duration <= 30:
            raise wrong(dialect, "duration", "must lie between 2 and 30, or be -1")
        if create.frames is not UNSET and not (29 <= create.frames <= 289 and create.frames % 4 == 1):
            raise wrong(dialect, "frames", "must be 25 + 4n, from 29 to 289")
        if create.seed is not UNSET and not -1 <= create.seed < 2**32:
            raise wrong(dialect, "seed", "must lie between -1 and 4294967295")
        if expires is not UNSET and not 3600 <= expires <= 259_200:
            raise wrong(dialect, "execution_expires_after", "must lie between 3600 and 259200")
        if create.draft is True and create.return_last_frame is True:
            raise wrong(dialect, "return_last_frame", "is not available for a draft")
        check_callback(create.callback_url or None, dialect, "callback_url")
        self._check_content(create)

    def _check_content(self, create: ArkCreate) -> None:
        roles = [part.role for part in create.content if isinstance(part, ImageLink)]
        if not any(isinstance(part, ArkText) and part.text.strip() for part in create.content) and not roles:
            raise refusal_of(Objection.MISSING, "content has neither text nor image.", "content")
        if "last_frame" in roles and "first_frame" not in roles:
            raise wrong(self._dialect, "content", "has a last_frame without a first_frame")
        if len({role.startswith("reference") for role in roles}) > 1:
            raise wrong(self._dialect, "content", "has frames and references, which exclude each other")
        for part in create.content:
            if isinstance(part, ImageLink):
                check_picture(part.image_url.url, self._dialect, "content.image_url.url")

    async def look_up(self, request: Request) -> Response:
        return JSONResponse(describe(await self._service.look_up(self._job(request))))

    async def page(self, request: Request) -> Response:
        """By page, the newest first; ``filter.status``, ``filter.model`` and any number of ``filter.task_ids``."""
        self._service.authenticate(request, self._dialect)
        query = request.query_params
        number, size = query.get("page_num", "1"), query.get("page_size", "20")
        if not (number.isdecimal() and size.isdecimal() and 1 <= int(number) <= 500 and 1 <= int(size) <= 500):
            raise wrong(self._dialect, "page_num, page_size", "must lie between 1 and 500")
        ids = query.getlist("filter.task_ids")
        jobs = [
            describe(job)
            for job in reversed(self._service.renderer.jobs.values())
            if job.dialect is self._dialect
            and query.get("filter.status", job.state.value) == job.state.value
            and query.get("filter.model", job.request.model) == job.request.model
            and (not ids or job.id in ids)
        ]
        begin = (int(number) - 1) * int(size)
        return JSONResponse({"items": jobs[begin : begin + int(size)], "total": len(jobs)})

    async def delete(self, request: Request) -> Response:
        """A queued job is cancelled, the record of a finished one removed; any other is refused."""
        job = self._job(request)
        if job.state in (JobState.SUCCEEDED, JobState.FAILED, JobState.EXPIRED):
            self._service.renderer.forget(job)
        elif not self._service.renderer.cancel(job):
            raise envelope(409, "OperationDenied.TaskState", f"The task is {job.state.value}.", kind="Conflict")
        return JSONResponse({})

    def _job(self, request: Request) -> Job:
        self._service.authenticate(request, self._dialect)
        job = self._service.job(self._dialect, request.path_params["job_id"])
        if job is None:
            raise refusal_of(Objection.ABSENT, "The specified task is not found.", "id")
        return job


def _input(create: ArkCreate) -> JobInput:
    links = {part.role: part.image_url.url for part in create.content if isinstance(part, ImageLink)}
    return JobInput(
        prompt=" ".join(part.text for part in create.content if isinstance(part, ArkText)),
        first_frame_url=links.get("first_frame", UNSET),
        last_frame_url=links.get("last_frame", UNSET),
        resolution=create.resolution,
        duration=create.duration,
        seed=create.seed,
        callback_url=create.callback_url,
        ratio=create.ratio,
        frames=create.frames,
        camera_fixed=create.camera_fixed,
        watermark=create.watermark,
        return_last_frame=create.return_last_frame,
        generate_audio=create.generate_audio,
        draft=create.draft,
    )


def _new_id() -> str:
    tail = "".join(random.choices(string.ascii_lowercase + string.digits, k=5))  # noqa: S311 - a name, not a secret
    return f"cgt-{time.strftime('%Y%m%d%H%M%S', time.gmtime())}-{tail}"


def _callback_body(job: Job) -> dict[str, object] | None:
    """A callback has the body of a look-up; there is none about a job that was cancelled."""
    return None if job.state is JobState.CANCELLED else describe(job)


def describe(job: Job) -> dict[str, object]:
    """The answer to a look-up."""
    record: dict[str, object] = {
        "id": job.id,
        "model": job.request.model,
        "status": job.state.value,
        "created_at": job.created,
        "updated_at": job.updated,
        "service_tier": "default",
    }
    if job.state is JobState.SUCCEEDED:
        content = {"video_url": job.video_url}
        if job.wants_last_frame:
            content["last_frame_url"] = job.last_frame_url
        record["content"] = content
    return record | facts(job)


def facts(job: Job) -> dict[str, Any]:
    """What comes with the result: facts of a success, the reason of a failure."""
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
