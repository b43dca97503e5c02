"""The tour: what one event costs has nothing to do with how many runs are stored."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from arq.connections import ArqRedis

from framerelay.runs import events
from framerelay.runs.machine import begin
from framerelay.runs.model import Run, RunId, Shot, Terms
from framerelay.runs.tokens import TakeAddress
from framerelay.store.client import script
from framerelay.store.processes import READ_AGAIN
from framerelay.store.progress import record, start
from framerelay.store.schema import SCHEMA, SCHEMA_KEY
from framerelay.store.tasks import DUE, QUEUE, WAKE

pytestmark = pytest.mark.anyio

LOOKS_AT_EVERYTHING = {
    *("keys", "scan", "sscan", "hscan", "zscan", "smembers", "hkeys", "hvals", "sort", "sort_ro", "dump"),
    *("randomkey", "zunion", "zinter", "sunion", "sinter", "xrange", "xrevrange"),
}  # Not lrange: our lists are trimmed to a fixed length.
FILM = {
    "title": "two scenes",
    "model": "m",
    "scenes": [
        {"id": "a", "shots": [{"id": "s1", "prompt": "a car"}, {"id": "s2", "prompt": "closer"}]},
        {"id": "b", "shots": [{"id": "s3", "prompt": "from above"}]},
    ],
}


async def commands(redis: ArqRedis) -> Counter[str]:
    """What Redis has been asked so far, scripts included."""
    stats = await redis.info("commandstats")
    return Counter({name.removeprefix("cmdstat_"): each["calls"] for name, each in stats.items()})


async def test_a_whole_film_asks_redis_for_no_scan(redis: ArqRedis, start_provider: Any, start_relay: Any) -> None:
    """From the storyboard to the film, its lists and its removal: no command that walks through what is stored."""
    async with start_provider() as provider, start_relay(provider.url, runs_keep_s=600.0) as relay:
        await redis.config_resetstat()
        run_id = await relay.run(FILM)
        run = await relay.wait_for_end(run_id)
        for path in ("/v1/runs", "/v1/runs?status=succeeded", "/v1/callbacks", f"/v1/runs/{run_id}/events", "/readyz"):
            assert (await relay.api.get(path)).status_code == 200
        assert (await relay.api.delete(f"/v1/runs/{run_id}")).status_code == 200
        counts = await commands(redis)

    assert run["status"] == "succeeded", run["error"]
    assert counts["zadd"] > 10
    assert not {name.partition("|")[0] for name in counts} & LOOKS_AT_EVERYTHING, counts


async def test_an_event_costs_the_same_with_ten_runs_and_with_two_thousand(
    redis: ArqRedis, start_provider: Any, start_relay: Any
) -> None:
    """One callback: kept, claimed, recorded, looked at again, removed: the very same commands, one by one."""
    async with start_provider() as provider, start_relay(provider.url, worker=False) as relay:
        await cost_of_one_callback(redis, relay, "run_first")  # Loads the scripts and opens the connections.
        few = await cost_among(redis, relay, range(10))
        many = await cost_among(redis, relay, range(10, 2000))

    assert few == many
    assert few["evalsha"] >= 5


async def cost_among(redis: ArqRedis, relay: Any, numbers: range) -> Counter[str]:
    """With that many more runs stored; each of them has its place in the schedule, none is due."""
    for some in batched(numbers, 50):  # Two thousand at once would wait for each other longer than Redis may take.
        await asyncio.gather(*(start(relay.store, a_run(f"run_x{number}")) for number in some))
    await redis.delete(QUEUE, WAKE)
    return await cost_of_one_callback(redis, relay, f"run_y{numbers.stop}")


async def cost_of_one_callback(redis: ArqRedis, relay: Any, name: str) -> Counter[str]:
    """All that Redis is asked from a callback to its change of the run, a page of the list included."""
    await start(relay.store, a_run(name))
    await record(relay.store, name, events.Submitting(shot_id="s1", take=1, intent="i", seed=None, first_frame=None))
    await redis.delete(QUEUE, WAKE)
    claim = redis.register_script(script("claim"))
    token = relay.tokens.mint(TakeAddress(run_id=name, shot_id="s1", take=1))
    before = await commands(redis)

    answer = await relay.api.post(f"/webhook/{token}", json={"id": name, "status": "running"})
    claims, *_ = await claim(
        keys=[QUEUE, WAKE, DUE, READ_AGAIN, SCHEMA_KEY], args=[5, 6000, 1_200_000, SCHEMA, ",join,", 1, 1]
    )
    outcome = await record(relay.store, name, events.JobSeen(shot_id="s1", take=1, job_ids=("j",), word="running"))
    await relay.store.schedule(outcome.run, steps=[], wake_at=time.time() + 999)
    assert (await relay.api.get("/v1/runs?status=running&limit=5")).status_code == 200
    cancelled_outcome = await record(relay.store, name, events.RunCancelled())
    assert await relay.store.remove(cancelled_outcome.run, now=time.time())

    cost = await commands(redis) - before
    assert (answer.status_code, len(claims), outcome.changed) == (200, 2, True)
    return cost


def batched(numbers: range, size: int) -> Iterator[range]:
    return (numbers[at : at + size] for at in range(0, len(numbers), size))


def a_run(name: str) -> Run:
    shot = Shot(id="s1", scene="1", origin="continue", source=None, input={"prompt": "雨夜"})
    now = time.time()
    run = Run(id=RunId(name), title="t", model="m", created_at=now, updated_at=now, shots=(shot,), terms=Terms())
    return begin(run)
