"""Cleaning up: runs that ended long ago are removed by age, and so are files that killed workers left half written."""

import asyncio
import time
from contextlib import suppress
from typing import Final

import structlog

from framerelay.processors.deps import Deps
from framerelay.processors.old_frames import remove_old_frames
from framerelay.runs.errors import Conflict, FrameRelayError
from framerelay.store.removal import remove, remove_unfinished_files

EVERY_S: Final = 60.0
UNFINISHED_S: Final = 180.0  # A download that stalls is given up sooner; those that go on are locked (`store.files`).
FILM_S_MAX: Final = 7200.0  # The limit of the decoder's cage.
AT_ONCE: Final = 100  # More than a thousand runs in ten minutes; the worker has better things to do.

log = structlog.get_logger()


async def run_retention(deps: Deps) -> None:
    """For as long as the worker lives: leftovers of killed workers are removed, and a few runs, each minute."""
    since = 0.0  # At first all folders are searched, then those in which something has begun recently.
    while True:
        now = time.time()
        try:
            await clear_unfinished_files(deps, now, changed_since=since)
            since = now - deps.settings.download_timeout_s - FILM_S_MAX
            await remove_old_runs(deps, now)
            await remove_old_frames(deps, now)
        except FrameRelayError as error:
            log.warning("tidying_put_off", reason=error.message)
        except Exception as error:  # An unforeseen error must not end it for good.
            log.exception("tidying_surprised", reason=str(error))
        await asyncio.sleep(EVERY_S)


async def clear_unfinished_files(deps: Deps, now: float, *, changed_since: float) -> None:
    """Remove files left half written, by any worker, in folders that have *changed_since*."""
    number = await asyncio.to_thread(
        remove_unfinished_files, deps.files, older_than=now - UNFINISHED_S, changed_since=changed_since
    )
    if number:
        log.info("unfinished_files_removed", files=number)


async def remove_old_runs(deps: Deps, now: float) -> None:
    """
    Remove the runs whose time is over, at most `AT_ONCE`, and check again the files of those removed a while ago.

    Any number of workers may do so at once. Raises: StoreUnavailable.
    """
    if deps.settings.runs_keep_s is not None:
        over = now - deps.settings.runs_keep_s
        for run_id in await deps.store.ended_before(over, at_most=AT_ONCE):
            run = await deps.store.load(run_id)
            with suppress(Conflict):  # Somebody acted on it: it is not over.
                if run is not None and run.updated_at <= over:  # Otherwise it was resumed, and has ended again.
                    await remove(deps.store, deps.media, run)
    # By now a download that was under way at the removal has ended, and may have made the folder again.
    for run_id in await deps.store.removed_before(now - deps.settings.download_timeout_s, at_most=AT_ONCE):
        if await deps.media.remove(run_id):
            await deps.store.forget_removal(run_id)
