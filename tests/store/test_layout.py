"""Runs in their hashes: an event about one shot writes and reads that shot, however long the run is."""

from dataclasses import replace
from typing import Any

import pytest
from arq.connections import ArqRedis

from framerelay.runs import events
from framerelay.runs.machine import begin
from framerelay.runs.model import Run, RunId, Shot, Terms
from framerelay.store import layout
from framerelay.store.layout import Memory
from framerelay.store.progress import record, start
from framerelay.store.runs import Store
from framerelay.store.tasks import pack

pytestmark = pytest.mark.anyio


def chain_of(shots: int, name: str = "run_1") -> Run:
    made_shots = tuple(
        Shot(
            id=f"s{number}",
            scene="a",
            origin="continue",
            source=f"s{number - 1}" if number else None,
            input={"prompt": "雨夜，跑车驶过街道，霓虹，胶片颗粒"},
        )
        for number in range(shots)
    )
    return begin(Run(id=RunId(name), title="t", model="m", created_at=1, updated_at=1, shots=made_shots, terms=Terms()))


def submitting() -> events.Submitting:
    return events.Submitting(shot_id="s0", take=1, intent="i", seed=None, first_frame=None)


def submitted(job_id: str = "j") -> events.Submitted:
    return events.Submitted(shot_id="s0", take=1, job_id=job_id)


async def traffic(redis: ArqRedis) -> tuple[int, int]:
    stats = await redis.info("stats")
    return stats["total_net_input_bytes"], stats["total_net_output_bytes"]


async def test_an_event_of_a_long_run_moves_as_many_bytes_as_that_of_a_short_one(redis: ArqRedis) -> None:
    """In and out, within a tenth; the same commands, too."""
    cost: dict[int, tuple[int, int]] = {}
    for shots in (4, 4, 100):  # The first time loads the scripts.
        await redis.flushdb()
        store = Store(redis)
        await start(store, chain_of(shots))
        await record(store, "run_1", submitting())
        before = await traffic(redis)
        assert (await record(store, "run_1", submitted())).changed
        after = await traffic(redis)
        cost[shots] = (after[0] - before[0], after[1] - before[1])

    assert cost[100][0] < 1.1 * cost[4][0], cost
    assert cost[100][1] < 1.1 * cost[4][1], cost


async def test_what_one_process_changes_another_one_sees(redis: ArqRedis) -> None:
    """What is remembered is only believed while the hash says so."""
    mine, theirs = Store(redis), Store(redis)
    await start(mine, chain_of(3))
    await theirs.load("run_1")

    await record(theirs, "run_1", submitting())
    run_there = await mine.load("run_1")
    await record(mine, "run_1", submitted())
    again = await theirs.load("run_1")

    assert run_there is not None
    assert again is not None
    assert [len(shot.takes) for shot in run_there.shots] == [1, 0, 0]
    assert again.shots[0].takes[0].job_ids == ("j",)
    assert again == await Store(redis).load("run_1")


async def test_a_change_that_redis_forgot_is_not_remembered_instead(redis: ArqRedis) -> None:
    """A Redis that fell back to an older copy, and went on from there to the very same revision."""
    mine, theirs = Store(redis), Store(redis)
    await start(mine, chain_of(2))
    older = await redis.dump("{framerelay}:run:run_1")
    await record(mine, "run_1", events.Submitting(shot_id="s0", take=1, intent="mine", seed=None, first_frame=None))
    await redis.restore("{framerelay}:run:run_1", 0, older, replace=True)
    await record(theirs, "run_1", events.Submitting(shot_id="s0", take=1, intent="theirs", seed=None, first_frame=None))

    run_there = await mine.load("run_1")

    assert run_there is not None
    assert (run_there.revision, run_there.shots[0].takes[0].intent) == (1, "theirs")


async def test_a_run_of_an_early_version_is_read_and_goes_on(redis: ArqRedis) -> None:
    """It is in one field there; its next change splits it, including the shots that did not change."""
    run, store = chain_of(3), Store(redis)
    whole = {"id": run.id, "title": "t", "model": "m", "created_at": 1, "updated_at": 1, "terms": {}, "revision": 4}
    body = pack({**whole, "shots": [shot for shot in run.shots]})
    await redis.hset("{framerelay}:run:run_1", mapping={"revision": 4, "status": "running", "body": body})  # type: ignore[misc]  # redis-py's union

    assert await store.load("run_1") == replace(run, revision=4)
    outcome = await record(store, "run_1", submitting())

    assert outcome.run.revision == 5
    assert await Store(redis).load("run_1") == outcome.run
    assert not await redis.hexists("{framerelay}:run:run_1", "body")  # type: ignore[misc]  # redis-py's union


async def test_a_run_that_was_removed_is_not_remembered(redis: ArqRedis) -> None:
    """Neither by who removed it nor by others."""
    mine, theirs = Store(redis), Store(redis)
    await start(mine, chain_of(1))
    await theirs.load("run_1")
    outcome = await record(mine, "run_1", events.RunCancelled())
    assert await mine.remove(outcome.run, now=5.0)

    assert [await store.load("run_1") for store in (mine, theirs)] == [None, None]


def test_a_limited_number_of_shots_is_remembered_the_most_recent_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that sees a million runs does not grow by them."""
    monkeypatch.setattr(layout, "SHOTS_REMEMBERED", 25)
    memory = Memory()
    for number in range(3):
        memory.keep(chain_of(8, f"run_{number}"), b"first")
    assert memory.find("run_0")

    memory.keep(chain_of(8, "run_3"), b"first")
    memory.keep(chain_of(8, "run_3"), b"second")

    assert [memory.find(f"run_{number}") is not None for number in range(4)] == [True, False, True, True]
    entry: Any = memory.find("run_3")
    assert entry.save_id == b"second"
