"""The whole program against a provider that serves hostile files: one take is lost, with its reason; work goes on."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from framerelay.cli.http import listening_on, serving
from tests.security import hostile_files

pytestmark = pytest.mark.anyio

ONE: dict[str, Any] = {"title": "one", "model": "seedance-1.5-pro-1080p", "shots": [{"id": "s1", "prompt": "a car"}]}
HOSTILE = {
    "playlist of an address": "a playlist (HLS), which is not taken",
    "ten hours": "lasts 4500 s",
}


@dataclass(slots=True)
class Store:
    """Where the provider keeps its clips; with *serves* set, these bytes are what one gets for each."""

    url: str
    provider_url: str = ""
    serves: bytes | None = None


@asynccontextmanager
async def a_store() -> AsyncIterator[Store]:
    """A server between the provider and us, for clips alone."""

    async def output(request: Request) -> Response:
        if store.serves is not None:
            return Response(store.serves, media_type="video/mp4")
        async with httpx.AsyncClient(trust_env=False) as http:
            response = await http.get(f"{store.provider_url}{request.url.path}", params=request.query_params)
        return Response(response.content, response.status_code, media_type="video/mp4")

    with listening_on("127.0.0.1", 0) as listener:
        store = Store(url=f"http://127.0.0.1:{listener.getsockname()[1]}")
        async with serving(Starlette(routes=[Route("/outputs/{name}", output)]), listener):
            yield store


async def test_a_hostile_clip_costs_its_take_alone(start_provider: Any, start_relay: Any) -> None:
    """The take fails with a reason that a person can read; the same worker makes the next run's film."""
    async with a_store() as store, start_provider(options={"public_url": store.url}) as provider:
        store.provider_url = provider.url
        clips = hostile_files.naming_places(store.url.removeprefix("http://")) | hostile_files.excesses()
        async with start_relay(provider.url) as relay:
            for name, words in HOSTILE.items():
                store.serves, _ = clips[name]
                run = await relay.wait_for_end(await relay.run(ONE))
                (take,) = run["shots"][0]["takes"]
                assert (run["status"], take["status"]) == ("failed", "failed"), name
                assert take["error"]["code"] == "clip_unusable", name
                assert words in take["error"]["message"], name
                assert take["video"] is None, name

            store.serves = None
            run = await relay.wait_for_end(await relay.run(ONE))

    assert run["status"] == "succeeded", run["error"]
    assert run["film"]["duration_s"] > 0


async def test_a_hostile_picture_is_neither_sent_nor_paid_for(start_provider: Any, start_relay: Any) -> None:
    """What a person was given as a picture is looked at before it goes to the provider; the shot says what is wrong."""
    async with start_provider() as provider, start_relay(provider.url) as relay:
        bomb, _ = hostile_files.pictures()["PNG of 60000 x 60000"]
        name = (await relay.api.post("/v1/files", content=bomb)).json()["name"]
        run = await relay.wait_for_end(await relay.run({**ONE, "shots": [{**ONE["shots"][0], "first_frame": name}]}))
        journal = await provider.journal()

    assert run["status"] == "failed"
    assert "the picture that was given cannot be used: the picture is too large" in json.dumps(run)
    assert journal["submits"] == []
