"""
The second durable place for callbacks: a small synced folder on the local disk, for those that Redis cannot take now.

One file for each callback, named by its id, complete or absent; several receivers may share the folder. A file is
removed when Redis has its callback; `Inbox.accept` knows a callback by its id, so emptying it twice does no harm.
"""

import asyncio
import os
import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import structlog

from framerelay.runs.errors import StorageFailed, StoreUnavailable
from framerelay.store.files import sync
from framerelay.store.inbox import Callback, Inbox
from framerelay.store.redis_messages import unavailable
from framerelay.store.tasks import Task, pack

CALLBACKS_MAX: Final = 10_000  # An hour at three a second.
BYTES_MAX: Final = 64 << 20
WRITE_WITHIN_S: Final = 1.2  # After the 3 s that Redis has had, still within a provider's 5 s.
DRAIN_EVERY_S: Final = 1.0
DRAIN_WITHIN_S: Final = 10.0
BATCH_MAX: Final = 64
PROBE_BYTES: Final = 4096  # A block, since a smaller file may fit where no callback does.
ENDING: Final = ".callback"
LEFT_BEHIND_S: Final = 60.0  # A half-written file is this old only if its writer was killed.

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class _SpoolEntry:
    """Everything that `Inbox.accept` was given."""

    callback: Callback
    fingerprint: str
    task: Task | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolReport:
    """How many callbacks are there, their bytes, and the age (s) of the oldest, 0 if there is none."""

    files: int
    bytes: int
    oldest_s: float


_decode = msgspec.msgpack.Decoder(_SpoolEntry).decode


class Spool:
    """
    Keeps callbacks on disk until Redis takes them.

    The limits apply to the folder as it was a second ago, plus what this process has added since.
    """

    def __init__(self, folder: Path, *, callbacks_max: int = CALLBACKS_MAX, bytes_max: int = BYTES_MAX) -> None:
        self._folder = folder
        self._callbacks_max = callbacks_max
        self._bytes_max = bytes_max
        self._files, self._bytes = 0, 0
        self._oldest_at: float | None = None
        # Separate threads: a disk that hangs must not block those that the rest of the receiver needs.
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="spool")

    @property
    def report(self) -> SpoolReport:
        """What was there a second ago, plus what this process has added since."""
        oldest_s = max(0.0, time.time() - self._oldest_at) if self._oldest_at else 0.0
        return SpoolReport(files=self._files, bytes=self._bytes, oldest_s=round(oldest_s, 3))

    async def keep(self, callback: Callback, *, fingerprint: str, task: Task | None) -> None:
        """
        Return when *callback* is synced to disk, within a few milliseconds on a healthy disk.

        Raises: StorageFailed if the spool is full, or the disk refuses or is too slow; the sender must try again.
        """
        content = pack(_SpoolEntry(callback=callback, fingerprint=fingerprint, task=task))
        if self._files >= self._callbacks_max or self._bytes + len(content) > self._bytes_max:
            raise StorageFailed("the spool is full", retry_after_s=5)
        self._files, self._bytes = self._files + 1, self._bytes + len(content)
        await self._in_time(self._write, callback.id, content)

    async def check_writable(self) -> None:
        """
        Sync a file like those of callbacks, and remove it.

        Raises: StorageFailed with the reason why a callback could not be kept here now.
        """
        if self._files >= self._callbacks_max:
            raise StorageFailed("the spool is full")
        await self._in_time(self._probe)

    async def drain_for_ever(self, inbox: Inbox) -> None:
        """Give *inbox* what is here, now and whenever something is added."""
        while True:
            try:
                await self.drain(inbox)
            except StoreUnavailable:
                pass  # Redis is not back yet; the code that could not keep a callback there has logged it.
            except Exception as error:  # The loop must outlive any error in one round.
                log.error("spool_stuck", reason=str(error) or type(error).__name__)
            await asyncio.sleep(DRAIN_EVERY_S)

    async def drain(self, inbox: Inbox) -> int:
        """
        Hand every callback in the folder to *inbox*, oldest first, and forget those that it accepted; returns how many.

        Raises: StoreUnavailable if Redis does not accept them: the rest stays.
        """
        number = 0
        loop = asyncio.get_running_loop()
        paths = await loop.run_in_executor(self._threads, self._look)
        if paths:  # While too few replicas of Redis answer, each try would queue the tasks of callbacks again.
            await inbox.check_writable()
        for start in range(0, len(paths), BATCH_MAX):
            batch = paths[start : start + BATCH_MAX]
            callbacks = await loop.run_in_executor(self._threads, _read_all, batch)
            results = await asyncio.gather(
                *(_hand_over(inbox, each) for each in callbacks.values()), return_exceptions=True
            )
            accepted_paths = [path for path, result in zip(callbacks, results, strict=True) if result is None]
            await loop.run_in_executor(self._threads, _remove_all, accepted_paths)
            number += len(accepted_paths)
            for result in results:
                if isinstance(result, BaseException):
                    raise result
        if number:
            log.info("spool_drained", callbacks=number)
            await loop.run_in_executor(self._threads, self._look)
        return number

    def close(self) -> None:
        """Start nothing more; writes that are under way finish by themselves."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _in_time(self, work: Callable[..., None], *arguments: str | bytes) -> None:
        writing = asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)
        try:
            async with asyncio.timeout(WRITE_WITHIN_S):
                await writing
        except TimeoutError:
            raise StorageFailed("our disk is too slow", retry_after_s=5) from None
        except OSError as error:
            raise StorageFailed.of(error) from error

    def _write(self, name: str, content: bytes) -> None:
        """The file and its name are synced before this returns."""
        with self._temporary_file(name, content) as half:
            half.rename(self._folder / f"{name}{ENDING}")
        sync(self._folder)

    def _probe(self) -> None:
        with self._temporary_file(f"probe_{secrets.token_hex(8)}", b"x" * PROBE_BYTES) as half:
            half.unlink()

    @contextmanager
    def _temporary_file(self, name: str, content: bytes) -> Iterator[Path]:
        """A synced file that is not a callback yet; it is removed if anything fails."""
        if not self._folder.is_dir():
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            sync(self._folder.parent)
        half = self._folder / f"{name}.half"
        try:
            with open(half, "xb", opener=_private) as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            yield half
        except OSError:
            with suppress(OSError):
                half.unlink(missing_ok=True)
            raise

    def _look(self) -> list[Path]:
        """The callbacks that wait, oldest first; counts the folder and removes what a kill left half done."""
        waiting: list[tuple[float, Path]] = []
        files, size = 0, 0
        for path in self._folder.iterdir() if self._folder.is_dir() else ():
            with suppress(FileNotFoundError):  # Another receiver was faster.
                about = path.stat()
                files, size = files + 1, size + about.st_size
                if path.suffix == ENDING:
                    waiting.append((about.st_mtime, path))
                elif path.suffix == ".half" and about.st_mtime < time.time() - LEFT_BEHIND_S:
                    path.unlink()
        self._files, self._bytes = files, size
        waiting.sort()
        self._oldest_at = waiting[0][0] if waiting else None
        return [path for _, path in waiting]


async def _hand_over(inbox: Inbox, entry: _SpoolEntry) -> None:
    try:
        async with asyncio.timeout(DRAIN_WITHIN_S):
            await inbox.accept(entry.callback, fingerprint=entry.fingerprint, task=entry.task)
    except TimeoutError as error:
        raise unavailable(error) from None


def _read_all(paths: list[Path]) -> dict[Path, _SpoolEntry]:
    callbacks = {}
    for path in paths:
        try:
            callbacks[path] = _decode(path.read_bytes())
        except FileNotFoundError:
            continue
        except (msgspec.DecodeError, OSError) as error:
            # Never deleted: a person may still read it. It is out of the way of the others.
            log.error("spool_unreadable", file=path.name, reason=str(error))
            with suppress(OSError):
                path.rename(path.with_suffix(".unreadable"))
    return callbacks


def _remove_all(paths: list[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
