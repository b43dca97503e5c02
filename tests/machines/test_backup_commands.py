"""
`framerelay backup` and `framerelay restore`, typed: what is in a backup, where it goes, and what is refused in words.

The embedded Redis, one that runs by itself, and real files.
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
from tests.machines.backups import ROOT, backup_of, breaking, enter, enter_if_open, in_thread, run_command
from tests.machines.servers import running
from tests.machines.test_cluster import address, is_whole, nodes, ours, share
from tests.runs.world import film_of

pytestmark = pytest.mark.anyio

WaitUntil = Callable[..., Awaitable[None]]


@pytest.fixture
async def copy_folder(start_relay: Any, redis_url: str, tmp_path: Path) -> Path:
    """A backup whose Redis and data folder are there still."""
    async with start_relay("http://127.0.0.1:9", worker=False) as relay:
        return await backup_of(relay, redis_url, tmp_path / "copy")


async def test_a_backup_that_is_not_what_it_was_is_refused_before_anything_is_touched(
    copy: Path, tmp_path: Path
) -> None:
    """A byte less, a file that is gone, a newer version, a stranger's name in the manifest."""
    new = tmp_path / "new"

    async def assert_refused(match: str) -> None:
        result = await run_command("restore", copy, data_dir=new)
        assert result.code == 1
        assert match in result.error
        assert not new.exists()

    picture = copy / "media" / "given" / "a.png"
    picture.write_bytes(b"a Picture")
    await assert_refused("media/given/a.png is gone or not what it was")
    picture.unlink()
    await assert_refused("media/given/a.png is gone or not what it was")
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
        await assert_refused(match)


async def test_it_goes_into_an_empty_place_alone_where_nothing_runs(
    copy_folder: Path, redis_url: str, start_relay: Any, tmp_path: Path, presence: None, wait_until: WaitUntil
) -> None:
    """Runs that are there, files of others, programs that work: each is reported, and nothing is touched."""
    data = tmp_path / "data"
    result = await run_command("restore", copy_folder, data_dir=data, redis_url=redis_url)
    assert (result.code, "into an empty Redis only" in result.error) == (1, True)

    async with start_relay("http://127.0.0.1:9", worker=False) as relay:
        redis = connect(redis_url)

        async def is_there() -> bool:
            return bool(await redis.exists(PROCESSES))

        await wait_until(is_there, "it says that it is there")
        result = await run_command("restore", copy_folder, data_dir=data, redis_url=redis_url)
        assert (result.code, "a receiver runs on" in result.error) == (1, True)
        result = await run_command("backup", copy_folder, "--move", data_dir=data, redis_url=redis_url)
        assert (result.code, "--move is for what has ended" in result.error) == (1, True)
        assert not await redis.exists(CLOSED)
        await disconnect(redis)
        assert (await relay.api.get("/v1/runs")).is_success

    others = tmp_path / "others"
    MediaFiles(others).mark("f" * 32)
    clip = others / "media" / f"run_{'a' * 24}" / "s1.1.mp4"
    clip.parent.mkdir()
    clip.write_bytes(b"another film")
    result = await run_command("restore", copy_folder, data_dir=others)
    assert (result.code, "files of another installation" in result.error) == (1, True)

    async with EmbeddedRedis(tmp_path / "busy" / "redis"):
        result = await run_command("restore", copy_folder, data_dir=tmp_path / "busy", redis_url="redis://127.0.0.1:9")
    assert (result.code, "still runs on FrameRelay's own Redis" in result.error) == (1, True)


async def test_what_waits_in_the_spool_is_copied_even_if_redis_takes_it_during_the_copy(
    start_relay: Any, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is copied before Redis is: read the other way round, it would be in neither."""
    async with start_relay("http://127.0.0.1:9", worker=False) as relay:
        data = relay.settings.data_dir
    monkeypatch.setenv("FRAMERELAY_REDIS_URL", redis_url)
    monkeypatch.setenv("FRAMERELAY_DATA_DIR", str(data))
    monkeypatch.setenv("FRAMERELAY_SECRET", SECRET)
    await enter(redis_url)
    spool = Spool(data / "spool")
    await spool.keep(Callback(id="cb_1", received_at=1.0, outcome="accepted", body=b"{}"), fingerprint="f", task=None)

    async def copy_and_drain(*arguments: Any, go: Any = framerelay.cli.backup.copy_ledger, **options: Any) -> Any:
        counts = await go(*arguments, **options)
        client = connect(redis_url)
        await spool.drain(Inbox(client, keep_s=3600.0))
        await disconnect(client)
        return counts

    monkeypatch.setattr("framerelay.cli.backup.copy_ledger", copy_and_drain)
    result = await in_thread("backup", tmp_path / "copy")
    spool.close()

    assert result.exit_code == 0, result.output
    assert (tmp_path / "copy" / "spool" / "cb_1.callback").is_file()


async def test_a_clip_that_arrives_while_redis_is_read_is_in_the_copy(
    copy_folder: Path, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files come after Redis: read the other way round, the ledger would name some that the copy lacks."""
    data = tmp_path / "data"
    monkeypatch.setenv("FRAMERELAY_REDIS_URL", redis_url)
    monkeypatch.setenv("FRAMERELAY_DATA_DIR", str(data))
    monkeypatch.setenv("FRAMERELAY_SECRET", SECRET)

    async def then_read(*arguments: Any, go: Any = framerelay.cli.backup.copy_ledger, **options: Any) -> Any:
        (data / "media" / "given" / "late.png").write_bytes(b"a late picture")
        return await go(*arguments, **options)

    monkeypatch.setattr("framerelay.cli.backup.copy_ledger", then_read)
    result = await in_thread("backup", copy_folder)

    assert result.exit_code == 0, result.output
    assert (copy_folder / "media" / "given" / "late.png").read_bytes() == b"a late picture"


async def test_the_next_backup_copies_what_is_new_and_drops_what_is_gone(
    copy_folder: Path, redis_url: str, tmp_path: Path
) -> None:
    """A copy that was cut short is made again; all of it is for its owner alone."""
    data = tmp_path / "data"
    folder = data / "media" / "given"
    same = await run_command("backup", copy_folder, data_dir=data, redis_url=redis_url)
    (folder / "b.png").write_bytes(b"another")
    (copy_folder / "media" / "given" / "a.png").write_bytes(b"a pict")
    more = await run_command("backup", copy_folder, data_dir=data, redis_url=redis_url)
    (folder / "a.png").unlink()
    fewer = await run_command("backup", copy_folder, data_dir=data, redis_url=redis_url)
    bare = await run_command("backup", copy_folder, "--no-media", data_dir=data, redis_url=redis_url)
    assert (bare.code, "choose another folder" in bare.error) == (1, True)
    files = {place.relative_to(copy_folder).as_posix() for place in copy_folder.rglob("*") if place.is_file()}

    assert [each.json["new_files"] for each in (same, more, fewer)] == [0, 2, 0]
    assert {name for name in files if name.startswith("media/given")} == {"media/given/b.png"}
    assert sum(name.startswith("ledger-") for name in files) == 1
    assert {place.stat().st_mode & 0o077 for place in (copy_folder, *copy_folder.rglob("*"))} == {0}


async def test_a_folder_of_something_else_is_left_alone(copy_folder: Path, redis_url: str, tmp_path: Path) -> None:
    """Files that are no backup, that of another installation, a place within the data folder itself."""
    data = tmp_path / "data"
    strange = tmp_path / "strange"
    strange.mkdir()
    (strange / "letter.txt").write_text("dear")
    for words, match in (
        ((strange,), "has files and is not a backup"),
        ((data / "backup",), "is in the data folder itself"),
    ):
        result = await run_command("backup", *words, data_dir=data, redis_url=redis_url)
        assert (result.code, match in result.error) == (1, True), result.error
    result = await run_command("backup", copy_folder, data_dir=data, redis_url=redis_url, FRAMERELAY_SECRET="x" * 30)
    assert (result.code, "of another installation" in result.error) == (1, True)
    assert [each.name for each in strange.iterdir()] == ["letter.txt"]


async def test_the_rights_that_the_manual_names_are_enough(copy: Path, tmp_path: Path) -> None:
    """To restore, and to take a backup."""
    page = (ROOT / "docs" / "redis.md").read_text()
    line = next(line for line in page.splitlines() if line.startswith("ACL SETUSER relay"))
    with running(tmp_path / "own") as own:
        own.ask(*line.replace("PASSWORD", "s3cret").split())
        url = f"redis://relay:s3cret@127.0.0.1:{own.port}"
        result = await run_command("restore", copy, data_dir=tmp_path / "new", redis_url=url)
        backup = await run_command("backup", tmp_path / "another", data_dir=tmp_path / "new", redis_url=url)

    assert (result.code, result.error.count("forbids")) == (0, 0)
    assert (backup.code, backup.json["runs"], backup.json["open_runs"]) == (0, 1, 1)


async def test_a_cluster_is_filled_and_copied_as_any_other(copy: Path, tmp_path: Path, wait_until: WaitUntil) -> None:
    """By the node that has our slot, whichever the address names."""
    with nodes(tmp_path, 2) as servers:
        share(servers)
        await wait_until(partial(is_whole, servers), "the cluster is whole")
        url = address([each for each in servers if each is not ours(servers)])
        result = await run_command("restore", copy, data_dir=tmp_path / "new", redis_url=url)
        again = await run_command("restore", copy, data_dir=tmp_path / "new", redis_url=url)
        backup = await run_command("backup", tmp_path / "another", data_dir=tmp_path / "new", redis_url=url)

    assert (result.code, again.code, backup.code) == (0, 1, 0), result.error
    assert (result.json["held_runs"], backup.json["runs"]) == (1, 1)


async def test_a_backup_of_former_keys_is_migrated_as_by_a_start(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same code moves them; also if it was broken off after that, when what moved them has left its message."""
    (old,) = EARLIER
    redis = connect(redis_url)
    await start(Store(redis), begin(film_of(1, 2)))
    (run_id,) = [run.id for run in await Store(redis).runs(limit=9)]
    await enter(redis_url)
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
        flags = [await redis.exists(task_keys(task.decode())[0]) for task in tasks]
        await disconnect(redis)

    assert result.exit_code == 0, result.output
    assert runs == [run_id]
    assert tasks
    assert set(flags) == {1}


async def test_a_move_that_fails_leaves_everything_as_it_was(copy_folder: Path, redis_url: str, tmp_path: Path) -> None:
    """Here the folder cannot be written: what was there goes on."""
    data, there = tmp_path / "data", tmp_path / "there"
    (there / "keys" / "api_key").mkdir(parents=True)
    (data / "api_key").write_text("fr_key\n")
    result = await run_command("backup", there, "--move", data_dir=data, redis_url=redis_url)

    assert result.code == 1
    await enter_if_open(redis_url)


async def test_the_secret_goes_along_and_without_it_nothing_is_restored(
    copy_folder: Path, redis_url: str, tmp_path: Path
) -> None:
    """One that is kept in the data folder is in the backup; one that is set elsewhere has to be set again."""
    data, new = tmp_path / "data", tmp_path / "new"
    (data / "secret").write_text("fr_made_by_itself_and_long\n")
    result = await run_command("backup", tmp_path / "other", data_dir=data, redis_url=redis_url, FRAMERELAY_SECRET="")
    missing = await run_command("restore", copy_folder, data_dir=new, FRAMERELAY_SECRET="")
    restored_result = await run_command("restore", tmp_path / "other", data_dir=new, FRAMERELAY_SECRET="")

    assert (result.code, missing.code, restored_result.code) == (0, 1, 0)
    assert "set FRAMERELAY_SECRET" in missing.error
    assert (new / "secret").read_text() == "fr_made_by_itself_and_long\n"
    assert (new / "secret").stat().st_mode & 0o777 == 0o600
