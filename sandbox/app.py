"""
The sandbox over HTTP.

Every dialect's calls, its files, and ``/sandbox/…``: what was asked of it, for tests and bug reports.
"""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from framerelay.sandbox.checks import envelope
from framerelay.sandbox.dialects import ark, fal, hailuo, jobs, kling, runway
from framerelay.sandbox.options import SandboxOptions
from framerelay.sandbox.refusals import Refusal
from framerelay.sandbox.renderer import Renderer
from framerelay.sandbox.service import SandboxService
from framerelay.sandbox.storage import Storage

DIALECTS = (jobs, ark, fal, kling, hailuo, runway)
PATHS = {"ark": "/ark/api/v3", "fal": "/fal", "kling": "/kling", "hailuo": "/hailuo", "runway": "/runway/v1"}
"""The path below which the sandbox imitates the provider of a shipped profile."""


def create_sandbox(options: SandboxOptions) -> Starlette:
    """
    The sandbox as an ASGI application; the caller runs it.

        server = uvicorn.Server(uvicorn.Config(create_sandbox(options), host="127.0.0.1", port=0, log_config=None))

    Its lifespan must run (uvicorn's default). It forgets its jobs when it ends and leaves its files. ``GET
    /sandbox/jobs`` (no key) answers ``{submits, jobs, jobs_per_callback_url, repeated_keys}``.
    """
    storage = Storage(options.folder, options.folder_bytes_max)
    service = SandboxService(options, storage)
    files = _Files(service)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with httpx.AsyncClient(trust_env=False, timeout=30.0) as client:
            service.client, service.renderer = client, Renderer(options, storage, client)
            try:
                yield
            finally:
                await service.renderer.close()

    routes = [
        Route("/files/{name}", files.show_upload, methods=["GET"]),
        Route("/outputs/{name}", files.show_output, methods=["GET"]),
        Route("/sandbox/jobs", files.journal, methods=["GET"]),
        Route("/sandbox/inputs/{name}", files.show_input, methods=["GET"]),
        *(route for dialect in DIALECTS for route in dialect.routes(service)),
    ]
    return Starlette(routes=routes, lifespan=lifespan, exception_handlers={Refusal: _refuse})


class _Files:
    """What is in the sandbox's folder, and its journal."""

    def __init__(self, service: SandboxService) -> None:
        self._service = service

    async def show_upload(self, request: Request) -> Response:
        """``GET /files/{name}``: what was uploaded."""
        return self._file(request, "uploads")

    async def show_output(self, request: Request) -> Response:
        """``GET /outputs/{name}``: clips and last frames, with Range; 403 once expired, as signed URLs are."""
        return self._file(request, "outputs")

    async def show_input(self, request: Request) -> Response:
        """``GET /sandbox/inputs/{name}``: a first or last frame exactly as a job received it."""
        path = self._service.storage.find("inputs", request.path_params["name"])
        if path is None:
            raise envelope(404, "NotFound", "There is no such file.", kind="NotFound")
        return FileResponse(path, media_type="application/octet-stream")

    async def journal(self, request: Request) -> Response:
        """``GET /sandbox/jobs``."""
        return JSONResponse(self._service.journal())

    def _file(self, request: Request, kind: str) -> Response:
        name = request.path_params["name"]
        path = self._service.storage.find(kind, name)
        if path is None:
            raise envelope(404, "NotFound", "There is no such file.", kind="NotFound")
        ttl_s = self._service.options.output_ttl_s
        if kind == "outputs" and ttl_s is not None and _age_s(request, path.stat().st_mtime) > ttl_s:
            raise envelope(403, "AccessDenied", "Request has expired.", kind="Forbidden")
        if self._service.options.faults.strikes("unavailable", kind, name, self._service.count(name)):
            raise envelope(503, "ServiceUnavailable", "The service is busy.", kind="InternalError")
        return FileResponse(path)


def _age_s(request: Request, made_at: float) -> float:
    """How old an address is: as old as its file, unless it says when it was given."""
    stamp = request.query_params.get("issued", "")
    return time.time() - (float(stamp) if stamp.replace(".", "", 1).isdecimal() else made_at)


async def _refuse(request: Request, error: Exception) -> Response:
    if not isinstance(error, Refusal):
        raise error
    return error.response()
