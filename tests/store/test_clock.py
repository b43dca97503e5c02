"""Machines whose clocks differ: whether a time has come is judged by the clock of Redis, whichever machine looks."""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest

from framerelay.runs import events
from framerelay.runs.machine import begin, wake_at
from framerelay.runs.model import Problem, Run, RunId, Shot, TakeStatus, Terms
from framerelay.runs.steps import steps_due
from framerelay.store.client import connect, disconnect
from framerelay.store.progress import record, start
from framerelay.store.runs import Store

pytestmark = pytest.mark.anyio

TERMS = Terms(ask_after_s=600.0)
SENT = events.Submitting(shot_id="s1", take=1, intent="i", seed=None, first_frame=None)


def a_run() -> Run:
    shot = Shot(id="s1", scene="1", origin="continue", source=None, input={"prompt": "雨夜"})
    now = time.time()
    return begin(
        Run(id=RunId("run_1"), title="t", model="m", created_at=now, updated_at=now, shots=(shot,), terms=TERMS)
    )


@contextmanager
def clock_set(offset_s: float) -> Iterator[None]:
    """Within the block the time is that of a machine whose clock is that far ahead."""
    real = time.time
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", lambda: real() + offset_s)
        yield


@asynccontextmanager
async def machine(redis_url: str) -> AsyncIterator[Store]:
    redis = connect(redis_url)
    try:
        yield Store(redis)
    finally:
        await disconnect(redis)


@pytest.mark.parametrize(("its_s", "ours_s"), [(-600.0, 600.0), (0.0, 1200.0), (600.0, -600.0)])
async def test_a_submit_that_is_under_way_elsewhere_is_given_up_by_nobody(
    redis_url: str, its_s: float, ours_s: float
) -> None:
    """A person who was asked what became of it could have it made, and pay for it, again."""
    async with machine(redis_url) as there, machine(redis_url) as here:
        await start(there, a_run())
        with clock_set(its_s):
            run_there = (await record(there, "run_1", SENT)).run
        with clock_set(ours_s):
            look = await record(here, "run_1", events.Elapsed())

    (take,) = run_there.shots[0].takes
    assert (look.changed, look.run) == (False, run_there)
    assert take.status is TakeStatus.SUBMITTING
    assert abs(take.submitted_at - time.time()) < 300


async def test_what_is_put_off_here_is_due_at_that_time_there(redis_url: str) -> None:
    """Not ten minutes later, nor at once."""
    async with machine(redis_url) as there, machine(redis_url) as here:
        await start(there, a_run())
        with clock_set(-600.0):
            await there.load("run_1")
            busy = events.PreparationFailed(
                shot_id="s1", problem=Problem(code="busy", message="busy"), until=there.clock.now() + 300
            )
            run = (await record(there, "run_1", busy)).run
        with clock_set(600.0):
            await here.load("run_1")
            early, late = here.clock.now(), here.clock.now() + 600
            overdue = await here.overdue(early, put_off_s=1, at_most=9)

    assert overdue == []
    assert steps_due(run, early) == []
    assert len(steps_due(run, late)) == 1
    assert early < (wake_at(run, early) or 0) < late


async def test_a_clock_that_is_set_while_we_run_is_not_believed(redis_url: str) -> None:
    """What was learned of the other one holds."""
    async with machine(redis_url) as store:
        await store.load("run_1")
        with clock_set(3600.0):
            at_once = store.clock.now()
            await store.load("run_1")
            later = store.clock.now()

    assert abs(at_once - time.time()) < 300
    assert abs(later - time.time()) < 300


async def test_a_machine_that_slept_asks_again(redis_url: str) -> None:
    """Its own clock stood still while time went on."""
    async with machine(redis_url) as store:
        with clock_set(-3600.0):
            store.clock.learn(time.time())
        assert abs(store.clock.now() - time.time()) > 3000
        await store.load("run_1")

        assert abs(store.clock.now() - time.time()) < 300


async def test_what_was_learned_is_not_believed_for_ever(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clocks drift, and another Redis may have taken over."""
    async with machine(redis_url) as store:
        store.clock.learn(time.time() - 3600.0)
        await store.load("run_1")
        assert abs(store.clock.now() - time.time()) > 3000
        monkeypatch.setattr("framerelay.store.clock.FRESH_S", 0.0)
        await store.load("run_1")

        assert abs(store.clock.now() - time.time()) < 300
