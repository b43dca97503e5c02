"""The spool: whole files or none, bounded, emptied into Redis, and never a callback twice."""

import asyncio
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from arq.connections import ArqRedis

from framerelay.runs.errors import StorageFailed, StoreUnavailable
from framerelay.store.client import connect, disconnect
from framerelay.store.inbox import Callback, Inbox
from framerelay.store.spool import Spool
from framerelay.store.tasks import QUEUE, Task

pytestmark = pytest.mark.anyio


def callback(name: str, body: bytes = b"{}") -> Callback:
    return Callback(
        id=name, received_at=1000.5, outcome="accepted", body=body, run_id="r", shot_id="s", take=1, reason="霓"
    )


def task(name: str) -> Task:
    return Task(id=f"look_up:{name}", function="look_up", arguments={"run": "r", "job_id": None})


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    """In a folder that is made when it is needed."""
    one_spool = Spool(tmp_path / "data" / "spool", callbacks_max=3, bytes_max=1000)
    yield one_spool
    one_spool.close()


async def test_spooled_callbacks_reach_redis_unchanged(redis: ArqRedis, spool: Spool, tmp_path: Path) -> None:
    """Id, time, body and task are those of the moment at which it was received."""
    await spool.keep(callback("cb_1", b"\xff raw"), fingerprint="f", task=task("cb_1"))
    inbox = Inbox(redis, keep_s=100)

    assert await spool.drain(inbox) == 1

    assert await inbox.recent(limit=10) == [callback("cb_1", b"\xff raw")]
    assert await redis.zrange(QUEUE, 0, -1) == [b"look_up:cb_1"]
    assert list((tmp_path / "data" / "spool").iterdir()) == []
    assert await inbox.accept(callback("cb_2"), fingerprint="f", task=None) is False


async def test_emptying_it_twice_is_no_repeat(redis: ArqRedis, spool: Spool, tmp_path: Path) -> None:
    """Killed between Redis and the removal of the file, or two receivers at one folder: still one callback."""
    inbox = Inbox(redis, keep_s=100)
    await spool.keep(callback("cb_1"), fingerprint="f", task=task("cb_1"))
    (file,) = (tmp_path / "data" / "spool").iterdir()
    content = file.read_bytes()
    await spool.drain(inbox)
    file.write_bytes(content)
    other = Spool(tmp_path / "data" / "spool")
    await asyncio.gather(spool.drain(inbox), other.drain(inbox))
    other.close()

    assert [(each.id, each.repeats) for each in await inbox.recent(limit=10)] == [("cb_1", 0)]
    assert await redis.zcard(QUEUE) == 1
    assert not file.exists()


@pytest.mark.usefixtures("gives_redis_up_soon")
async def test_it_keeps_what_redis_does_not_take(spool: Spool, tmp_path: Path) -> None:
    """Nothing is removed before Redis has it."""
    client = connect("unix:///nowhere/redis.sock")
    await spool.keep(callback("cb_1"), fingerprint="f", task=None)

    with pytest.raises(StoreUnavailable):
        await spool.drain(Inbox(client, keep_s=100))

    assert [file.name for file in (tmp_path / "data" / "spool").iterdir()] == ["cb_1.callback"]
    await disconnect(client)


async def test_it_is_bounded_in_number_and_bytes_and_has_room_again(redis: ArqRedis, spool: Spool) -> None:
    """The disk of the media must not fill with callbacks."""
    with pytest.raises(StorageFailed, match="full"):
        await spool.keep(callback("cb_0", b"x" * 1000), fingerprint="f0", task=None)
    for number in range(3):
        await spool.keep(callback(f"cb_{number}"), fingerprint=f"f{number}", task=None)
    with pytest.raises(StorageFailed, match="full"):
        await spool.keep(callback("cb_3"), fingerprint="f3", task=None)

    assert await spool.drain(Inbox(redis, keep_s=100)) == 3
    await spool.keep(callback("cb_3"), fingerprint="f3", task=None)


@pytest.mark.usefixtures("gives_redis_up_soon")
async def test_files_that_are_there_at_the_start_count(spool: Spool, tmp_path: Path) -> None:
    """A receiver that is restarted again and again in an outage does not begin at nothing each time."""
    for number in range(3):
        await spool.keep(callback(f"cb_{number}"), fingerprint=f"f{number}", task=None)
    client = connect("unix:///nowhere/redis.sock")
    second = Spool(tmp_path / "data" / "spool", callbacks_max=3)
    with pytest.raises(StoreUnavailable):
        await second.drain(Inbox(client, keep_s=100))

    with pytest.raises(StorageFailed, match="full"):
        await second.keep(callback("cb_3"), fingerprint="f3", task=None)
    second.close()
    await disconnect(client)


async def test_a_disk_error_is_reported_and_leaves_no_partial_file(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failing sync is a callback that was not kept."""

    def failing(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", failing)  # No disk here fails on request.
    with pytest.raises(StorageFailed, match="full"):
        await spool.keep(callback("cb_1"), fingerprint="f", task=None)

    monkeypatch.undo()
    assert list((tmp_path / "data").rglob("*.*")) == []


async def test_a_disk_that_hangs_costs_little_more_than_a_second(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sender is to be answered within its five seconds whatever hangs."""
    over = threading.Event()
    monkeypatch.setattr(os, "fsync", lambda _: over.wait(60))  # No disk here hangs on request.
    with pytest.raises(StorageFailed, match="slow"):
        await spool.keep(callback("cb_1"), fingerprint="f", task=None)

    assert not over.is_set()
    over.set()


async def test_an_unreadable_file_does_not_block_the_others(
    redis: ArqRedis, spool: Spool, tmp_path: Path, caplog: Any
) -> None:
    """It is put aside for a person, and what a kill left half written is removed in time."""
    await spool.keep(callback("cb_1"), fingerprint="f", task=None)
    folder = tmp_path / "data" / "spool"
    (folder / "cb_0.callback").write_bytes(b"\xc1")
    half = folder / "cb_2.half"
    half.write_bytes(b"x")
    os.utime(half, (1.0, 1.0))

    assert await spool.drain(Inbox(redis, keep_s=100)) == 1
    assert [file.name for file in folder.iterdir()] == ["cb_0.unreadable"]
