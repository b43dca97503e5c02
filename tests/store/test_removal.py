"""Runs leave with their files, and nothing else leaves with them."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from arq.connections import ArqRedis

from framerelay.runs import events
from framerelay.runs.errors import Conflict, NotFound
from framerelay.runs.machine import begin
from framerelay.runs.model import Problem, Run, RunId, RunStatus, Shot, Terms
from framerelay.store.files import MediaFiles
from framerelay.store.folder_store import FolderStore
from framerelay.store.keys import PREFIX
from framerelay.store.progress import record, start
from framerelay.store.removal import remove, remove_files, remove_unfinished_files
from framerelay.store.runs import Store, has_ended

pytestmark = pytest.mark.anyio

RUN = "run_" + "a" * 24
OTHER = "run_" + "b" * 24


def a_run(name: str) -> Run:
    shot = Shot(id="s1", scene="1", origin="continue", source=None, input={"prompt": "雨夜"})
    return begin(Run(id=RunId(name), title="t", model="m", created_at=1, updated_at=1, shots=(shot,), terms=Terms()))


def with_files(folder: Path) -> MediaFiles:
    """A clip of each of two runs, and a picture that somebody gave."""
    files = MediaFiles(folder)
    for run_id in (RUN, OTHER):
        files.place(files.clip(run_id, "s1", 1)).write_bytes(b"clip")
    files.keep_picture(b"\x89PNG\r\n\x1a\n")
    return files


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() or path.is_symlink()}


async def test_a_removed_run_takes_everything_of_its_own_along(redis: ArqRedis, tmp_path: Path) -> None:
    """Its files, history and index entries go; of other runs and given pictures not a byte."""
    store, files = Store(redis), with_files(tmp_path)
    await start(store, a_run(OTHER))
    await redis.delete("{framerelay}:queue")
    others = {key async for key in redis.scan_iter("*") if b"arq:" not in key}
    await start(store, a_run(RUN))
    run = (await record(store, RUN, events.RunCancelled())).run
    others_files = {name for name in names(files.root) if not name.startswith(RUN)}

    await remove(store, FolderStore(files), run)

    assert names(files.root) == others_files
    assert not (files.root / RUN).exists()
    assert await store.load(RUN) is None
    assert await store.history(RUN) == []
    assert [each.id for each in await store.runs(limit=9)] == [OTHER]
    assert await store.runs(limit=9, status=RunStatus.CANCELLED) == []
    keys = {key async for key in redis.scan_iter("{framerelay}:*") if b":arq:" not in key} - others
    mark = f"{PREFIX}run:{RUN}".encode()
    assert keys - {b"{framerelay}:wake", b"{framerelay}:queue"} == {mark, b"{framerelay}:runs-removed"}
    assert await redis.pttl(mark) > 0


async def test_a_run_that_goes_on_is_not_removed(redis: ArqRedis, tmp_path: Path) -> None:
    store, files = Store(redis), with_files(tmp_path)
    run = await start(store, a_run(RUN))
    with pytest.raises(Conflict, match="running"):
        await remove(store, FolderStore(files), run)

    assert await store.load(RUN) == run
    assert f"{RUN}/s1.1.mp4" in names(files.root)


async def test_a_cancelled_run_is_removed_though_its_last_clip_is_arriving(redis: ArqRedis, tmp_path: Path) -> None:
    """What was read is old by then; but nobody can act on such a run, so nothing is there to ask a person about."""
    store, files = Store(redis), with_files(tmp_path)
    await start(store, a_run(RUN))
    run_there = (await record(store, RUN, events.RunCancelled())).run

    await remove(store, FolderStore(files), replace(run_there, revision=0))

    assert await store.load(RUN) is None
    assert f"{RUN}/s1.1.mp4" not in names(files.root)


async def failed_run(store: Store) -> Run:
    """A run that has ended, and that a person may resume."""
    await start(store, a_run(RUN))
    problem = Problem(code="x", message="it cannot be prepared")
    run = (await record(store, RUN, events.PreparationFailed(shot_id="s1", problem=problem, until=None))).run
    assert has_ended(run)
    return run


async def test_a_resume_that_is_faster_than_the_removal_keeps_everything(redis: ArqRedis, tmp_path: Path) -> None:
    """The remover looked at a run that no longer exists: not a file is touched."""
    store, files = Store(redis), with_files(tmp_path)
    run = await failed_run(store)
    before = names(files.root)
    await record(store, RUN, events.Resumed())

    with pytest.raises(Conflict, match="changed in the meantime"):
        await remove(store, FolderStore(files), run)

    assert names(files.root) == before
    run_there = await store.load(RUN)
    assert run_there is not None
    assert run_there.status is RunStatus.RUNNING


@pytest.mark.parametrize(
    "event", [events.Resumed(), events.Adopted(shot_id="s1", job_id="job_1"), events.Retaken(shot_id="s1")]
)
async def test_a_removal_that_is_faster_than_a_decision_leaves_nothing_half_removed(
    redis: ArqRedis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, event: events.Event
) -> None:
    """The person is told that there is no such run; nothing of it is written, and no task goes to the queue."""
    store, files = Store(redis), with_files(tmp_path)
    run = await failed_run(store)
    await redis.delete("{framerelay}:queue")
    save = store.save

    async def too_late(after: Run, **about: Any) -> bool:
        await remove(store, FolderStore(files), run)
        return await save(after, **about)

    monkeypatch.setattr(store, "save", too_late)
    with pytest.raises(NotFound, match=f"there is no run {RUN}"):
        await record(store, RUN, event)

    assert not (files.root / RUN).exists()
    assert await redis.hgetall(f"{PREFIX}run:{RUN}") == {b"revision": b"removed"}  # type: ignore[misc]  # redis-py's union
    assert await store.runs(limit=9) == []
    assert await store.awaiting(start=0, count=9) == []
    assert await redis.zcard("{framerelay}:queue") == 0


async def test_a_removed_run_is_not_made_again(redis: ArqRedis, tmp_path: Path) -> None:
    """A repeated request or a late callback at a hook must not pay for its shots a second time."""
    store = Store(redis)
    await start(store, a_run(RUN))
    await remove(store, FolderStore(MediaFiles(tmp_path)), (await record(store, RUN, events.RunCancelled())).run)
    length = await redis.zcard("{framerelay}:queue")

    with pytest.raises(Conflict, match="removed"):
        await start(store, a_run(RUN))

    assert await redis.zcard("{framerelay}:queue") == length
    assert await store.runs(limit=9) == []


def test_nothing_outside_a_runs_own_folder_is_touched(tmp_path: Path) -> None:
    """Not through names that lead elsewhere, nor through links."""
    files = with_files(tmp_path / "data")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "film.mp4").write_bytes(b"precious")
    (files.root / OTHER / "link.mp4").symlink_to(elsewhere / "film.mp4")
    (files.root / OTHER / "link").symlink_to(elsewhere, target_is_directory=True)
    (files.root / "run_link").symlink_to(elsewhere, target_is_directory=True)
    (files.root / "run_9").symlink_to(elsewhere, target_is_directory=True)
    before = names(files.root)

    for name in ("", ".", "..", "given", "../elsewhere", f"{RUN}/..", "/", "run_9", "run_link"):
        remove_files(files, name)
    assert names(files.root) == before

    remove_files(files, OTHER)
    assert not (files.root / OTHER).exists()
    assert (elsewhere / "film.mp4").read_bytes() == b"precious"


def test_what_a_killed_process_left_half_written_is_cleared_away(tmp_path: Path) -> None:
    """Old drafts of ours only: not what is being written now, nor anything with another name or in another folder."""
    files = with_files(tmp_path)
    old = time.time() - 1000
    draft_file = files.root / RUN / ".s1.1.mp4.0a1b2c3d.part"
    files_there = [
        files.root / RUN / ".s1.2.mp4.0a1b2c3d.part",
        files.root / RUN / "s1.1.part",
        files.root / RUN / ".part",
        files.root / "mine" / ".s1.1.mp4.0a1b2c3d.part",
        tmp_path / ".s1.1.mp4.0a1b2c3d.part",
    ]
    (files.root / "mine").mkdir()
    for path in [draft_file, *files_there]:
        path.write_bytes(b"half")
        os.utime(path, (old, old))
    os.utime(files_there[0])

    assert remove_unfinished_files(files, older_than=time.time() - 900) == 1

    assert not draft_file.exists()
    assert all(path.exists() for path in files_there)
    assert remove_unfinished_files(MediaFiles(tmp_path / "nowhere"), older_than=time.time()) == 0


def test_shots_of_a_film_that_was_cut_short_wait_a_day_for_the_next_join(tmp_path: Path) -> None:
    """A film of a hundred shots takes longer than what else is half written."""
    files = with_files(tmp_path)
    waiting, draft_file = (files.root / RUN / f".shot-{letter * 32}.mp4" for letter in "ab")
    for path, age_s in ((waiting, 80_000), (draft_file, 90_000)):
        path.write_bytes(b"shot")
        os.utime(path, (time.time() - age_s,) * 2)

    assert remove_unfinished_files(files, older_than=time.time() - 180) == 1
    assert (waiting.exists(), draft_file.exists()) == (True, False)


def test_a_frame_that_was_cut_short_is_cleared_away_too(tmp_path: Path) -> None:
    """As `media.child.png` writes it; hidden files of a person's own stay."""
    files = with_files(tmp_path)
    drafts = [
        files.root / RUN / name
        for name in (".s1.1.last.png.k3_x9a2b", ".s1.1.first.jpg.abcdefgh", ".film.mp4.0a1b2c3d.part")
    ]
    files_there = [
        files.root / RUN / name
        for name in (".DS_Store", ".s1.1.last.png", ".notes.txt.abcdefgh", ".s1.1.last.png.backup-1")
    ]
    for path in [*drafts, *files_there]:
        path.write_bytes(b"half")
        os.utime(path, (1, 1))

    assert remove_unfinished_files(files, older_than=time.time() - 180) == 3
    assert not any(path.exists() for path in drafts)
    assert all(path.exists() for path in files_there)


def test_what_a_living_process_writes_stays_however_old_and_goes_with_it(tmp_path: Path) -> None:
    """A laptop that slept, a clock that was set: age alone does not tell. The kernel knows who lives."""
    files = with_files(tmp_path)
    draft = files.root / RUN / ".s1.1.mp4.0a1b2c3d.part"
    code = "import sys; from framerelay.store.files import hold\n"
    code += "f = open(sys.argv[1], 'wb'); hold(f); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(draft)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        os.utime(draft, (1, 1))
        while_it_lives = remove_unfinished_files(files, older_than=time.time())
        writer.kill()
    afterwards = remove_unfinished_files(files, older_than=time.time())

    assert (while_it_lives, afterwards, draft.exists()) == (0, 1, False)


def test_only_folders_in_which_something_happened_are_looked_into(tmp_path: Path) -> None:
    """With a hundred thousand runs that have ended, a check each minute costs reading the media folder."""
    files = with_files(tmp_path)
    drafts = [files.root / run_id / ".s1.1.mp4.0a1b2c3d.part" for run_id in (RUN, OTHER)]
    for draft in drafts:
        draft.write_bytes(b"half")
        os.utime(draft, (1, 1))
    os.utime(files.root / OTHER, (1, 1))

    assert remove_unfinished_files(files, older_than=time.time(), changed_since=time.time() - 60) == 1
    assert [draft.exists() for draft in drafts] == [False, True]
    assert remove_unfinished_files(files, older_than=time.time()) == 1
