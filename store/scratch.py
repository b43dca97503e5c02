"""
Copies on this disk of files in object storage: limited in size; the least recently used are removed.

Nothing is removed that is not in the storage, so a clip that is still to be uploaded stays, however long that takes.
"""

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from framerelay.runs.errors import FrameRelayError, StorageFailed
from framerelay.store.files import MediaFiles
from framerelay.store.media_store import MediaStore
from framerelay.store.removal import remove_files
from framerelay.store.runs import Store

EVERY_S: Final = 60.0
IN_USE_S: Final = 600.0  # Files used since then may still be in use: by a decoder, a join, a reader.
ABANDONED_S: Final = 3600.0  # Of a run that is gone; this is also how often they are looked for.
DOWN_TO: Final = 0.9  # Of the limit, so that not each new copy triggers a look.

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Copy:
    path: str
    bytes: int
    used_at: float


async def keep_scratch(media: MediaStore, store: Store, *, bytes_max: int) -> None:
    """For as long as the process lives; without object storage there are no copies, and nothing is done."""
    looked_at = 0.0
    while media.is_remote:
        now = time.time()
        try:
            await clear_copies(media, bytes_max=bytes_max, now=now)
            if now - looked_at >= ABANDONED_S:
                await clear_abandoned_copies(media.files, store, now=now)
                looked_at = now
        except FrameRelayError as error:
            log.warning("scratch_not_cleared", reason=error.message)
        except Exception as error:  # An unforeseen error must not end it for good.
            log.exception("tidying_surprised", reason=str(error))
        await asyncio.sleep(EVERY_S)


async def clear_copies(media: MediaStore, *, bytes_max: int, now: float) -> int:
    """
    Remove copies until they take up less than *bytes_max*; returns how many were removed.

    ``media.unkept_bytes`` then says how much of the rest is only on this disk, as far as that was checked.
    """
    copies = sorted(await asyncio.to_thread(lambda: list(_copies(media.files))), key=lambda each: each.used_at)
    total, rest, unkept = sum(each.bytes for each in copies), 0, 0
    if total <= bytes_max:
        media.unkept_bytes = 0
        return 0
    try:
        for copy in copies:
            if total <= bytes_max * DOWN_TO or copy.used_at > now - IN_USE_S:
                break
            if not await media.is_kept(copy.path, size=copy.bytes):
                unkept += copy.bytes
            elif await asyncio.to_thread(_remove, media.files.root / copy.path, copy.used_at):
                total, rest = total - copy.bytes, rest + 1
    except StorageFailed:
        unkept = total  # It cannot be asked, so nothing can be removed.
        raise
    finally:
        media.unkept_bytes = unkept
    if rest:
        log.info("copies_removed", files=rest, bytes=total)
    return rest


async def clear_abandoned_copies(files: MediaFiles, store: Store, *, now: float) -> None:
    """Remove the copies of runs that somebody has since removed, on another machine. Raises: StoreUnavailable."""
    for name in await asyncio.to_thread(lambda: list(_quiet_folders(files.root, before=now - ABANDONED_S))):
        if await store.is_removed(name):
            await asyncio.to_thread(remove_files, files, name)


def _copies(files: MediaFiles) -> Iterator[_Copy]:
    for folder in _folders(files.root):
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                if not entry.name.startswith(".") and entry.is_file(follow_symlinks=False):
                    about = entry.stat(follow_symlinks=False)
                    yield _Copy(path=f"{folder.name}/{entry.name}", bytes=about.st_size, used_at=about.st_mtime)


def _quiet_folders(root: Path, *, before: float) -> Iterator[str]:
    for folder in _folders(root):
        with suppress(OSError):
            if folder.name.startswith("run_") and folder.stat().st_mtime < before:
                yield folder.name


def _folders(root: Path) -> Iterator[Path]:
    with suppress(OSError), os.scandir(root) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False) and (entry.name == "given" or entry.name.startswith("run_")):
                yield Path(entry.path)


def _remove(place: Path, used_at: float) -> bool:
    """Unless it was used, or written again, since it was checked."""
    with suppress(OSError):
        if place.stat().st_mtime == used_at:
            place.unlink()
            return True
    return False
