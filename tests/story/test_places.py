"""The tour: a provider takes a limited number of jobs at once, and all workers and runs share them."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.datastructures import Secret
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from framerelay.cli import serve
from framerelay.cli.http import listening_on, serving
from framerelay.config.keys import Keys
from framerelay.processors import places as places_module
from framerelay.processors import submit as submit_module
from framerelay.runs import events
from framerelay.runs.errors import RequestInvalid
from framerelay.sandbox.clip import ClipOrder, render_clip
from framerelay.store.places import Allowance, TakePlace

pytestmark = pytest.mark.anyio

WaitUntil = Callable[..., Awaitable[None]]
Working = Callable[[Any], AbstractAsyncContextManager[None]]
SIZE = {"width": 160, "height": 96, "frames": 6}


@dataclass
class Narrow:
    """
    A jobs API that refuses more than a number of jobs at once; a job ends when it is told to, or by itself.

    ``submits``: the run and the shot of each job, in their order. ``most``: jobs that were there at once.
    """

    clip: Path
    places: int
    waits: bool = False
    url: str = ""
    refusals: int = 0
    most: int = 0
    submits: list[str] = field(default_factory=list)
    ends: list[asyncio.Event] = field(default_factory=list)

    def app(self) -> Starlette:
        """Over HTTP."""
        jobs = Route("/v1/jobs", self._submit, methods=["POST"])
        return Starlette(routes=[jobs, Route("/v1/jobs/{number:int}", self._look_up), Route("/clip.mp4", self._clip)])

    @property
    def in_flight(self) -> int:
        """Jobs that have not ended."""
        return sum(not event.is_set() for event in self.ends)

    def end(self, number: int) -> None:
        """That job is done."""
        self.ends[number].set()

    async def _submit(self, request: Request) -> Response:
        fields = (await request.json())["input"]
        if self.in_flight >= self.places:
            self.refusals += 1
            return JSONResponse({"error": {"code": "RateLimited", "message": "too many jobs at once"}}, 429)
        number = len(self.ends)
        self.ends.append(asyncio.Event())
        self.submits.append(fields["prompt"])
        self.most = max(self.most, self.in_flight)
        call_back = BackgroundTask(self._call_back, number, fields["callback_url"])
        return JSONResponse({"id": str(number), "status": "processing"}, background=call_back)

    async def _call_back(self, number: int, url: str) -> None:
        if not self.waits:
            await asyncio.sleep(0.03)
            self.end(number)
        await self.ends[number].wait()
        async with httpx.AsyncClient(trust_env=False, verify=False) as http:
            await http.post(url, json={"id": str(number), "status": "succeeded"})

    async def _look_up(self, request: Request) -> Response:
        number = request.path_params["number"]
        if not self.ends[number].is_set():
            return JSONResponse({"id": str(number), "status": "processing"})
        videos = [{"url": f"{self.url}/clip.mp4"}]
        return JSONResponse({"id": str(number), "status": "succeeded", "output": {"videos": videos}})

    async def _clip(self, _: Request) -> Response:
        return FileResponse(self.clip)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A quarter of a second of a small picture."""
    path = tmp_path_factory.mktemp("narrow") / "clip.mp4"
    order = ClipOrder(number=1, prompt="a car", seed=1, bframes=0, **SIZE)
    render_clip(order, path, last_frame_into=None, stop=threading.Event())
    return path


@pytest.fixture
def narrow(clip: Path) -> Callable[..., AbstractAsyncContextManager[Narrow]]:
    """``async with narrow(5) as provider``; *waits*: its jobs end when they are told to."""

    @asynccontextmanager
    async def start(places: int, *, waits: bool = False) -> AsyncIterator[Narrow]:
        provider = Narrow(clip=clip, places=places, waits=waits)
        with listening_on("127.0.0.1", 0) as listener:
            provider.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            async with serving(provider.app(), listener):
                yield provider
                for event in provider.ends:
                    event.set()

    return start


@pytest.fixture
def working(redis_url: str, lent_decoders: Any) -> Working:
    """``async with working(relay)``: one more worker beside it."""

    @asynccontextmanager
    async def work(relay: Any) -> AsyncIterator[None]:
        keys = Keys(api_key=Secret("fr_test"), secret=Secret("only for tests"), new_api_key=False)
        async with AsyncExitStack() as stack:
            with lent_decoders():
                await stack.enter_async_context(serve.running_worker(relay.settings, keys, redis_url))
            yield

    return work


@pytest.fixture
def at_once(tmp_path: Path) -> Callable[[int], None]:
    """``at_once(5)``: that many are given in the settings file, and need not be learned."""

    def write(number: int) -> None:
        (tmp_path / "framerelay.yaml").write_text(f"providers: {{jobs: {{jobs_at_once: {number}}}}}", encoding="utf-8")

    return write


def board(name: str, shots: int, **more: Any) -> dict[str, Any]:
    """Every shot is a scene of its own, so all are submitted side by side; prompts begin with the name."""
    scenes = [{"id": f"c{at}", "shots": [{"id": f"s{at}", "prompt": f"{name} {at}", **more}]} for at in range(shots)]
    return {"title": name, "model": "m", "scenes": scenes}


async def waiting(relay: Any) -> list[TakePlace]:
    return list(await relay.store.places.waiting("jobs"))


async def inside(relay: Any) -> list[TakePlace]:
    return [place for place, _ in await relay.store.places.inside("jobs")]


@pytest.mark.parametrize(("jobs", "given"), [(10, True), (25, False)])
async def test_five_places_are_enough_for_all_jobs_of_two_workers(
    jobs: int, given: bool, narrow: Any, start_relay: Any, working: Working, at_once: Callable[[int], None], redis: Any
) -> None:
    """Given, or learned by a few refusals: all are done, never more than five at once, and every place is free then."""
    if given:
        at_once(5)
    async with narrow(5) as provider, start_relay(provider.url) as relay, working(relay):
        run = await relay.wait_for_end(await relay.run(board("many", jobs)))

        assert run["status"] == "succeeded"
        assert sorted(provider.submits) == sorted(f"many {number}" for number in range(jobs))
        assert provider.most <= 5
        assert provider.refusals <= (0 if given else 15)
        assert await inside(relay) == await waiting(relay) == []
    keys = [key async for key in redis.scan_iter(match="{framerelay}:places:*")]
    assert keys
    assert [key for key in keys if await redis.pttl(key) < 0] == []


async def test_a_small_run_takes_turns_with_a_large_one(
    narrow: Any, start_relay: Any, at_once: Callable[[int], None], wait_until: WaitUntil
) -> None:
    """Two places, twelve shots that wait, and then another run of three: it is done before half of the others are."""
    at_once(2)
    async with narrow(2, waits=True) as provider, start_relay(provider.url) as relay:
        large = await relay.run(board("large", 12))

        async def all_wait(number: int) -> bool:
            return len(await waiting(relay)) == number

        await wait_until(lambda: all_wait(10), "two are in flight, ten wait")
        small = await relay.run(board("small", 3))
        await wait_until(lambda: all_wait(13), "three more wait")
        for number in range(15):
            await wait_until(lambda number=number: len(provider.submits) > number, f"submit {number}")
            provider.end(number)

        assert [(await relay.wait_for_end(run))["status"] for run in (large, small)] == ["succeeded"] * 2
        order = [prompt.partition(" ")[0] for prompt in provider.submits]
        assert order[:9].count("small") == 3, order  # Of two that go at the same time, either may be first.


async def test_a_cancelled_run_frees_its_place_when_its_job_ends_and_keeps_no_other_one_waiting(
    narrow: Any, start_relay: Any, at_once: Callable[[int], None], wait_until: WaitUntil
) -> None:
    """Its job is in flight to its end; those of its shots that waited are passed over."""
    at_once(1)
    async with narrow(1, waits=True) as provider, start_relay(provider.url) as relay:
        first = await relay.run(board("first", 3))

        async def two_wait() -> bool:
            return len(provider.submits) == 1 and len(await waiting(relay)) == 2

        await wait_until(two_wait, "one is in flight, two wait")
        assert (await relay.api.post(f"/v1/runs/{first}/cancel")).status_code == 200
        second = await relay.run(board("second", 1))
        assert provider.refusals == 0
        await wait_until(lambda: len(provider.submits) == 1, "the second run has no place yet")
        provider.end(0)
        await wait_until(lambda: len(provider.submits) == 2, "the second run is let in")
        provider.end(1)

        assert (await relay.wait_for_end(second))["status"] == "succeeded"
        assert [prompt.partition(" ")[0] for prompt in provider.submits] == ["first", "second"]
        assert await inside(relay) == await waiting(relay) == []


async def test_a_job_that_ends_while_a_shot_is_being_held_wakes_it_all_the_same(
    narrow: Any,
    start_relay: Any,
    at_once: Callable[[int], None],
    wait_until: WaitUntil,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    Between the refusal of a place and the hold nobody is there to be told of a free one; so it is asked for again.

    The moment is made by hand: by chance it would come once in a thousand runs.
    """
    at_once(1)
    record, over = places_module.record, asyncio.Event()
    async with narrow(1, waits=True) as provider, start_relay(provider.url) as relay:

        async def other_has_entered() -> bool:
            return not await waiting(relay)

        async def record_late(store: Any, run_id: str, event: Any) -> Any:
            if isinstance(event, events.PlaceWanted) and not over.is_set():
                over.set()
                await wait_until(lambda: len(provider.submits) == 1, "the other one is in flight")
                provider.end(0)
                await wait_until(other_has_entered, "its place is this one's")
            return await record(store, run_id, event)

        monkeypatch.setattr(places_module, "record", record_late)
        run_id = await relay.run(board("both", 2))
        await wait_until(lambda: len(provider.submits) == 2, "the one that was held is submitted")
        provider.end(1)
        assert (await relay.wait_for_end(run_id))["status"] == "succeeded"


async def test_two_takes_of_a_shot_do_not_hold_each_other(
    narrow: Any,
    start_relay: Any,
    at_once: Callable[[int], None],
    wait_until: WaitUntil,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The one without a place must not hold the shot under the feet of the other, which prepares its submit."""
    at_once(1)
    prepare, halt = submit_module.prepare, asyncio.Event()
    enter = places_module.enter

    async def entered(deps: Any, run: Any, shot: Any, take: int, provider: Any) -> bool:
        has_place = await enter(deps, run, shot, take, provider)
        if not has_place:
            halt.set()
        return has_place

    async def slowly_prepared(*about: Any) -> Any:
        await halt.wait()
        return await prepare(*about)

    monkeypatch.setattr(places_module, "enter", entered)
    monkeypatch.setattr(submit_module, "prepare", slowly_prepared)
    async with narrow(1, waits=True) as provider, start_relay(provider.url) as relay:
        run_id = await relay.run(board("twice", 1, takes=2, pick="first"))
        for number in range(2):
            await wait_until(lambda number=number: len(provider.submits) > number, f"take {number + 1} is submitted")
            provider.end(number)
        assert (await relay.wait_for_end(run_id))["status"] == "succeeded"
        assert await inside(relay) == await waiting(relay) == []
        history = await relay.store.history(run_id)
        assert [each.fields["event"] for each in history].count("place_wanted") == 1, "it asked again and again"


async def test_a_worker_that_dies_before_its_submit_leaves_the_place_to_the_next_one(
    narrow: Any,
    start_relay: Any,
    working: Working,
    at_once: Callable[[int], None],
    wait_until: WaitUntil,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its take still has the place that it got, and nobody needs another one for it."""
    at_once(1)
    monkeypatch.setattr(serve, "GRACE_S", 0.1)
    prepare, there = submit_module.prepare, asyncio.Event()

    async def never_prepared(*_: Any) -> None:
        there.set()
        await asyncio.Event().wait()

    async with narrow(1) as provider, start_relay(provider.url, worker=False) as relay:
        run_id = await relay.run(board("left", 2))
        monkeypatch.setattr(submit_module, "prepare", never_prepared)
        async with working(relay):
            await wait_until(there.is_set, "it has a place and prepares its submit")
        assert len(await inside(relay)) == 1
        assert provider.submits == []

        monkeypatch.setattr(submit_module, "prepare", prepare)
        async with working(relay):
            assert (await relay.wait_for_end(run_id))["status"] == "succeeded"
        assert provider.refusals == 0


async def test_a_place_that_nobody_will_ever_give_back_is_found(
    narrow: Any, start_relay: Any, at_once: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a run that was removed, or a take that its worker died with: the one that is refused a place looks."""
    at_once(1)
    monkeypatch.setattr(places_module, "LOST_S", 0.0)
    place = TakePlace(run_id="run_gone", shot_id="s1", take=1)
    async with narrow(1) as provider, start_relay(provider.url) as relay:
        assert (await relay.store.places.enter("jobs", place, Allowance(jobs_at_once=1))).has_place

        assert (await relay.wait_for_end(await relay.run(board("next", 2))))["status"] == "succeeded"
        assert await inside(relay) == await waiting(relay) == []


async def test_a_refusal_with_nothing_in_flight_is_waited_out(
    narrow: Any, start_relay: Any, wait_until: WaitUntil, redis: Any
) -> None:
    """Somebody else has all places: no end of a job of ours will make room, so the clock has to."""
    async with narrow(0) as provider, start_relay(provider.url) as relay:
        run_id = await relay.run(board("alone", 1))
        await wait_until(lambda: provider.refusals >= 1, "it is refused")

        async def rests() -> bool:
            return float(await redis.hget("{framerelay}:places:jobs:facts", "rest_until") or 0) > time.time() * 1000

        await wait_until(rests, "it rests")
        assert await inside(relay) == []
        provider.places = 1
        assert (await relay.wait_for_end(run_id))["status"] == "succeeded"


async def test_a_shot_that_cannot_be_submitted_after_all_leaves_its_place_to_the_next_one(
    narrow: Any, start_relay: Any, at_once: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is asked of the provider is made when the place is there; a mock, since it fails for many a reason."""
    at_once(1)
    prepare = submit_module.prepare

    async def badly_prepared(deps: Any, run: Any, shot: Any) -> Any:
        if shot.id == "s0":
            raise RequestInvalid("there is no such picture", param="first_frame")
        return await prepare(deps, run, shot)

    monkeypatch.setattr(submit_module, "prepare", badly_prepared)
    async with narrow(1) as provider, start_relay(provider.url) as relay:
        assert (await relay.wait_for_end(await relay.run(board("both", 2))))["status"] == "failed"
        assert provider.submits == ["both 1"]
        assert await inside(relay) == await waiting(relay) == []


async def test_a_run_that_is_cancelled_before_its_submit_leaves_its_place_to_the_next_one(
    narrow: Any,
    start_relay: Any,
    at_once: Callable[[int], None],
    wait_until: WaitUntil,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It had its place, its picture was on the way, and then a person stopped it."""
    at_once(1)
    prepare, there, go_on = submit_module.prepare, asyncio.Event(), asyncio.Event()

    async def slowly_prepared(*about: Any) -> Any:
        there.set()
        await go_on.wait()
        return await prepare(*about)

    monkeypatch.setattr(submit_module, "prepare", slowly_prepared)
    async with narrow(1) as provider, start_relay(provider.url) as relay:
        first = await relay.run(board("first", 1))
        await wait_until(there.is_set, "it has a place and prepares its submit")
        await relay.api.post(f"/v1/runs/{first}/cancel")
        second = await relay.run(board("second", 1))
        go_on.set()

        assert (await relay.wait_for_end(second))["status"] == "succeeded"
        assert provider.submits == ["second 0"]


async def test_a_place_that_arrives_after_the_decision_goes_to_the_next_one(
    narrow: Any, start_relay: Any, working: Working, at_once: Callable[[int], None]
) -> None:
    """Its task finds that nothing is to be submitted any more."""
    at_once(1)
    async with narrow(1) as provider, start_relay(provider.url, worker=False) as relay:
        first = await relay.run(board("first", 1))
        place = TakePlace(run_id=first, shot_id="s0", take=1)
        assert (await relay.store.places.enter("jobs", place, Allowance(jobs_at_once=1))).has_place
        await relay.api.post(f"/v1/runs/{first}/cancel")
        second = await relay.run(board("second", 1))
        async with working(relay):
            assert (await relay.wait_for_end(second))["status"] == "succeeded"
        assert provider.submits == ["second 0"]


async def test_a_shot_that_goes_to_another_provider_leaves_its_place_in_the_queue_at_once(
    narrow: Any, start_relay: Any, tmp_path: Path, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It kept the place that it was given next for a minute, while nobody could use it."""
    monkeypatch.setenv("OTHER_KEY", "k" * 20)
    async with narrow(1, waits=True) as provider, narrow(5) as other:
        elsewhere = f"{{profile: jobs, url: '{other.url}', key_env: OTHER_KEY}}"
        lines = f"providers: {{jobs: {{jobs_at_once: 1}}, other: {elsewhere}}}"
        (tmp_path / "framerelay.yaml").write_text(lines, encoding="utf-8")
        async with start_relay(provider.url) as relay:
            first = await relay.run(board("first", 1))
            await wait_until(lambda: len(provider.submits) == 1, "one is in flight")
            moved_run = await relay.run(board("moved", 1))

            async def waits(number: int) -> bool:
                return len(await waiting(relay)) == number

            await wait_until(lambda: waits(1), "it waits")
            third = await relay.run(board("third", 1))
            await wait_until(lambda: waits(2), "and so does the third")
            response = await relay.api.post(f"/v1/runs/{moved_run}/amend", json=board("moved", 1, provider="other"))
            assert response.status_code == 200, response.text
            assert {place.run_id for place in await waiting(relay)} == {third}
            assert (await relay.wait_for_end(moved_run))["status"] == "succeeded"
            provider.end(0)
            await wait_until(lambda: len(provider.submits) == 2, "the place is the third one's")
            provider.end(1)
            assert [(await relay.wait_for_end(run))["status"] for run in (first, third)] == ["succeeded"] * 2
            assert await inside(relay) == await waiting(relay) == []
        assert (provider.submits, other.submits) == (["first 0", "third 0"], ["moved 0"])
