"""What `doctor` says of Redis and the workers behind it."""

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from framerelay.cli.doctor.finding import Status
from framerelay.cli.doctor.peers import look_at_receiver
from framerelay.cli.doctor.redis import look_at_redis, look_at_worker
from framerelay.config.settings import Settings
from framerelay.processors.worker import WORKER
from framerelay.store.embedded import EmbeddedRedis, is_answering
from tests.cli.doctor.looking import (
    NOWHERE,
    assert_finding,
    impostor,
    settings_of,
)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ("--appendonly yes --appendfsync always", Status.OK, "syncs each write"),
        ("--appendonly yes --appendfsync everysec", Status.OK, "each second"),
        ("--appendonly yes --appendfsync no", Status.WARN, "appendfsync no"),
        ("--appendonly no", Status.FAIL, "gone when it restarts"),
        ("--appendonly yes --maxmemory-policy allkeys-lru --maxmemory 100mb", Status.FAIL, "allkeys-lru"),
        ("--appendonly yes --maxmemory-policy volatile-lru", Status.WARN, "now it has no limit"),
        ("--appendonly no --rename-command CONFIG nothing", Status.WARN, "durability: declared, not checked"),
        ("--appendonly yes --requirepass secret", Status.FAIL, "password"),
    ],
)
async def test_what_a_redis_would_lose_is_reported(
    start_redis: Callable[..., str], arguments: str, status: Status, words: str
) -> None:
    """Each way of losing what was acknowledged; a service that hides its settings is a warning, no failure."""
    assert_finding(await look_at_redis(Settings(redis_url=start_redis(*arguments.split()))), status, words)


@pytest.mark.anyio
async def test_a_redis_that_is_not_there_or_hangs_is_reported(impatient: None) -> None:
    """Without the password that its address may hold."""
    finding = await look_at_redis(Settings(redis_url="redis://:hidden@127.0.0.1:9/0"))
    assert_finding(finding, Status.FAIL, "redis://127.0.0.1:9/0")
    assert "hidden" not in f"{finding.message}{finding.advice}"
    async with impostor("") as place:
        settings = Settings(redis_url=f"redis://{place}")
        server, worker = await asyncio.gather(look_at_redis(settings), look_at_worker(settings))
    assert_finding(server, Status.FAIL, "in time")
    assert_finding(worker, Status.SKIPPED, "does not answer")


@pytest.mark.anyio
async def test_a_redis_that_is_too_old_is_reported() -> None:
    """It answers as version 6 does, which cannot be installed here."""

    async def old(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while command := await reader.read(1 << 12):
            writer.write(b"-ERR syntax error\r\n" if b"\r\nSET\r\n" in command else b"+OK\r\n" * command.count(b"*"))
        writer.close()

    server = await asyncio.start_server(old, "127.0.0.1", 0)
    async with server:
        url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        assert_finding(await look_at_redis(Settings(redis_url=url)), Status.FAIL, "too old")


@pytest.mark.anyio
async def test_our_own_redis_that_hangs_is_reported(tmp_path: Path, impatient: None) -> None:
    """Its socket takes connections and nothing comes back, as when its disk hangs."""
    (tmp_path / "redis").mkdir()
    with socket.socket(socket.AF_UNIX) as hanging:
        hanging.bind(EmbeddedRedis(tmp_path / "redis").url.removeprefix("unix://"))
        hanging.listen()
        settings = Settings(data_dir=tmp_path)
        server, worker = await asyncio.gather(look_at_redis(settings), look_at_worker(settings))
    assert_finding(server, Status.FAIL, "is there, but does not answer")
    assert_finding(worker, Status.SKIPPED, "does not answer")


@pytest.mark.anyio
async def test_our_own_redis_is_shared_or_started_for_a_moment(tmp_path: Path) -> None:
    """It never takes the server away from those who use it, and none is left that was not there."""
    settings = Settings(data_dir=tmp_path)
    async with EmbeddedRedis(tmp_path / "redis") as server:
        assert_finding(await look_at_redis(settings), Status.OK, "which is running")
        assert await is_answering(Path(server.url.removeprefix("unix://")))
    assert_finding(await look_at_redis(settings), Status.OK, "started for this check and ended again")
    with pytest.raises((FileNotFoundError, ConnectionRefusedError)):
        await is_answering(Path(server.url.removeprefix("unix://")))


@pytest.mark.anyio
async def test_a_worker_that_is_missing_is_missed(start_relay: Any, redis: Any, redis_url: str) -> None:
    """A receiver alone takes callbacks, and nothing follows from them."""
    async with start_relay(NOWHERE, worker=False) as relay:
        settings = settings_of(relay, redis_url=redis_url)
        assert_finding(await look_at_receiver(settings), Status.OK, "the API key fits")
        assert_finding(await look_at_worker(settings), Status.FAIL, "no worker listens")
        await redis.set(WORKER, "w", px=10_000)
        assert_finding(await look_at_worker(settings), Status.OK, "a worker listens")
