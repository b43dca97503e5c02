"""A provider that renders nothing: jobs are done at once or when told, their clips those of a given list in turn."""

import asyncio
import json
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

ARK = "/api/v3/contents/generations/tasks"


@dataclass
class Library:
    """
    The jobs API over *clips*, in turn, and Ark's below ``/api/v3``; what it saw stays in its fields.

    ``submits``: the input of each job and when it came (monotonic seconds) · ``uploads``: what was uploaded, by name ·
    ``called_back``: when each job's callback left · ``moments``: everything that happened, in order, each with when.
    ``rendering_s``: how long the first jobs take; all others are done at once. ``called_back_after_s``: how long after
    its submit a job calls back.
    """

    clips: Sequence[Path]
    rendering_s: Sequence[float] = ()
    called_back_after_s: float = 0.0
    submits: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    uploads: dict[str, bytes] = field(default_factory=dict)
    called_back: list[float] = field(default_factory=list)
    moments: list[tuple[str, float]] = field(default_factory=list)
    _http: httpx.AsyncClient | None = None

    def app(self) -> Starlette:
        """The provider over HTTP."""
        return Starlette(
            routes=[
                Route("/v1/jobs", self._submit, methods=["POST"]),
                Route("/v1/jobs/{number:int}", self._look_up),
                Route(ARK, self._create_task, methods=["POST"]),
                Route(ARK + "/{number:int}", self._look_up_task),
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
        at = self._note("submit")
        number = len(self.submits)
        fields = (await request.json())["input"]
        self.submits.append((at, fields))
        job = self._job(request, number)
        return JSONResponse({**job, "status": "processing"}, background=self._callback(fields, job))

    async def _create_task(self, request: Request) -> Response:
        """The frame is in the order itself, so the submit has come when all of it has."""
        self._note("upload")
        raw = await request.body()
        self.uploads[uuid4().hex] = raw
        self._note("upload came")
        at, number, fields = self._note("submit"), len(self.submits), json.loads(raw)
        self.submits.append((at, fields))
        return JSONResponse({"id": str(number)}, background=self._callback(fields, self._task(request, number)))

    def _callback(self, fields: dict[str, Any], job: dict[str, Any]) -> BackgroundTask | None:
        return BackgroundTask(self._call_back, fields["callback_url"], job) if "callback_url" in fields else None

    @asynccontextmanager
    async def _calling(self, _: Starlette) -> AsyncIterator[None]:
        """Callbacks share a few kept connections: one client for each would cost more than what is measured."""
        few = httpx.Limits(max_connections=16)
        async with httpx.AsyncClient(trust_env=False, verify=False, timeout=120, limits=few) as self._http:
            yield

    async def _call_back(self, url: str, job: dict[str, Any]) -> None:
        assert self._http is not None
        await asyncio.sleep(self.called_back_after_s)
        self.called_back.append(self._note("callback"))
        await self._http.post(url, json=job)
        self._note("callback answered")

    async def _look_up(self, request: Request) -> Response:
        self._note("look-up")
        return JSONResponse(self._job(request, request.path_params["number"]))

    async def _look_up_task(self, request: Request) -> Response:
        self._note("look-up")
        return JSONResponse(self._task(request, request.path_params["number"]))

    async def _upload(self, request: Request) -> Response:
        self._note("upload")
        async with request.form() as form:
            file = form["file"]
            assert isinstance(file, UploadFile)
            name = uuid4().hex + ".png"
            self.uploads[name] = await file.read()
        self._note("upload came")
        return JSONResponse({"data": {"url": f"{request.base_url}files/{name}"}})

    async def _file(self, request: Request) -> Response:
        return Response(self.uploads[request.path_params["name"]], media_type="image/png")

    async def _clip(self, request: Request) -> Response:
        self._note("clip asked for")
        clip = self.clips[request.path_params["number"] % len(self.clips)]
        return FileResponse(clip, background=BackgroundTask(self._note, "clip sent"))

    def _job(self, request: Request, number: int) -> dict[str, Any]:
        ending = self.clips[number % len(self.clips)].suffix
        url = f"{request.base_url}clips/{number}{ending}"
        if number < len(self.rendering_s) and time.monotonic() < self.submits[number][0] + self.rendering_s[number]:
            return {"id": str(number), "object": "job", "status": "processing"}
        return {"id": str(number), "object": "job", "status": "succeeded", "output": {"videos": [{"url": url}]}}

    def _task(self, request: Request, number: int) -> dict[str, Any]:
        job = self._job(request, number)
        clips = job.get("output", {}).get("videos", [])
        content = {"content": {"video_url": clips[0]["url"]}} if clips else {}
        return {"id": str(number), "model": "m", "status": "succeeded" if clips else "running", **content}

    def _note(self, what: str) -> float:
        now = time.monotonic()
        self.moments.append((what, now))
        return now
