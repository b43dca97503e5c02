"""A restore that is broken off, at each moment at which it can be: it is typed again, and ends the same."""

import asyncio
import signal
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from framerelay.cli import restore as restore_command
from framerelay.store.client import connect, disconnect
from framerelay.store.closed import CLOSED, RedisClosed
from framerelay.store.embedded import EmbeddedRedis
from framerelay.store.ledger_file import LedgerEntry
from framerelay.store.runs import RUNS
from tests.fixtures.relay import SECRET
from tests.machines.backups import ROOT, breaking, enter_if_open, in_thread, run_command
from tests.machines.servers import running

pytestmark = pytest.mark.anyio

STEPS = ("put_back", "_put_files", "clear", "load_ledger", "enter", "mark_restored", "reopen")


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("when", ["before", "after"])
async def test_broken_off_at_any_step_it_is_typed_again_and_ends_the_same(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, when: str
) -> None:
    """Until it has ended nothing starts there."""
    new = tmp_path / "new"
    with running(tmp_path / "own") as own:
        monkeypatch.setenv("FRAMERELAY_REDIS_URL", own.url)
        monkeypatch.setenv("FRAMERELAY_DATA_DIR", str(new))
        monkeypatch.setenv("FRAMERELAY_SECRET", SECRET)
        holder = restore_command.schema if step == "enter" else restore_command
        with monkeypatch.context() as patch:
            patch.setattr(holder, step, breaking(getattr(holder, step), when))
            assert (await in_thread("restore", copy)).exit_code != 0
        is_over = (step, when) == ("reopen", "after")
        if not is_over:
            with pytest.raises(RedisClosed, match="not finished"):
                await enter_if_open(own.url)
            assert (await in_thread("restore", copy)).exit_code == 0
        redis = connect(own.url)
        statuses = await redis.zrange(f"{RUNS}:running", 0, -1)
        is_closed = await redis.exists(CLOSED)
        await disconnect(redis)

    assert (len(statuses), is_closed) == (1, 0)
    assert (new / "media" / "given" / "a.png").read_bytes() == b"a picture"


async def test_a_restore_broken_off_in_the_ledger_writes_it_again(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was written of it is there twice for nobody."""
    with running(tmp_path / "own") as own:
        monkeypatch.setenv("FRAMERELAY_REDIS_URL", own.url)
        monkeypatch.setenv("FRAMERELAY_DATA_DIR", str(tmp_path / "new"))
        monkeypatch.setenv("FRAMERELAY_SECRET", SECRET)
        monkeypatch.setattr("framerelay.store.ledger_load.BYTES_AT_ONCE", 0)
        entries = list(restore_command.entries_in(next(copy.glob("ledger-*"))))

        def cut_off(_: Path, number: int) -> Iterator[LedgerEntry]:
            yield from entries[:number]
            raise OSError(5, "broken off")

        for number in range(len(entries)):
            with monkeypatch.context() as patch:
                patch.setattr(restore_command, "entries_in", partial(cut_off, number=number))
                assert (await in_thread("restore", copy)).exit_code == 1
        whole = await in_thread("restore", copy)
        redis = connect(own.url)
        history = await redis.xlen(next(entry.key for entry in entries if entry.kind == "stream"))
        await disconnect(redis)

    assert len(entries) > 5
    assert whole.exit_code == 0, whole.output
    assert history == 2  # It was started, and marked.


KILLED = """
import os, signal, sys
import framerelay.cli.restore as module
step = getattr(module, "{step}")
def dies(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
async def dies_later(*arguments, **named):
    await step(*arguments, **named)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(module, "{step}", {how})
sys.argv = ["framerelay", "restore", "{copy}", "--yes"]
from framerelay.cli.main import main
main()
"""


@pytest.mark.parametrize(("step", "how"), [("put_back", "dies"), ("load_ledger", "dies_later"), ("reopen", "dies")])
async def test_killed_while_its_own_redis_is_filled_it_is_typed_again(
    copy: Path, tmp_path: Path, step: str, how: str
) -> None:
    """SIGKILL; the embedded server ends with it, and has on disk what it had."""
    new = tmp_path / "new"
    environment = {"PATH": "/usr/bin:/bin", "FRAMERELAY_DATA_DIR": str(new), "FRAMERELAY_SECRET": SECRET}
    words = (sys.executable, "-c", KILLED.format(step=step, how=how, copy=copy))
    process = await asyncio.create_subprocess_exec(*words, env=environment, cwd=ROOT / "tests")
    assert await process.wait() == -signal.SIGKILL
    async with EmbeddedRedis(new / "redis") as server:
        with pytest.raises(RedisClosed, match="not finished"):
            await enter_if_open(server.url)
    again = await run_command("restore", copy, data_dir=new)

    assert (again.code, again.json["runs"], again.json["held_runs"]) == (0, 1, 1)
    assert (new / "media" / "given" / "a.png").read_bytes() == b"a picture"
    async with EmbeddedRedis(new / "redis") as server:
        await enter_if_open(server.url)
