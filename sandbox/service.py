"""
Where requests come in, whatever their dialect: keys, submits with their faults, look-ups, uploads, the journal.

A dialect reads what was submitted and words the answer; nothing else differs between them.
"""

import asyncio
import hmac
import re
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypedDict
from uuid import uuid4

import httpx
import msgspec
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from framerelay.sandbox.faults import LAG_S, SLOW_S
from framerelay.sandbox.job import Dialect, Job, JobRequest
from framerelay.sandbox.options import SandboxOptions
from framerelay.sandbox.refusals import Objection, Refusal
from framerelay.sandbox.renderer import Renderer
from framerelay.sandbox.storage import Storage
from framerelay.upstream.wire import JobState

BODY_BYTES_MAX = 64 * 1024 * 1024
SUBMITS_KEPT_MAX = 10_000
TEXT_SHOWN_MAX = 2_000

ReadRequest = Callable[[Request, bytes], Awaitable[JobRequest]]


class Submit(TypedDict):
    """One POST that came in, accepted or not."""

    number: int
    at: float
    dialect: str
    idempotency_key: str | None
    answer: int
    job_id: str | None


class SandboxService:
    """What one sandbox does. *client* is what it asks others with, and is set, as *renderer* is, while it runs."""

    renderer: Renderer
    client: httpx.AsyncClient

    def __init__(self, options: SandboxOptions, storage: Storage) -> None:
        self.options = options
        self.storage = storage
        self.submits: deque[Submit] = deque(maxlen=SUBMITS_KEPT_MAX)
        self._submits = 0
        self._requests: Counter[str] = Counter()

    async def submit(
        self, request: Request, dialect: Dialect, read: ReadRequest, describe: Callable[[Job], object]
    ) -> Response:
        """A job from what *read* finds in the request, answered as *describe* says. Raises: Refusal."""
        self._submits += 1
        key = request.headers.get("idempotency-key")
        about = {"number": self._submits, "at": time.time(), "dialect": dialect.name, "idempotency_key": key}
        entry = Submit(**about, answer=500, job_id=None)  # type: ignore[typeddict-item]
        self.submits.append(entry)
        try:
            response = await self._submit(request, dialect, read, describe, entry)
        except Refusal as refusal:
            entry["answer"] = refusal.status
            raise
        entry["answer"] = response.status_code
        return response

    async def _submit(
        self, request: Request, dialect: Dialect, read: ReadRequest, describe: Callable[[Job], object], entry: Submit
    ) -> Response:
        self.authenticate(request, dialect)
        self._maybe_refuse(dialect, entry["number"])
        job_request = await read(request, await self.body_of(request, dialect))
        job = self.renderer.accept(job_request, dialect, base_url=self.base_url(request))
        entry["job_id"] = job.id
        faults = self.options.faults
        if faults.strikes("early", job.number) and job.callback_url:
            await job.callback_sent.wait()
        if faults.strikes("slow", "submit", job.number):
            await asyncio.sleep(SLOW_S)
        response = _answer(job, describe(job))
        if faults.strikes("accept_then_500", job.number):
            job.answer_sent.set()
            raise dialect.refusal(Objection.INTERNAL, "The service encountered an internal error.", "")
        return response

    def _maybe_refuse(self, dialect: Dialect, number: int) -> None:
        """What refuses a submit before it is examined."""
        faults = self.options.faults
        if faults.strikes("rate_limit", number):
            raise dialect.refusal(Objection.RATE, "Too many requests.", "")
        if self.renderer.is_full:
            raise dialect.refusal(Objection.FULL, "Too many jobs at once.", "")
        if faults.strikes("busy", number):
            raise dialect.refusal(Objection.BUSY, "The service is busy.", "")
        if dialect.polite is not None and faults.strikes("refuse_with_200", number):
            raise Refusal(200, dialect.polite)

    def job(self, dialect: Dialect, job_id: str) -> Job | None:
        """The job with that id, if it was submitted in that dialect."""
        job = self.renderer.jobs.get(job_id)
        return job if job is not None and job.dialect is dialect else None

    async def look_up(self, job: Job) -> Job:
        """*job* as a look-up shows it. Raises: Refusal."""
        job.look_ups += 1
        faults = self.options.faults
        if faults.strikes("slow", "look_up", job.number, job.look_ups):
            await asyncio.sleep(SLOW_S)
        self.maybe_unavailable(job.dialect, "look_up", job.number, job.look_ups)
        lags = job.state.is_final and time.monotonic() - job.ended_at < LAG_S
        if lags and faults.strikes("lag", job.number):
            return replace(job, state=JobState.RUNNING, error=None)
        return job

    def maybe_unavailable(self, dialect: Dialect, *what: object) -> None:
        """Raises: Refusal, if the switch strikes *what*."""
        if self.options.faults.strikes("unavailable", *what):
            raise dialect.refusal(Objection.BUSY, "The service is busy.", "")

    def count(self, what: str) -> int:
        """How often *what* was requested, including this time."""
        self._requests[what] += 1
        return self._requests[what]

    async def keep_upload(self, content: bytes, filename: str | None) -> str:
        """Keep an uploaded file; returns the name that it has here."""
        suffix = re.search(r"\.[a-z0-9]{1,5}$", (filename or "").lower())
        name = f"file_{uuid4().hex[:20]}" + (suffix.group() if suffix else "")
        await asyncio.to_thread(self.storage.keep, "uploads", name, content)
        return name

    def authenticate(self, request: Request, dialect: Dialect) -> None:
        """Raises: Refusal, unless the key was sent as this provider wants it."""
        word, _, key = request.headers.get("authorization", "").partition(" ")
        is_right = hmac.compare_digest(key.encode(), self.options.key.encode())
        if word.lower() != dialect.key_word.lower() or not is_right:
            raise dialect.refusal(Objection.KEY, "The API key is missing or invalid.", "")

    async def body_of(self, request: Request, dialect: Dialect) -> bytes:
        """The body, whole. Raises: Refusal."""
        self.check_length(request, dialect)
        return await request.body()

    def check_length(self, request: Request, dialect: Dialect) -> None:
        """The server holds clients to the length that they announce, so the announcement is enough."""
        length = request.headers.get("content-length", "")
        if not length.isdigit():
            raise dialect.refusal(Objection.NO_LENGTH, "Content-Length is missing.", "")
        if int(length) > BODY_BYTES_MAX:
            raise dialect.refusal(Objection.TOO_LARGE, f"The request is larger than {BODY_BYTES_MAX} bytes.", "")

    def base_url(self, request: Request) -> str:
        """How others reach the sandbox."""
        return (self.options.public_url or str(request.base_url)).rstrip("/")

    def journal(self) -> dict[str, object]:
        """Every submit, every job, and what they reveal about a client."""
        jobs = list(self.renderer.jobs.values())
        keys = Counter(entry["idempotency_key"] for entry in self.submits if entry["job_id"])
        return {
            "submits": list(self.submits),
            "jobs": [_entry(job) for job in jobs],
            "jobs_per_callback_url": Counter(job.callback_url for job in jobs if job.callback_url),
            "repeated_keys": {key: count for key, count in keys.items() if key and count > 1},
        }


def _answer(job: Job, document: object) -> JSONResponse:
    """The create answer; once it is sent, the callbacks may leave."""

    async def release() -> None:
        job.answer_sent.set()

    headers = {"x-request-id": job.request_id}
    return JSONResponse(document, headers=headers, background=BackgroundTask(release))


def _entry(job: Job) -> dict[str, object]:
    """A job in the journal."""
    return {
        "id": job.id,
        "number": job.number,
        "dialect": job.dialect.name,
        "state": job.state.value,
        "model": job.request.model,
        "input": msgspec.to_builtins(job.request.input),
        "request": _shorten(job.request.body),
        "reference": job.request.reference,
        "idempotency_key": job.request.reference if job.dialect.name == "jobs" else None,
        "seed": job.seed,
        "size": [job.width, job.height],
        "frames": job.frames,
        "error": job.error,
        "given": job.pictures,
        "look_ups": job.look_ups,
        "callbacks": job.callbacks,
    }


def _shorten(value: object) -> object:
    """*value* without the pictures that may be in it."""
    if isinstance(value, str):
        return value if len(value) < TEXT_SHOWN_MAX else f"{value[:80]}…"
    if isinstance(value, list):
        return [_shorten(each) for each in value]
    return {key: _shorten(each) for key, each in value.items()} if isinstance(value, dict) else value
