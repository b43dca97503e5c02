"""Workers with handlers of a test, and what they wait for."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from arq.connections import ArqRedis
from arq.worker import func

from framerelay.processors import worker as worker_module
from framerelay.processors.worker import RelayWorker
from framerelay.store.client import connect, disconnect
from framerelay.store.tasks import QUEUE, Task

WaitUntil = Callable[..., Awaitable[None]]


@asynccontextmanager
async def working(
    redis_url: str, work: Callable[..., Awaitable[Any]], *, tasks_max: int = 5, grace_s: float = 1.0
) -> AsyncIterator[RelayWorker]:
    """A worker whose only function is *work*, stopped at the end."""
    redis, listening = connect(redis_url), connect(redis_url)
    worker = RelayWorker([func(work, name="work")], redis=redis, listening=listening, tasks_max=tasks_max)  # type: ignore[arg-type]
    running = asyncio.create_task(worker.main())
    try:
        yield worker
    finally:
        await worker.stop(grace_s=grace_s)
        await running
        await disconnect(redis)
        await disconnect(listening)


def task(name: str = "t", **arguments: Any) -> Task:
    return Task(id=name, function="work", arguments=arguments)


def unending(starts: list[str], name: str) -> Callable[..., Awaitable[None]]:
    """Work that notes who began it, and does not end by itself."""

    async def work(_: dict[str, Any]) -> None:
        starts.append(name)
        await asyncio.sleep(600)

    return work


async def at_rest(redis: ArqRedis, *workers: RelayWorker) -> None:
    """Returns when all of them, and there are no others, have looked once and wait to be woken."""
    async with asyncio.timeout(60):
        while not all(worker._clock.is_known for worker in workers) or await listeners(redis) != len(workers):
            await asyncio.sleep(0.01)


async def listeners(redis: ArqRedis) -> int:
    return sum("b" in client["flags"] for client in await redis.client_list())


def now_ms() -> float:
    return time.time() * 1000


def until(end: asyncio.Event, starts: list[str]) -> Callable[..., Awaitable[None]]:
    """Work that notes that it was begun, and ends when it is told to."""

    async def work(_: dict[str, Any]) -> None:
        starts.append("begun")
        await end.wait()

    return work


async def lease_is_renewed(redis: ArqRedis, wait_until: WaitUntil, *, times: int) -> None:
    """Returns when the end of the only task's lease was put off so often; it never comes near."""
    ends = set[float]()

    async def is_enough() -> bool:
        end = await redis.zscore(QUEUE, "t")
        assert end is not None
        ends.add(end)
        return len(ends) > times

    await wait_until(is_enough, "the lease is renewed again and again")
    assert min(ends) - now_ms() > 1000 * (worker_module.LEASE_S - 90)


@asynccontextmanager
async def working_by_class(
    redis_url: str, work: Callable[..., Awaitable[Any]], *, tasks: str = "all", heavy_max: int = 2
) -> AsyncIterator[RelayWorker]:
    """A worker with two places, whose functions are joining and submitting; it ends by the test's own word."""
    redis, listening = connect(redis_url), connect(redis_url)
    functions = [func(work, name=name) for name in ("join", "submit")]  # type: ignore[arg-type]
    worker = RelayWorker(functions, redis=redis, listening=listening, tasks_max=2, tasks=tasks, heavy_max=heavy_max)
    running = asyncio.create_task(worker.main())
    try:
        yield worker
    finally:
        await worker.stop(grace_s=0.0)
        await running
        await disconnect(redis)
        await disconnect(listening)


def films_and(*names: str) -> list[Task]:
    """Two films to be joined, and these tasks after them."""
    joins = [Task(id=f"join:run_{each}::0:0", function="join", arguments={"name": f"film {each}"}) for each in "ab"]
    return [*joins, *(Task(id=f"submit:{name}:s1:1:0", function="submit", arguments={"name": name}) for name in names)]
