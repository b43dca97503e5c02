"""
MiniMax's V1 API (Hailuo): ``/hailuo/v1/video_generation``, ``/hailuo/v1/query/…``, ``/hailuo/v1/files/retrieve``.

Source: platform.minimax.io (video-generation-i2v, -s2v, -download, query). Errors of a request are reported inside an
HTTP 200; a callback address has to answer a challenge before the create is answered.
"""

from secrets import token_hex
from typing import Final, Literal

import httpx
from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from framerelay.sandbox.dialects.bodies import WireBody, check_callback, check_picture, digits, document, read, wrong
from framerelay.sandbox.job import Dialect, Job, JobRequest
from framerelay.sandbox.refusals import Objection, Refusal
from framerelay.sandbox.service import SandboxService
from framerelay.upstream.wire import JobInput, JobState

CHALLENGE_WAIT_S: Final = 3.0
MODERATED: Final = ("1027", "output new_sensitive")
RESOLUTIONS: Final = {"512P": "480p", "768P": "720p", "1080P": "1080p"}
WITH_LAST_FRAME: Final = ("MiniMax-Hailuo-02",)
MODELS: Final = ("MiniMax-Hailuo-2.3", "MiniMax-Hailuo-2.3-Fast", "MiniMax-Hailuo-02", "I2V-01")
OK: Final = {"status_code": 0, "status_msg": "success"}
_ASKED: Final = {
    JobState.QUEUED: "Queueing",
    JobState.RUNNING: "Processing",
    JobState.SUCCEEDED: "Success",
}
_CALLED: Final = {JobState.RUNNING: "processing", JobState.SUCCEEDED: "success"}


class HailuoCreate(WireBody, frozen=True, kw_only=True):
    """The body of a create."""

    model: str
    prompt: str | UnsetType = UNSET
    first_frame_image: str | UnsetType = UNSET
    last_frame_image: str | UnsetType = UNSET
    duration: int | UnsetType = UNSET
    resolution: Literal["512P", "768P", "1080P"] | UnsetType = UNSET
    prompt_optimizer: bool | UnsetType = UNSET
    fast_pretreatment: bool | UnsetType = UNSET
    aigc_watermark: bool | UnsetType = UNSET
    callback_url: str | UnsetType = UNSET


def routes(service: SandboxService) -> list[Route]:
    """Its paths."""
    api = _HailuoApi(service)
    return [
        Route("/hailuo/v1/video_generation", api.submit, methods=["POST"]),
        Route("/hailuo/v1/query/video_generation", api.look_up, methods=["GET"]),
        Route("/hailuo/v1/files/retrieve", api.retrieve, methods=["GET"]),
    ]


class _HailuoApi:
    def __init__(self, service: SandboxService) -> None:
        self._service = service
        self._dialect = Dialect(
            name="hailuo",
            new_id=lambda: digits(18),
            refusal=_refusal,
            callback_body=_callback_body,
            moderation=MODERATED,
            polite={"base_resp": {"status_code": 2013, "status_msg": "invalid params, the prompt is too long"}},
        )

    async def submit(self, request: Request) -> Response:
        return await self._service.submit(
            request, self._dialect, self._read, lambda job: {"task_id": job.id, "base_resp": OK}
        )

    async def _read(self, request: Request, body: bytes) -> JobRequest:
        create = read(body, HailuoCreate, self._dialect)
        self._check(create)
        if create.callback_url is not UNSET:
            await self._challenge(create.callback_url)
        return JobRequest(model=create.model, input=_input(create), body=document(body))

    def _check(self, create: HailuoCreate) -> None:
        dialect = self._dialect
        if create.model not in MODELS:
            raise wrong(dialect, "model", f"{create.model} is not known")
        if not create.prompt and create.first_frame_image is UNSET:
            raise wrong(dialect, "prompt", "is missing")
        if create.duration is not UNSET and create.duration not in (6, 10):
            raise wrong(dialect, "duration", "must be 6 or 10")
        if create.resolution == "1080P" and create.duration == 10:
            raise wrong(dialect, "duration", "must be 6 at 1080P")
        if create.last_frame_image is not UNSET and create.model not in WITH_LAST_FRAME:
            raise wrong(dialect, "last_frame_image", f"is not known to {create.model}")
        if create.model == "I2V-01" and create.first_frame_image is UNSET:
            raise wrong(dialect, "first_frame_image", "is missing")
        check_callback(create.callback_url or None, dialect, "callback_url")
        check_picture(create.first_frame_image or None, dialect, "first_frame_image")
        check_picture(create.last_frame_image or None, dialect, "last_frame_image")

    async def _challenge(self, url: str) -> None:
        """The address has to send back what it is sent, within three seconds. Raises: Refusal."""
        challenge = {"challenge": token_hex(16)}
        try:
            answer = await self._service.client.post(url, json=challenge, timeout=CHALLENGE_WAIT_S)
            is_echo = answer.status_code == 200 and answer.json() == challenge
        except (httpx.HTTPError, httpx.InvalidURL, ValueError):
            is_echo = False
        if not is_echo:
            raise wrong(self._dialect, "callback_url", "did not answer the challenge")

    async def look_up(self, request: Request) -> Response:
        """The state of the job; a clip is named by a file."""
        self._service.authenticate(request, self._dialect)
        job = self._service.job(self._dialect, request.query_params.get("task_id", ""))
        if job is None:
            raise wrong(self._dialect, "task_id", "is not known")
        job = await self._service.look_up(job)
        return JSONResponse(_record(job, _ASKED.get(job.state, "Fail")))

    async def retrieve(self, request: Request) -> Response:
        """Where the file of a clip is; a new address each time."""
        self._service.authenticate(request, self._dialect)
        file_id = request.query_params.get("file_id", "")
        jobs = self._service.renderer.jobs.values()
        job = next((one for one in jobs if one.dialect is self._dialect and _file_id(one) == file_id), None)
        if job is None or job.state is not JobState.SUCCEEDED:
            raise wrong(self._dialect, "file_id", "is not known")
        self._service.maybe_unavailable(
            self._dialect, "retrieve", job.number, self._service.count(f"retrieve/{job.id}")
        )
        about = {"file_id": file_id, "bytes": 0, "created_at": job.updated, "filename": "output_aigc.mp4"}
        about |= {"purpose": "video_generation", "download_url": job.fresh_video_url}
        return JSONResponse({"file": about, "base_resp": OK})


_CODES: Final = {
    Objection.KEY: (200, 1004),
    Objection.MISSING: (200, 2013),
    Objection.WRONG: (200, 2013),
    Objection.MODEL: (200, 2013),
    Objection.ABSENT: (200, 2013),
    Objection.TOO_LARGE: (200, 2013),
    Objection.NO_LENGTH: (200, 2013),
    Objection.RATE: (200, 1002),
    Objection.FULL: (200, 1002),
    Objection.BUSY: (503, 1000),
    Objection.INTERNAL: (500, 1000),
}
_SENTENCES: Final = {1004: "login fail: ", 2013: "invalid params, ", 1002: "rate limit: ", 1000: "unknown error: "}


def _refusal(trouble: Objection, message: str, field: str) -> Refusal:
    status, code = _CODES[trouble]
    return Refusal(status, {"base_resp": {"status_code": code, "status_msg": f"{_SENTENCES[code]}{message}"}})


def _input(create: HailuoCreate) -> JobInput:
    return JobInput(
        prompt=create.prompt or "",
        first_frame_url=create.first_frame_image,
        last_frame_url=create.last_frame_image,
        duration=create.duration,
        resolution=RESOLUTIONS.get(create.resolution or "", UNSET),  # type: ignore[arg-type]
        callback_url=create.callback_url,
        watermark=create.aigc_watermark,
        generate_audio=False,
    )


def _file_id(job: Job) -> str:
    return job.id[::-1]


def _record(job: Job, word: str) -> dict[str, object]:
    record: dict[str, object] = {"task_id": job.id, "status": word, "base_resp": OK}
    if job.state is JobState.SUCCEEDED:
        record |= {"file_id": _file_id(job), "video_width": job.width, "video_height": job.height}
    elif job.state.is_final:
        code, message = job.error or ("1001", "timeout")
        number = int(code) if code.isdecimal() else 2013
        record["base_resp"] = {"status_code": number, "status_msg": message}
    return record


def _callback_body(job: Job) -> dict[str, object] | None:
    """In a callback the same words are in lower case, and there is no callback before the job runs."""
    if job.state is JobState.QUEUED:
        return None
    return _record(job, _CALLED.get(job.state, "failed"))
