"""
The jobs API: ``POST /v1/jobs``, ``GET /v1/jobs/{id}``, ``POST /v1/files/upload``.

Source: its page (request, response, upload), read in November 2026.
"""

import hashlib
import time
from uuid import uuid4

import msgspec
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from framerelay.sandbox.checks import envelope, read_create, refusal_of
from framerelay.sandbox.dialects import ark
from framerelay.sandbox.job import Dialect, Job, JobRequest
from framerelay.sandbox.refusals import Objection, Refusal
from framerelay.sandbox.service import SandboxService
from framerelay.upstream.wire import CreateAnswer, JobState


def routes(service: SandboxService) -> list[Route]:
    """Its paths."""
    api = _JobsApi(service)
    return [
        Route("/v1/jobs", api.submit, methods=["POST"]),
        Route("/v1/jobs/{job_id}", api.look_up, methods=["GET"]),
        Route("/v1/files/upload", api.upload, methods=["POST"]),
    ]


class _JobsApi:
    """Its calls; ``_answers``: those given to an ``Idempotency-Key``, by the body that came with it."""

    def __init__(self, service: SandboxService) -> None:
        self._service = service
        self._answers: dict[str, tuple[str, object]] = {}
        self._describe = ark.describe if service.options.dialect == "ark" else describe
        self._dialect = Dialect(
            name="jobs",
            new_id=lambda: f"job_{uuid4().hex[:20]}",
            refusal=refusal_of,
            callback_body=self._describe,
            moderation=ark.MODERATED,
            polite={"code": 4001, "message": "The prompt is too long."},
        )

    async def submit(self, request: Request) -> Response:
        """``POST /v1/jobs``."""
        return await self._service.submit(request, self._dialect, self._read, self._create_answer)

    async def _read(self, request: Request, body: bytes) -> JobRequest:
        """The request, unless its key was honored before. Raises: Refusal."""
        create, key = read_create(body), request.headers.get("idempotency-key")
        fingerprint = hashlib.sha256(body).hexdigest()
        if key is not None and key in self._answers:
            first, answer = self._answers[key]
            if first != fingerprint:
                raise envelope(
                    409, "IdempotencyConflict", "This Idempotency-Key came with another body.", kind="Conflict"
                )
            raise Refusal(200, answer)
        body_as_sent = {"model": create.model, "input": msgspec.to_builtins(create.input)}
        return JobRequest(model=create.model, input=create.input, body=body_as_sent, reference=key, detail=fingerprint)

    def _create_answer(self, job: Job) -> object:
        answer = CreateAnswer(id=job.id, model=job.request.model, created=job.created, request_id=job.request_id)
        document = msgspec.to_builtins(answer)
        if job.request.reference and self._service.options.idempotent:
            self._answers[job.request.reference] = (str(job.request.detail), document)
        return document

    async def look_up(self, request: Request) -> Response:
        """``GET /v1/jobs/{id}``."""
        self._service.authenticate(request, self._dialect)
        job = self._service.job(self._dialect, request.path_params["job_id"])
        if job is None:
            raise refusal_of(Objection.ABSENT, "There is no such job.", "id")
        return JSONResponse(self._describe(await self._service.look_up(job)))

    async def upload(self, request: Request) -> Response:
        """``POST /v1/files/upload``."""
        self._service.authenticate(request, self._dialect)
        self._service.maybe_unavailable(self._dialect, "upload", self._service.count("upload"))
        self._service.check_length(request, self._dialect)
        async with request.form(max_files=1, max_fields=8) as form:
            kind, purpose, file = form.get("kind"), form.get("purpose"), form.get("file")
            if kind not in ("image", "video", "audio"):
                raise refusal_of(Objection.WRONG, "kind must be image, video or audio.", "kind")
            if not isinstance(purpose, str) or not 0 < len(purpose) <= 64:
                raise refusal_of(Objection.MISSING, "purpose is missing.", "purpose")
            if not isinstance(file, UploadFile):
                raise refusal_of(Objection.MISSING, "file is missing.", "file")
            content = await file.read()
            name = await self._service.keep_upload(content, file.filename)
        url = f"{self._service.base_url(request)}/files/{name}"
        file_id = name.partition(".")[0]
        answer = {"id": file_id, "object": "file", "url": url, "kind": kind, "purpose": purpose, "bytes": len(content)}
        return JSONResponse(answer | {"created_at": int(time.time())})


def describe(job: Job) -> dict[str, object]:
    """
    The answer to a look-up, which is also the body of a callback.

    ``status`` and ``output.status`` differ while the job runs: the page shows only ``processing`` for the former.
    """
    output: dict[str, object] = {"task_id": job.id, "status": job.state.value}
    if job.state is JobState.SUCCEEDED:
        output["videos"] = [{"url": job.video_url}]
        if job.wants_last_frame:
            output["last_frame_url"] = job.last_frame_url
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
    return document | ark.facts(job)
