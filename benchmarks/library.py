"""A provider that renders nothing: each job is done at once, its clip the next one of a given list of files."""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route


@dataclass
class Library:
    """
    The jobs API over *clips*, in turn; what it saw stays in its fields.

    ``submits``: the input of each job and when it came (monotonic seconds) · ``uploads``: what was uploaded, by name ·
    ``called_back``: when each job's callback left.
    """

    clips: Sequence[Path]
    submits: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    uploads: dict[str, bytes] = field(default_factory=dict)
    called_back: list[float] = field(default_factory=list)
    _http: httpx.AsyncClient | None = None

    def app(self) -> Starlette:
        """The provider over HTTP."""
        return Starlette(
            routes=[
                Route("/v1/jobs", self._submit, methods=["POST"]),
                Route("/v1/jobs/{number:int}", self._look_up),
                Route("/v1/files/upload", self._upload, methods=["POST"]),
                Route("/files/{name}", self._file),
                Route("/clips/{number:int}{ending}", self._clip),
            ],
            lifespan=self._calling,
        )

    def picture_given_to(self, number: int) -> bytes:
        """The bytes of the first frame that job *number* was given by upload."""
        url: str = self.submits[number][1]["first_frame_url"]
        return self.uploads[url.rpartition("/")[2]]

    async def _submit(self, request: Request) -> Response:
        arrived = time.monotonic()
        number = len(self.submits)
        given = (await request.json())["input"]
        self.submits.append((arrived, given))
        job = self._job(request, number)
        return JSONResponse(
            {**job, "status": "processing"}, background=BackgroundTask(self._call_back, given["callback_url"], job)
        )

    @asynccontextmanager
    async def _calling(self, _: Starlette) -> AsyncIterator[None]:
        """Callbacks share a few kept connections: one client for each would cost more than what is measured."""
        few = httpx.Limits(max_connections=16)
        async with httpx.AsyncClient(trust_env=False, verify=False, timeout=120, limits=few) as self._http:
            yield

    async def _call_back(self, url: str, job: dict[str, Any]) -> None:
        assert self._http is not None
        self.called_back.append(time.monotonic())
        await self._http.post(url, json=job)

    async def _look_up(self, request: Request) -> Response:
        return JSONResponse(self._job(request, request.path_params["number"]))

    async def _upload(self, request: Request) -> Response:
        async with request.form() as form:
            file = form["file"]
            assert isinstance(file, UploadFile)
            name = uuid4().hex + ".png"
            self.uploads[name] = await file.read()
        return JSONResponse({"data": {"url": f"{request.base_url}files/{name}"}})

    async def _file(self, request: Request) -> Response:
        return Response(self.uploads[request.path_params["name"]], media_type="image/png")

    async def _clip(self, request: Request) -> Response:
        return FileResponse(self.clips[request.path_params["number"] % len(self.clips)])

    def _job(self, request: Request, number: int) -> dict[str, Any]:
        ending = self.clips[number % len(self.clips)].suffix
        url = f"{request.base_url}clips/{number}{ending}"
        return {"id": str(number), "object": "job", "status": "succeeded", "output": {"videos": [{"url": url}]}}
