"""Looking up through the whole program: learned times, missed and late callbacks, a provider that asks for a rest."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import structlog
from arq.connections import ArqRedis
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from framerelay.cli.http import listening_on, serving
from framerelay.processors.costs import usage_of
from framerelay.processors.look_up_gate import LookUpGate
from framerelay.runs.errors import UpstreamRateLimited
from framerelay.runs.tokens import TakeAddress
from framerelay.store.look_ups import LookUps
from framerelay.store.tasks import QUEUE
from framerelay.upstream.job import JobReport
from framerelay.upstream.wire import JobState

pytestmark = pytest.mark.anyio

TWO = {"title": "two", "model": "m", "shots": [{"id": "s1", "prompt": "a car"}, {"id": "s2", "prompt": "closer"}]}
ONE = {**TWO, "shots": TWO["shots"][:1]}


async def test_a_run_whose_callbacks_never_come_says_so(
    start_provider: Any, start_relay: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    """It is finished all the same; run and log name the likely reason, once."""
    async with start_provider(lose=1.0) as provider, start_relay(provider.url, lookup_after_s=0.5) as relay:
        run = await relay.wait_for_end(await relay.run(TWO))

    assert (run["status"], run["callbacks_missed"]) == ("succeeded", 2)
    assert [warning["code"] for warning in run["warnings"]] == ["public_url_unreachable"]
    out, err = capfd.readouterr()
    assert (out + err).count("public_url_unreachable") == 1


async def test_a_run_that_is_called_back_warns_of_nothing(start_provider: Any, start_relay: Any) -> None:
    """The warning is for those who need it."""
    async with start_provider() as provider, start_relay(provider.url) as relay:
        run = await relay.wait_for_end(await relay.run(TWO))

    assert (run["status"], run["callbacks_missed"], run["warnings"]) == ("succeeded", 0, [])


async def test_the_time_that_jobs_take_is_learnt_from_their_callbacks(start_provider: Any, start_relay: Any) -> None:
    """After a few of a kind the next take's first look-up is planned by it, and a person is told how long it takes."""
    board = {**TWO, "shots": [{"id": f"s{n}", "prompt": "x", "from": "cut"} for n in range(6)]}
    async with start_provider() as provider, start_relay(provider.url, lookup_after_s=500.0) as relay:
        await relay.wait_for_end(await relay.run(board))
        run_id = await relay.run(ONE)
        await relay.wait_for_end(run_id)
        run_there = await relay.store.load(run_id)

    take = run_there.take("s1", 1) if run_there else None
    assert take is not None
    assert take.expected_s is not None
    assert take.usual_s is not None
    assert 0 < take.usual_s <= take.expected_s < 30


async def test_a_callback_that_arrives_when_all_is_settled_is_marked_late(
    start_provider: Any, start_relay: Any, wait_until: Callable[..., Awaitable[None]]
) -> None:
    """Kept with its reason; it changes nothing but that we know we are reached."""
    async with start_provider(lose=1.0) as provider, start_relay(provider.url, lookup_after_s=0.3) as relay:
        before = await relay.wait_for_end(await relay.run(ONE))
        token = relay.tokens.mint(TakeAddress(run_id=before["id"], shot_id="s1", take=1))
        await relay.api.post(f"/webhook/{token}", json={"id": "job_x", "status": "failed"})

        async def outcome() -> Any:
            callbacks = (await relay.api.get("/v1/callbacks")).json()["data"]
            return callbacks[0] if callbacks and callbacks[0]["outcome"] == "late" else None

        await wait_until(outcome, "the callback is late")
        callback = await outcome()
        run = await relay.view(before["id"])

    assert callback["reason"].startswith("take 1 was rendered")
    assert (before["callbacks_missed"], run["callbacks_missed"], run["status"]) == (1, 0, "succeeded")


async def test_a_mistyped_job_can_be_adopted_by_its_right_name_at_once(
    start_provider: Any, start_relay: Any, wait_until: Callable[..., Awaitable[None]]
) -> None:
    """The provider knows no such job: the shot says so, and nothing was paid."""
    async with (
        start_provider(accept_then_500=1.0, lose=1.0) as provider,
        start_relay(provider.url, lookup_after_s=0.5) as relay,
    ):
        run = await relay.wait_for_end(await relay.run(ONE))
        assert run["shots"][0]["takes"][0]["status"] == "unsure"
        right = (await provider.journal())["jobs"][0]["id"]
        typo = {"run": run["id"], "shot": "s1", "job_id": "job_typo"}
        assert (await relay.api.post("/v1/jobs/adopt", json=typo)).status_code == 200

        async def is_free() -> bool:
            take = (await relay.view(run["id"]))["shots"][0]["takes"][0]
            return take["status"] == "unsure" and take["error"]["code"] == "unknown_job"

        await wait_until(is_free, "the shot can be given another job")
        assert (await relay.api.post("/v1/jobs/adopt", json={**typo, "job_id": right})).status_code == 200
        run = await relay.wait_for_end(run["id"])
        submits = (await provider.journal())["submits"]

    assert run["status"] == "succeeded", run["error"]
    assert len(submits) == 1


@asynccontextmanager
async def busy_provider(rest_s: int) -> AsyncIterator[tuple[str, list[float]]]:
    """Accepts every submit; answers each look-up 429. A mock, since the sandbox has no switch for this."""
    times: list[float] = []

    async def submit(request: Request) -> JSONResponse:
        await request.body()
        return JSONResponse({"id": f"job_{time.monotonic_ns()}", "status": "queued"})

    async def look_up(_: Request) -> JSONResponse:
        times.append(time.monotonic())
        return JSONResponse({"error": {"message": "slow down"}}, 429, headers={"Retry-After": str(rest_s)})

    routes = [Route("/v1/jobs", submit, methods=["POST"]), Route("/v1/jobs/{job}", look_up)]
    with listening_on("127.0.0.1", 0) as listener:
        async with serving(Starlette(routes=routes), listener):
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", times


async def test_a_429_stops_all_look_ups_of_a_worker_not_one(
    start_relay: Any, redis: ArqRedis, wait_until: Callable[..., Awaitable[None]]
) -> None:
    """Twelve takes are due at once; the provider says no, and is left in peace for as long as it asked."""
    board = {**TWO, "shots": [{"id": f"s{n}", "prompt": "x", "from": "cut"} for n in range(12)]}

    async def all_rest() -> bool:
        return len(times) + await redis.zcount(QUEUE, (time.time() + 20) * 1000, "+inf") == 12

    async with busy_provider(60) as (url, times), start_relay(url, lookup_after_s=1.0, lookups_max=2) as relay:
        run_id = await relay.run(board)
        await wait_until(lambda: times, "the provider was asked")
        await wait_until(all_rest, "all others were put off")
        run = await relay.view(run_id)

    assert 1 <= len(times) <= 2
    assert {shot["status"] for shot in run["shots"]} == {"generating"}


async def test_planned_look_ups_pass_the_look_up_gate_a_few_at_a_time(redis: Any) -> None:
    """A callback's own does not queue behind them; a rest holds everybody, at that provider and on every worker."""
    one, other = (LookUpGate(2, LookUps(redis)) for _ in range(2))
    by_plan, by_callback = ({"per_minute": None, "planned": is_planned} for is_planned in (True, False))

    async with one.passing("a", **by_plan), one.passing("a", **by_plan), one.passing("a", **by_callback):
        assert await wait_at(one, "a", **by_plan)
        assert await wait_at(one, "a", **by_callback) is None
    assert await wait_at(one, "a", **by_plan) is None
    with pytest.raises(UpstreamRateLimited):
        async with one.passing("a", **by_callback):
            raise UpstreamRateLimited("slow down", retry_after_s=30.0)
    assert (await wait_at(other, "a", **by_callback) or 0) > 29
    assert await wait_at(other, "b", **by_plan) is None


async def test_a_look_up_waits_while_another_passes_the_gate(redis: Any) -> None:
    """The place is taken before Redis is asked, and given back once the rest that was asked for is known to all."""

    class Slow(LookUps):
        """Answers at the very end of the loop's round, as a Redis under load does."""

        async def wait_s(self, *args: Any, **how: Any) -> float:
            wait_s = await super().wait_s(*args, **how)
            await asyncio.sleep(0.01)
            return wait_s

        async def rest(self, *args: Any, **how: Any) -> None:
            await asyncio.sleep(0.01)
            await super().rest(*args, **how)

    async def ask() -> None:
        async with look_up_gate.passing("a", per_minute=None, planned=True) as wait_s:
            if wait_s is None:
                questions.append(1)
                raise UpstreamRateLimited("slow down", retry_after_s=30.0)

    questions: list[int] = []
    look_up_gate = LookUpGate(2, Slow(redis))
    for _ in range(2):
        await asyncio.gather(*(ask() for _ in range(6)), return_exceptions=True)

    assert len(questions) == 2


async def test_planned_look_ups_keep_to_the_rate_of_the_provider_over_all_workers(redis: Any) -> None:
    """One a minute: the second worker's has to wait for most of it, a callback's for nothing."""
    one, other = (LookUpGate(2, LookUps(redis)) for _ in range(2))

    assert await wait_at(one, "a", per_minute=1.0, planned=True) is None
    assert 50 < (await wait_at(other, "a", per_minute=1.0, planned=True) or 0) <= 61
    assert await wait_at(other, "a", per_minute=1.0, planned=False) is None


async def wait_at(look_up_gate: LookUpGate, provider: str, *, per_minute: float | None, planned: bool) -> float | None:
    async with look_up_gate.passing(provider, per_minute=per_minute, planned=planned) as wait_s:
        return wait_s


def test_what_a_job_took_is_kept_as_far_as_it_is_short() -> None:
    """It goes with each save of its run, and an answer may be long; its cost stays."""

    def usage(**fields: Any) -> dict[str, Any]:
        return usage_of(JobReport(job_ids=("7",), state=JobState.SUCCEEDED, status_word="done", usage=fields, cost=2.5))

    assert usage(tokens=7, log="x" * 4000) == {"tokens": 7, "log": "x" * 4000, "cost": 2.5}
    with structlog.testing.capture_logs() as lines:
        assert usage(tokens=7, log="x" * 4096) == {"cost": 2.5}
        assert usage(log={str(number): None for number in range(1000)}) == {"cost": 2.5}
    assert [(line["event"], line["job_id"]) for line in lines] == [("usage_left_out", "7")] * 2


@asynccontextmanager
async def locking_provider() -> AsyncIterator[tuple[str, list[int]]]:
    """Accepts every submit; answers look-ups with the last status. A mock: the sandbox has one key."""
    statuses = [401]

    async def submit(request: Request) -> JSONResponse:
        await request.body()
        return JSONResponse({"id": "job_1", "status": "queued"})

    async def look_up(_: Request) -> JSONResponse:
        if statuses[-1] == 200:
            return JSONResponse({"id": "job_1", "status": "processing"})
        return JSONResponse({"error": {"message": "invalid api key"}}, statuses[-1])

    routes = [Route("/v1/jobs", submit, methods=["POST"]), Route("/v1/jobs/{job}", look_up)]
    with listening_on("127.0.0.1", 0) as listener:
        async with serving(Starlette(routes=routes), listener):
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", statuses


@pytest.mark.parametrize("status", [401, 403])
async def test_a_look_up_that_is_refused_for_its_key_is_reported_at_once_and_resumes_by_itself(
    start_relay: Any, wait_until: Callable[..., Awaitable[None]], status: int
) -> None:
    """The run waits for a person, who is told what to correct; then it goes on, with a resume or without one."""
    async with locking_provider() as (url, statuses), start_relay(url, lookup_after_s=0.2) as relay:
        statuses.append(status)
        run_id = await relay.run(ONE)
        run = await relay.wait_for_end(run_id)
        (shot,) = run["shots"]
        assert (run["status"], shot["status"], shot["takes"][0]["status"]) == ("waiting", "waiting", "generating")
        assert "invalid api key" in run["error"]["message"]
        assert [each["id"] for each in (await relay.api.get("/v1/runs?needs=person")).json()["data"]] == [run_id]
        page = (await relay.api.get(f"/runs/{run_id}")).text
        assert "correct the key" in page.lower()
        statuses.append(200)

        async def goes_on() -> bool:
            return bool((await relay.view(run_id))["status"] == "running")

        await wait_until(goes_on, "it is asked about again")
