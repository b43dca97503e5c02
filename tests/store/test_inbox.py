"""Callbacks are kept before they are acknowledged, each once, many at a time."""

import asyncio
import socket
import time

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
