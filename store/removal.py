"""
Removing runs that are no longer wanted, with their files; nothing outside a run's own folder is touched.

A run is removed from Redis first and its files after that, so that nobody is shown a run whose clips are missing. Its
id stays on a list until its folder was removed again, later: so neither a crash in between nor a download that was
under way leaves anything behind.
"""

import math
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import structlog

from framerelay.runs.errors import Conflict
from framerelay.runs.model import Run, RunStatus
from framerelay.runs.standing import has_ended
from framerelay.store.files import MediaFiles, is_held
from framerelay.store.media_store import MediaStore
from framerelay.store.runs import Store

_RUN: Final = re.compile(r"run_[a-z0-9]{1,40}")
_OURS: Final = re.compile(r"run_[a-z0-9]{1,40}|given")
# A clip, film or picture being downloaded, and a frame as the decoder writes it (`media.child.png`).
_SHOT: Final = re.compile(r"\.shot-[0-9a-f]{32}\.mp4")  # From an interrupted film (`media.child.film_shots`).
_SHOT_S: Final = 86_400.0  # For the next join; there may be none, if a person decided otherwise.
_UNFINISHED: Final = re.compile(r"\.[A-Za-z0-9_.-]+\.(?:[0-9a-f]{8}\.part|(?:png|jpg)\.[a-z0-9_]{8})")

log = structlog.get_logger()


async def remove(store: Store, media: MediaStore, run: Run) -> None:
    """
    Remove *run*, its history and its files. Pictures that people gave stay: other runs may begin with them.

    Nobody can act on a cancelled run: only clips that still arrive change it, and those are removed with it.
    Raises: Conflict unless it has ended, or if somebody acted in the meantime; StoreUnavailable.
    """
    if run.status in (RunStatus.RUNNING, RunStatus.WAITING):
        raise Conflict(f"the run is {run.status.value}; only a run that has ended can be removed: cancel it first")
    if run.status is RunStatus.FAILED and not has_ended(run):
        raise Conflict("a job of the run is still under way, and may let it go on: cancel it first")
    while not await store.remove(run, now=time.time()):
        current = await store.load(run.id)
        if current is None or current.status is not RunStatus.CANCELLED:
            raise Conflict("the run has changed in the meantime")
        run = current
    log.info("run_removed", run_id=run.id, status=run.status.value)
    await media.remove(run.id)


def remove_files(files: MediaFiles, run_id: str) -> bool:
    """Remove the folder of a run; False if the disk refuses, which is logged. A link in its place is left alone."""
    folder = files.root / run_id
    if not _RUN.fullmatch(run_id) or folder.is_symlink():
        return True
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return not folder.exists()
    except OSError as error:
        log.warning("files_not_removed", run_id=run_id, reason=error.strerror or str(error))
        return False
    return True


def remove_unfinished_files(files: MediaFiles, *, older_than: float, changed_since: float = 0.0) -> int:
    """
    Remove files that killed processes left half written, if last written before *older_than*; returns how many.

    Never a file that a living process still writes. Only folders that have *changed_since* are searched.
    """
    number = 0
    for entry in _entries(files.root):
        if _OURS.fullmatch(entry.name) and _changed_at(entry) >= changed_since:
            number += sum(_remove_if_unfinished(each, older_than) for each in _entries(Path(entry.path)))
    return number


def _changed_at(entry: "os.DirEntry[str]") -> float:
    """When something was last added to a folder, or removed; for anything else minus infinity."""
    try:
        return entry.stat().st_mtime if entry.is_dir(follow_symlinks=False) else -math.inf
    except OSError:
        return -math.inf


def _remove_if_unfinished(entry: "os.DirEntry[str]", older_than: float) -> bool:
    older_than -= _SHOT_S if _SHOT.fullmatch(entry.name) else 0.0
    if not (_UNFINISHED.fullmatch(entry.name) or _SHOT.fullmatch(entry.name)):
        return False
    if not entry.is_file(follow_symlinks=False):
        return False
    try:
        if entry.stat(follow_symlinks=False).st_mtime >= older_than or is_held(Path(entry.path)):
            return False
        Path(entry.path).unlink()
    except OSError:  # Somebody else removed it, or the disk refuses; the next look tries again.
        return False
    return True


def _entries(folder: Path) -> "Iterator[os.DirEntry[str]]":
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except OSError:
        return
