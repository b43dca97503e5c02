"""The ledger, copied and written into another Redis: nothing is missing there, whatever happened during the copy."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from framerelay.runs import events
from framerelay.runs.model import Problem, Run, RunId, RunStatus, Shot, Terms
from framerelay.store.client import RelayRedis, connect, disconnect
from framerelay.store.closed import CLOSED, ClosedReason, Closing, close
from framerelay.store.inbox import Callback, Inbox
from framerelay.store.keys import PREFIX
from framerelay.store.ledger import LedgerCounts, copy_ledger
from framerelay.store.ledger_file import LedgerEntry, LedgerWriter, entries_in
from framerelay.store.ledger_load import clear, is_blank, load_ledger
from framerelay.store.outbox import Outbox
from framerelay.store.progress import record, start
from framerelay.store.runs import RUNS, Store
from framerelay.store.tasks import DUE, QUEUE, WAKE, Task, task_keys
from tests.machines.servers import running

pytestmark = pytest.mark.anyio

FAILED = events.PreparationFailed(shot_id="s1", problem=Problem(code="gone", message="the frame is gone"), until=None)
HOOK = Task(id="hook:cb_1", function="hook", arguments={"callback": "cb_1"})


def a_run(name: str, **more: Any) -> Run:
    """One with words, a label and somebody to tell; its shot waits for a person."""
    shot = Shot(id="s1", scene="a", origin="continue", source=None, input={"prompt": "雨夜"}, gated=True)
    fields: dict[str, Any] = {"title": "rain 雨", "model": "m", "created_at": 3.25, "updated_at": 4.5, "terms": Terms()}
    fields |= {"labels": {"project": "rain"}, "notify_url": "https://hooks.example.com/x"}
    return Run(id=RunId(name), shots=(shot,), **{**fields, **more})


def a_callback(name: str) -> Callback:
    return Callback(id=name, received_at=time.time(), outcome="accepted", body=b"{}", hook="h")


@pytest.fixture
async def other(tmp_path: Path) -> AsyncIterator[RelayRedis]:
    """A second server, with nothing in it."""
    with running(tmp_path / "other") as server:
        client = connect(server.url, timeout_s=90)
        yield client
        await disconnect(client)


async def copy(redis: RelayRedis, place: Path, on_entry: Callable[[LedgerEntry], None] | None = None) -> LedgerCounts:
    """Into the file *place*."""
    writer = LedgerWriter(place)

    def take(entry: LedgerEntry) -> None:
        writer.add(entry)
        if on_entry:
            on_entry(entry)

    counts = await copy_ledger(redis, take, on_run=lambda _: None)
    writer.close()
    return counts


async def content(redis: RelayRedis) -> dict[str, Any]:
    """Every key of ours, with what it holds and whether it stays; who is there and who is awake left out."""
    names = sorted([name.decode() async for name in redis.scan_iter(match="*")])
    entries: dict[str, Any] = {}
    for name in set(names) - {WAKE, CLOSED}:
        match (await redis.type(name)).decode():
            case "string":
                value: Any = await redis.get(name)
            case "hash":
                value = await redis.hgetall(name)  # type: ignore[misc]
            case "list":
                value = await redis.lrange(name, 0, -1)  # type: ignore[misc]
            case "set":
                value = await redis.smembers(name)  # type: ignore[misc]
            case "zset":
                value = sorted(await redis.zrange(name, 0, -1, withscores=True))
            case _:
                value = await redis.xrange(name)
        if name == DUE:  # They are looked at soon; when, is counted from now.
            value = [run_id for run_id, _ in value]
        entries[name] = value, await redis.pttl(name) > 0
    return entries


async def test_it_is_restored_unchanged_with_all_indexes(redis: RelayRedis, other: RelayRedis, tmp_path: Path) -> None:
    """Runs of each status, callbacks, tasks, notifications and what else is kept; key by key."""
    store = Store(redis)
    for number, event in enumerate((None, events.RunCancelled(), events.Approved(shot_id="s1")), 1):
        await start(store, a_run(f"run_{number}", created_at=float(number)))
        if event is not None:
            await record(store, f"run_{number}", event)
    await start(store, a_run("run_4", notify_url=None, labels={}))
    run_there = await store.load("run_2")
    assert run_there is not None
    assert await store.remove(run_there, now=5.0)
    inbox = Inbox(redis, keep_s=3600.0)
    others = (inbox.accept(a_callback(name), fingerprint=name, task=None) for name in ("cb_2", "cb_3"))
    await asyncio.gather(inbox.accept(a_callback("cb_1"), fingerprint="f", task=HOOK), *others)
    await inbox.hold(a_callback("cb_4"))
    await store.asked_before("key", RunId("run_1"), plan="p")
    await store.mark_repaired("a step")
    await store.count("paid_twice")
    await redis.set(f"{PREFIX}process:one", b"who is there", px=15_000)
    await redis.set("a stranger's", b"own")

    counts = await copy(redis, tmp_path / "ledger")
    await load_ledger(other, entries_in(tmp_path / "ledger"), prefix=PREFIX)
    await load_ledger(other, entries_in(tmp_path / "ledger"), prefix=PREFIX)
    entries = await content(redis)
    for name in (f"{PREFIX}process:one", "a stranger's"):
        del entries[name]

    assert await content(other) == entries
    assert (counts.runs, counts.open_runs, counts.callbacks) == (3, 3, 4)
    assert await Store(other).load("run_1") == await store.load("run_1")
    assert [run.id for run in await Store(other).runs(limit=9)] == [run.id for run in await store.runs(limit=9)]


async def test_long_keys_are_copied_whole(redis: RelayRedis, other: RelayRedis, tmp_path: Path) -> None:
    """Longer than what is read, or written, with one command."""
    long = {f"{PREFIX}notifications": {f"ntf_{number}": float(number) for number in range(2500)}}
    await redis.zadd(f"{PREFIX}notifications", long[f"{PREFIX}notifications"])
    await redis.hset(f"{PREFIX}counts", mapping={f"n{number}": number for number in range(1700)})  # type: ignore[misc]
    await redis.rpush(f"{PREFIX}refused", *map(str, range(1234)))  # type: ignore[misc]

    await copy(redis, tmp_path / "ledger")
    await load_ledger(other, entries_in(tmp_path / "ledger"), prefix=PREFIX)

    assert await content(other) == await content(redis)


async def test_what_has_expired_since_is_not_written_back(redis: RelayRedis, other: RelayRedis) -> None:
    """And what has not ends when it would have ended."""
    soon, late = int(time.time() * 1000) - 1, int(time.time() * 1000) + 90_000
    over = LedgerEntry(key=f"{PREFIX}asked:a", kind="string", value=b"x", expires_at_ms=soon)
    entry = LedgerEntry(key=f"{PREFIX}asked:b", kind="string", value=b"x", expires_at_ms=late)

    assert await load_ledger(other, [over, entry], prefix=PREFIX) == 1
    assert [await other.exists(entry.key) for entry in (over, entry)] == [0, 1]
    assert await other.execute_command("PEXPIRETIME", entry.key) == late


async def test_former_keys_keep_their_prefix(other: RelayRedis) -> None:
    """So that they are moved by what moves them at a start; the indexes of their runs as well."""
    old = "before:"
    run = LedgerEntry(key=f"{old}run:run_1", kind="hash", value=[b"revision", b"removed"])
    await load_ledger(other, [run], prefix=old)

    assert [name async for name in other.scan_iter(match="*")] == [b"before:run:run_1"]


@pytest.mark.parametrize("moment", range(12))
async def test_nothing_falls_between_two_keys_whatever_changes_during_the_copy(
    redis: RelayRedis, redis_url: str, other: RelayRedis, tmp_path: Path, moment: int
) -> None:
    """
    A callback at a hook becomes a run, that run ends, and its end is announced: at each moment of the copy.

    In the copy the callback has its task or its run; a run that has ended has what is to be told of it; each is found
    by its status.
    """
    store = Store(redis)
    await Inbox(redis, keep_s=3600.0).accept(a_callback("cb_1"), fingerprint="f", task=HOOK)
    await start(store, a_run("run_before"))
    await record(store, "run_before", events.Approved(shot_id="s1"))
    count = 0

    async def happens() -> None:
        client = connect(redis_url, timeout_s=90)
        await start(Store(client), a_run("run_hook"))
        await client.zrem(QUEUE, HOOK.id)
        await client.delete(*task_keys(HOOK.id))
        await record(Store(client), "run_before", FAILED)
        await disconnect(client)

    def on_entry(_: LedgerEntry) -> None:
        nonlocal count
        if count == moment:
            beside(happens())
        count += 1

    await copy(redis, tmp_path / "ledger", on_entry)
    await load_ledger(other, entries_in(tmp_path / "ledger"), prefix=PREFIX)

    run_there = await Store(other).load("run_before")
    assert run_there is not None
    types = {each.notice.type for each in await Outbox(other).recent(limit=9, run_id="run_before")}
    if run_there.status is RunStatus.FAILED:
        assert "run.failed" in types
    assert [run.id for run in await Store(other).runs(limit=9, status=run_there.status) if run.id == run_there.id]
    has_task = await other.zscore(QUEUE, HOOK.id) is not None and await other.exists(task_keys(HOOK.id)[0])
    assert await other.zscore(RUNS, "run_hook") is not None or has_task


def beside(coroutine: Coroutine[Any, Any, None]) -> None:
    """Done when this returns, in a loop of its own, while that of the test waits."""
    thread = threading.Thread(target=asyncio.run, args=[coroutine])
    thread.start()
    thread.join()


async def test_a_first_start_leaves_nothing_that_would_be_lost(redis: RelayRedis) -> None:
    """Only runs, callbacks and what was told of them are something; all of ours can be cleared but the closing."""
    closing = Closing(reason=ClosedReason.RESTORE, backup="b", at=1.0)
    await redis.hset(f"{PREFIX}schema", "written_by", 2)  # type: ignore[misc]
    await close(redis, closing)
    assert await is_blank(redis)

    await start(Store(redis), a_run("run_1"))
    assert not await is_blank(redis)
    await clear(redis, but=CLOSED)
    assert await is_blank(redis)
    assert [name async for name in redis.scan_iter(match=f"{PREFIX}*")] == [CLOSED.encode()]
    await redis.delete(CLOSED)


async def test_what_earlier_versions_kept_is_something_and_is_cleared_as_well(
    redis: RelayRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the word in its place is nothing, which was left there when it was moved."""
    monkeypatch.setattr("framerelay.store.ledger_load.EARLIER", ("before:",))
    await redis.zadd("before:runs", {"run_1": 1.0})
    assert not await is_blank(redis)
    await clear(redis, but=CLOSED)
    await redis.set("before:runs", "it is elsewhere now")
    assert await is_blank(redis)
    await clear(redis, but=CLOSED)
    assert await redis.dbsize() == 0


def test_a_ledger_that_is_cut_off_is_no_ledger(tmp_path: Path) -> None:
    """Its hash would say so before; here the file does."""
    writer = LedgerWriter(tmp_path / "ledger")
    writer.add(LedgerEntry(key="k", kind="string", value=b"x" * 1000))
    writer.close()
    whole = (tmp_path / "ledger").read_bytes()
    (tmp_path / "ledger").write_bytes(whole[: len(whole) // 2])

    with pytest.raises(EOFError):
        list(entries_in(tmp_path / "ledger"))
