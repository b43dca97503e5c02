"""Callbacks are kept before they are acknowledged, each once, many at a time."""

import asyncio
import socket
import time

import msgspec
import pytest
from arq.connections import ArqRedis
from msgspec.structs import replace

from framerelay.runs.errors import StoreUnavailable
from framerelay.store.client import connect, disconnect
from framerelay.store.inbox import Callback, Inbox
from framerelay.store.tasks import QUEUE, Task

pytestmark = pytest.mark.anyio


def callback(name: str, body: bytes = b"{}") -> Callback:
    return Callback(id=name, received_at=time.time(), outcome="accepted", body=body, run_id="r", shot_id="s", take=1)


def task(name: str) -> Task:
    return Task(id=f"look_up:{name}", function="look_up", arguments={"run": "r"})


async def test_a_callback_is_kept_with_its_task(redis: ArqRedis) -> None:
    """Both or neither: one script."""
    inbox = Inbox(redis, keep_s=100)

    assert await inbox.accept(callback("cb_1", b"\xff raw"), fingerprint="f", task=task("cb_1")) is True

    assert [(each.id, each.body) for each in await inbox.recent(limit=10)] == [("cb_1", b"\xff raw")]
    assert await redis.zrange(QUEUE, 0, -1) == [b"look_up:cb_1"]


async def test_fifty_copies_at_once_are_one_callback_and_one_task(redis: ArqRedis) -> None:
    """One of them is new; the others are counted on it."""
    inbox = Inbox(redis, keep_s=100)

    answers = await asyncio.gather(
        *(inbox.accept(callback(f"cb_{n}"), fingerprint="same", task=task(f"cb_{n}")) for n in range(50))
    )

    assert sum(answers) == 1
    (kept_callback,) = await inbox.recent(limit=10)
    assert kept_callback.repeats == 49
    assert await redis.zcard(QUEUE) == 1


async def test_many_callbacks_share_few_writes(redis: ArqRedis) -> None:
    """Coalesced: two hundred at once need far fewer script calls, and none is lost."""
    inbox = Inbox(redis, keep_s=100)
    before = (await redis.info("commandstats")).get("cmdstat_evalsha", {}).get("calls", 0)

    answers = await asyncio.gather(
        *(inbox.accept(callback(f"cb_{n}"), fingerprint=f"f{n}", task=task(f"cb_{n}")) for n in range(200))
    )

    calls = (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"] - before
    assert all(answers)
    assert await redis.zcard(QUEUE) == 200
    assert calls <= 4


@pytest.mark.usefixtures("gives_redis_up_soon")
async def test_what_redis_did_not_confirm_is_an_error_for_each_sender() -> None:
    """Every sender of the batch learns it, so that the provider tries again."""
    client = connect("unix:///nowhere/redis.sock")
    inbox = Inbox(client, keep_s=100)

    results = await asyncio.gather(
        *(inbox.accept(callback(f"cb_{n}"), fingerprint=f"f{n}", task=None) for n in range(5)), return_exceptions=True
    )

    assert [type(result) for result in results] == [StoreUnavailable] * 5
    await disconnect(client)


async def test_a_full_redis_keeps_nothing_and_says_so(redis: ArqRedis) -> None:
    """`noeviction`: refused, not acknowledged; once there is room the same callback counts as new."""
    inbox = Inbox(redis, keep_s=100)
    await redis.config_set("maxmemory", "1")
    try:
        with pytest.raises(StoreUnavailable):
            await inbox.accept(callback("cb_1"), fingerprint="f", task=task("cb_1"))
    finally:
        await redis.config_set("maxmemory", "0")

    assert await inbox.accept(callback("cb_1"), fingerprint="f", task=task("cb_1")) is True


async def test_only_what_is_kept_can_be_repeated(redis: ArqRedis) -> None:
    """Where a first one left its name and nothing else, the provider's next try is the one that is kept."""
    inbox = Inbox(redis, keep_s=100)
    await redis.set("{framerelay}:seen:f", "cb_gone ", ex=60)

    assert await inbox.accept(callback("cb_1"), fingerprint="f", task=task("cb_1")) is True
    assert [each.id for each in await inbox.recent(limit=10)] == ["cb_1"]
    assert await redis.zcard(QUEUE) == 1


async def test_a_contradiction_is_kept_once_with_what_it_contradicts(redis: ArqRedis) -> None:
    """However often either of them comes again, and however they are written together."""
    inbox = Inbox(redis, keep_s=100)

    async def came(name: str, letters: str) -> bool:
        ending = replace(callback(name, letters.encode()), sha256=letters * 32, ending="t:r:s:1:job_1")
        return await inbox.accept(ending, fingerprint=f"f{letters}", task=task(name))

    answers = await asyncio.gather(
        *(came(f"cb_{n}", letters) for n, letters in enumerate(["aa", "bb", "aa", "bb", "bb"]))
    )
    answers += [await came("cb_5", "aa"), await came("cb_6", "bb"), await came("cb_1", "bb")]

    assert answers == [True, True, False, False, False, False, False, True]
    outcomes = {each.id: (each.outcome, each.repeats) for each in await inbox.recent(limit=10)}
    assert outcomes == {"cb_0": ("accepted", 2), "cb_1": ("conflict", 3)}
    assert await redis.zcard(QUEUE) == 2


async def test_what_earlier_versions_accepted_is_still_found_and_known(redis: ArqRedis) -> None:
    """Before schema 4 each callback had a key of its own; it is listed among the others, and a repeat is a repeat."""
    inbox, earlier = Inbox(redis, keep_s=100), replace(callback("cb_0", b"earlier"), received_at=1.0)
    await redis.set("{framerelay}:callback:cb_0", msgspec.msgpack.encode(earlier), px=50_000)
    await redis.zadd("{framerelay}:callbacks", {"cb_0": int(time.time() * 1000) - 10})
    await redis.set("{framerelay}:seen:f0", "cb_0 ", px=50_000)
    await inbox.accept(callback("cb_1"), fingerprint="f1", task=None)

    assert await inbox.accept(callback("cb_2"), fingerprint="f0", task=task("cb_2")) is False
    await inbox.mark_late("cb_0", "take 1 was kept")

    late = replace(earlier, outcome="late", reason="take 1 was kept", repeats=1)
    listing = await inbox.recent(limit=10)
    assert [each.id for each in listing] == ["cb_1", "cb_0"]
    assert (listing[1], await inbox.find("cb_0")) == (late, late)
    assert await inbox.between(time.time() - 60, time.time() + 60, at_most=1) == [late]
    assert 0 < await redis.pttl("{framerelay}:marks:cb_0") <= 50_000
    assert await redis.zcard(QUEUE) == 0


async def test_a_callback_that_came_late_is_marked_for_as_long_as_it_is_kept(redis: ArqRedis) -> None:
    """One that is kept no longer gets no mark."""
    inbox = Inbox(redis, keep_s=100)
    await asyncio.gather(*(inbox.accept(callback(f"cb_{n}"), fingerprint=f"f{n}", task=None) for n in range(3)))

    await inbox.mark_late("cb_1", "take 1 was kept")
    await inbox.mark_late("cb_gone", "take 1 was kept")

    outcomes = {each.id: each.outcome for each in await inbox.recent(limit=10)}
    assert outcomes == {"cb_0": "accepted", "cb_1": "late", "cb_2": "accepted"}
    assert await redis.keys("{framerelay}:marks:*") == [b"{framerelay}:marks:cb_1"]
    assert 0 < await redis.pttl("{framerelay}:marks:cb_1") <= 100_000


async def test_callbacks_that_come_together_need_few_keys(redis: ArqRedis) -> None:
    """Each is read back as it came, alone or in a list; a hundred cost one key or two, whatever their bodies."""
    inbox = Inbox(redis, keep_s=100)
    callbacks = [callback(f"cb_{n}", bytes([n]) * n * 100) for n in range(100)]

    await asyncio.gather(*(inbox.accept(each, fingerprint=f"f{each.id}", task=None) for each in callbacks))

    assert len(await redis.keys("{framerelay}:callbacks:*")) <= 2
    assert sorted(await inbox.recent(limit=200), key=lambda each: callbacks.index(each)) == callbacks
    assert [await inbox.find(each.id) for each in callbacks] == callbacks


async def test_a_callback_that_is_given_again_later_is_kept_once(redis: ArqRedis) -> None:
    """The spool gives it again when its first answer was missed: it counts as new, and stays where it was."""
    inbox, other = Inbox(redis, keep_s=100), callback("cb_2")
    assert await inbox.accept(callback("cb_1", b"once"), fingerprint="f", task=None) is True
    await reach_another_millisecond()
    assert await inbox.accept(other, fingerprint="f2", task=None) is True
    await reach_another_millisecond()
    assert await inbox.accept(callback("cb_1", b"once"), fingerprint="f", task=None) is True
    assert await inbox.accept(callback("cb_3"), fingerprint="f", task=None) is False

    assert [(each.id, each.repeats) for each in await inbox.recent(limit=10)] == [("cb_2", 0), ("cb_1", 1)]
    assert len(await redis.keys("{framerelay}:callbacks:*")) == 2


async def reach_another_millisecond() -> None:
    """What is accepted then is in another hash."""
    now = int(time.time() * 1000)
    while int(time.time() * 1000) == now:
        await asyncio.sleep(0)


async def test_a_contradiction_has_no_name_that_a_job_could_have(redis: ArqRedis) -> None:
    """Ids of jobs are the provider's, and may contain anything."""
    inbox, success, failure = Inbox(redis, keep_s=100), "aa" * 32, "bb" * 32

    async def give(name: str, job_id: str, sha256: str) -> bool:
        ending = replace(callback(name), sha256=sha256, ending=f"a:{job_id}")
        return await inbox.accept(ending, fingerprint=sha256, task=task(name))

    answers = [
        await give("cb_1", f"j {failure}", failure),
        await give("cb_2", f"{failure}:j", failure),
        await give("cb_3", "j", success),
        await give("cb_4", "j", failure),
        await give("cb_5", "j", failure),
    ]

    assert answers == [True, True, True, True, False]


async def test_a_release_that_redis_refused_halfway_is_done_by_the_next(redis: ArqRedis) -> None:
    """Its mark is there and its raw form still held: the next try stores what was accepted, in place of that."""
    inbox, original = Inbox(redis, keep_s=100), replace(callback("cb_1", b"raw"), outcome="quarantined", held=True)
    await inbox.hold(original)
    await redis.set("{framerelay}:seen:f", "cb_1 ", ex=60)

    assert await inbox.accept(callback("cb_1", b"clean"), fingerprint="f", task=task("cb_1")) is True

    record = await inbox.find("cb_1")
    assert record is not None
    assert (record.held, record.body) == (False, b"clean")
    assert await redis.keys("{framerelay}:callback:*") == []
    assert await redis.zcard(QUEUE) == 1


async def test_everything_about_a_callback_has_an_end(redis: ArqRedis) -> None:
    """Keys without a life of their own would fill the memory."""
    await Inbox(redis, keep_s=100).accept(callback("cb_1"), fingerprint="f", task=None)

    for key in await redis.keys("{framerelay}:*"):
        assert key == b"{framerelay}:callbacks" or await redis.pttl(key) > 0


async def test_a_client_that_stops_waiting_is_forgotten() -> None:
    """While Redis hangs, bodies whose sender has its answer must not pile up."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = connect(f"redis://127.0.0.1:{silent.getsockname()[1]}", timeout_s=0.3)
        inbox = Inbox(client, keep_s=100)
        for number in range(300):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.0001):
                    await inbox.accept(callback(f"cb_{number}"), fingerprint=f"f{number}", task=None)

        assert len(inbox._waiting) == 0
        assert inbox._writer is not None
        await asyncio.wait([inbox._writer])
        await disconnect(client)


async def test_nobody_waits_longer_than_a_provider_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Redis that hangs costs each sender its own time, and not that of those before it."""
    monkeypatch.setattr("framerelay.store.inbox.KEEP_WITHIN_S", 0.1)  # Three seconds would hold the tests up.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = connect(f"redis://127.0.0.1:{silent.getsockname()[1]}", timeout_s=30)
        inbox = Inbox(client, keep_s=100)
        first = asyncio.create_task(inbox.accept(callback("cb_1"), fingerprint="f1", task=None))
        await asyncio.sleep(0)
        monkeypatch.setattr("framerelay.store.inbox.KEEP_WITHIN_S", 1.5)
        second = asyncio.create_task(inbox.accept(callback("cb_2"), fingerprint="f2", task=None))

        with pytest.raises(StoreUnavailable):
            await first
        assert not second.done()
        with pytest.raises(StoreUnavailable):
            async with asyncio.timeout(60):
                await second

        writer = inbox._writer
        assert writer is not None
        writer.cancel()
        await asyncio.wait([writer])
        await disconnect(client)
