"""
How long from an enqueue to the first line of its task in another process, and what does waiting for it cost Redis?

Ours: a callback given to the inbox, as the receiver does, and our worker. The peer is stock arq: its ``enqueue_job``
and its worker, which polls twice a second. Both on the embedded Redis of `up` (synced with each write), with no other
task and with twenty that are held; blocks take turns, each with a fresh worker process. Clocks are the machine's one
monotonic clock, read before the enqueue and in the task's first line.
"""

import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import redis.asyncio
import uvloop
from arq.connections import RedisSettings, create_pool
from arq.worker import Worker, func

from framerelay.config.logs import configure_logging
from framerelay.config.settings import Settings
from framerelay.processors.worker import RelayWorker
from framerelay.store.client import connect, disconnect
from framerelay.store.embedded import EmbeddedRedis
from framerelay.store.inbox import Callback, Inbox
from framerelay.store.tasks import Task

HELD = (0, 20)
ROUNDS = 2
WAKES = {"ours": 250, "arq": 12}  # In each round; one of arq's takes half a second.
PAUSE_S = {"ours": 0.02, "arq": 0.5}  # At most, at random: one enqueue says nothing about the moment of the next.
IDLE_S = {"ours": 6.0, "arq": 2.0}
TASKS_MAX = 40  # More than are held, or nothing could start.
DATABASE = {"ours": 0, "arq": 1}

Enqueue = Callable[[str], Awaitable[object]]


@dataclass
class WakeTimes:
    """Of one side while it holds tasks: milliseconds, round by round, and commands per second while idle."""

    rounds_ms: list[list[float]] = field(default_factory=list)
    idle: dict[str, float] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """As JSON."""
        took_ms = sorted(took for each in self.rounds_ms for took in each)
        return {
            "p50_ms": round(statistics.median(took_ms), 2),
            "p99_ms": round(statistics.quantiles(took_ms, n=100, method="inclusive")[98], 2),
            "wakes": len(took_ms),
            "p50_ms_of_each_round": [round(statistics.median(each), 2) for each in self.rounds_ms],
            **self.idle,
        }


async def measure() -> dict[str, Any]:
    """Both sides, taking turns."""
    figures = {(side, tasks_held): WakeTimes() for side in WAKES for tasks_held in HELD}
    with tempfile.TemporaryDirectory(prefix="fr-bench-") as folder:
        async with EmbeddedRedis(Path(folder)) as server:
            for tasks_held in HELD:
                for turn in range(ROUNDS):
                    for side, wakes in WAKES.items():
                        await _round(server.url, side, tasks_held, wakes, figures[side, tasks_held], idle_too=turn == 0)
    rows = {f"{side}_{tasks_held}_held": each.as_json() for (side, tasks_held), each in figures.items()}
    return {"question": "wake", **rows, "to_reach": {"p50_ms": 3, "p99_ms": 15, "idle_commands_per_s": 5}}


async def _round(url: str, side: str, tasks_held: int, wakes: int, figures: WakeTimes, *, idle_too: bool) -> None:
    """One worker process from its start to its end."""
    client = redis.asyncio.Redis.from_url(url, db=DATABASE[side])
    await client.flushdb()
    async with _enqueueing(url, side) as enqueue, _worker(url, side) as hear:
        for task in ("wake", *["hold"] * tasks_held):
            await enqueue(task)
            await hear()
        took_ms = []
        for _ in range(wakes):
            await asyncio.sleep(random.uniform(0, PAUSE_S[side]) + 0.005)
            began = time.monotonic_ns()
            await enqueue("wake")
            took_ms.append((await hear() - began) / 1e6)
        figures.rounds_ms.append(took_ms)
        if idle_too:
            figures.idle = await _idle(client, DATABASE[side], IDLE_S[side])
    await client.aclose()


@asynccontextmanager
async def _enqueueing(url: str, side: str) -> AsyncIterator[Enqueue]:
    """What queues a task for that function, from this process."""
    client = connect(url) if side == "ours" else await create_pool(_arq_settings(url))
    inbox = Inbox(client, keep_s=60.0)

    async def ours(function: str) -> None:
        number = uuid4().hex
        callback = Callback(id=number, received_at=time.time(), outcome="accepted", body=b"{}")
        await inbox.accept(callback, fingerprint=number, task=Task(id=number, function=function, arguments={}))

    async def arqs(function: str) -> None:
        await client.enqueue_job(function)

    yield ours if side == "ours" else arqs
    await disconnect(client)


@asynccontextmanager
async def _worker(url: str, side: str) -> AsyncIterator[Callable[[], Awaitable[int]]]:
    """A worker process; gives what waits for the next task's start and returns its moment, in monotonic ns."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", __spec__.name, side, url, stdout=PIPE)
    assert process.stdout is not None
    lines = process.stdout

    async def hear() -> int:
        async with asyncio.timeout(30):
            return int(await lines.readline())

    try:
        yield hear
    finally:
        process.kill()
        await process.wait()


async def _idle(client: redis.asyncio.Redis, database: int, seconds: float) -> dict[str, float]:
    """Commands a second that this side's worker sends by itself: as Redis runs them, and without those in scripts."""
    await asyncio.sleep(0.5)  # What the last wake left to do is done.
    clients: list[str] = []
    async with client.monitor() as monitor:
        try:
            async with asyncio.timeout(seconds):
                async for command in monitor.listen():
                    if int(command["db"]) == database:
                        clients.append(command["client_type"])
        except TimeoutError:
            pass
    kinds = [kind for kind in clients if kind != "lua"]
    return {
        "idle_commands_per_s": round(len(clients) / seconds, 1),
        "idle_commands_per_s_without_scripts": round(len(kinds) / seconds, 1),
    }


def _arq_settings(url: str) -> RedisSettings:
    return RedisSettings(unix_socket_path=url.removeprefix("unix://").partition("?")[0], database=DATABASE["arq"])


async def _wake(_: dict[str, Any]) -> None:
    now = time.monotonic_ns()
    print(now, flush=True)


async def _hold(_: dict[str, Any]) -> None:
    print(0, flush=True)
    await asyncio.sleep(3600)


async def _work(side: str, url: str) -> None:
    """The worker process, until it is killed."""
    functions: list[Any] = [func(_wake, name="wake"), func(_hold, name="hold")]
    configure_logging(Settings(log_level="warning"))
    if side == "ours":
        tasks, listening = connect(url, connections_max=50), connect(url, connections_max=2)
        await RelayWorker(functions, redis=tasks, listening=listening, tasks_max=TASKS_MAX).main()
    else:
        worker = Worker(functions, redis_settings=_arq_settings(url), max_jobs=TASKS_MAX, handle_signals=False)
        await worker.main()


def main() -> None:
    """One JSON line, one sentence."""
    facts = uvloop.run(measure())
    print(json.dumps(facts))
    for tasks_held in HELD:
        ours, arqs = facts[f"ours_{tasks_held}_held"], facts[f"arq_{tasks_held}_held"]
        print(
            f"Enqueue → task start with {tasks_held} tasks held: p50 {ours['p50_ms']} ms, p99 {ours['p99_ms']} ms at "
            f"{ours['idle_commands_per_s']} idle commands/s ({ours['idle_commands_per_s_without_scripts']} without "
            f"those inside scripts); stock arq: p50 {arqs['p50_ms']} ms, p99 {arqs['p99_ms']} ms at "
            f"{arqs['idle_commands_per_s']}/s; to reach: 3 ms, 15 ms, fewer than 5/s."
        )


if __name__ == "__main__":
    if len(sys.argv) == 3:
        uvloop.run(_work(*sys.argv[1:]))
    else:
        main()
