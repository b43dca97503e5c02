"""
`framerelay backup` and `framerelay restore`, typed: what is in a backup, where it goes, and what is refused in words.

The embedded Redis and one of one's own, and real files.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

import framerelay.cli.backup
from framerelay.cli import restore as restore_command
from framerelay.runs.machine import begin
from framerelay.runs.model import RunStatus
from framerelay.store.client import connect, disconnect
from framerelay.store.closed import CLOSED
from framerelay.store.embedded import EmbeddedRedis
from framerelay.store.files import MediaFiles
from framerelay.store.inbox import Callback, Inbox
from framerelay.store.keys import EARLIER, PREFIX
from framerelay.store.ledger_file import LedgerEntry
from framerelay.store.processes import PROCESSES
from framerelay.store.progress import start
from framerelay.store.runs import Store
from framerelay.store.spool import Spool
from framerelay.store.tasks import QUEUE, task_keys
from tests.fixtures.relay import SECRET
from tests.machines.backups import ROOT, backup_of, breaking, in_thread, opened, started, typed
from tests.machines.servers import running
from tests.machines.test_cluster import address, is_whole, nodes, ours, share
from tests.runs.world import film_of

pytestmark = pytest.mark.anyio

WaitUntil = Callable[..., Awaitable[None]]


@pytest.fixture
async def taken(start_relay: Any, redis_url: str, tmp_path: Path) -> Path:
    """A backup whose Redis and data folder are there still."""
    async with start_relay("http://127.0.0.1:9", worker=False) as relay:
        return await backup_of(relay, redis_url, tmp_path / "copy")


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
    taken: Path, redis_url: str, start_relay: Any, tmp_path: Path, presence: None, wait_until: WaitUntil
) -> None:
    """Runs that are there, files of others, programs that work: each is said, and nothing is touched."""
    data = tmp_path / "data"
    said = await typed("restore", taken, data_dir=data, redis_url=redis_url)
    assert (said.code, "into an empty Redis only" in said.error) == (1, True)

    async with start_relay("http://127.0.0.1:9", worker=False) as relay:
        redis = connect(redis_url)

        async def is_there() -> bool:
            return bool(await redis.exists(PROCESSES))

        await wait_until(is_there, "it says that it is there")
        said = await typed("restore", taken, data_dir=data, redis_url=redis_url)
        assert (said.code, "a receiver runs on" in said.error) == (1, True)
        said = await typed("backup", taken, "--move", data_dir=data, redis_url=redis_url)
        assert (said.code, "--move is for what has ended" in said.error) == (1, True)
        assert not await redis.exists(CLOSED)
        await disconnect(redis)
        assert (await relay.api.get("/v1/runs")).is_success

    others = tmp_path / "others"
    MediaFiles(others).mark("f" * 32)
    clip = others / "media" / f"run_{'a' * 24}" / "s1.1.mp4"
    clip.parent.mkdir()
    clip.write_bytes(b"another film")
    said = await typed("restore", taken, data_dir=others)
    assert (said.code, "files of another installation" in said.error) == (1, True)

    async with EmbeddedRedis(tmp_path / "busy" / "redis"):
        said = await typed("restore", taken, data_dir=tmp_path / "busy", redis_url="redis://127.0.0.1:9")
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
    result = await in_thread("backup", tmp_path / "copy")
    spool.close()

    assert result.exit_code == 0, result.output
    assert (tmp_path / "copy" / "spool" / "cb_1.callback").is_file()


async def test_a_clip_that_comes_while_redis_is_read_is_in_the_copy(
    taken: Path, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files come behind Redis: read the other way round, the ledger would name some that the copy lacks."""
    data = tmp_path / "data"
    monkeypatch.setenv("FRAMERELAY_REDIS_URL", redis_url)
    monkeypatch.setenv("FRAMERELAY_DATA_DIR", str(data))
    monkeypatch.setenv("FRAMERELAY_SECRET", SECRET)

    async def then_read(*arguments: Any, go: Any = framerelay.cli.backup.copy_ledger, **named: Any) -> Any:
        (data / "media" / "given" / "late.png").write_bytes(b"a late picture")
        return await go(*arguments, **named)

    monkeypatch.setattr("framerelay.cli.backup.copy_ledger", then_read)
    result = await in_thread("backup", taken)

    assert result.exit_code == 0, result.output
    assert (taken / "media" / "given" / "late.png").read_bytes() == b"a late picture"


async def test_the_next_backup_copies_what_is_new_and_drops_what_is_gone(
    taken: Path, redis_url: str, tmp_path: Path
) -> None:
    """A copy that was cut short is made again; all of it is for its owner alone."""
    data = tmp_path / "data"
    given = data / "media" / "given"
    same = await typed("backup", taken, data_dir=data, redis_url=redis_url)
    (given / "b.png").write_bytes(b"another")
    (taken / "media" / "given" / "a.png").write_bytes(b"a pict")
    more = await typed("backup", taken, data_dir=data, redis_url=redis_url)
    (given / "a.png").unlink()
    fewer = await typed("backup", taken, data_dir=data, redis_url=redis_url)
    bare = await typed("backup", taken, "--no-media", data_dir=data, redis_url=redis_url)
    assert (bare.code, "choose another folder" in bare.error) == (1, True)
    files = {place.relative_to(taken).as_posix() for place in taken.rglob("*") if place.is_file()}

    assert [each.json["new_files"] for each in (same, more, fewer)] == [0, 2, 0]
    assert {name for name in files if name.startswith("media/given")} == {"media/given/b.png"}
    assert sum(name.startswith("ledger-") for name in files) == 1
    assert {place.stat().st_mode & 0o077 for place in (taken, *taken.rglob("*"))} == {0}


async def test_a_folder_of_something_else_is_left_alone(taken: Path, redis_url: str, tmp_path: Path) -> None:
    """Files that are no backup, that of another installation, a place within the data folder itself."""
    data = tmp_path / "data"
    strange = tmp_path / "strange"
    strange.mkdir()
    (strange / "letter.txt").write_text("dear")
    for words, match in (
        ((strange,), "has files and is not a backup"),
        ((data / "backup",), "is in the data folder itself"),
    ):
        said = await typed("backup", *words, data_dir=data, redis_url=redis_url)
        assert (said.code, match in said.error) == (1, True), said.error
    said = await typed("backup", taken, data_dir=data, redis_url=redis_url, FRAMERELAY_SECRET="x" * 30)
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
    assert (await in_thread("backup", tmp_path / "copy")).exit_code == 0
    with running(tmp_path / "own") as own:
        monkeypatch.setenv("FRAMERELAY_REDIS_URL", own.url)
        with monkeypatch.context() as patch:
            patch.setattr(restore_command, "mark_restored", breaking(restore_command.mark_restored, "before"))
            assert (await in_thread("restore", tmp_path / "copy")).exit_code != 0
        result = await in_thread("restore", tmp_path / "copy")
        redis = connect(own.url)
        runs = [run.id for run in await Store(redis).runs(limit=9, status=RunStatus.RUNNING)]
        tasks = await redis.zrange(QUEUE, 0, -1)
        known = [await redis.exists(task_keys(task.decode())[0]) for task in tasks]
        await disconnect(redis)

    assert result.exit_code == 0, result.output
    assert runs == [run_id]
    assert tasks
    assert set(known) == {1}


async def test_a_move_that_fails_leaves_everything_as_it_was(taken: Path, redis_url: str, tmp_path: Path) -> None:
    """Here the folder cannot be written: what was there goes on."""
    data, there = tmp_path / "data", tmp_path / "there"
    (there / "keys" / "api_key").mkdir(parents=True)
    (data / "api_key").write_text("fr_key\n")
    said = await typed("backup", there, "--move", data_dir=data, redis_url=redis_url)

    assert said.code == 1
    await opened(redis_url)


async def test_the_secret_goes_along_and_without_it_nothing_is_restored(
    taken: Path, redis_url: str, tmp_path: Path
) -> None:
    """One that is kept in the data folder is in the backup; one that is set elsewhere has to be set again."""
    data, new = tmp_path / "data", tmp_path / "new"
    (data / "secret").write_text("fr_made_by_itself_and_long\n")
    kept = await typed("backup", tmp_path / "other", data_dir=data, redis_url=redis_url, FRAMERELAY_SECRET="")
    missing = await typed("restore", taken, data_dir=new, FRAMERELAY_SECRET="")
    restored = await typed("restore", tmp_path / "other", data_dir=new, FRAMERELAY_SECRET="")

    assert (kept.code, missing.code, restored.code) == (0, 1, 0)
    assert "set FRAMERELAY_SECRET" in missing.error
    assert (new / "secret").read_text() == "fr_made_by_itself_and_long\n"
    assert (new / "secret").stat().st_mode & 0o777 == 0o600
