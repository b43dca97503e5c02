"""A worker that is told to stop: what it gives back, what it ends, and what no other worker takes until then."""

import asyncio
from typing import Any

import pytest
from arq.connections import ArqRedis
from arq.worker import func

from framerelay.processors import worker as worker_module
from framerelay.processors.worker import RelayWorker
from framerelay.store.client import connect, disconnect
from framerelay.store.runs import Store
from framerelay.store.tasks import QUEUE
from tests.processors.workers import (
    WaitUntil,
    at_rest,
    films_and,
    lease_is_renewed,
    now_ms,
    task,
    unending,
    until,
    working,
    working_by_class,
)

pytestmark = pytest.mark.anyio


async def test_a_deploy_gives_running_tasks_back_and_spends_nothing(
    redis: ArqRedis, redis_url: str, wait_until: WaitUntil
) -> None:
    """Stopped twenty times in the middle, the task still runs, and each time it is its first try."""
    start = asyncio.Event()
    tries: list[int] = []

    async def endless(context: dict[str, Any]) -> None:
        tries.append(context["job_try"])
        start.set()
        await asyncio.sleep(600)

    await Store(redis).enqueue([task()])
    for _ in range(20):
        start.clear()
        redis_of_worker, listening = connect(redis_url), connect(redis_url)
        worker = RelayWorker([func(endless, name="work")], redis=redis_of_worker, listening=listening, tasks_max=1)
        running = asyncio.create_task(worker.main())
        async with asyncio.timeout(60):
            await start.wait()
        await worker.stop(grace_s=0.01)
        await running
        await disconnect(redis_of_worker)
        await disconnect(listening)
    end = asyncio.Event()

    async def work(_: dict[str, Any]) -> None:
        end.set()

    async with working(redis_url, work):
        await wait_until(end.is_set, "the task runs after all deploys")
    assert set(tries) == {1}


async def test_a_film_may_take_longer_to_end_than_a_hand_off(
    redis: ArqRedis, redis_url: str, wait_until: WaitUntil
) -> None:
    """At a deploy what is light goes back to the queue after its grace, while a film that is under way is joined."""
    starts, finishes, ends = list[str](), list[str](), asyncio.Event()

    async def work(_: dict[str, Any], *, name: str) -> None:
        starts.append(name)
        try:
            await ends.wait()
            finishes.append(name)
        except asyncio.CancelledError:
            finishes.append(f"{name} is given back")
            raise

    async with working_by_class(redis_url, work) as worker:
        await Store(redis).enqueue(films_and("light"))
        await wait_until(lambda: len(starts) == 2, "both are under way")
        stopping = asyncio.create_task(worker.stop(grace_s=0.01, heavy_grace_s=600))
        await wait_until(lambda: finishes == ["light is given back"], "the light one was cut")
        assert not stopping.done()
        ends.set()
        await stopping
        assert finishes == ["light is given back", "film a"]
    waiting = {name.decode() for name in await redis.zrange(QUEUE, 0, -1)}
    assert waiting == {"join:run_b::0:0", "submit:light:s1:1:0"}


async def test_what_a_deploy_gives_back_is_taken_up_at_once(
    redis: ArqRedis, redis_url: str, monkeypatch: pytest.MonkeyPatch, wait_until: WaitUntil
) -> None:
    """Another worker is told, it does not find it when it looks the next time."""
    monkeypatch.setattr(worker_module, "IDLE_S", 600)
    starts: list[str] = []

    async with working(redis_url, unending(starts, "old")) as old:
        await Store(redis).enqueue([task()])
        await wait_until(lambda: starts == ["old"], "it runs")
        async with working(redis_url, unending(starts, "new"), grace_s=0.0) as new:
            await at_rest(redis, old, new)  # By the new one's clock until the lease of the other ends.
            await old.stop(grace_s=0.01)
            await wait_until(lambda: starts == ["old", "new"], "it runs again")


async def test_a_task_being_claimed_at_the_stop_is_given_back_like_the_others(
    redis: ArqRedis, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When `stop` returns nothing runs any more: what it works with is closed next."""
    claiming = asyncio.Event()
    finishes: list[str] = []

    async def work(_: dict[str, Any]) -> None:
        try:
            await asyncio.sleep(600)
        finally:
            finishes.append("work")

    async with working(redis_url, work) as worker:
        claim = worker._claim

        async def slowly(**arguments: Any) -> Any:
            claims = await claim(**arguments)
            if claims[0]:
                claiming.set()
                while not worker._stopping:
                    await asyncio.sleep(0.01)
            return claims

        monkeypatch.setattr(worker, "_claim", slowly)
        await Store(redis).enqueue([task()])
        async with asyncio.timeout(60):
            await claiming.wait()
        await worker.stop(grace_s=0.5)
        assert worker.tasks == {}

    assert finishes == ["work"]
    assert [name for name, due_ms in await redis.zrange(QUEUE, 0, -1, withscores=True) if due_ms <= now_ms()] == [b"t"]


async def test_a_task_whose_end_is_being_written_is_off_the_queue_when_the_stop_returns(
    redis: ArqRedis, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it is written through a client that is closed already, or never: then the task would run again."""
    is_done, writing = asyncio.Event(), asyncio.Event()

    async def work(_: dict[str, Any]) -> None:
        is_done.set()

    async with working(redis_url, work) as worker:
        pipeline = worker.pool.pipeline

        def slowly(**options: Any) -> Any:
            pipe = pipeline(**options)
            execute = pipe.execute

            async def behind_the_cut() -> Any:
                writing.set()
                while worker.tasks:
                    await asyncio.sleep(0.01)
                return await execute()

            if is_done.is_set() and options == {"transaction": True}:
                monkeypatch.setattr(pipe, "execute", behind_the_cut)
            return pipe

        monkeypatch.setattr(worker.pool, "pipeline", slowly)
        await Store(redis).enqueue([task()])
        async with asyncio.timeout(60):
            await writing.wait()
        await worker.stop(grace_s=0.0)
        assert await redis.zcard(QUEUE) == 0


async def test_no_other_worker_takes_what_one_that_is_stopping_still_does(
    redis: ArqRedis, redis_url: str, monkeypatch: pytest.MonkeyPatch, wait_until: WaitUntil
) -> None:
    """Its grace is longer than a lease, which it goes on renewing."""
    monkeypatch.setattr(worker_module, "RENEW_S", 0.05)
    monkeypatch.setattr(worker_module, "IDLE_S", 0.1)
    starts, end = list[str](), asyncio.Event()

    await Store(redis).enqueue([task()])
    stopping, listening = connect(redis_url), connect(redis_url)
    endless = func(until(end, starts), name="work")  # type: ignore[arg-type]
    worker = RelayWorker([endless], redis=stopping, listening=listening, tasks_max=1)
    running = asyncio.create_task(worker.main())
    await wait_until(lambda: starts, "it runs")
    async with working(redis_url, until(end, starts)):
        ending = asyncio.create_task(worker.stop(grace_s=60))
        await lease_is_renewed(redis, wait_until, times=5)
        assert worker._stopping
        end.set()
        await ending
    await running
    await disconnect(stopping)
    await disconnect(listening)

    assert len(starts) == 1
    assert await redis.zcard(QUEUE) == 0
