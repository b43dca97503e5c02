"""How much space the disk of a folder has left."""

import asyncio
import os
import tempfile
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final

from framerelay.runs.errors import StorageFailed

LOOK_WITHIN_S: Final = 1.0
PROBE_BYTES: Final = 4096  # A block, since a smaller file may fit where no clip does.


class Disk:
    """
    The disk that *folder* is on.

    One check at a time, in a separate thread: a disk that does not answer blocks that thread and nothing else.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="disk")
        self._working: dict[str, Future[int]] = {}

    async def free_bytes(self) -> int | None:
        """Space that we can use; None if the disk does not answer within a second."""
        try:
            return await self._within(self._look)
        except StorageFailed:
            return None

    async def check_writable(self) -> None:
        """Write a small file and remove it. Raises: StorageFailed."""
        await self._within(self._probe)

    async def _within(self, work: Callable[[], int]) -> int:
        """The result of *work*; if a check is already under way, its result is awaited instead."""
        working = self._working.get(work.__name__)
        if working is None or working.done():
            working = self._working[work.__name__] = self._thread.submit(work)
        try:
            async with asyncio.timeout(LOOK_WITHIN_S):
                return await asyncio.shield(asyncio.wrap_future(working))
        except TimeoutError:
            raise StorageFailed("our disk is too slow") from None
        except OSError as error:
            raise StorageFailed.of(error) from error

    def close(self) -> None:
        """Start nothing more."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _probe(self) -> int:
        self._folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=self._folder) as file:
            file.write(b"x" * PROBE_BYTES)
            file.flush()
            os.fsync(file.fileno())
        return PROBE_BYTES

    def _look(self) -> int:
        there = next(each for each in (self._folder, *self._folder.parents) if each.is_dir())  # It may be made later.
        stats = os.statvfs(there)
        return stats.f_bavail * stats.f_frsize
