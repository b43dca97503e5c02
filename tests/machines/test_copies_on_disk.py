"""Copies of Redis whose disks are waited for by name: what `WAITAOF` adds to `WAIT`, and what it means if it fails."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from framerelay.cli.doctor.finding import Status
from framerelay.cli.doctor.redis import look_at_redis
from framerelay.config.settings import Settings
from framerelay.runs.errors import CopiesMissing
from framerelay.store.client import PinnedConnection, RelayRedis, connect, disconnect
from framerelay.store.copies import Copies
from framerelay.store.inbox import Inbox
from tests.fixtures.relay import StartProvider, StartRelay
from tests.machines.servers import Forwarder, Server, primary_and_copy, running
from tests.machines.test_copies import accepted
from tests.machines.test_kinds_of_redis import refusal

pytestmark = pytest.mark.anyio

ADD = "return redis.call('INCR', KEYS[1])"
BOARD = {"title": "One", "model": "m", "shots": [{"id": "s1", "prompt": "a car"}]}


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[tuple[Server, Server]]:
    """The copy syncs each second."""
    with primary_and_copy(tmp_path) as (primary, copy):
        copy.ask("CONFIG", "SET", "appendfsync", "everysec")
        yield primary, copy


@pytest.fixture
async def client(servers: tuple[Server, Server]) -> AsyncIterator[RelayRedis]:
    redis = connect(servers[0].url, timeout_s=2.0)  # As a receiver has it.
    yield redis
    await disconnect(redis)


def calls(server: Server, command: str) -> int:
    count: int = server.ask("INFO", "commandstats").get(f"cmdstat_{command}", {}).get("calls", 0)
    return count


async def test_what_is_acknowledged_was_synced_by_the_copy(servers: tuple[Server, Server], client: RelayRedis) -> None:
    """One that syncs nothing has it in memory, and counts for `WAIT` alone; each second is enough, and no answer."""
    _, copy = servers
    plain, on_disk = Copies(client, 1), Copies(client, 1, on_disk=True)
    script = client.register_script(ADD)
    copy.ask("CONFIG", "SET", "appendfsync", "no")
    in_memory = await plain.call(script, ["k"], [])
    unsynced_outcome = await on_disk.call(script, ["k"], [])
    copy.ask("CONFIG", "SET", "appendfsync", "everysec")
    synced_outcome = await on_disk.call(script, ["k"], [])

    assert (in_memory.copies, unsynced_outcome.copies, synced_outcome.copies) == (1, 0, 1)
    assert (unsynced_outcome.answer, synced_outcome.answer) == (2, 3)


async def test_many_callbacks_share_one_wait_for_disks(servers: tuple[Server, Server], client: RelayRedis) -> None:
    """It takes a second; each by itself they would take minutes."""
    inbox = Inbox(client, keep_s=100, copies=Copies(client, 1, on_disk=True))

    assert await asyncio.gather(*(accepted(inbox, f"cb_{number}") for number in range(200))) == [True] * 200
    await inbox.check_writable()
    assert servers[1].ask("ZCARD", "{framerelay}:callbacks") == 200
    assert 2 <= calls(servers[0], "waitaof") <= 4


async def test_a_disk_that_is_not_reached_is_a_copy_that_is_missing(
    servers: tuple[Server, Server], client: RelayRedis
) -> None:
    """As where `WAIT` finds none; and then no disk is waited for."""
    primary, copy = servers
    copy.ask("CONFIG", "SET", "appendonly", "no")
    inbox = Inbox(client, keep_s=100, copies=Copies(client, 1, on_disk=True))
    settings = Settings(redis_url=primary.url, redis_copies=1, redis_copies_on_disk="yes")

    with pytest.raises(CopiesMissing, match="no copy of Redis put the last write on disk within two seconds"):
        await accepted(inbox, "cb_1")
    with pytest.raises(CopiesMissing, match="have appendonly yes"):
        await inbox.check_writable()
    missing = await look_at_redis(settings)
    count = calls(primary, "waitaof")
    copy.kill()
    primary.wait_until("replication", connected_slaves=0)
    with pytest.raises(CopiesMissing, match="no copy of Redis put the last write on disk"):
        await accepted(inbox, "cb_2")

    assert missing.status is Status.FAIL
    assert "no copy of Redis put the last write on disk" in missing.message
    assert calls(primary, "waitaof") == count


async def test_a_submit_waits_for_the_disk_of_a_copy(
    servers: tuple[Server, Server], start_provider: StartProvider, relay_in: StartRelay, tmp_path: Path, wait_until: Any
) -> None:
    """Nothing is sent while no copy syncs, and the shot says why; then one job is made."""
    primary, copy = servers
    copy.ask("CONFIG", "SET", "appendfsync", "no")
    settings = {"redis_copies": 1, "redis_copies_on_disk": "yes"}
    async with start_provider() as provider, relay_in(tmp_path, primary.url, provider.url, **settings) as relay:
        run_id = await relay.run(BOARD)

        async def is_held() -> bool:
            (shot,) = (await relay.view(run_id))["shots"]
            return bool(shot["held_by"] and shot["held_by"]["code"] == "copies_missing")

        await wait_until(is_held, "the shot says that copies are missing")
        before = (await provider.journal())["submits"]
        copy.ask("CONFIG", "SET", "appendfsync", "everysec")
        run = await relay.wait_for_end(run_id)
        jobs = (await provider.journal())["jobs"]

    assert (run["status"], len(before), len(jobs)) == ("succeeded", 0, 1)


async def test_a_connection_that_breaks_before_the_disk_has_answered_answers_for_no_other(
    servers: tuple[Server, Server],
) -> None:
    """Both are asked on the connection of the write: a new one would be told that all is on disk."""
    primary, copy = servers
    copy.ask("CONFIG", "SET", "appendfsync", "no")
    async with Forwarder(primary.port) as address:
        redis = connect(address.url)
        line, copies = PinnedConnection(redis), Copies(redis, 1, on_disk=True)
        script = redis.register_script(ADD)
        calling = asyncio.create_task(copies.call(script, ["k"], [], carrier=line))
        while not primary.ask("INFO", "clients")["blocked_clients"]:
            await asyncio.sleep(0.01)
        address.move_to(primary.port)  # The lines are cut; the server is the same.
        outcome = await calling
        await line.close()
        await disconnect(redis)

    assert (outcome.answer, outcome.copies) == (2, 0)  # Written again, and waited for again.


async def test_what_it_needs_is_refused_by_its_name_at_start(tmp_path: Path) -> None:
    """A server that lacks it, as Redis before 7.2; no copies; and our own Redis, which has none."""
    with running(tmp_path / "older", "--rename-command", "WAITAOF", "''") as server:
        settings = Settings(redis_url=server.url, redis_copies=1, redis_copies_on_disk="yes")
        older = await refusal(settings)
        finding = await look_at_redis(settings)
        none = await refusal(Settings(redis_url=server.url, redis_copies_on_disk="yes"))
    own = await refusal(Settings(data_dir=tmp_path / "data", redis_copies=1, redis_copies_on_disk="yes"))
    alone = await look_at_redis(Settings(data_dir=tmp_path / "data", redis_copies_on_disk="yes"))

    assert "FRAMERELAY_REDIS_COPIES_ON_DISK needs the command WAITAOF" in older
    assert "use Redis 7.2 or later, or Valkey" in older
    assert finding.status is Status.FAIL
    assert "needs the command WAITAOF" in finding.message
    assert "set FRAMERELAY_REDIS_COPIES to their number" in none
    assert "FrameRelay's own Redis has no copies" in own
    assert (alone.status, "set FRAMERELAY_REDIS_COPIES" in alone.message) == (Status.FAIL, True)
