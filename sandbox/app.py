"""
The sandbox over HTTP.

The three calls of the jobs API, its files, and ``/sandbox/…``: what was asked of it, for tests and bug reports.
"""

import asyncio
import hashlib
import hmac
import re
import time
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TypedDict
from uuid import uuid4

import httpx
import msgspec
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from framerelay.sandbox.checks import RequestRefusal, read_create
from framerelay.sandbox.faults import LAG_S, SLOW_S
from framerelay.sandbox.job import Job, describe
from framerelay.sandbox.options import SandboxOptions
from framerelay.sandbox.storage import Storage
from framerelay.sandbox.workshop import Workshop
from framerelay.upstream.wire import CreateAnswer, JobState

BODY_BYTES_MAX = 64 * 1024 * 1024
SUBMITS_KEPT_MAX = 10_000


def create_sandbox(options: SandboxOptions) -> Starlette:
    """
    The sandbox as an ASGI application; the caller runs it.

        server = uvicorn.Server(uvicorn.Config(create_sandbox(options), host="127.0.0.1", port=0, log_config=None))

    Its lifespan must run (uvicorn's default). It forgets its jobs when it ends and leaves its files. ``GET
    /sandbox/jobs`` (no key) answers ``{submits, jobs, jobs_per_callback_url, repeated_keys}``.
    """
    sandbox = _Sandbox(options)
    routes = [
        Route("/v1/jobs", sandbox.submit, methods=["POST"]),
        Route("/v1/jobs/{job_id}", sandbox.look_up, methods=["GET"]),
        Route("/v1/files/upload", sandbox.upload, methods=["POST"]),
        Route("/files/{name}", sandbox.uploaded, methods=["GET"]),
        Route("/outputs/{name}", sandbox.rendered, methods=["GET"]),
        Route("/sandbox/jobs", sandbox.journal, methods=["GET"]),
        Route("/sandbox/inputs/{name}", sandbox.given, methods=["GET"]),
    ]
    return Starlette(routes=routes, lifespan=sandbox.lifespan, exception_handlers={RequestRefusal: _refuse})


class _Submit(TypedDict):
    """One POST that came in, accepted or not."""

    number: int
    at: float
    idempotency_key: str | None
    answer: int
    job_id: str | None


class _Sandbox:
    """The handlers of one sandbox, and what they share."""

    def __init__(self, options: SandboxOptions) -> None:
        self._options = options
        self._storage = Storage(options.folder, options.folder_bytes_max)
        self._submits: deque[_Submit] = deque(maxlen=SUBMITS_KEPT_MAX)
        self._submitted = 0
        self._requests: Counter[str] = Counter()
        self._answers: dict[str, tuple[str, JSONResponse]] = {}
        self._workshop: Workshop

    @asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        async with httpx.AsyncClient(trust_env=False, timeout=30.0) as client:
            self._workshop = Workshop(self._options, self._storage, client)
            try:
                yield
            finally:
                await self._workshop.close()

    async def submit(self, request: Request) -> Response:
        """``POST /v1/jobs``."""
        self._submitted += 1
        key = request.headers.get("idempotency-key")
        entry = _Submit(number=self._submitted, at=time.time(), idempotency_key=key, answer=500, job_id=None)
        self._submits.append(entry)
        try:
            response = await self._submit(request, entry)
        except RequestRefusal as refusal:
            entry["answer"] = refusal.status
            raise
        entry["answer"] = response.status_code
        return response

    async def _submit(self, request: Request, entry: _Submit) -> Response:
        self._authenticate(request)
        faults = self._options.faults
        if faults.strikes("rate_limit", entry["number"]) or self._workshop.is_full:
            raise RequestRefusal(
                429, "RateLimitExceeded.EndpointRPMExceeded", "Too many requests.", kind="TooManyRequests"
            )
        if faults.strikes("busy", entry["number"]):
            raise RequestRefusal(503, "ServiceUnavailable", "The service is busy.", kind="ServiceUnavailable")
        if faults.strikes("refuse_with_200", entry["number"]):
            return JSONResponse({"code": 4001, "message": "The prompt is too long."})
        body = await _read_body(request)
        create = read_create(body)
        fingerprint = hashlib.sha256(body).hexdigest()
        if (repeated := self._repeated(entry["idempotency_key"], fingerprint)) is not None:
            return repeated
        job = self._workshop.accept(create, base_url=self._base_url(request), idempotency_key=entry["idempotency_key"])
        entry["job_id"] = job.id
        if faults.strikes("early", job.number) and job.callback_url:
            await job.callback_sent.wait()
        if faults.strikes("slow", "submit", job.number):
            await asyncio.sleep(SLOW_S)
        response = _answer(job)
        if entry["idempotency_key"] and self._options.idempotent:
            self._answers[entry["idempotency_key"]] = (fingerprint, response)
        if faults.strikes("accept_then_500", job.number):
            job.answered.set()
            raise RequestRefusal(
                500, "InternalServiceError", "The service encountered an internal error.", kind="InternalError"
            )
        return response

    def _repeated(self, key: str | None, fingerprint: str) -> Response | None:
        """The first answer again, if keys are honoured and this one was seen."""
        if key is None or key not in self._answers:
            return None
        first, answer = self._answers[key]
        if first != fingerprint:
            raise RequestRefusal(
                409, "IdempotencyConflict", "This Idempotency-Key came with another body.", kind="Conflict"
            )
        return answer

    async def look_up(self, request: Request) -> Response:
        """``GET /v1/jobs/{id}``."""
        self._authenticate(request)
        job = self._workshop.jobs.get(request.path_params["job_id"])
        if job is None:
            raise RequestRefusal(404, "NotFound", "There is no such job.", param="id", kind="NotFound")
        job.look_ups += 1
        if self._options.faults.strikes("slow", "look_up", job.number, job.look_ups):
            await asyncio.sleep(SLOW_S)
        self._maybe_unavailable("look_up", job.number, job.look_ups)
        lags = job.state.is_final and time.monotonic() - job.ended_at < LAG_S
        if lags and self._options.faults.strikes("lag", job.number):
            job = replace(job, state=JobState.RUNNING, error=None)
        return JSONResponse(describe(job, self._options.dialect))

    async def upload(self, request: Request) -> Response:
        """``POST /v1/files/upload``."""
        self._authenticate(request)
        self._requests["upload"] += 1
        self._maybe_unavailable("upload", self._requests["upload"])
        _check_length(request)
        async with request.form(max_files=1, max_fields=8) as form:
            kind, purpose, file = form.get("kind"), form.get("purpose"), form.get("file")
            if kind not in ("image", "video", "audio"):
                raise RequestRefusal(400, "InvalidParameter", "kind must be image, video or audio.", param="kind")
            if not isinstance(purpose, str) or not 0 < len(purpose) <= 64:
                raise RequestRefusal(400, "MissingParameter", "purpose is missing.", param="purpose")
            if not isinstance(file, UploadFile):
                raise RequestRefusal(400, "MissingParameter", "file is missing.", param="file")
            content = await file.read()
            suffix = re.search(r"\.[a-z0-9]{1,5}$", (file.filename or "").lower())
        file_id = f"file_{uuid4().hex[:20]}"
        name = file_id + (suffix.group() if suffix else "")
        await asyncio.to_thread(self._storage.keep, "uploads", name, content)
        url = f"{self._base_url(request)}/files/{name}"
        answer = {"id": file_id, "object": "file", "url": url, "kind": kind, "purpose": purpose, "bytes": len(content)}
        return JSONResponse(answer | {"created_at": int(time.time())})

    async def uploaded(self, request: Request) -> Response:
        """``GET /files/{name}``: what was uploaded."""
        return self._file(request, "uploads")

    async def rendered(self, request: Request) -> Response:
        """``GET /outputs/{name}``: clips and last frames, with Range; 403 once expired, as signed URLs are."""
        return self._file(request, "outputs")

    async def given(self, request: Request) -> Response:
        """``GET /sandbox/inputs/{name}``: a first or last frame exactly as a job received it."""
        path = self._storage.find("inputs", request.path_params["name"])
        if path is None:
            raise RequestRefusal(404, "NotFound", "There is no such file.", kind="NotFound")
        return FileResponse(path, media_type="application/octet-stream")

    async def journal(self, request: Request) -> Response:
        """``GET /sandbox/jobs``: every submit, every job, and what they reveal about a client."""
        jobs = list(self._workshop.jobs.values())
        keys = Counter(entry["idempotency_key"] for entry in self._submits if entry["job_id"])
        return JSONResponse(
            {
                "submits": list(self._submits),
                "jobs": [_entry(job) for job in jobs],
                "jobs_per_callback_url": Counter(job.callback_url for job in jobs if job.callback_url),
                "repeated_keys": {key: count for key, count in keys.items() if key and count > 1},
            }
        )

    def _file(self, request: Request, kind: str) -> Response:
        name = request.path_params["name"]
        path = self._storage.find(kind, name)
        if path is None:
            raise RequestRefusal(404, "NotFound", "There is no such file.", kind="NotFound")
        ttl_s = self._options.output_ttl_s
        if kind == "outputs" and ttl_s is not None and time.time() - path.stat().st_mtime > ttl_s:
            raise RequestRefusal(403, "AccessDenied", "Request has expired.", kind="Forbidden")
        self._requests[name] += 1
        self._maybe_unavailable(kind, name, self._requests[name])
        return FileResponse(path)

    def _maybe_unavailable(self, *what: object) -> None:
        if self._options.faults.strikes("unavailable", *what):
            raise RequestRefusal(503, "ServiceUnavailable", "The service is busy.", kind="InternalError")

    def _authenticate(self, request: Request) -> None:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(key.encode(), self._options.key.encode()):
            raise RequestRefusal(401, "AuthenticationError", "The API key is missing or invalid.", kind="Unauthorized")

    def _base_url(self, request: Request) -> str:
        return (self._options.public_url or str(request.base_url)).rstrip("/")


def _answer(job: Job) -> JSONResponse:
    """The create answer; once it is sent, the callbacks may leave."""

    async def release() -> None:
        job.answered.set()

    answer = CreateAnswer(id=job.id, model=job.request.model, created=job.created, request_id=job.request_id)
    headers = {"x-request-id": job.request_id}
    return JSONResponse(msgspec.to_builtins(answer), headers=headers, background=BackgroundTask(release))


def _entry(job: Job) -> dict[str, object]:
    """A job in the journal."""
    return {
        "id": job.id,
        "number": job.number,
        "state": job.state.value,
        "model": job.request.model,
        "input": msgspec.to_builtins(job.request.input),
        "idempotency_key": job.idempotency_key,
        "seed": job.seed,
        "size": [job.width, job.height],
        "frames": job.frames,
        "error": job.error,
        "given": job.given,
        "look_ups": job.look_ups,
        "callbacks": job.callbacks,
    }


async def _read_body(request: Request) -> bytes:
    _check_length(request)
    return await request.body()


def _check_length(request: Request) -> None:
    """The server holds clients to the length that they announce, so the announcement is enough."""
    length = request.headers.get("content-length", "")
    if not length.isdigit():
        raise RequestRefusal(411, "MissingParameter", "Content-Length is missing.")
    if int(length) > BODY_BYTES_MAX:
        raise RequestRefusal(413, "InvalidParameter", f"The request is larger than {BODY_BYTES_MAX} bytes.")


async def _refuse(request: Request, error: Exception) -> Response:
    """The error envelope; a 429 says when to come back."""
    if not isinstance(error, RequestRefusal):
        raise error
    headers = {"Retry-After": "1"} if error.status == 429 else {}
    return JSONResponse(msgspec.to_builtins(error.envelope), error.status, headers=headers)
