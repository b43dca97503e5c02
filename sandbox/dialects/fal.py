"""
fal.ai's queue: ``/fal/{model}``, ``/fal/{app}/requests/{id}``.

Source: fal.ai/docs (queue, webhooks, request errors), fal-client 1.0.3. The queue takes any JSON object: mistakes in it
are reported by the model, when the request runs.
"""

import base64
import hashlib
import time
from collections.abc import Mapping
from typing import Final
from uuid import uuid4

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import UNSET
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from framerelay.sandbox.dialects.bodies import WireBody, check_callback, read
from framerelay.sandbox.dialects.fal_models import MODELS, input_of
from framerelay.sandbox.job import Dialect, Job, JobRequest
from framerelay.sandbox.refusals import Objection, Refusal, complaint_of
from framerelay.sandbox.service import SandboxService
from framerelay.upstream.wire import JobInput, JobState

POLICY: Final = "content_policy_violation"
MODERATED: Final = (
    POLICY,
    "The content could not be processed because it contained material flagged by a content checker.",
)


def routes(service: SandboxService) -> list[Route]:
    """Its paths; those of a request contain only the app, without the rest of the model's name."""
    api = _FalApi(service)
    requests = "/fal/{owner}/{app}/requests/{job_id}"
    return [
        Route("/fal/.well-known/jwks.json", api.keys, methods=["GET"]),
        Route("/fal/storage/upload/initiate", api.initiate, methods=["POST"]),
        Route("/fal/storage/upload/{name}", api.put, methods=["PUT"]),
        Route(f"{requests}/status", api.status, methods=["GET"]),
        Route(f"{requests}/cancel", api.cancel, methods=["PUT"]),
        Route(requests, api.result, methods=["GET"]),
        Route("/fal/{model:path}", api.submit, methods=["POST"]),
    ]


class _FalApi:
    def __init__(self, service: SandboxService) -> None:
        self._service = service
        self._key = Ed25519PrivateKey.generate()
        self._dialect = Dialect(
            name="fal",
            new_id=lambda: str(uuid4()),
            refusal=_refusal,
            callback_body=_callback_body,
            moderation=MODERATED,
            key_word="Key",
            sign=self._sign,
        )

    async def submit(self, request: Request) -> Response:
        return await self._service.submit(request, self._dialect, self._read, self._create_answer)

    async def _read(self, request: Request, body: bytes) -> JobRequest:
        model, kind = request.path_params["model"], MODELS.get(request.path_params["model"])
        if kind is None:
            raise self._dialect.refusal(Objection.MODEL, f"Application '{model}' not found", "model")
        fields: dict[str, object] = read(body, dict[str, object], self._dialect)
        webhook = request.query_params.get("fal_webhook")
        check_callback(webhook, self._dialect, "fal_webhook")
        callback_url = UNSET if webhook is None else webhook
        try:
            create = msgspec.convert(fields, kind)
            return JobRequest(model=model, input=input_of(create, callback_url), body=fields)
        except msgspec.ValidationError as error:
            detail = _detail(*complaint_of(error))
            failure = (str(detail[0]["type"]), str(detail[0]["msg"]))
            job_input = JobInput(prompt="", callback_url=callback_url)
            return JobRequest(model=model, input=job_input, body=fields, error=failure, detail=detail)

    def _create_answer(self, job: Job) -> object:
        address = _address(job)
        return {
            "status": "IN_QUEUE",
            "request_id": job.id,
            "gateway_request_id": job.id,
            "response_url": address,
            "status_url": f"{address}/status",
            "cancel_url": f"{address}/cancel",
            "queue_position": 0,
        }

    async def status(self, request: Request) -> Response:
        job = await self._service.look_up(self._job(request))
        document: dict[str, object] = {"status": _word(job), "request_id": job.id, "response_url": _address(job)}
        if job.state is JobState.QUEUED:
            document |= {"queue_position": 0}
        return JSONResponse(document, 200 if job.state.is_final else 202)

    async def result(self, request: Request) -> Response:
        job = self._job(request)
        if not job.state.is_final:
            raise Refusal(400, {"detail": "Request is still in progress"})
        payload = _payload(job)
        return JSONResponse(payload, 422 if "detail" in payload else 200)

    async def cancel(self, request: Request) -> Response:
        """Only what has not begun can be cancelled."""
        if self._service.renderer.cancel(self._job(request)):
            return JSONResponse({"status": "CANCELLATION_REQUESTED"}, 202)
        raise Refusal(400, {"status": "ALREADY_COMPLETED"})

    def _job(self, request: Request) -> Job:
        self._service.authenticate(request, self._dialect)
        job = self._service.job(self._dialect, request.path_params["job_id"])
        if job is None:
            raise self._dialect.refusal(Objection.ABSENT, "Request not found", "request_id")
        return job

    async def initiate(self, request: Request) -> Response:
        """The first step of an upload, as at rest.fal.ai."""
        self._service.authenticate(request, self._dialect)
        self._service.maybe_unavailable(self._dialect, "upload", self._service.count("upload"))
        upload = read(await self._service.body_of(request, self._dialect), FalUpload, self._dialect)
        name = await self._service.keep_upload(b"", upload.file_name)
        base = self._service.base_url(request)
        return JSONResponse({"upload_url": f"{base}/fal/storage/upload/{name}", "file_url": f"{base}/files/{name}"})

    async def put(self, request: Request) -> Response:
        """The second one; knowing the address is the permission."""
        name = request.path_params["name"]
        if self._service.storage.find("uploads", name) is None:
            raise self._dialect.refusal(Objection.ABSENT, "There is no such upload.", "name")
        self._service.storage.keep("uploads", name, await self._service.body_of(request, self._dialect))
        return Response()

    async def keys(self, request: Request) -> Response:
        """The keys with which callbacks are signed."""
        public = base64.urlsafe_b64encode(self._key.public_key().public_bytes_raw()).decode().rstrip("=")
        return JSONResponse({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": public}]})

    def _sign(self, job: Job, body: bytes) -> Mapping[str, str]:
        user, now = "sandbox", str(int(time.time()))
        message = "\n".join((job.id, user, now, hashlib.sha256(body).hexdigest()))
        return {
            "X-Fal-Webhook-Request-Id": job.id,
            "X-Fal-Webhook-User-Id": user,
            "X-Fal-Webhook-Timestamp": now,
            "X-Fal-Webhook-Signature": self._key.sign(message.encode()).hex(),
        }


class FalUpload(WireBody, frozen=True, kw_only=True):
    """The request that begins an upload."""

    file_name: str
    content_type: str


_STATUS: Final = {
    Objection.KEY: (401, None),
    Objection.MODEL: (404, None),
    Objection.ABSENT: (404, None),
    Objection.TOO_LARGE: (413, None),
    Objection.NO_LENGTH: (411, None),
    Objection.BUSY: (503, "runner_scheduling_failure"),
    Objection.INTERNAL: (500, "internal_error"),
}


def _refusal(trouble: Objection, message: str, field: str) -> Refusal:
    """Flat for what the queue itself refuses, typed objects for what is wrong with a request."""
    if trouble in (Objection.RATE, Objection.FULL):
        return Refusal(429, {"error": {"message": message, "code": 429}})
    if trouble in (Objection.MISSING, Objection.WRONG):
        return Refusal(422, {"detail": _detail(trouble, message, field)})
    status, error_type = _STATUS[trouble]
    if error_type is None:
        return Refusal(status, {"detail": message})
    return Refusal(status, {"detail": message, "error_type": error_type}, {"X-Fal-Error-Type": error_type})


def _detail(trouble: Objection, message: str, field: str) -> list[dict[str, object]]:
    kind = "value_error.missing" if trouble is Objection.MISSING else "value_error"
    return [{"loc": ["body", *field.split(".")], "msg": message, "type": kind}]


def _address(job: Job) -> str:
    app = "/".join(job.request.model.split("/")[:2])
    return f"{job.base_url}/fal/{app}/requests/{job.id}"


def _word(job: Job) -> str:
    """Whatever the outcome, a request that has ended is completed."""
    if job.state.is_final:
        return "COMPLETED"
    return "IN_QUEUE" if job.state is JobState.QUEUED else "IN_PROGRESS"


def _payload(job: Job) -> dict[str, object]:
    """The model's own output, or what it found wrong."""
    if job.state is JobState.SUCCEEDED:
        video = {"url": job.video_url, "content_type": "video/mp4", "file_name": job.video_name}
        return {"video": video, "seed": job.seed}
    if job.request.detail is not None:
        return {"detail": job.request.detail}
    code, message = job.error or ("generation_timeout", "The request timed out.")
    place = ["body", "image_url"] if code.startswith("Invalid") else ["body", "prompt"]
    return {"detail": [{"loc": place, "msg": message, "type": code}]}


def _callback_body(job: Job) -> dict[str, object] | None:
    """One callback, at the end."""
    if not job.state.is_final or job.state is JobState.CANCELLED:
        return None
    about: dict[str, object] = {"request_id": job.id, "gateway_request_id": job.id, "payload": _payload(job)}
    if job.state is JobState.SUCCEEDED:
        return about | {"status": "OK"}
    return about | {"status": "ERROR", "error": "Invalid status code: 422"}
