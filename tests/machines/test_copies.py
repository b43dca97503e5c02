"""What copies of Redis must have before money moves, and before a callback is acknowledged."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from framerelay.cli.doctor.finding import Status
from framerelay.cli.doctor.redis import look_at_redis
from framerelay.config.settings import Settings
from framerelay.runs.errors import CopiesMissing
from framerelay.runs.tokens import TakeAddress
from framerelay.store.client import RelayRedis, connect, disconnect
from framerelay.store.copies import Copies
from framerelay.store.inbox import Callback, Inbox
from framerelay.store.spool import Spool
from framerelay.store.tasks import QUEUE, Task
from tests.machines.servers import Forwarder, Server, primary_and_copy, running

pytestmark = pytest.mark.anyio

WaitUntil = Callable[..., Awaitable[None]]


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[tuple[Server, Server]]:
    with primary_and_copy(tmp_path) as both:
        yield both


@pytest.fixture
async def client(servers: tuple[Server, Server]) -> AsyncIterator[RelayRedis]:
    redis = connect(servers[0].url)
    yield redis
    await disconnect(redis)


def callback(name: str) -> Callback:
    return Callback(id=name, received_at=time.time(), outcome="accepted", body=b"{}", run_id="r", shot_id="s", take=1)


def task(name: str) -> Task:
    return Task(id=f"look_up:{name}", function="look_up", arguments={"run": "r"})


async def accepted(inbox: Inbox, name: str) -> bool:
    return await inbox.accept(callback(name), fingerprint=name, task=task(name))


def waits(server: Server) -> int:
    calls: int = server.ask("INFO", "commandstats").get("cmdstat_wait", {}).get("calls", 0)
    return calls


async def test_many_callbacks_share_one_wait(servers: tuple[Server, Server], client: RelayRedis) -> None:
    """And the copy has each of them when it is acknowledged."""
    inbox = Inbox(client, keep_s=100, copies=Copies(client, 1))

    answers = await asyncio.gather(*(accepted(inbox, f"cb_{number}") for number in range(200)))

    assert answers == [True] * 200
    assert servers[1].ask("ZCARD", "{framerelay}:callbacks") == 200
    assert waits(servers[0]) <= 4


async def test_without_copies_nothing_is_waited_for(servers: tuple[Server, Server], client: RelayRedis) -> None:
    """As before, and as most have it."""
    inbox = Inbox(client, keep_s=100)
    await accepted(inbox, "cb_1")
    await inbox.check_writable()

    assert waits(servers[0]) == 0


async def test_a_callback_that_no_copy_has_stays_in_the_spool_until_one_does(
    servers: tuple[Server, Server], client: RelayRedis, tmp_path: Path
) -> None:
    """It is looked up at once all the same; and not again with every try to empty the spool."""
    inbox, spool = Inbox(client, keep_s=100, copies=Copies(client, 1)), Spool(tmp_path / "spool")
    primary, copy = servers
    copy.kill()
    primary.wait_until("replication", connected_slaves=0)

    with pytest.raises(CopiesMissing, match="no copy of Redis took the last write"):
        await accepted(inbox, "cb_1")
    assert await client.zrange(QUEUE, 0, -1) == [b"look_up:cb_1"]
    await spool.keep(callback("cb_1"), fingerprint="cb_1", task=task("cb_1"))
    await client.delete(QUEUE, "{framerelay}:arq:job:look_up:cb_1")  # A worker has done it.
    with pytest.raises(CopiesMissing):
        await spool.drain(inbox)
    assert await client.zcard(QUEUE) == 0

    durable = ("--appendonly", "yes", "--appendfsync", "always")
    with running(tmp_path / "again", *durable, "--replicaof", f"127.0.0.1 {primary.port}") as again:
        again.wait_until("replication", master_link_status="up")
        assert await spool.drain(inbox) == 1
        batches = again.ask("KEYS", "{framerelay}:callbacks:*")
        assert {name for batch in batches for name in again.ask("HKEYS", batch)} == {b"cb_1"}
    spool.close()


async def test_a_redis_without_its_copies_is_not_ready(
    servers: tuple[Server, Server], start_provider: Any, relay_in: Any, tmp_path: Path
) -> None:
    """A callback is acknowledged all the same: the spool keeps it."""
    primary, copy = servers
    async with (
        start_provider() as provider,
        relay_in(tmp_path, primary.url, provider.url, redis_copies=1, worker=False) as relay,
    ):
        before = await relay.api.get("/readyz")
        copy.kill()
        primary.wait_until("replication", connected_slaves=0)
        relay_token = relay.tokens.mint(_address())
        answer = await relay.api.post(f"/webhook/{relay_token}", json={"id": "job_1", "status": "succeeded"})
        files = list((tmp_path / "data" / "spool").glob("*.callback"))

    assert (before.status_code, answer.status_code, len(files)) == (200, 200, 1)


async def test_doctor_says_that_no_copy_is_there(servers: tuple[Server, Server]) -> None:
    """Before the first submit is put off for that."""
    primary, copy = servers
    settings = Settings(redis_url=primary.url, redis_copies=1)
    sound = await look_at_redis(settings)
    copy.kill()
    primary.wait_until("replication", connected_slaves=0)
    missing = await look_at_redis(settings)
    alone = await look_at_redis(Settings(redis_copies=1))

    assert (sound.status, missing.status, alone.status) == (Status.OK, Status.FAIL, Status.FAIL)
    assert "no copy of Redis took the last write within a second" in missing.message
    assert "FrameRelay's own Redis has no copies" in alone.message


def _address() -> Any:
    return TakeAddress(run_id="run_a", shot_id="s1", take=1, ends_at=int(time.time()) + 1000)


async def test_a_server_that_took_over_does_not_confirm_earlier_writes(
    servers: tuple[Server, Server], tmp_path: Path
) -> None:
    """The script and the wait go out in one piece: a new connection would be told that all is copied."""
    primary, copy = servers
    async with Forwarder(primary.port) as address:
        redis = connect(address.url)
        copies, script = Copies(redis, 1), redis.register_script("return redis.call('INCR', KEYS[1])")
        assert (await copies.call(script, ["k"], [])).copies == 1
        copy.ask("REPLICAOF", "NO", "ONE")
        primary.wait_until("replication", connected_slaves=0)
        calling = asyncio.create_task(copies.call(script, ["k"], []))
        while int(primary.ask("GET", "k")) < 2:
            await asyncio.sleep(0.01)
        primary.kill()
        address.move_to(copy.port)
        outcome = await calling
        await disconnect(redis)

    assert (outcome.answer, outcome.copies) == (2, 0)  # It was called again there, and no copy of that one has it.
