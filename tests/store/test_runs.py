"""Runs in Redis: saved whole with what follows, or not at all."""

import asyncio
import time
from dataclasses import replace

import pytest
from arq.connections import ArqRedis

from framerelay.runs import events
from framerelay.runs.errors import Conflict, IdAmbiguous, NotFound, StoreUnavailable
from framerelay.runs.machine import begin
from framerelay.runs.model import Run, RunId, RunStatus, Shot, Terms
from framerelay.runs.steps import steps_due
from framerelay.store.client import connect, disconnect
from framerelay.store.keys import PREFIX
from framerelay.store.progress import record, start
from framerelay.store.runs import RUNS, RUNS_BY_ID, Store
from framerelay.store.tasks import DUE, QUEUE, Task, unpack

pytestmark = pytest.mark.anyio


def a_run(name: str = "run_1", scenes: int = 1) -> Run:
    shots = tuple(
        Shot(id=f"s{number}", scene=str(number), origin="continue", source=None, input={"prompt": "雨夜"})
        for number in range(scenes)
    )
    return begin(Run(id=RunId(name), title="t", model="m", created_at=1, updated_at=1, shots=shots, terms=Terms()))


def intent(shot_id: str = "s0", name: str = "i") -> events.Submitting:
    return events.Submitting(shot_id=shot_id, take=1, intent=name, seed=None, first_frame=None)


class Meeting(Store):
    """A store whose first *writers* have all loaded before any of them can save: left to chance, they seldom meet."""

    def __init__(self, redis: ArqRedis, *, writers: int) -> None:
        super().__init__(redis)
        self._all_are_here = asyncio.Barrier(writers)
        self._writers = writers

    async def load(self, run_id: str) -> Run | None:
        run = await super().load(run_id)
        if self._writers:
            self._writers -= 1
            await self._all_are_here.wait()
        return run


async def test_a_run_is_loaded_as_it_was_saved(redis: ArqRedis) -> None:
    """Every field, Chinese text included."""
    store, run = Store(redis), a_run()
    await start(store, run)

    assert await store.load(run.id) == run
    assert await store.load("run_other") is None


async def test_a_new_run_is_saved_with_its_first_task_and_its_next_look(redis: ArqRedis) -> None:
    """State, task and timer in one transaction, in arq's own layout, readable without pickle."""
    await start(Store(redis), a_run())
    task = "submit:run_1:s0:1:0"

    assert await redis.zrange(QUEUE, 0, -1) == [task.encode()]
    definition = unpack(await redis.get(f"{PREFIX}arq:job:{task}"))
    assert definition["f"] == "submit"
    assert definition["k"] == {"run": "run_1", "shot": "s0", "take": 1, "turn": 0}
    assert await redis.zscore(DUE, "run_1") is not None


async def test_one_of_many_writers_wins_and_the_others_build_on_it(redis: ArqRedis) -> None:
    """Fifty scenes begun at once: no intent is lost, each revision is used once."""
    store = Meeting(redis, writers=50)
    await start(store, a_run(scenes=50))

    await asyncio.gather(*(record(store, "run_1", intent(f"s{number}")) for number in range(50)))

    run = await store.load("run_1")
    assert run is not None
    assert run.revision == 50
    assert all(len(shot.takes) == 1 for shot in run.shots)


async def test_exactly_one_of_many_intents_for_one_take_is_stored(redis: ArqRedis) -> None:
    """The gate in front of money holds between processes."""
    store = Meeting(redis, writers=20)
    await start(store, a_run())

    results = await asyncio.gather(*(record(store, "run_1", intent(name=str(n))) for n in range(20)))

    assert sum(result.changed for result in results) == 1


async def test_a_save_from_an_old_revision_writes_nothing(redis: ArqRedis) -> None:
    """Neither the run, nor its tasks, nor its history."""
    store, run = Store(redis), a_run()
    await start(store, run)
    before = await redis.zcard(QUEUE), len(await store.history(run.id))

    stale = replace(run, title="stale", revision=9)
    older = replace(run, revision=5)
    is_saved = await store.save(
        stale, before=older, event={}, steps=[*steps_due(replace(run, id=RunId("x")), 1)], wake_at=5
    )

    assert not is_saved
    assert (await redis.zcard(QUEUE), len(await store.history(run.id))) == before
    assert await store.load(run.id) == run


async def test_starting_the_same_run_twice_returns_the_first(redis: ArqRedis) -> None:
    """A repeated request or callback makes no second run."""
    store = Store(redis)
    first = await start(store, a_run())
    await record(store, "run_1", intent())

    again = await start(store, replace(a_run(), title="other"))

    assert again.title == first.title
    assert again.revision == 1


async def test_a_step_that_waits_or_runs_is_not_queued_twice(redis: ArqRedis) -> None:
    """The sweep may ask as often as it likes."""
    store, run = Store(redis), a_run()
    await start(store, run)

    for _ in range(3):
        await store.schedule(run, steps=steps_due(run, 5.0), wake_at=9.0)

    assert await redis.zcard(QUEUE) == 1


async def test_a_task_that_lost_half_of_itself_is_made_whole(redis: ArqRedis) -> None:
    """An expired definition or a vanished queue entry does not block its step for ever."""
    store, run = Store(redis), a_run()
    await start(store, run)
    await redis.delete("{framerelay}:arq:job:submit:run_1:s0:1:0")
    await store.schedule(run, steps=steps_due(run, 5.0), wake_at=9.0)
    assert await redis.exists("{framerelay}:arq:job:submit:run_1:s0:1:0")

    await redis.delete(QUEUE)
    await store.schedule(run, steps=steps_due(run, 5.0), wake_at=9.0)

    assert await redis.zcard(QUEUE) == 1


async def test_a_schedule_for_a_run_that_has_moved_on_is_ignored(redis: ArqRedis) -> None:
    """The sweep's older view must not overwrite a newer wake-up."""
    store = Store(redis)
    old = await start(store, a_run())
    await record(store, "run_1", intent())
    due_at = await redis.zscore(DUE, "run_1")

    await store.schedule(old, steps=[], wake_at=None)

    assert await redis.zscore(DUE, "run_1") == due_at


async def test_overdue_runs_are_given_to_one_sweep_at_a_time(redis: ArqRedis) -> None:
    """And come again if that sweep dies."""
    store = Store(redis)
    await start(store, a_run())
    long_after = 4e9

    first = await store.overdue(long_after, put_off_s=30, at_most=10)
    second = await store.overdue(long_after, put_off_s=30, at_most=10)
    later = await store.overdue(long_after + 31, put_off_s=30, at_most=10)

    assert (first, second, later) == (["run_1"], [], ["run_1"])


async def test_a_run_due_too_far_in_the_future_is_overdue(redis: ArqRedis) -> None:
    """The clock was set back since; without it a lost callback cost as much as the step."""
    store = Store(redis)
    run = await start(store, a_run())
    await redis.zadd(DUE, {run.id: int((time.time() + 3600) * 1000)})
    now = time.time()

    assert await store.overdue(now, put_off_s=30, at_most=10) == [run.id]
    assert await store.overdue(now, put_off_s=30, at_most=10) == []


async def test_history_tells_what_happened_in_order_and_resumes(redis: ArqRedis) -> None:
    """A reader that comes back with the last id it saw gets the rest."""
    store = Store(redis)
    await start(store, a_run())
    await record(store, "run_1", intent())
    lines = await store.history("run_1")

    rest = await store.history("run_1", after=lines[0].id)

    assert [line.fields["event"] for line in lines] == ["started", "submitting"]
    assert rest == lines[1:]


async def test_runs_are_listed_newest_first_page_by_page(redis: ArqRedis) -> None:
    """`after` names the last one seen."""
    store = Store(redis)
    for number in range(5):
        await start(store, replace(a_run(f"run_{number}"), created_at=float(number)))

    first = await store.runs(limit=2)
    second = await store.runs(limit=2, after=first[-1].id)

    assert [run.id for run in first + second] == ["run_4", "run_3", "run_2", "run_1"]
    assert await store.runs(limit=2, after="run_nobody") == []


async def test_a_decision_about_an_older_revision_is_refused(redis: ArqRedis) -> None:
    """Two people act at once: the second is told."""
    store = Store(redis)
    await start(store, a_run())
    await record(store, "run_1", intent())

    with pytest.raises(Conflict, match="revision 1, not 0"):
        await record(store, "run_1", events.RunCancelled(), revision=0)


async def test_an_event_about_no_run_is_not_found(redis: ArqRedis) -> None:
    """Rather than a run out of nothing."""
    with pytest.raises(NotFound):
        await record(Store(redis), "run_nobody", events.Elapsed())


async def test_a_key_that_was_asked_before_names_its_run(redis: ArqRedis) -> None:
    """`Idempotency-Key`: the first run keeps it."""
    store = Store(redis)

    assert await store.asked_before("k", RunId("run_a")) == "run_a"
    assert await store.asked_before("k", RunId("run_b")) == "run_a"


@pytest.mark.usefixtures("gives_redis_up_soon")
async def test_a_redis_that_is_gone_is_one_foreseen_error() -> None:
    """Whatever the client library raises."""
    client = connect("unix:///nowhere/redis.sock")
    store = Store(client)

    with pytest.raises(StoreUnavailable):
        await store.load("run_1")
    with pytest.raises(StoreUnavailable):
        await store.enqueue([Task(id="x", function="sweep", arguments={})])
    await disconnect(client)


async def test_runs_are_listed_by_status_wherever_they_move(redis: ArqRedis) -> None:
    """A run is listed under exactly the status that it has, newest first; the place after one that moved is kept."""
    store = Store(redis)
    for number in range(4):
        await start(store, replace(a_run(f"run_{number}"), created_at=number))
    await record(store, "run_1", events.RunCancelled())

    async def ids(status: RunStatus, after: str | None = None) -> list[str]:
        return [run.id for run in await store.runs(limit=9, after=after, status=status)]

    assert await ids(RunStatus.CANCELLED) == ["run_1"]
    assert await ids(RunStatus.RUNNING) == ["run_3", "run_2", "run_0"]
    assert await ids(RunStatus.RUNNING, after="run_2") == ["run_0"]
    assert await ids(RunStatus.RUNNING, after="run_1") == ["run_0"]
    assert await ids(RunStatus.RUNNING, after="run_none") == []


async def test_a_page_of_one_status_costs_the_page(redis: ArqRedis) -> None:
    """The one cancelled run after three hundred others is found without reading them."""
    store = Store(redis)
    for number in range(300):
        await start(store, replace(a_run(f"run_{number}"), created_at=number))
    await record(store, "run_0", events.RunCancelled())
    await redis.config_resetstat()

    assert [run.id for run in await store.runs(limit=20, status=RunStatus.CANCELLED)] == ["run_0"]

    assert (await redis.info("commandstats"))["cmdstat_hgetall"]["calls"] == 1


async def test_a_run_saved_without_the_index_is_listed_and_found_by_status_once_it_changes(redis: ArqRedis) -> None:
    """Data of an older version stays whole."""
    store = Store(redis)
    await start(store, a_run())
    await redis.delete("{framerelay}:runs:running")
    await redis.hdel("{framerelay}:run:run_1", "status")

    assert [run.id for run in await store.runs(limit=9)] == ["run_1"]
    await record(store, "run_1", intent())

    assert [run.id for run in await store.runs(limit=9, status=RunStatus.RUNNING)] == ["run_1"]


async def id_of(store: Store, text: str) -> str | None:
    """The id of the run that *text* means."""
    run = await store.find_by_name(text)
    return run and run.id


async def test_the_beginning_of_an_id_is_enough_while_no_other_begins_so(redis: ArqRedis) -> None:
    """At least four characters after run_; a whole id precedes longer ones that begin with it; last is the newest."""
    store = Store(redis)
    assert await id_of(store, "last") is None
    for place, name in enumerate(("run_abcdef", "run_abcxyz", "run_abcxyz2", "run_zzzz")):
        await start(store, replace(a_run(name), created_at=place))

    for text, run_id in {
        **{
            "run_abcd": "run_abcdef",
            "run_abcdef": "run_abcdef",
            "run_abcxyz": "run_abcxyz",
            "run_abcxyz2": "run_abcxyz2",
        },
        **{"run_zzzz": "run_zzzz", "last": "run_zzzz", "run_zzz": None, "run_": None, "": None, "abcd": None},
        **{"run_abcdefg": None, "LAST": None, "run_ABCD": None, "[run_abcd": None, "run_abcd*": None},
    }.items():
        assert await id_of(store, text) == run_id, text
    with pytest.raises(
        IdAmbiguous, match="several ids begin with run_abcx: run_abcxyz, run_abcxyz2; give more"
    ) as failure:
        await store.find_by_name("run_abcx")
    assert failure.value.candidates == ("run_abcxyz", "run_abcxyz2")


async def test_of_many_ids_with_the_same_beginning_some_are_named(redis: ArqRedis) -> None:
    """A sentence, not a page; one that was removed does not count."""
    store = Store(redis)
    for number in range(9):
        await start(store, a_run(f"run_same{number}"))
    with pytest.raises(IdAmbiguous, match="run_same4 and others"):
        await store.find_by_name("run_same")
    for number in range(8):
        run = await store.load(f"run_same{number}")
        assert run is not None
        assert await store.remove(run, now=2)

    assert await id_of(store, "run_same") == "run_same8"
    assert await id_of(store, "run_same1") is None


async def test_runs_older_than_the_index_are_indexed_by_the_first_query(redis: ArqRedis) -> None:
    """However many there are; those that were saved since are in it already."""
    store = Store(redis)
    await redis.zadd(RUNS, {f"run_old{number:05}": number for number in range(2500)})
    await start(store, a_run("run_older"))
    await redis.zrem(RUNS_BY_ID, "run_older")
    await start(store, a_run("run_newer"))

    assert await id_of(store, "run_older") == "run_older"
    assert await store.ids_beginning("run_old0249", at_most=20) == [f"run_old0249{number}" for number in range(10)]
    assert await redis.zcard(RUNS_BY_ID) == await redis.zcard(RUNS) == 2502
