"""What versions before schema 3 kept, under keys without a hash tag, is moved at the first start, all of it."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import redis as redis_sync

from framerelay.runs import events
from framerelay.runs.errors import StoreUnavailable
from framerelay.runs.machine import begin
from framerelay.runs.model import Run, RunId, Shot, Terms, Wording
from framerelay.store import old_keys, schema
from framerelay.store.client import RelayRedis, connect, disconnect
from framerelay.store.files import MediaFiles
from framerelay.store.folder_store import FolderStore
from framerelay.store.inbox import Callback, Inbox
from framerelay.store.look_ups import LookUps
from framerelay.store.one_place import agree
from framerelay.store.outbox import Outbox
from framerelay.store.pace import Pace
from framerelay.store.places import Allowance, TakePlace
from framerelay.store.progress import record, start
from framerelay.store.runs import Store
from framerelay.store.schema import SCHEMA_KEY, SchemaTooNew
from framerelay.store.tasks import QUEUE, Task
from tests.machines.servers import running

pytestmark = pytest.mark.anyio

RENAMED = ((b"{framerelay}:arq:", b"arq:"), (b"{framerelay}:", b"framerelay:"))
FENCED = {b"framerelay:queue", b"framerelay:due", b"framerelay:callbacks", b"framerelay:runs"}
Content = dict[bytes, tuple[bytes, bool]]


class Kill(BaseException):
    """The process is gone between two commands."""


def older(url: str) -> RelayRedis:
    """A client that uses the former names of the same keys, in scripts as well."""
    redis = connect(url)
    packing, register = redis.connection_pool.connection_class, redis.register_script

    def of_before(word: Any) -> Any:
        text = word.encode() if isinstance(word, str) else word
        for name, before in RENAMED:
            text = text.replace(name, before) if isinstance(text, bytes) else text
        return text

    def pack(connection: Any, *words: Any) -> Any:
        return packing.pack_command(connection, *map(of_before, words))

    redis.connection_pool.connection_class = type("Older", (packing,), {"pack_command": pack})
    redis.register_script = lambda text: register(of_before(text).decode())  # type: ignore[method-assign]  # Its digest is another.
    return redis


def a_run(name: str) -> Run:
    """It waits from its first moment, which is announced."""
    shots = tuple(
        Shot(id=f"s{each}", scene=str(each), origin="continue", source=None, input={"prompt": "雨夜"}, gated=each == 1)
        for each in range(2)
    )
    fields: dict[str, Any] = {"title": "Neon rain", "model": "m", "created_at": 1.0, "updated_at": 1.0}
    more = {"labels": {"project": "rain"}, "notify_url": "https://hooks.example.com/x"}
    return begin(Run(id=RunId(name), shots=shots, terms=Terms(), **fields, **more))


def a_callback(name: str) -> tuple[Callback, dict[str, Any]]:
    callback = Callback(id=name, received_at=time.time(), outcome="accepted", body=b"{}", run_id="r", ending=name)
    return callback, {"fingerprint": name, "task": Task(id=f"look_up:r:{name}", function="look_up", arguments={})}


async def fill(redis: RelayRedis, folder: Path) -> None:
    """Something of each kind that is ever kept."""
    store, inbox = Store(redis), Inbox(redis, keep_s=1000.0)
    run_ids = [f"run_{letter * 24}" for letter in "abcd"]
    for run_id in run_ids:
        await store.asked_before(f"key {run_id}", RunId(run_id), plan="p")
        await start(store, a_run(run_id), wording=Wording(text="title: Neon rain\n", form="yaml"))
    await record(store, run_ids[1], events.Submitting(shot_id="s0", take=1, intent="i", seed=None, first_frame=None))
    for run_id in run_ids[2:]:
        await record(store, run_id, events.RunCancelled())
    run_there = await store.load(run_ids[3])
    assert run_there is not None
    await store.remove(run_there, now=time.time())
    for number in range(5):
        callback, rest = a_callback(f"cb_{number % 4}{number % 2}")
        await inbox.accept(callback, **rest)
    await inbox.mark_late("cb_00", "too late")
    for kind, keep in (("cb_r", inbox.refuse), ("cb_q", inbox.hold)):
        await keep(Callback(id=kind, received_at=1.0, outcome="accepted", body=b"x"))
    outbox = Outbox(redis)
    claims, _ = await outbox.claim(room=1, lease_s=60.0)
    await outbox.put_back(claims[0], wait_s=60.0)
    await store.places.enter("jobs", TakePlace(run_id=run_ids[0], shot_id="s0", take=1), Allowance(begin_with=1))
    await store.places.enter("jobs", TakePlace(run_id=run_ids[1], shot_id="s0", take=1), Allowance(begin_with=1))
    await LookUps(redis).rest("jobs", 60.0)
    run = a_run(run_ids[0])
    await Pace(redis).learn(run, run.shots[0], 1.5)
    await agree(redis, FolderStore(MediaFiles(folder)))
    await store.mark_repaired("x")
    await store.count("paid_twice")
    await store.is_first_use("invitation", life_s=1000)
    await redis.set("{framerelay}:arq:retry:submit:" + run_ids[0] + ":s0:1:0", 2, ex=1000)
    await redis.execute_command("SET", "somebody:else", 1)


def content(redis: redis_sync.Redis) -> Content:
    """What is stored under each key, and whether it ends by itself."""
    return {key: (redis.dump(key), redis.pttl(key) > 0) for key in redis.scan_iter(count=1000)}  # type: ignore[misc]


def moved(before: Content) -> Content:
    """As it has to be afterwards, without what older versions find in its place."""
    after = {}
    for key, value in before.items():
        name = key
        for new, old in RENAMED:
            if key.startswith(old):
                name = new + key.removeprefix(old)
                break
        after[name] = value
    return after


@pytest.fixture
def server(redis_url: str, _emptier: redis_sync.Redis, monkeypatch: pytest.MonkeyPatch) -> redis_sync.Redis:
    """To look at from outside; small pieces, so that there are many moments."""
    monkeypatch.setattr(old_keys, "LOOKED_AT", 4)
    return _emptier


@pytest.fixture
async def before(server: redis_sync.Redis, redis_url: str, tmp_path: Path) -> Content:
    """What an earlier version has kept."""
    redis = older(redis_url)
    await fill(redis, tmp_path)
    await disconnect(redis)
    content_there = content(server)
    assert not [key for key in content_there if b"{" in key]
    return content_there


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[RelayRedis]:
    redis = connect(redis_url)
    yield redis
    await disconnect(redis)


def put(server: redis_sync.Redis, content_there: Content) -> None:
    server.flushall()
    for key, (value, ends) in content_there.items():
        server.restore(key, 100_000 if ends else 0, value)


def check(server: redis_sync.Redis, content_there: Content) -> None:
    """All is where it belongs, as it was; older versions find a text, and a note that says that they are too old."""
    now = content(server)
    for key in FENCED:
        assert b"a newer FrameRelay" in server.get(key)  # type: ignore[operator]
        del now[key]
    assert server.hget("framerelay:schema", "readable_from") == b"3"
    for key in (SCHEMA_KEY.encode(), b"framerelay:schema"):
        del now[key]
    assert now == moved(content_there)


async def test_everything_is_found_under_the_present_keys(
    client: RelayRedis, server: redis_sync.Redis, before: Content
) -> None:
    """Byte for byte, with the time that it has left; what is somebody else's stays."""
    await schema.enter(client)

    check(server, before)
    runs = await Store(client).runs(limit=9)
    assert [run.title for run in runs] == ["Neon rain"] * 3
    assert len(await Inbox(client, keep_s=9.0).recent(limit=99)) == 6
    assert server.get("somebody:else") == b"1"


async def entering(url: str, *, calls: int = 1000) -> None:
    """A process that is killed after that many commands, before it has the answer to the last."""
    redis = connect(url)
    execute = redis.execute_command

    async def count(*words: Any, **options: Any) -> Any:
        nonlocal calls
        calls -= 1
        answer = await execute(*words, **options) if calls >= 0 else None
        if calls <= 0:
            raise Kill
        return answer

    redis.execute_command = count  # type: ignore[method-assign]  # A kill at one place, wherever it is called from.
    try:
        await schema.enter(redis)
    finally:
        await disconnect(redis)


async def test_a_move_that_was_killed_at_any_moment_is_done_by_the_next_start(
    redis_url: str, server: redis_sync.Redis, before: Content
) -> None:
    """Each command is whole or not there at all; after each one of them the process ends."""
    for calls in range(1, 1000):
        put(server, before)
        try:
            await entering(redis_url, calls=calls)
        except Kill:
            pass
        else:
            break
        await entering(redis_url)
        check(server, before)

    assert calls > 10, "it was not done in pieces"


async def test_a_server_that_was_killed_in_between_has_whole_pieces(
    server: redis_sync.Redis, before: Content, tmp_path: Path
) -> None:
    """And the program with it: the next start, on what the append-only file has, goes on from there."""
    durable = ("--appendonly", "yes", "--appendfsync", "always")
    for calls in (2, 3, 6):  # The first one finds that it does not know the script.
        with running(tmp_path / str(calls), *durable) as one, redis_sync.Redis(port=one.port) as client:
            put(client, before)
            with suppress(Kill):
                await entering(one.url, calls=calls)
            one.kill()
        with running(tmp_path / str(calls), *durable) as again, redis_sync.Redis(port=again.port) as client:
            assert client.exists("framerelay:schema")
            await entering(again.url)
            check(client, before)


async def test_any_number_of_programs_may_start_at_once(
    redis_url: str, server: redis_sync.Redis, before: Content
) -> None:
    """Some of them are killed; one that has entered finds everything."""

    async def entries_there() -> int:
        redis = connect(redis_url)
        await schema.enter(redis)
        number = len(await Store(redis).runs(limit=9)) + len(await Inbox(redis, keep_s=9.0).recent(limit=99))
        await disconnect(redis)
        return number

    async def kill(calls: int) -> None:
        with suppress(Kill):
            await entering(redis_url, calls=calls)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(entries_there()) for _ in range(4)]
        for calls in range(1, 6):
            group.create_task(kill(calls))

    assert [each.result() for each in tasks] == [9] * 4
    check(server, before)


async def test_writes_of_an_older_program_are_refused_whole_or_migrated(
    redis_url: str, server: redis_sync.Redis, before: Content, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    At every moment of the move: its callbacks (which its spool then has), new runs, changes of runs, and claims.

    What it was told is kept is there afterwards; what it was not told is not half there.
    """
    old, redis = older(redis_url), connect(redis_url)
    old_store, old_inbox = Store(old), Inbox(old, keep_s=1000.0)
    callback_ids: set[str] = set()
    execute, number = redis.execute_command, 0

    async def work() -> None:
        nonlocal number
        number += 1
        callback, rest = a_callback(f"cb_old{number}")
        with suppress(StoreUnavailable):
            assert await old_inbox.accept(callback, **rest)
            callback_ids.add(callback.id)
        with suppress(StoreUnavailable):
            await start(old_store, a_run(f"run_old{number}"))
            callback_ids.add(f"run_old{number}")
        run_there = await old_store.load("run_" + "b" * 24)
        if run_there is not None:
            await record(old_store, run_there.id, events.RunCancelled())
            callback_ids.add("cancelled")
        with suppress(StoreUnavailable):
            callback_ids.update(await old_store.overdue(time.time() + 1e6, put_off_s=9.0, at_most=9))

    async def beside(*words: Any, **options: Any) -> Any:
        await work()
        answer = await execute(*words, **options)
        await work()
        return answer

    monkeypatch.setattr(redis, "execute_command", beside)
    await schema.enter(redis)
    monkeypatch.undo()

    store, inbox = Store(redis), Inbox(redis, keep_s=9.0)
    callbacks, runs = await inbox.recent(limit=999), await store.runs(limit=999)
    assert number > 10
    assert {each.id for each in callbacks if "old" in each.id} == {
        each for each in callback_ids if each.startswith("cb_")
    }
    assert {run.id for run in runs if "old" in run.id} == {each for each in callback_ids if each.startswith("run_old")}
    there = [key.decode().split(":")[2] async for key in redis.scan_iter("{framerelay}:run:run_old*")]
    assert set(there) <= callback_ids
    assert [run.status.value for run in runs if run.id == "run_" + "b" * 24] == ["cancelled"]
    assert 0 < len([each for each in callback_ids if each.startswith("cb_")]) < number, (
        "it was never refused, or always"
    )
    for run in runs:
        assert await store.history(run.id)
        assert await redis.zscore("{framerelay}:due", run.id) is not None or run.status.value != "running"
    await disconnect(old)
    await disconnect(redis)


async def test_a_redis_that_took_over_without_the_last_seconds_is_put_right(
    client: RelayRedis, server: redis_sync.Redis, before: Content, wait_until: Any
) -> None:
    """Programs had moved all, and worked on; what it has is what lay there before, and what came since."""
    callback, rest = a_callback("cb_new")
    await Inbox(client, keep_s=1000.0).accept(callback, **rest)
    await start(Store(client), a_run("run_new"))

    watching = asyncio.create_task(schema.watch(client))
    await wait_until(lambda: server.hexists(SCHEMA_KEY, "keys"), "what is missing was moved again")
    watching.cancel()

    assert {run.id for run in await Store(client).runs(limit=9)} == {"run_new", *(f"run_{each * 24}" for each in "abc")}
    assert len(await Inbox(client, keep_s=9.0).recent(limit=99)) == 7
    assert {b"look_up:r:cb_new", b"look_up:r:cb_00"} <= set(server.zrange(QUEUE, 0, -1))


async def test_a_program_that_is_too_old_moves_nothing(
    client: RelayRedis, server: redis_sync.Redis, before: Content
) -> None:
    """One newer than this has begun to."""
    server.hset("framerelay:schema", mapping={"written_by": 9, "readable_from": 9, "version": "9.8"})

    with pytest.raises(SchemaTooNew, match=r"9\.8"):
        await schema.enter(client)

    assert content(server).keys() == {*before, b"framerelay:schema"}
