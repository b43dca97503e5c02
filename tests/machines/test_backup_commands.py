"""
`framerelay backup` and `framerelay restore`, typed beside programs that make films: nothing is paid twice or lost.

The embedded Redis and one of one's own, real files, and each moment at which a restore can be broken off.
"""

import asyncio
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

import framerelay.cli.backup
import framerelay.cli.main  # All commands.
from framerelay.cli import restore as restore_command
from framerelay.cli.options import cli
from framerelay.runs.machine import begin
from framerelay.runs.model import RunStatus
from framerelay.store import schema
from framerelay.store.client import connect, disconnect
from framerelay.store.closed import CLOSED, RedisClosed, refuse_closed
from framerelay.store.embedded import EmbeddedRedis
from framerelay.store.files import MediaFiles
from framerelay.store.inbox import Callback, Inbox
from framerelay.store.keys import EARLIER, PREFIX
from framerelay.store.ledger_file import LedgerEntry
from framerelay.store.processes import PROCESSES
from framerelay.store.progress import start
from framerelay.store.runs import RUNS, Store
from framerelay.store.spool import Spool
from framerelay.store.tasks import QUEUE, task_keys
from tests.fixtures.relay import SECRET
from tests.machines.servers import free_port, running
from tests.machines.test_a_lossy_fail_over import board, has_jobs, jobs_of_takes
from tests.machines.test_backup import _brought_to_an_end
from tests.machines.test_cluster import address, is_whole, nodes, ours, share
from tests.runs.world import film_of

pytestmark = pytest.mark.anyio

WaitUntil = Callable[..., Awaitable[None]]
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a command ended with."""

    code: int
    json: dict[str, Any]
    error: str


async def typed(*words: str | Path, data_dir: Path, redis_url: str | None = None, **settings: str) -> Said:
    """A command, as a process of its own."""
    environment = {
        "PATH": "/usr/bin:/bin",
        "FRAMERELAY_DATA_DIR": str(data_dir),
        "FRAMERELAY_SECRET": SECRET,
        **settings,
    }
    if redis_url:
        environment["FRAMERELAY_REDIS_URL"] = redis_url
    process = await asyncio.create_subprocess_exec(
        str(ROOT / ".venv/bin/framerelay"),
        *map(str, words),
        "--json",
        env=environment,
        cwd=ROOT / "tests",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, error = await process.communicate()
    return Said(code=process.returncode or 0, json=json.loads(out or b"{}"), error=error.decode())


@pytest.mark.slow
async def test_a_backup_that_is_taken_while_films_are_made_is_restored_elsewhere(
    start_provider: Any, relay_in: Any, tmp_path: Path, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More was submitted since; it is held, and nothing is paid twice. A film that was done is there."""
    monkeypatch.setattr("framerelay.runs.takes.ASK_S_MIN", 1.0)  # Half a minute is for people, not for tests.
    chosen = {"port": free_port(), "lookup_after_s": 1.0, "ask_after_s": 1.0}
    async with start_provider(options={"job_s": 1.0}) as provider:
        async with (
            EmbeddedRedis(tmp_path / "data" / "redis") as server,
            relay_in(tmp_path, server.url, provider.url, **chosen) as relay,
        ):
            await started(server.url)
            finished = await relay.ended(await relay.run(board(0, 1)))
            film = board(1, 2)
            film["shots"][1]["gate"] = "approve"  # So it is not over, however long the command takes.
            run_id = await relay.run(film)

            async def is_known() -> bool:
                takes = (await relay.shown(run_id))["shots"][0]["takes"]
                return bool(takes and takes[0]["job_id"])

            await wait_until(is_known, "its first shot is submitted")
            backup = await typed("backup", tmp_path / "copy", data_dir=tmp_path / "data")
            await wait_until(partial(_is_approved, relay, run_id), "its second shot may be submitted")
            await wait_until(lambda: has_jobs(provider, 3), "another is submitted, of which the copy is not told")
        before = await jobs_of_takes(relay, provider)
        taken = shutil.copytree(tmp_path / "data" / "media" / finished["id"], tmp_path / "taken")
        for name in ("s1.1.mp4", "s1.1.last.png"):
            (tmp_path / "data" / "media" / finished["id"] / name).unlink()
        poor = await typed("backup", tmp_path / "poor", data_dir=tmp_path / "data")

        new = tmp_path / "new"
        restored = await typed("restore", tmp_path / "copy", data_dir=new / "data")
        async with (
            EmbeddedRedis(new / "data" / "redis") as server,
            relay_in(new, server.url, provider.url, **chosen) as relay,
        ):
            await wait_until(partial(_is_approved, relay, run_id), "it is approved anew")
            end = await _brought_to_an_end(relay, provider, run_id, wait_until)
            after = await jobs_of_takes(relay, provider)
            films = [
                (await relay.api.get(run["film"]["url"])).is_success for run in (end, await relay.shown(finished["id"]))
            ]

    assert (backup.code, backup.json["runs"], backup.json["missing"]) == (0, 2, [])
    assert poor.json["missing"] == [f"media/{finished['id']}/s1.1.mp4"]  # The frame can be made again.
    assert (taken / "s1.1.mp4").read_bytes() == (tmp_path / "copy" / "media" / finished["id"] / "s1.1.mp4").read_bytes()
    assert (restored.code, restored.json["held_runs"]) == (0, 1)
    assert films == [True, True]
    assert after == before
    assert set(after.values()) == {1}


@pytest.mark.slow
async def test_from_the_embedded_redis_to_ones_own_nothing_is_held_and_all_is_paid_once(
    start_provider: Any, relay_in: Any, tmp_path: Path, wait_until: WaitUntil
) -> None:
    """`backup --move` and `restore`: the run that was under way goes on. A second restore of it holds what it finds."""
    data, chosen = tmp_path / "data", {"port": free_port(), "lookup_after_s": 0.5}
    async with start_provider(options={"job_s": 0.5}) as provider:
        async with (
            EmbeddedRedis(data / "redis") as server,
            relay_in(tmp_path, server.url, provider.url, **chosen) as relay,
        ):
            await started(server.url)
            run_id = await relay.run(board(1, 3))
            await wait_until(lambda: has_jobs(provider, 1), "its first shot is submitted")
        moved = await typed("backup", tmp_path / "copy", "--no-media", "--move", data_dir=data)
        async with EmbeddedRedis(data / "redis") as server:
            with pytest.raises(RedisClosed, match="was moved"):
                await _open(server.url)
        with running(tmp_path / "own", "--appendonly", "yes") as own:
            restored = await typed("restore", tmp_path / "copy", data_dir=data, redis_url=own.url)
            async with relay_in(tmp_path, own.url, provider.url, **chosen) as relay:
                end = await relay.ended(run_id)
                jobs = await jobs_of_takes(relay, provider)
        again = await typed("restore", tmp_path / "copy", data_dir=tmp_path / "second" / "data")

    assert (moved.code, moved.json["moved"], restored.code, restored.json["held_runs"]) == (0, True, 0, 0)
    assert end["status"] == "succeeded"
    assert sorted(jobs.values()) == [1, 1, 1]
    assert (again.code, again.json["held_runs"]) == (0, 1)


async def _is_approved(relay: Any, run_id: str) -> bool:
    return bool((await relay.api.post(f"/v1/runs/{run_id}/shots/s2/approve", json={})).is_success)


async def started(url: str) -> None:
    """As a program of this version leaves word of itself."""
    redis = connect(url)
    await schema.enter(redis)
    await disconnect(redis)


async def _open(url: str) -> None:
    redis = connect(url)
    try:
        await refuse_closed(redis)
    finally:
        await disconnect(redis)


STEPS = ("put_back", "_put_files", "clear", "load_ledger", "enter", "mark_restored", "reopen")


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("when", ["before", "after"])
async def test_broken_off_at_any_step_it_is_typed_again_and_ends_the_same(
    redis_url: str, start_relay: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, when: str
) -> None:
    """Until it has ended nothing starts there."""
    copy = await _a_backup(start_relay, redis_url, tmp_path)
    new = tmp_path / "new"
    with running(tmp_path / "own") as own:
        monkeypatch.setenv("FRAMERELAY_REDIS_URL", own.url)
        monkeypatch.setenv("FRAMERELAY_DATA_DIR", str(new))
        monkeypatch.setenv("FRAMERELAY_SECRET", SECRET)
        holder = restore_command.schema if step == "enter" else restore_command
        with monkeypatch.context() as patch:
            patch.setattr(holder, step, _breaking(getattr(holder, step), when))
            assert (await _in_thread("restore", copy)).exit_code != 0
        is_over = (step, when) == ("reopen", "after")
        if not is_over:
            with pytest.raises(RedisClosed, match="not finished"):
                await _open(own.url)
            assert (await _in_thread("restore", copy)).exit_code == 0
        redis = connect(own.url)
        statuses = await redis.zrange(f"{RUNS}:running", 0, -1)
        closed = await redis.exists(CLOSED)
        await disconnect(redis)

    assert (len(statuses), closed) == (1, 0)
    assert (new / "media" / "given" / "a.png").read_bytes() == b"a picture"


async def test_broken_off_in_the_middle_of_the_ledger_it_is_written_anew(
    redis_url: str, start_relay: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was written of it is there twice for nobody."""
    copy = await _a_backup(start_relay, redis_url, tmp_path)
    with running(tmp_path / "own") as own:
        monkeypatch.setenv("FRAMERELAY_REDIS_URL", own.url)
        monkeypatch.setenv("FRAMERELAY_DATA_DIR", str(tmp_path / "new"))
        monkeypatch.setenv("FRAMERELAY_SECRET", SECRET)
        monkeypatch.setattr("framerelay.store.ledger_load.BYTES_AT_ONCE", 0)
        entries = list(restore_command.entries_in(next(copy.glob("ledger-*"))))

        def breaking(_: Path, number: int) -> Iterator[LedgerEntry]:
            yield from entries[:number]
            raise OSError(5, "broken off")

        for number in range(len(entries)):
            with monkeypatch.context() as patch:
                patch.setattr(restore_command, "entries_in", partial(breaking, number=number))
                assert (await _in_thread("restore", copy)).exit_code == 1
        whole = await _in_thread("restore", copy)
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
            await _open(server.url)
    again = await typed("restore", copy, data_dir=new)

    assert (again.code, again.json["runs"], again.json["held_runs"]) == (0, 1, 1)
    assert (new / "media" / "given" / "a.png").read_bytes() == b"a picture"
    async with EmbeddedRedis(new / "redis") as server:
        await _open(server.url)


def _breaking(call: Any, when: str) -> Any:
    async def broken(*arguments: Any, **named: Any) -> Any:
        if when == "after":
            await call(*arguments, **named)
        raise KeyboardInterrupt

    def broken_here(*arguments: Any, **named: Any) -> Any:
        if when == "after":
            call(*arguments, **named)
        raise OSError(5, "broken off")

    return broken if asyncio.iscoroutinefunction(call) else broken_here


async def _in_thread(*words: str | Path) -> Any:
    return await asyncio.to_thread(CliRunner().invoke, cli, [*map(str, words), "--json"])


async def _a_backup(start_relay: Any, redis_url: str, tmp_path: Path) -> Path:
    """Of one run that has begun, and a picture."""
    async with start_relay("http://127.0.0.1:9", worker=False) as relay:
        await relay.run(board(1, 1))
        await started(redis_url)
        picture = relay.settings.data_dir / "media" / "given" / "a.png"
        picture.parent.mkdir(parents=True, exist_ok=True)
        picture.write_bytes(b"a picture")
        said = await typed("backup", tmp_path / "copy", data_dir=relay.settings.data_dir, redis_url=redis_url)
    assert said.code == 0, said.error
    return tmp_path / "copy"


@pytest.fixture
async def copy(start_relay: Any, redis_url: str, tmp_path: Path) -> Path:
    """A backup."""
    return await _a_backup(start_relay, redis_url, tmp_path)


async def test_a_backup_that_is_not_what_it_was_is_refused_before_anything_is_touched(
    copy: Path, tmp_path: Path
) -> None:
    """A byte less, a file that is gone, a newer version, a stranger's name in the manifest."""
    new = tmp_path / "new"

    async def refused(match: str) -> None:
        said = await typed("restore", copy, data_dir=new)
        assert said.code == 1
        assert match in said.error
        assert not new.exists()

    picture = copy / "media" / "given" / "a.png"
    picture.write_bytes(b"a Picture")
    await refused("media/given/a.png is gone or not what it was")
    picture.unlink()
    await refused("media/given/a.png is gone or not what it was")
    picture.write_bytes(b"a picture")

    manifest = msgspec.json.decode((copy / "manifest.json").read_bytes())
    for change, match in (
        ({"readable_from": 99, "version": "7.0"}, "written by FrameRelay 7.0"),
        ({"format": 2}, "has format 2, and this version reads 1"),
        ({"files": [{"path": "media/../../x", "bytes": 1, "sha256": "0"}]}, "media/../../x is gone or not what it was"),
        ({"secret": "another"}, "FRAMERELAY_SECRET is not that of the backup"),
        ({"ledger": 1}, "is not that of a backup"),
    ):
        (copy / "manifest.json").write_bytes(msgspec.json.encode({**manifest, **change}))
        await refused(match)


async def test_it_goes_into_an_empty_place_alone_where_nothing_runs(
    copy: Path, redis_url: str, start_relay: Any, tmp_path: Path, presence: None, wait_until: WaitUntil
) -> None:
    """Runs that are there, files of others, programs that work: each is said, and nothing is touched."""
    data = tmp_path / "data"
    said = await typed("restore", copy, data_dir=data, redis_url=redis_url)
    assert (said.code, "into an empty Redis only" in said.error) == (1, True)

    async with start_relay("http://127.0.0.1:9", worker=False) as relay:
        redis = connect(redis_url)

        async def is_there() -> bool:
            return bool(await redis.exists(PROCESSES))

        await wait_until(is_there, "it says that it is there")
        said = await typed("restore", copy, data_dir=data, redis_url=redis_url)
        assert (said.code, "a receiver runs on" in said.error) == (1, True)
        said = await typed("backup", copy, "--move", data_dir=data, redis_url=redis_url)
        assert (said.code, "--move is for what has ended" in said.error) == (1, True)
        assert not await redis.exists(CLOSED)
        await disconnect(redis)
        assert (await relay.api.get("/v1/runs")).is_success

    others = tmp_path / "others"
    MediaFiles(others).mark("f" * 32)
    clip = others / "media" / f"run_{'a' * 24}" / "s1.1.mp4"
    clip.parent.mkdir()
    clip.write_bytes(b"another film")
    said = await typed("restore", copy, data_dir=others)
    assert (said.code, "files of another installation" in said.error) == (1, True)

    async with EmbeddedRedis(tmp_path / "busy" / "redis"):
        said = await typed("restore", copy, data_dir=tmp_path / "busy", redis_url="redis://127.0.0.1:9")
    assert (said.code, "still runs on FrameRelay's own Redis" in said.error) == (1, True)


async def test_what_waits_in_the_spool_is_in_the_copy_also_if_redis_takes_it_meanwhile(
    start_relay: Any, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is copied before Redis is: read the other way round, it would be in neither."""
    async with start_relay("http://127.0.0.1:9", worker=False) as relay:
        data = relay.settings.data_dir
    monkeypatch.setenv("FRAMERELAY_REDIS_URL", redis_url)
    monkeypatch.setenv("FRAMERELAY_DATA_DIR", str(data))
    monkeypatch.setenv("FRAMERELAY_SECRET", SECRET)
    await started(redis_url)
    spool = Spool(data / "spool")
    await spool.keep(Callback(id="cb_1", received_at=1.0, outcome="accepted", body=b"{}"), fingerprint="f", task=None)

    async def copied(*arguments: Any, go: Any = framerelay.cli.backup.copy_ledger, **named: Any) -> Any:
        counts = await go(*arguments, **named)
        client = connect(redis_url)
        await spool.drain(Inbox(client, keep_s=3600.0))
        await disconnect(client)
        return counts

    monkeypatch.setattr("framerelay.cli.backup.copy_ledger", copied)
    result = await _in_thread("backup", tmp_path / "copy")
    spool.close()

    assert result.exit_code == 0, result.output
    assert (tmp_path / "copy" / "spool" / "cb_1.callback").is_file()


async def test_the_next_backup_copies_what_is_new_and_drops_what_is_gone(
    copy: Path, redis_url: str, tmp_path: Path
) -> None:
    """A copy that was cut short is made again; all of it is for its owner alone."""
    data = tmp_path / "data"
    given = data / "media" / "given"
    same = await typed("backup", copy, data_dir=data, redis_url=redis_url)
    (given / "b.png").write_bytes(b"another")
    (copy / "media" / "given" / "a.png").write_bytes(b"a pict")
    more = await typed("backup", copy, data_dir=data, redis_url=redis_url)
    (given / "a.png").unlink()
    fewer = await typed("backup", copy, data_dir=data, redis_url=redis_url)
    bare = await typed("backup", copy, "--no-media", data_dir=data, redis_url=redis_url)
    assert (bare.code, "choose another folder" in bare.error) == (1, True)
    files = {place.relative_to(copy).as_posix() for place in copy.rglob("*") if place.is_file()}

    assert [each.json["new_files"] for each in (same, more, fewer)] == [0, 2, 0]
    assert {name for name in files if name.startswith("media/given")} == {"media/given/b.png"}
    assert sum(name.startswith("ledger-") for name in files) == 1
    assert {place.stat().st_mode & 0o077 for place in (copy, *copy.rglob("*"))} == {0}


async def test_a_folder_of_something_else_is_left_alone(copy: Path, redis_url: str, tmp_path: Path) -> None:
    """Files that are no backup, that of another installation, a place within the data folder itself."""
    data = tmp_path / "data"
    strange = tmp_path / "strange"
    strange.mkdir()
    (strange / "letter.txt").write_text("dear")
    for words, match in (
        ((strange,), "has files and is no backup"),
        ((data / "backup",), "lies in the data folder itself"),
    ):
        said = await typed("backup", *words, data_dir=data, redis_url=redis_url)
        assert (said.code, match in said.error) == (1, True), said.error
    said = await typed("backup", copy, data_dir=data, redis_url=redis_url, FRAMERELAY_SECRET="x" * 30)
    assert (said.code, "of another installation" in said.error) == (1, True)
    assert [each.name for each in strange.iterdir()] == ["letter.txt"]


async def test_the_rights_that_the_manual_names_are_enough(copy: Path, tmp_path: Path) -> None:
    """To restore, and to take a backup."""
    page = (ROOT / "docs" / "redis.md").read_text()
    line = next(line for line in page.splitlines() if line.startswith("ACL SETUSER relay"))
    with running(tmp_path / "own") as own:
        own.ask(*line.replace("PASSWORD", "s3cret").split())
        url = f"redis://relay:s3cret@127.0.0.1:{own.port}"
        restored = await typed("restore", copy, data_dir=tmp_path / "new", redis_url=url)
        backup = await typed("backup", tmp_path / "another", data_dir=tmp_path / "new", redis_url=url)

    assert (restored.code, restored.error.count("forbids")) == (0, 0)
    assert (backup.code, backup.json["runs"], backup.json["open_runs"]) == (0, 1, 1)


async def test_a_cluster_is_filled_and_copied_as_any_other(copy: Path, tmp_path: Path, wait_until: WaitUntil) -> None:
    """By the node that has our slot, whichever the address names."""
    with nodes(tmp_path, 2) as servers:
        share(servers)
        await wait_until(partial(is_whole, servers), "the cluster is whole")
        url = address([each for each in servers if each is not ours(servers)])
        restored = await typed("restore", copy, data_dir=tmp_path / "new", redis_url=url)
        again = await typed("restore", copy, data_dir=tmp_path / "new", redis_url=url)
        backup = await typed("backup", tmp_path / "another", data_dir=tmp_path / "new", redis_url=url)

    assert (restored.code, again.code, backup.code) == (0, 1, 0), restored.error
    assert (restored.json["held_runs"], backup.json["runs"]) == (1, 1)


async def test_a_backup_of_keys_of_before_is_moved_as_by_a_start(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same code moves them; also if it was broken off behind that, when what moved them has left its words."""
    (old,) = EARLIER
    redis = connect(redis_url)
    await start(Store(redis), begin(film_of(1, 2)))
    (run_id,) = [run.id for run in await Store(redis).runs(limit=9)]
    await started(redis_url)
    await disconnect(redis)
    monkeypatch.setattr("framerelay.cli.backup.PREFIX", old)
    go = framerelay.cli.backup.LedgerWriter.add

    def add(writer: Any, entry: LedgerEntry) -> None:
        key = entry.key.replace(f"{PREFIX}arq:", "arq:").replace(PREFIX, old)
        if not key.endswith(":schema"):
            go(writer, msgspec.structs.replace(entry, key=key))

    monkeypatch.setattr("framerelay.cli.backup.LedgerWriter.add", add)
    for name, value in (("REDIS_URL", redis_url), ("DATA_DIR", str(tmp_path / "data")), ("SECRET", SECRET)):
        monkeypatch.setenv(f"FRAMERELAY_{name}", value)
    (tmp_path / "data").mkdir()
    assert (await _in_thread("backup", tmp_path / "copy")).exit_code == 0
    with running(tmp_path / "own") as own:
        monkeypatch.setenv("FRAMERELAY_REDIS_URL", own.url)
        with monkeypatch.context() as patch:
            patch.setattr(restore_command, "mark_restored", _breaking(restore_command.mark_restored, "before"))
            assert (await _in_thread("restore", tmp_path / "copy")).exit_code != 0
        result = await _in_thread("restore", tmp_path / "copy")
        redis = connect(own.url)
        runs = [run.id for run in await Store(redis).runs(limit=9, status=RunStatus.RUNNING)]
        tasks = await redis.zrange(QUEUE, 0, -1)
        known = [await redis.exists(task_keys(task.decode())[0]) for task in tasks]
        await disconnect(redis)

    assert result.exit_code == 0, result.output
    assert runs == [run_id]
    assert tasks
    assert set(known) == {1}


async def test_a_move_that_fails_leaves_everything_as_it_was(copy: Path, redis_url: str, tmp_path: Path) -> None:
    """Here the folder cannot be written: what was there goes on."""
    data, there = tmp_path / "data", tmp_path / "there"
    (there / "keys" / "api_key").mkdir(parents=True)
    (data / "api_key").write_text("fr_key\n")
    said = await typed("backup", there, "--move", data_dir=data, redis_url=redis_url)

    assert said.code == 1
    await _open(redis_url)


async def test_the_secret_goes_along_and_without_it_nothing_is_restored(
    copy: Path, redis_url: str, tmp_path: Path
) -> None:
    """One that is kept in the data folder is in the backup; one that is set elsewhere has to be set again."""
    data, new = tmp_path / "data", tmp_path / "new"
    (data / "secret").write_text("fr_made_by_itself_and_long\n")
    kept = await typed("backup", tmp_path / "other", data_dir=data, redis_url=redis_url, FRAMERELAY_SECRET="")
    missing = await typed("restore", copy, data_dir=new, FRAMERELAY_SECRET="")
    restored = await typed("restore", tmp_path / "other", data_dir=new, FRAMERELAY_SECRET="")

    assert (kept.code, missing.code, restored.code) == (0, 1, 0)
    assert "set FRAMERELAY_SECRET" in missing.error
    assert (new / "secret").read_text() == "fr_made_by_itself_and_long\n"
    assert (new / "secret").stat().st_mode & 0o777 == 0o600
