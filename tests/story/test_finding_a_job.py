"""The tour: a submit was cut, the job is there all the same, and is found by the reference that we sent with it."""

import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from framerelay.cli.http import listening_on, serving
from framerelay.processors.orders import address_ends_at
from framerelay.runs.tokens import TakeAddress
from framerelay.sandbox.clip import ClipOrder, render_clip

pytestmark = pytest.mark.anyio

PROFILE = """
profile: 1
id: mine
title: A gateway that takes our reference
base: https://mine.example.com
create: {post: /jobs, body: {prompt: "{prompt}", ref: "{take}"}, id: id}
get: {get: "/jobs/{id}"}
read: {id: id, status: status, states: {busy: running, done: succeeded, bad: failed}, clip: url}
callback: {on: none}
poll: {first_s: 0.01, every_s: 0.01}
recover: {reference: {sent_as: ref, get: "/jobs/by/{take}", twice: refused}}
"""


@dataclass
class Cutting:
    """Makes every job and answers no submit; *before*: what searches are answered, one after the other, at first."""

    clip: Path
    before: list[Response] = field(default_factory=list)
    url: str = ""
    posts: list[str] = field(default_factory=list)
    searches: list[str] = field(default_factory=list)

    def app(self) -> Starlette:
        """Over HTTP."""
        return Starlette(
            routes=[
                Route("/jobs", self._create, methods=["POST"]),
                Route("/jobs/by/{ref}", self._find),
                Route("/jobs/{id}", self._job),
                Route("/clip.mp4", lambda _: FileResponse(self.clip)),
            ]
        )

    async def _create(self, request: Request) -> Response:
        self.posts.append((await request.json())["ref"])
        return Response(status_code=502)  # Of something between us, that knows nothing of the job.

    async def _find(self, request: Request) -> Response:
        self.searches.append(request.path_params["ref"])
        if self.before:
            return self.before.pop(0)
        return self._answer() if self.searches[-1] in self.posts else JSONResponse({}, 404)

    async def _job(self, _: Request) -> Response:
        return self._answer()

    def _answer(self) -> Response:
        job = {"id": "7", "status": "done", "url": f"{self.url}/clip.mp4", "ref": next(iter(self.posts), None)}
        return JSONResponse(job)


@pytest.fixture
def cutting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., AbstractAsyncContextManager[Cutting]]:
    """``async with cutting(answer, …) as provider``: it is the provider ``mine`` of the settings file."""
    monkeypatch.setattr("framerelay.runs.takes.FIND_AGAIN_S", (0.02, 600.0))
    monkeypatch.setenv("MINE_KEY", "sk-mine-mine-mine")
    clip = tmp_path / "clip.mp4"
    order = ClipOrder(number=1, prompt="a car", seed=1, width=160, height=96, frames=6, bframes=0)
    render_clip(order, clip, last_frame_into=None, stop=threading.Event())

    @asynccontextmanager
    async def start(*before: Response) -> AsyncIterator[Cutting]:
        provider = Cutting(clip=clip, before=list(before))
        with listening_on("127.0.0.1", 0) as listener:
            provider.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            (tmp_path / "mine.yaml").write_text(PROFILE, encoding="utf-8")
            mine = f"{{profile: ./mine.yaml, url: '{provider.url}', key_env: MINE_KEY}}"
            (tmp_path / "framerelay.yaml").write_text(f"providers: {{mine: {mine}}}", encoding="utf-8")
            async with serving(provider.app(), listener):
                yield provider

    return start


BOARD = {"provider": "mine", "model": "m", "shots": [{"id": "s1", "prompt": "a car"}]}


@pytest.mark.parametrize(
    "before",
    [
        pytest.param([], id="found at once"),
        pytest.param([(404, {}), (404, {})], id="not there yet"),
        pytest.param([(200, {"id": None})], id="an empty record"),
        pytest.param([(503, {}), (429, {}), (500, {})], id="out of order"),
        pytest.param([(200, ["odd"])], id="nothing that is understood"),
        pytest.param([(401, {"error": "key"})], id="a key that it does not know"),
    ],
)
async def test_a_job_whose_submit_was_cut_is_found_by_our_reference(
    before: list[tuple[int, Any]], cutting: Any, start_relay: Any, wait_until: Callable[..., Awaitable[None]]
) -> None:
    """Whatever the search answers: one POST, one job, and its clip is in the film."""
    answers = [JSONResponse(body, status) for status, body in before]
    async with cutting(*answers) as provider, start_relay("http://127.0.0.1:9") as relay:
        run_id = await relay.run(BOARD)

        async def is_done() -> bool:  # Until then it waits: a person may look at the provider's own list.
            return bool((await relay.view(run_id))["status"] == "succeeded")

        await wait_until(is_done, "its clip is there")
        run = await relay.view(run_id)
        history = [each.fields["event"] for each in await relay.store.history(run_id)]
    assert history.count("job_not_found") == len(before)
    (take,) = run["shots"][0]["takes"]
    assert take["job_id"] == "7"
    assert len(provider.posts) == 1
    assert set(provider.searches) == set(provider.posts), "it was searched for by another reference"
    assert len(provider.searches) == len(before) + 1


async def test_a_callback_without_an_id_that_has_our_reference_finds_the_job_at_once(
    cutting: Any, start_relay: Any, wait_until: Callable[..., Awaitable[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Long before it would be looked for again; one with another's reference is a reason for nothing."""
    calls = PROFILE.replace("callback: {on: none}", "callback: {on: create, reference: ref}")
    monkeypatch.setattr(f"{__name__}.PROFILE", calls)
    async with cutting() as provider, start_relay("http://127.0.0.1:9") as relay:
        monkeypatch.setattr("framerelay.runs.takes.FIND_AGAIN_S", (900.0, 900.0))
        run_id = await relay.run(BOARD)

        async def is_held() -> bool:
            shot = (await relay.view(run_id))["shots"][0]
            return [take["status"] for take in shot["takes"]] == ["unsure"]

        async def is_done() -> bool:
            return bool((await relay.view(run_id))["status"] == "succeeded")

        await wait_until(is_held, "its submit was cut")
        run = await relay.store.load(run_id)
        ends_at = address_ends_at(run, run.shots[0], run.take("s1", 1))
        token = relay.tokens.mint(TakeAddress(run_id=run_id, shot_id="s1", take=1, ends_at=ends_at, provider="mine"))
        for name in ("00000000-0000-4000-8000-000000000000", provider.posts[0]):
            assert provider.searches == []
            assert (await relay.api.post(f"/webhook/{token}", json={"status": "done", "ref": name})).status_code == 200
        await wait_until(is_done, "its clip is there")

    assert provider.searches == provider.posts


async def test_a_job_that_is_not_found_is_not_submitted_again(
    cutting: Any, start_relay: Any, wait_until: Callable[..., Awaitable[None]]
) -> None:
    """It may appear later: the take is held, and searched for less and less often."""
    never = [JSONResponse({}, 404)] * 100
    async with cutting(*never) as provider, start_relay("http://127.0.0.1:9") as relay:
        run_id = await relay.run(BOARD)
        await wait_until(lambda: len(provider.searches) >= 4, "it is looked for several times")
        run = await relay.view(run_id)

        assert (run["shots"][0]["takes"][0]["status"], run["status"]) == ("unsure", "running"), "nobody is asked as yet"
        assert len(provider.posts) == 1
        provider.before.clear()
        await wait_until(lambda: not provider.before and len(provider.searches) >= 5, "and once more")
        await relay.api.post(f"/v1/runs/{run_id}/cancel")


async def test_searches_take_turns_with_look_ups(
    cutting: Any,
    start_relay: Any,
    wait_until: Callable[..., Awaitable[None]],
    redis: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A provider that asks for a pause is not searched during it, though the next search is due at once."""
    async with cutting(JSONResponse({}, 429, {"Retry-After": "900"})) as provider:
        monkeypatch.setattr("framerelay.runs.takes.FIND_AGAIN_S", (0.01, 0.01))
        async with start_relay("http://127.0.0.1:9") as relay:
            run_id = await relay.run(BOARD)

            async def is_put_off() -> bool:
                tasks = await redis.zrange("{framerelay}:queue", 0, -1, withscores=True)
                return any(run_id.encode() in name and at > (time.time() + 100) * 1000 for name, at in tasks)

            await wait_until(is_put_off, "the next search waits for the end of the rest")
            assert len(provider.searches) == 1
            assert (await relay.view(run_id))["shots"][0]["takes"][0]["status"] == "unsure"
