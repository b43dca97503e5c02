"""
Kling's new API: ``/kling/{kind}/{model}``, ``/kling/tasks``.

Source: a mirror of kling.ai/document-api of 2026-09-20 (create, query, callbacks, error codes), and what was measured
there: the client's own id is unique in the account, and a second create with it is refused.
"""

import base64
import hashlib
import hmac
import time
from collections.abc import Mapping
from typing import Any, Final
from uuid import uuid4

from msgspec import UNSET
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from framerelay.sandbox.clip import FRAMES_PER_SECOND
from framerelay.sandbox.dialects.bodies import check_callback, digits, document, read, wrong
from framerelay.sandbox.dialects.kling_bodies import (
    LIST_MAX,
    KlingCreate,
    KlingFirstFrame,
    KlingLastFrame,
    KlingPage,
    KlingPrompt,
    input_of,
    picture,
)
from framerelay.sandbox.job import Dialect, Job, JobRequest
from framerelay.sandbox.refusals import Objection, Refusal
from framerelay.sandbox.service import SandboxService
from framerelay.upstream.wire import JobState

MODERATED: Final = ("1301", "Failure to pass the risk control system")
PROMPT_MAX: Final = 3072
IDS_MAX: Final = 20
WITHOUT_SOUND_FIELDS: Final = ("kling-3.0-turbo", "kling-2.5-turbo")
SECONDS: Final[Mapping[str, tuple[int, ...]]] = {
    "kling-3.0": tuple(range(3, 16)),
    "kling-3.0-turbo": tuple(range(3, 16)),
    "kling-2.6": (5, 10),
    "kling-2.5-turbo": (5, 10),
}
WORDS: Final = {
    JobState.QUEUED: "submitted",
    JobState.RUNNING: "processing",
    JobState.SUCCEEDED: "succeeded",
}


def routes(service: SandboxService) -> list[Route]:
    """Its paths."""
    api = _KlingApi(service)
    return [
        Route("/kling/tasks", api.look_up, methods=["GET"]),
        Route("/kling/tasks", api.page, methods=["POST"]),
        Route("/kling/{kind}/{model}", api.submit, methods=["POST"]),
    ]


class _KlingApi:
    def __init__(self, service: SandboxService) -> None:
        self._service = service
        secret = service.options.webhook_secret
        self._secret = base64.b64decode(secret.removeprefix("whsec_")) if secret else None
        self._dialect = Dialect(
            name="kling",
            new_id=lambda: digits(18),
            refusal=_refusal,
            callback_body=_record,
            moderation=MODERATED,
            sign=self._sign if self._secret else None,
        )

    async def submit(self, request: Request) -> Response:
        return await self._service.submit(request, self._dialect, self._read, lambda job: _answer(_create_answer(job)))

    async def _read(self, request: Request, body: bytes) -> JobRequest:
        kind, model = request.path_params["kind"], request.path_params["model"]
        if kind not in ("image-to-video", "text-to-video") or model not in SECONDS:
            raise _refusal(Objection.MODEL, f"The requested resource {kind}/{model} does not exist", "model")
        create = read(body, KlingCreate, self._dialect)
        self._check(create, kind, model)
        reference = create.options.external_task_id or None
        if reference and any(job.request.reference == reference for job in self._jobs()):
            raise _refusal(Objection.WRONG, f"external_task_id {reference} already exists", "options.external_task_id")
        return JobRequest(model=model, input=input_of(create), body=document(body), reference=reference)

    def _check(self, create: KlingCreate, kind: str, model: str) -> None:
        dialect, settings = self._dialect, create.settings
        prompts = [part.text for part in create.contents if isinstance(part, KlingPrompt)]
        if len(prompts) != 1 or not 0 < len(prompts[0].strip()) <= PROMPT_MAX:
            raise wrong(dialect, "contents.prompt", f"is needed once, and has at most {PROMPT_MAX} characters")
        has_first = any(isinstance(part, KlingFirstFrame) for part in create.contents)
        has_last = any(isinstance(part, KlingLastFrame) for part in create.contents)
        if has_first != (kind == "image-to-video") or (has_last and (not has_first or model == "kling-3.0-turbo")):
            raise wrong(dialect, "contents", "has frames that do not go with this path and model")
        if settings.duration is not UNSET and settings.duration not in SECONDS[model]:
            raise wrong(dialect, "settings.duration", f"is not one of {SECONDS[model]}")
        if model in WITHOUT_SOUND_FIELDS and (settings.audio, settings.multi_shot) != (UNSET, UNSET):
            raise wrong(dialect, "settings", f"has fields that {model} does not know")
        if settings.aspect_ratio is not UNSET and kind == "image-to-video":
            raise wrong(dialect, "settings.aspect_ratio", "is for text-to-video alone")
        check_callback(create.options.callback_url or None, dialect, "options.callback_url")
        for part in create.contents:
            if isinstance(part, KlingFirstFrame | KlingLastFrame) and picture(part.url) is None:
                raise wrong(dialect, "contents.url", "is neither an address nor base64")

    async def look_up(self, request: Request) -> Response:
        """Those of the ids that exist; the others are absent from the list."""
        self._service.authenticate(request, self._dialect)
        ids = request.query_params.get("task_ids", "")
        references = request.query_params.get("external_task_ids", "")
        names = [one for one in (ids or references).split(",") if one]
        if not names or (ids and references) or len(names) > IDS_MAX:
            raise wrong(self._dialect, "task_ids, external_task_ids", f"are needed, one of both, at most {IDS_MAX}")
        jobs = [job for job in self._jobs() if (job.id if ids else job.request.reference) in names]
        return JSONResponse(_answer([_record(await self._service.look_up(job)) for job in jobs]))

    async def page(self, request: Request) -> Response:
        """The newest first; without times those of the last 30 days."""
        self._service.authenticate(request, self._dialect)
        page = read(await self._service.body_of(request, self._dialect), KlingPage, self._dialect)
        times = [one or "" for one in (page.start_time, page.end_time) if one is not UNSET]
        if not 1 <= page.limit <= LIST_MAX or not all(one.isdecimal() for one in [*times, page.cursor or "0"]):
            raise wrong(self._dialect, "start_time, end_time, cursor, limit", "are not numbers in their bounds")
        begin = int(page.cursor or 0)
        fitting = [_record(job) for job in reversed(self._jobs()) if _fits(job, page)]
        more = begin + page.limit < len(fitting)
        result = fitting[begin : begin + page.limit]
        cursor = str(begin + page.limit) if more else ""
        return JSONResponse(_answer({"result": result, "next_cursor": cursor, "has_more": more}))

    def _jobs(self) -> list[Job]:
        return [job for job in self._service.renderer.jobs.values() if job.dialect is self._dialect]

    def _sign(self, job: Job, body: bytes) -> Mapping[str, str]:
        """Standard Webhooks 1.0.0."""
        message_id, now = f"{job.id}-{WORDS.get(job.state, 'failed')}", str(int(time.time()))
        digest = hmac.digest(self._secret or b"", f"{message_id}.{now}.".encode() + body, hashlib.sha256)
        signature = f"v1,{base64.b64encode(digest).decode()}"
        return {"webhook-id": message_id, "webhook-timestamp": now, "webhook-signature": signature}


_CODES: Final = {
    Objection.KEY: (401, 1002),
    Objection.MISSING: (400, 1201),
    Objection.WRONG: (400, 1201),
    Objection.MODEL: (404, 1203),
    Objection.ABSENT: (404, 1203),
    Objection.TOO_LARGE: (400, 1200),
    Objection.NO_LENGTH: (400, 1200),
    Objection.RATE: (429, 1302),
    Objection.FULL: (429, 1303),
    Objection.BUSY: (503, 5001),
    Objection.INTERNAL: (500, 5000),
}


def _refusal(trouble: Objection, message: str, field: str) -> Refusal:
    status, code = _CODES[trouble]
    return Refusal(status, {"code": code, "message": message, "request_id": str(uuid4())})


def _answer(data: object) -> dict[str, object]:
    return {"code": 0, "message": "SUCCEED", "request_id": str(uuid4()), "data": data}


def _fits(job: Job, page: KlingPage) -> bool:
    created_ms = job.created * 1000
    after = page.start_time is UNSET or created_ms >= int(page.start_time)
    before = page.end_time is UNSET or created_ms <= int(page.end_time)
    words = {"status": WORDS.get(job.state, "failed"), "product_type": "video"}
    return after and before and all(words[one.key] in one.values for one in page.filters)


def _create_answer(job: Job) -> dict[str, Any]:
    """The answer to a create: less than a record."""
    about = {"id": job.id, "status": "submitted", "create_time": job.created * 1000, "update_time": job.updated * 1000}
    return about | ({"external_id": job.request.reference} if job.request.reference else {})


def _record(job: Job) -> dict[str, Any]:
    """A job as it is in the answer to a look-up, and alone in a callback."""
    reason = job.error[1] if job.error else ""
    if job.state in (JobState.EXPIRED, JobState.CANCELLED):
        reason = "The task timed out"
    record = _create_answer(job) | {"status": WORDS.get(job.state, "failed"), "message": reason, "outputs": []}
    if job.state is JobState.SUCCEEDED:
        seconds = max(1, (job.frames - 1) // FRAMES_PER_SECOND)
        clip = {"type": "video", "id": job.id, "url": job.video_url, "watermark_url": "", "duration": str(seconds)}
        units = {"charge_type": "unit", "amount": f"{seconds * 0.4:.1f}", "package_type": "video"}
        record |= {"outputs": [clip], "billing": [units]}
    return record
