"""
Runway: ``/runway/v1/image_to_video``, ``/runway/v1/text_to_video``, ``/runway/v1/tasks/{id}``, ``/runway/v1/uploads``.

Source: runwayml 5.24.0 (types of requests and tasks), docs.dev.runwayml.com. It calls nobody back: tasks are polled.
"""

from datetime import UTC, datetime
from typing import Final, Literal
from uuid import uuid4

from msgspec import UNSET, UnsetType
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from framerelay.sandbox.clip import FRAMES_PER_SECOND
from framerelay.sandbox.dialects.bodies import WireBody, check_picture, document, read, wrong
from framerelay.sandbox.job import Dialect, Job, JobRequest
from framerelay.sandbox.refusals import Objection, Refusal
from framerelay.sandbox.service import SandboxService
from framerelay.sandbox.sizes import SIZES
from framerelay.upstream.wire import JobInput, JobState

VERSION: Final = "2024-11-06"
MODERATED: Final = ("SAFETY.OUTPUT.VIDEO", "The generated content was not allowed by our content moderation.")
UPLOAD: Final = "runway://"
DATA_URI_MAX: Final = 5 * 1024 * 1024
_BY_PIXELS: Final = {
    f"{width}:{height}": (resolution, ratio)
    for resolution, sizes in SIZES.items()
    for ratio, (width, height) in sizes.items()
}
_GEN4: Final = {
    "1280:720": ("720p", "16:9"),
    "720:1280": ("720p", "9:16"),
    "1104:832": ("720p", "4:3"),
    "960:960": ("720p", "1:1"),
    "832:1104": ("720p", "3:4"),
    "1584:672": ("720p", "21:9"),
}
RATIOS: Final = {
    **dict.fromkeys(("seedance2", "seedance2_fast", "seedance2_mini"), _BY_PIXELS),
    **dict.fromkeys(("gen4.5", "gen4_turbo"), _GEN4),
}
PROMPT_MAX, PROMPT_MAX_GEN4 = 3500, 1000
WORDS: Final = {
    JobState.QUEUED: "PENDING",
    JobState.RUNNING: "RUNNING",
    JobState.SUCCEEDED: "SUCCEEDED",
    JobState.CANCELLED: "CANCELLED",
}


class RunwayPicture(WireBody, frozen=True, kw_only=True):
    uri: str
    position: Literal["first", "last"]


class RunwayCreate(WireBody, frozen=True, kw_only=True):
    """The body of a create; without a picture it is text to video."""

    model: str
    promptText: str | UnsetType = UNSET
    promptImage: str | list[RunwayPicture] | UnsetType = UNSET
    ratio: str | UnsetType = UNSET
    duration: int | Literal["auto"] | UnsetType = UNSET
    audio: bool | UnsetType = UNSET
    seed: int | UnsetType = UNSET


class RunwayUpload(WireBody, frozen=True, kw_only=True):
    """The request that begins an upload."""

    filename: str
    type: Literal["ephemeral"]


def routes(service: SandboxService) -> list[Route]:
    """Its paths."""
    api = _RunwayApi(service)
    return [
        Route("/runway/v1/image_to_video", api.submit, methods=["POST"]),
        Route("/runway/v1/text_to_video", api.submit, methods=["POST"]),
        Route("/runway/v1/tasks/{job_id}", api.look_up, methods=["GET"]),
        Route("/runway/v1/tasks/{job_id}", api.delete, methods=["DELETE"]),
        Route("/runway/v1/uploads", api.initiate, methods=["POST"]),
        Route("/runway/uploads/{name}", api.post_form, methods=["POST"]),
    ]


class _RunwayApi:
    def __init__(self, service: SandboxService) -> None:
        self._service = service
        self._dialect = Dialect(
            name="runway",
            new_id=lambda: str(uuid4()),
            refusal=_refusal,
            callback_body=lambda job: None,
            moderation=MODERATED,
        )

    async def submit(self, request: Request) -> Response:
        return await self._service.submit(request, self._dialect, self._read, _create_answer)

    async def _read(self, request: Request, body: bytes) -> JobRequest:
        self._check_version(request)
        create = read(body, RunwayCreate, self._dialect)
        pictures = self._pictures(create, request)
        self._check(create, pictures, has_image=request.url.path.endswith("/image_to_video"))
        resolution, ratio = RATIOS[create.model].get(create.ratio or "", (UNSET, UNSET))
        job_input = JobInput(
            prompt=create.promptText or "",
            first_frame_url=pictures.get("first", UNSET),
            last_frame_url=pictures.get("last", UNSET),
            resolution=resolution,  # type: ignore[arg-type]
            ratio=ratio,  # type: ignore[arg-type]
            duration=UNSET if create.duration == "auto" else create.duration,
            seed=create.seed,
            generate_audio=create.audio,
        )
        return JobRequest(model=create.model, input=job_input, body=document(body))

    def _check_version(self, request: Request) -> None:
        if request.headers.get("x-runway-version") != VERSION:
            raise Refusal(400, {"error": f"X-Runway-Version must be set, to {VERSION}.", "docUrl": _DOCS})

    def _pictures(self, create: RunwayCreate, request: Request) -> dict[str, str]:
        """Addresses by position; an upload is one of our own files."""
        prompt_image = create.promptImage
        if prompt_image is UNSET:
            return {}
        if isinstance(prompt_image, str):
            return {"first": self._address(prompt_image, request)}
        pictures: dict[str, str] = {each.position: self._address(each.uri, request) for each in prompt_image}
        if not prompt_image or len(pictures) < len(prompt_image) or "first" not in pictures:
            raise wrong(self._dialect, "promptImage", "needs a first image, and each position once")
        return pictures

    def _address(self, uri: str, request: Request) -> str:
        if uri.startswith(UPLOAD):
            if self._service.storage.find("uploads", uri.removeprefix(UPLOAD)) is None:
                raise wrong(self._dialect, "promptImage", "names no upload")
            return f"{self._service.base_url(request)}/files/{uri.removeprefix(UPLOAD)}"
        check_picture(uri, self._dialect, "promptImage")
        if uri.startswith("data:") and len(uri) > DATA_URI_MAX:
            raise wrong(self._dialect, "promptImage", "is a data URI of more than 5 MB")
        return uri

    def _check(self, create: RunwayCreate, pictures: dict[str, str], *, has_image: bool) -> None:
        dialect, is_gen4 = self._dialect, create.model.startswith("gen4")
        most = PROMPT_MAX_GEN4 if is_gen4 else PROMPT_MAX
        if create.model not in RATIOS:
            raise wrong(dialect, "model", "is not known")
        if bool(pictures) != has_image:
            raise wrong(dialect, "promptImage", "does not go with this path")
        if len((create.promptText or "").encode("utf-16-le")) // 2 > most:
            raise wrong(dialect, "promptText", f"has more than {most} characters")
        if not create.promptText and (not has_image or is_gen4):
            raise wrong(dialect, "promptText", "is missing")
        if create.ratio is UNSET and is_gen4:
            raise wrong(dialect, "ratio", "is missing")
        if create.ratio is not UNSET and create.ratio not in RATIOS[create.model]:
            raise wrong(dialect, "ratio", f"is not one of {', '.join(RATIOS[create.model])}")
        if isinstance(create.duration, int) and not 2 <= create.duration <= 15:
            raise wrong(dialect, "duration", "must lie between 2 and 15")
        if create.audio is not UNSET and is_gen4:
            raise wrong(dialect, "audio", f"is not known to {create.model}")

    async def look_up(self, request: Request) -> Response:
        return JSONResponse(_record(await self._service.look_up(self._job(request))))

    async def delete(self, request: Request) -> Response:
        """Cancels queued tasks, and removes the record of finished ones."""
        job = self._job(request)
        (self._service.renderer.forget if job.state.is_final else self._service.renderer.cancel)(job)
        return Response(status_code=204)

    def _job(self, request: Request) -> Job:
        self._service.authenticate(request, self._dialect)
        self._check_version(request)
        job = self._service.job(self._dialect, request.path_params["job_id"])
        if job is None:
            raise _refusal(Objection.ABSENT, "An API resource with that ID was not found.", "id")
        return job

    async def initiate(self, request: Request) -> Response:
        """A form for the bytes, and the name by which a create uses them."""
        self._service.authenticate(request, self._dialect)
        self._check_version(request)
        self._service.maybe_unavailable(self._dialect, "upload", self._service.count("upload"))
        upload = read(await self._service.body_of(request, self._dialect), RunwayUpload, self._dialect)
        name = await self._service.keep_upload(b"", upload.filename)
        address = f"{self._service.base_url(request)}/runway/uploads/{name}"
        return JSONResponse({"uploadUrl": address, "fields": {"key": name}, "runwayUri": f"{UPLOAD}{name}"})

    async def post_form(self, request: Request) -> Response:
        """The second step; having the form is the permission."""
        name = request.path_params["name"]
        async with request.form(max_files=1, max_fields=8) as form:
            file = form.get("file")
            if self._service.storage.find("uploads", name) is None or form.get("key") != name:
                raise _refusal(Objection.ABSENT, "There is no such upload.", "key")
            if not isinstance(file, UploadFile):
                raise wrong(self._dialect, "file", "is missing")
            self._service.storage.keep("uploads", name, await file.read())
        return Response(status_code=204)


_DOCS: Final = "https://docs.dev.runwayml.com/api"
_STATUS: Final = {
    Objection.KEY: 401,
    Objection.ABSENT: 404,
    Objection.TOO_LARGE: 413,
    Objection.NO_LENGTH: 411,
    Objection.RATE: 429,
    Objection.FULL: 429,
    Objection.BUSY: 503,
    Objection.INTERNAL: 500,
}


def _refusal(trouble: Objection, message: str, field: str) -> Refusal:
    if (status := _STATUS.get(trouble)) is not None:
        return Refusal(status, {"error": message})
    issue = {"code": "custom", "path": field.split("."), "message": message}
    return Refusal(400, {"error": "Validation of body failed", "issues": [issue], "docUrl": _DOCS})


def _credits(job: Job) -> int:
    return 5 * max(1, (job.frames - 1) // FRAMES_PER_SECOND)


def _create_answer(job: Job) -> object:
    return {"id": job.id, "estimatedCost": {"credits": 25}}


def _record(job: Job) -> dict[str, object]:
    """A task; one that succeeded has a new address each time it is requested."""
    created_at = datetime.fromtimestamp(job.created, UTC).isoformat().replace("+00:00", "Z")
    record: dict[str, object] = {"id": job.id, "createdAt": created_at, "status": WORDS.get(job.state, "FAILED")}
    if job.state is JobState.SUCCEEDED:
        return record | {"output": [job.fresh_video_url], "cost": {"credits": _credits(job)}}
    if job.state in (JobState.FAILED, JobState.EXPIRED):
        code, message = job.error or ("INTERNAL", "The task timed out.")
        return record | {"failure": message, "failureCode": code, "cost": {"credits": 0}}
    if job.state is JobState.RUNNING:
        record["progress"] = 0.4
    return record | ({} if job.state.is_final else {"estimatedCost": {"credits": 25}})
