"""Runs are found by labels, words and needs, at the cost of a page, wherever they move."""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from arq.connections import ArqRedis
from hypothesis import given, settings
from hypothesis import strategies as st

from framerelay.runs import events
from framerelay.runs.machine import begin
from framerelay.runs.model import Run, RunId, RunStatus, Shot, Terms
from framerelay.store.keys import PREFIX
from framerelay.store.progress import record, start
from framerelay.store.run_index import ENTRIES_MAX, RunQuery, has_words, indexes_of
from framerelay.store.runs import Store

pytestmark = pytest.mark.anyio


def a_run(number: int, title: str, gated: bool = False, **labels: str) -> Run:
    shot = Shot(id="s1", scene="a", origin="cut", source=None, input={"prompt": "x"}, gated=gated)
    run_id = RunId(f"run_{number:04}")
    return begin(
        Run(
            id=run_id,
            title=title,
            model="m",
            created_at=number,
            updated_at=number,
            shots=(shot,),
            terms=Terms(),
            labels=labels,
        )
    )


@pytest.fixture
async def store(redis: ArqRedis) -> Store:
    """Four runs, the first one oldest."""
    store = Store(redis)
    for run in (
        a_run(1, "Neon Rain, Episode 12", project="rain", episode="12"),
        a_run(2, "霓虹雨夜", project="rain"),
        a_run(3, "A train at night", gated=True, project="trains: old & new"),
        a_run(4, "Ｒａｉｎｙ days", gated=True, project="rain"),
    ):
        await start(store, run)
    return store


async def numbers(store: Store, limit: int = 10, after: str | None = None, **query: object) -> list[int]:
    runs = await store.runs(limit=limit, after=after, query=RunQuery(**query))  # type: ignore[arg-type]
    return [int(run.id.removeprefix("run_")) for run in runs]


@pytest.mark.parametrize(
    ("query", "numbers_there"),
    [
        ({}, [4, 3, 2, 1]),
        ({"labels": (("project", "rain"),)}, [4, 2, 1]),
        ({"labels": (("project", "rain"), ("episode", "12"))}, [1]),
        ({"labels": (("project", "trains: old & new"),)}, [3]),
        ({"labels": (("project", "rai"),)}, []),
        ({"text": "rain"}, [4, 2, 1]),
        ({"text": "RAI neo"}, [1]),
        ({"text": "ain"}, []),
        ({"text": "雨夜"}, [2]),
        ({"text": "夜"}, [2]),
        ({"text": "夜雨"}, []),
        ({"text": "霓虹 rain"}, [2]),
        ({"text": "episodes"}, []),
        ({"text": "new & old"}, [3]),
        ({"needs_person": True}, [4, 3]),
        ({"needs_person": True, "text": "rain"}, [4]),
        ({"status": RunStatus.WAITING, "labels": (("project", "rain"),)}, [4]),
        ({"status": RunStatus.RUNNING, "text": "rain"}, [2, 1]),
    ],
)
async def test_what_is_wanted_is_what_is_found(
    store: Store, query: dict[str, object], numbers_there: list[int]
) -> None:
    """Newest first; all that is asked for holds."""
    assert await numbers(store, **query) == numbers_there


async def test_what_an_index_does_not_tell_apart_is_compared(store: Store) -> None:
    """Words that begin alike for ten letters, and pairs of signs that do not stand together."""
    await start(store, a_run(5, "Constantinople"))
    await start(store, a_run(6, "雨夜 夜雨夜"))
    assert await numbers(store, text="constantinop") == [5]
    assert await numbers(store, text="constantinopolis") == []
    assert await numbers(store, text="雨夜雨夜") == []
    assert await numbers(store, text="夜雨夜") == [6]


async def test_pages_continue_after_the_last_one(store: Store) -> None:
    """Also after a run that has left the index since."""
    assert await numbers(store, limit=1, text="rain") == [4]
    assert await numbers(store, limit=1, text="rain", after="run_0004") == [2]
    await record(store, "run_0004", events.Approved(shot_id="s1"))
    assert await numbers(store, needs_person=True) == [3]
    assert await numbers(store, needs_person=True, after="run_0004") == [3]


async def test_a_run_that_is_removed_leaves_nothing_behind(store: Store, redis: ArqRedis) -> None:
    """Not one of its entries."""
    run = (await record(store, "run_0003", events.RunCancelled())).run
    assert await numbers(store, needs_person=True) == [4]
    assert await store.remove(run, now=9.0)
    for key in await redis.keys("{framerelay}:runs*"):
        if await redis.type(key) == b"zset" and key != b"{framerelay}:runs-removed":
            assert b"run_0003" not in await redis.zrange(key, 0, -1), key


async def test_labels_that_change_with_a_run_move_it(store: Store) -> None:
    """As a storyboard that is amended does."""
    run = await store.load("run_0001")
    assert run is not None
    after = replace(run, title="Snow", labels={"project": "snow"}, revision=run.revision + 1)
    assert await store.save(after, before=run, event={}, steps=[], wake_at=None)
    assert (await numbers(store, text="neon"), await numbers(store, text="sno")) == ([], [1])
    assert await numbers(store, labels=(("project", "rain"),)) == [4, 2]


async def test_a_run_of_a_version_without_indexes_is_put_into_them_once(store: Store, redis: ArqRedis) -> None:
    """One that has changed in between has put itself there, and is left alone."""
    run = await store.load("run_0003")
    assert run is not None
    for name in indexes_of(run).split("\n"):
        await redis.zrem(f"{PREFIX}runs:{name}", run.id)
    await redis.hdel(f"{PREFIX}run:{run.id}", "indexes")
    assert await numbers(store, needs_person=True) == [4]
    assert not await store.index(replace(run, revision=run.revision + 1))
    assert await store.index(run)
    assert await numbers(store, needs_person=True, text="train night") == [3]
    assert not await store.index(run)


async def test_a_page_costs_the_page_though_many_are_stored(store: Store, redis: ArqRedis) -> None:
    """One thing wanted: as many calls for a page of two among sixty as among four."""

    async def calls(query: RunQuery) -> int:
        before = (await redis.info("commandstats"))["cmdstat_hgetall"]["calls"]
        await store.runs(limit=2, query=query)
        return int((await redis.info("commandstats"))["cmdstat_hgetall"]["calls"] - before)

    expected = RunQuery(labels=(("project", "rain"),))
    assert await calls(expected) == 2
    for number in range(5, 65):
        await start(store, a_run(number, "more", project="rain"))
    assert await calls(expected) == 2


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@settings(max_examples=200)
@given(
    title=TEXTS, labels=st.dictionaries(st.from_regex(r"[a-z]{1,5}", fullmatch=True), TEXTS, max_size=3), at=st.data()
)
def test_whatever_begins_a_word_finds_its_run(title: str, labels: dict[str, str], at: st.DataObject) -> None:
    """In any script, any case: what is shown of it may be typed."""
    labels = {name: re.sub(r"\s", " ", value) for name, value in labels.items() if value.isprintable() and value}
    run = a_run(1, title, **labels)
    names = indexes_of(run).split("\n")
    assert len(names) <= ENTRIES_MAX + len(labels) + 1
    words = [word for text in (title, *labels.values()) for word in text.split() if has_words(word)]
    if not words:
        return
    word = at.draw(st.sampled_from(words))
    change: Callable[[str], str] = at.draw(st.sampled_from([str, str.upper, str.lower]))
    query = RunQuery(text=change(word))
    assert set(query.indexes) <= set(names)
    assert query.is_met(run)
