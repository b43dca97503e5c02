"""The embedded Redis, with real servers: its data, who reaches it, and what its log says when it ends."""

import asyncio
import os
import resource
import signal
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from framerelay.store import embedded
from framerelay.store.embedded import EmbeddedRedis, find_server
from tests.store.embedded.users import Start, ask, is_free, server_of, wait_until


@pytest.mark.anyio
async def test_data_is_there_after_a_restart(folder: Path) -> None:
    """Leaving ends the server before it returns; the next one has what was written."""
    async with EmbeddedRedis(folder) as server:
        assert server.url == f"unix://{folder}/redis.sock"
        assert ask(server.url, "SET", "film", "霓虹")
    assert is_free(folder)
    assert sorted(os.listdir(folder)) == ["appendonlydir", "redis.lock", "redis.log"]
    async with EmbeddedRedis(folder) as server:
        assert ask(server.url, "GET", "film") == "霓虹"


def test_only_we_can_reach_the_server_and_every_write_is_synced(folder: Path, start: Start) -> None:
    """A private Unix socket and no port; append-only file, synced at once, nothing evicted."""
    url = start().is_up().url
    settings = ask(url, "CONFIG GET", "*")
    expected = {"port": "0", "appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction", "save": ""}
    assert expected == {name: settings[name] for name in expected}
    assert settings["auto-aof-rewrite-percentage"] == "100"
    for path in (folder, folder / "redis.sock", folder / "keeper.sock"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700


@pytest.mark.anyio
async def test_entering_that_is_cancelled_leaves_no_server(folder: Path) -> None:
    """A start that a person interrupts at any moment leaves nothing behind."""
    for pause_s in (0.0, 0.02, 0.04, 0.06, 0.08):
        entering = asyncio.create_task(EmbeddedRedis(folder).__aenter__())
        await asyncio.wait([entering], timeout=pause_s)
        if not entering.cancel():
            await entering.result().__aexit__(None, None, None)
        await asyncio.gather(entering, return_exceptions=True)
        await asyncio.to_thread(wait_until, lambda: is_free(folder), "the server has ended")


@pytest.mark.anyio
async def test_a_cancellation_is_never_swallowed(folder: Path) -> None:
    """Joining can be cancelled at each single step; if one were lost, leaving during a restart would hang."""
    async with EmbeddedRedis(folder):
        for steps in range(100):
            entering = asyncio.create_task(EmbeddedRedis(folder).__aenter__())
            for _ in range(steps):
                await asyncio.sleep(0)
            if entering.cancel():
                [outcome] = await asyncio.gather(entering, return_exceptions=True)
                assert isinstance(outcome, asyncio.CancelledError), f"lost after {steps} steps"
            else:
                await entering.result().__aexit__(None, None, None)


async def last_words_of(folder: Path, end: Callable[[str], object]) -> dict[str, Any]:
    """The log line about a server that *end* ended, given its URL."""
    with capture_logs() as logs:
        async with EmbeddedRedis(folder) as server:
            await asyncio.to_thread(end, server.url)
            await asyncio.to_thread(wait_until, lambda: "redis_back" in {line["event"] for line in logs}, "it is back")
    return dict(next(line for line in logs if line["event"] == "redis_gone"))


@pytest.mark.anyio
async def test_the_log_has_the_last_words_of_a_server_that_could_not_write(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that syncs every write ends on a full disk; the reason is in its own log, which nobody reads."""
    patient = tmp_path / "server"
    patient.write_text(f"#!/bin/sh\ntrap '' XFSZ\nexec {find_server()} \"$@\"\n")
    patient.chmod(0o700)
    monkeypatch.setattr(embedded, "find_server", lambda: patient)

    def write_past_the_limit(url: str) -> None:
        no_limit = resource.RLIM_INFINITY
        resource.prlimit(server_of(url)["process_id"], resource.RLIMIT_FSIZE, (20_000, no_limit))
        ask(url, "SET", "large", "x" * 30_000)

    loss = await last_words_of(folder, write_past_the_limit)
    assert "AOF" in loss["last_words"]
    assert "Exiting" in loss["last_words"]
    assert loss["disk_free_bytes"] > 0


@pytest.mark.anyio
async def test_the_log_says_that_a_server_was_killed(folder: Path) -> None:
    """By the memory watch of the system, say; the server itself could not tell."""
    loss = await last_words_of(folder, lambda url: os.kill(server_of(url)["process_id"], signal.SIGKILL))
    assert loss["last_words"] == "the Redis server was killed by signal 9"


def test_last_words_are_those_of_the_server_that_is_gone(tmp_path: Path) -> None:
    """Another user may have started the next one before we read."""
    log = tmp_path / "redis.log"
    old, new = "7:M 22 Nov 2026 20:13:32.397", "8:M 22 Nov 2026 20:13:33.001"
    log.write_text(
        f"{old} # of an earlier day\n{old} * Ready\n{old} # Error one\n{old} * routine\n{old} # Error two\n"
        f"{new} # WARNING Memory overcommit must be enabled!\n{new} * oO0 Valkey is starting oO0\n{new} # new\n"
    )
    since = len(f"{old} # of an earlier day\n")
    assert embedded.last_words(log, since) == "Error one Error two"
    assert embedded.last_words(log, log.stat().st_size) == "(none)"
    assert embedded.last_words(tmp_path / "none", 0) == "(none)"
