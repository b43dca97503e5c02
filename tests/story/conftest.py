"""What only the stories need."""

import io
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import httpx
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from framerelay.cli.http import listening_on, serving
from framerelay.processors import waits


@pytest.fixture(autouse=True)
def _all_pauses_are_a_tenth(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tried again is tried as often and in the same order, but sooner."""
    monkeypatch.setitem(waits.retry_wait_s.__kwdefaults__, "least_s", 0.05)
    monkeypatch.setattr("framerelay.runs.takes.LOOK_UP_AGAIN_S", (0.2, 120.0))
    monkeypatch.setattr("framerelay.processors.turnstile.REST_S", 0.2)
    monkeypatch.setattr("framerelay.runs.takes.LAGS_S", 0.1)
    monkeypatch.setattr("framerelay.processors.hook.LAGS_S", 0.1)
    monkeypatch.setattr("framerelay.sandbox.app.LAG_S", 0.2)
    monkeypatch.setattr("framerelay.sandbox.app.SLOW_S", 0.2)


@pytest.fixture
def a_picture() -> bytes:
    """A PNG that somebody drew."""
    file = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").resize((640, 360)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def without_uploads() -> Callable[[str], AbstractAsyncContextManager[str]]:
    """``async with without_uploads(url) as gateway``: the provider behind a gateway that has no upload."""

    @asynccontextmanager
    async def start(url: str) -> AsyncIterator[str]:
        async with httpx.AsyncClient(base_url=url, trust_env=False) as http:

            async def forward(request: Request) -> Response:
                if request.url.path == "/v1/files/upload":
                    return JSONResponse({"error": {"code": "NotFound", "message": "no such route"}}, 404)
                headers = {"Authorization": request.headers["authorization"], "Content-Type": "application/json"}
                body = await request.body()
                answer = await http.request(request.method, request.url.path, content=body, headers=headers)
                return Response(answer.content, answer.status_code, media_type="application/json")

            app = Starlette(routes=[Route("/{path:path}", forward, methods=["GET", "POST"])])
            with listening_on("127.0.0.1", 0) as listener:
                async with serving(app, listener):
                    yield f"http://127.0.0.1:{listener.getsockname()[1]}"

    return start
