"""A sandbox behind a real uvicorn, a receiver that notes what it is sent, and pictures to give."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
import pytest
import uvicorn
from PIL import Image
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from framerelay.sandbox import SandboxOptions, create_sandbox

KEY = "sk-sandbox"


@asynccontextmanager
async def serve(app: object) -> AsyncIterator[str]:
    """Run *app* under uvicorn in this event loop; yields its address."""
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=2))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        task = asyncio.create_task(server.serve(sockets=[listener]))

        async def is_up() -> bool:
            return server.started or task.done()

        await until(is_up)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task


async def until(probe: Callable[[], Awaitable[object]], *, seconds: float = 90) -> object:
    """Ask *probe* again and again until it answers something true; on time-out, say what it answered last."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not (answer := await probe()):
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(f"waited {seconds} s, and {probe.__qualname__} still answers {answer!r}")
        await asyncio.sleep(0.01)
    return answer


class Client:
    """Speaks to a sandbox, with its key."""

    def __init__(self, url: str, http: httpx.AsyncClient) -> None:
        self.url = url
        self.http = http

    async def post(self, body: object = None, **headers: str) -> httpx.Response:
        return await self.http.post(f"{self.url}/v1/jobs", json=body, headers=headers)

    async def submit(self, **fields: object) -> str:
        response = await self.post({"model": "seedance-1.5-pro-1080p", "input": {"prompt": "rain"} | fields})
        assert response.status_code == 200, response.text
        return response.json()["id"]

    async def get(self, job_id: str) -> dict:
        return (await self.http.get(f"{self.url}/v1/jobs/{job_id}")).json()

    async def wait_for_end(self, job_id: str, state: str = "succeeded") -> dict:
        async def end() -> dict | None:
            document = await self.get(job_id)
            return document if document["status"] in ("succeeded", "failed", "expired") else None

        document = await until(end)
        assert document["status"] == state, document
        return document

    async def callbacks(self, count: int) -> list[dict]:
        """What became of the first job's callbacks, once there are *count*."""

        async def enough() -> list[dict] | None:
            callbacks = (await self.journal())["jobs"][0]["callbacks"]
            return callbacks if len(callbacks) >= count else None

        return await until(enough)

    async def journal(self) -> dict:
        return (await self.http.get(f"{self.url}/sandbox/jobs")).json()


@pytest.fixture
def sandbox(tmp_path: Path) -> Callable[..., AbstractAsyncContextManager[Client]]:
    """``async with sandbox(scale=0.25, …) as client``: small and quick unless told otherwise."""

    @asynccontextmanager
    async def run(**options: object) -> AsyncIterator[Client]:
        quick = {"scale": 0.25, "seconds_per_clip": 0.25, "queue_s": 0.0, "job_s": 0.0, "callback_retry_s": 0.02}
        app = create_sandbox(SandboxOptions(key=KEY, folder=tmp_path / "sandbox", **(quick | options)))
        headers = {"Authorization": f"Bearer {KEY}"}
        # Plain HTTP: loading the certificate authorities for each test would take longer than the test.
        client = httpx.AsyncClient(headers=headers, trust_env=False, timeout=120, verify=False)
        async with serve(app) as url, client as http:
            yield Client(url, http)

    return run


class Receiver:
    """``bodies`` in the order of arrival; ``answers`` are given in turn, the last for ever."""

    def __init__(self) -> None:
        self.url = ""
        self.bodies: list[dict] = []
        self.answers: list[int] = [200]
        self.wait_s = 0.0

    async def receive(self, request: Request) -> Response:
        self.bodies.append(await request.json())
        if self.wait_s:
            await asyncio.sleep(self.wait_s)
        return Response(status_code=self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])

    @property
    def states(self) -> list[str]:
        return [body["status"] for body in self.bodies]

    async def wait_for(self, count: int) -> None:
        async def enough() -> bool:
            return len(self.bodies) >= count

        await until(enough)


@pytest.fixture(scope="session")
def receiving() -> Iterator[Receiver]:
    """One receiver for all tests, in a thread: starting and stopping costs uvicorn 0.3 s each."""
    receiver = Receiver()
    app = Starlette(routes=[Route("/hook", receiver.receive, methods=["POST"])])
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=1))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        receiver.url = f"http://127.0.0.1:{listener.getsockname()[1]}/hook"
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield receiver
        server.should_exit = True
        thread.join(timeout=90)
        assert not thread.is_alive()


@pytest.fixture
def receiver(receiving: Receiver) -> Receiver:
    receiving.bodies, receiving.answers, receiving.wait_s = [], [200], 0.0
    return receiving


@pytest.fixture
def picture() -> Callable[..., Image.Image]:
    """``picture(320, 180)``: a smooth picture with a form in it, so that a shift or a wrong crop is seen."""

    def paint(width: int, height: int) -> Image.Image:
        y, x = np.mgrid[0:height, 0:width]
        pixels = np.stack([60 + 120 * x / width, 40 + 150 * y / height, np.full(x.shape, 90.0)], axis=2)
        pixels[np.hypot(x - width / 3, y - height / 3) < height / 6] = (220, 190, 120)
        return Image.fromarray(pixels.astype(np.uint8))

    return paint


@pytest.fixture
def as_png() -> Callable[[Image.Image], bytes]:
    def encode(image: Image.Image) -> bytes:
        buffer = BytesIO()
        image.save(buffer, "PNG")
        return buffer.getvalue()

    return encode
