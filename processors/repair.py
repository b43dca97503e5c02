"""What a worker does once for all stored runs: repair those that early versions left in states that no longer occur."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

import structlog

from framerelay.processors.deps import Deps
from framerelay.processors.film import parts_of
from framerelay.runs import events
from framerelay.runs.errors import FrameRelayError, NotFound
from framerelay.runs.machine import has_doubtful_film, is_left_over
from framerelay.runs.model import Run, RunStatus
from framerelay.store.progress import record

DONE: Final = "ended-runs-1"
INDEXED: Final = "indexed-runs-1"
PAGE: Final = 50
REST_S: Final = 0.05  # Between pages: it is in no hurry, and others use the same Redis.

log = structlog.get_logger()


async def repair(deps: Deps) -> None:
    """
    Look at every run that has ended, and index those that are not, if no worker has done so before.

    If it is interrupted, the next start does it.
    """
    try:
        number = await _once(deps, DONE, _repaired, (RunStatus.SUCCEEDED, RunStatus.CANCELLED))
        await _once(deps, INDEXED, _indexed, (None,))
    except FrameRelayError as error:
        log.warning("repair_broken_off", reason=error.message)
        return
    if number:
        log.info("runs_repaired", runs=number)


async def _once(
    deps: Deps, step: str, change: Callable[[Deps, Run], Awaitable[bool]], statuses: Iterable[RunStatus | None]
) -> int:
    """Apply *change* to all stored runs of *statuses*, unless that was done before; how many it changed."""
    if await deps.store.is_repaired(step):
        return 0
    number = 0
    for status in statuses:
        after: str | None = None
        while page := await deps.store.runs(limit=PAGE, after=after, status=status):
            number += [await change(deps, run) for run in page].count(True)
            after = page[-1].id
            await asyncio.sleep(REST_S)
    await deps.store.mark_repaired(step)
    return number


async def _indexed(deps: Deps, run: Run) -> bool:
    return await deps.store.index(run)


async def _repaired(deps: Deps, run: Run) -> bool:
    join = has_doubtful_film(run) and await _has_all_clips(deps, run)
    if not join and not is_left_over(run):
        return False
    return (await record(deps.store, run.id, events.Repaired(join=join), revision=run.revision)).changed


async def _has_all_clips(deps: Deps, run: Run) -> bool:
    try:
        return len(await parts_of(deps, run)) == len(run.story)
    except NotFound:
        return False
