"""Which tasks a worker is given when more are due than it has room for: runs take turns."""

import time
from collections import Counter
from collections.abc import Sequence

import pytest
from arq.connections import ArqRedis

from framerelay.store.client import script
from framerelay.store.processes import READ_AGAIN
from framerelay.store.schema import SCHEMA, SCHEMA_KEY
from framerelay.store.tasks import DUE, HEAVY, QUEUE, WAKE

pytestmark = pytest.mark.anyio


async def enqueue(redis: ArqRedis, run_id: str, number: int, *, ago_s: float) -> list[str]:
    """*number* tasks of one run, queued at once; returns their ids in the order in which Redis keeps them."""
    ids = [f"submit:{run_id}:s{each:04d}:1:0" for each in range(number)]
    await redis.zadd(QUEUE, dict.fromkeys(ids, int((time.time() - ago_s) * 1000)))
    return ids


async def claim(
    redis: ArqRedis, room: int, *, task_ids_held: Sequence[str] = (), heavy: int = 1000, others: bool = True
) -> list[str]:
    """The ids that a worker with that much *room* gets; *heavy*: room for heavy ones, *others*: also for the rest."""
    classes = [f",{','.join(HEAVY)},", heavy, int(others)]
    claims, *_ = await redis.register_script(script("claim"))(
        keys=[QUEUE, WAKE, DUE, READ_AGAIN, SCHEMA_KEY], args=[room, 6000, 1_200_000, SCHEMA, *classes, *task_ids_held]
    )
    return [each.decode() for each in claims[::2]]


def by_run(ids: list[str]) -> Counter[str]:
    return Counter(each.split(":")[1] for each in ids)


async def test_a_run_alone_gets_every_place(redis: ArqRedis) -> None:
    """Nobody waits while there is room, not even a run that has all the other places."""
    ids = await enqueue(redis, "large", 30, ago_s=1)

    first = await claim(redis, 10)
    second = await claim(redis, 5, task_ids_held=first)

    assert first + second == ids[:15]
    assert await claim(redis, 50, task_ids_held=[*first, *second]) == ids[15:]
    assert len(await enqueue(redis, "vast", 900, ago_s=1)) == 900
    assert len(await claim(redis, 600)) == 600


async def test_runs_share_the_places(redis: ArqRedis) -> None:
    """However many tasks each has, and whichever came first."""
    await enqueue(redis, "large", 300, ago_s=3)
    await enqueue(redis, "small", 3, ago_s=2)
    await enqueue(redis, "middle", 30, ago_s=1)

    assert by_run(await claim(redis, 12)) == {"large": 5, "small": 3, "middle": 4}


@pytest.mark.parametrize("ahead", [40, 4000])
async def test_a_free_place_goes_to_the_run_without_a_place(redis: ArqRedis, ahead: int) -> None:
    """It came last, after the tasks of two large runs, of which one has a single place."""
    first = await enqueue(redis, "first", ahead, ago_s=3)
    second = await enqueue(redis, "second", ahead, ago_s=2)
    (small,) = await enqueue(redis, "small", 1, ago_s=1)
    task_ids = [*first[:3], second[0]]
    await redis.zadd(QUEUE, dict.fromkeys(task_ids, int((time.time() + 6) * 1000)))

    assert await claim(redis, 1, task_ids_held=task_ids) == [small]
    assert by_run(await claim(redis, 1, task_ids_held=[*task_ids, small])) == {"second": 1}


async def test_among_runs_that_have_as_many_the_longest_wait_ends_first(redis: ArqRedis) -> None:
    """Callbacks that came together, and runs that have nothing under way, are served in their order."""
    for number in range(9):
        await enqueue(redis, f"run_{number}", 1, ago_s=100 - number)

    assert list(by_run(await claim(redis, 4))) == ["run_0", "run_1", "run_2", "run_3"]


async def test_a_run_is_not_starved_by_small_ones_that_keep_coming(redis: ArqRedis) -> None:
    """Each time its own task has ended it is its turn again, though others came in between."""
    large = await enqueue(redis, "large", 3, ago_s=9)
    ends: list[str] = []
    for number in range(6):
        await enqueue(redis, f"small_{number}", 3, ago_s=1)
        (task,) = await claim(redis, 1, task_ids_held=ends[-1:])
        await redis.zrem(QUEUE, *ends[-1:] or ["none"])
        ends.append(task)

    assert [task for task in ends if task in large] == large


async def test_turns_cost_the_same_however_many_wait(redis: ArqRedis) -> None:
    """Only the oldest and the newest are read: what is in the middle of many comes nearer by itself."""
    commands = []
    await claim(redis, 1)  # Loads the script, finds nothing.
    for number in (1_000, 10_000):
        await redis.delete(QUEUE)
        task_ids = await enqueue(redis, "early", number, ago_s=9)
        await enqueue(redis, "middle", 1, ago_s=8)
        await enqueue(redis, "late", number, ago_s=7)
        await redis.config_resetstat()
        assert by_run(await claim(redis, 1, task_ids_held=[*task_ids[:2], "submit:late::1:0"])) == {"late": 1}
        stats = await redis.info("commandstats")
        commands.append(Counter({name: each["calls"] for name, each in stats.items() if "config" not in name}))

    assert commands[0] == commands[1]
    assert commands[0].total() < 16


async def films(redis: ArqRedis, number: int, *, ago_s: float) -> list[str]:
    """*number* joins, one for each run, in the order of the queue."""
    ids = [f"join:run_{each:04d}::0:0" for each in range(number)]
    await redis.zadd(QUEUE, {name: int((time.time() - ago_s) * 1000) + at for at, name in enumerate(ids)})
    return ids


async def test_films_take_only_the_places_reserved_for_films(redis: ArqRedis) -> None:
    """The rest stay in the queue as they were, and what is after them starts at once, however many they are."""
    first, second, *rest = await films(redis, 900, ago_s=60)
    submits = await enqueue(redis, "new", 3, ago_s=1)
    before = await redis.zrange(QUEUE, 2, 899, withscores=True)

    assert await claim(redis, 20, heavy=2) == [first, second, *submits]
    assert await redis.zrange(QUEUE, 0, 897, withscores=True) == before
    assert await claim(redis, 20, heavy=0, task_ids_held=[first, second, *submits]) == []
    assert await claim(redis, 20, heavy=1, task_ids_held=[second]) == rest[:1]


async def test_each_class_is_claimed_by_its_own(redis: ArqRedis) -> None:
    """A light worker leaves films alone and a heavy one everything else; nobody is woken for what is left."""
    joins, submits = await films(redis, 30, ago_s=9), await enqueue(redis, "run", 30, ago_s=9)
    again = ["again:run_a:film.mp4", "opening:run_a:s1:1"]
    await redis.zadd(QUEUE, dict.fromkeys(again, int((time.time() - 20) * 1000)))

    assert await claim(redis, 40, heavy=0) == submits
    assert await redis.llen(WAKE) == 0
    assert await claim(redis, 40, heavy=3, others=False) == [*again, joins[0]]
    assert await redis.llen(WAKE) == 0


async def test_runs_take_turns_for_films_too(redis: ArqRedis) -> None:
    """Films that nobody here has a place for do not hide the run that has no place yet."""
    await films(redis, 300, ago_s=60)
    await enqueue(redis, "large", 40, ago_s=9)
    await enqueue(redis, "small", 1, ago_s=1)

    assert by_run(await claim(redis, 4, heavy=0)) == {"large": 3, "small": 1}


async def test_a_run_due_too_far_in_the_future_calls_the_sweep_at_once(redis: ArqRedis) -> None:
    """No run is given such a time, so the clock was set back since; one within bounds is waited for."""
    keys, arguments = [QUEUE, WAKE, DUE, READ_AGAIN, SCHEMA_KEY], [5, 6000, 1_200_000, SCHEMA, ",join,", 5, 1]
    claim = redis.register_script(script("claim"))
    now_s = time.time()
    await redis.zadd(DUE, {"run_a": (now_s + 600) * 1000})
    _, now_ms, _, waited_for, *_ = await claim(keys=keys, args=arguments)
    await redis.zadd(DUE, {"run_b": (now_s + 3600) * 1000})
    _, later_ms, _, at_once, *_ = await claim(keys=keys, args=arguments)

    assert float(waited_for) > now_ms
    assert float(at_once) <= later_ms
