"""What only the stories need."""

import io
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any

import pytest
from PIL import Image
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from framerelay.processors import waits
from tests.story.gateways import Json, gateway


@pytest.fixture(autouse=True)
def _all_pauses_are_a_tenth(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tried again is tried as often and in the same order, but sooner."""
    monkeypatch.setitem(waits.retry_wait_s.__kwdefaults__, "least_s", 0.05)
    monkeypatch.setattr("framerelay.runs.takes.LOOK_UP_AGAIN_S", (0.2, 120.0))
    monkeypatch.setattr("framerelay.store.look_ups.REST_S", 0.2)
    monkeypatch.setattr("framerelay.runs.takes.LAGS_S", 0.1)
    monkeypatch.setattr("framerelay.processors.hook.LAGS_S", 0.1)
    monkeypatch.setattr("framerelay.sandbox.service.LAG_S", 0.2)
    monkeypatch.setattr("framerelay.sandbox.service.SLOW_S", 0.2)


@pytest.fixture
def a_picture() -> bytes:
    """A PNG that somebody drew."""
    file = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").resize((640, 360)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def without_uploads() -> Callable[[str], AbstractAsyncContextManager[str]]:
    """``async with without_uploads(url) as gateway``: the provider behind a gateway that has no upload."""

    def change(request: Request, _: int, body: Json) -> Response | Json:
        absence = JSONResponse({"error": {"code": "NotFound", "message": "no such route"}}, 404)
        return absence if request.url.path == "/v1/files/upload" else body

    return partial(gateway, change=change)


@pytest.fixture
def start_behind(start_provider: Any, start_relay: Any) -> Callable[..., AbstractAsyncContextManager[tuple[Any, Any]]]:
    """
    ``async with start_behind(change, {…}, lookup_after_s=…) as (relay, provider)``: with a gateway between the two.

    *change* is given method, status and body of each answer about jobs; the dict is for the provider.
    """

    @asynccontextmanager
    async def start(
        change: Callable[[str, int, Json], Response | Json], sandbox: Json | None = None, **settings: Any
    ) -> AsyncIterator[tuple[Any, Any]]:
        def about_jobs(request: Request, status: int, body: Json) -> Response | Json:
            return change(request.method, status, body) if "/jobs" in request.url.path else body

        async with (
            start_provider(**(sandbox or {})) as provider,
            gateway(provider.url, about_jobs) as url,
            start_relay(url, **settings) as relay,
        ):
            yield relay, provider

    return start
