"""What a worker does once when it starts: callbacks may have been lost while nobody listened, so it polls at once."""

from typing import Final

import structlog

from framerelay.processors.deps import Deps
from framerelay.runs import events
from framerelay.runs.errors import FrameRelayError
from framerelay.runs.model import Run, TakeStatus
from framerelay.store.progress import record

PAGE: Final = 100
RUNS_MAX: Final = 2000  # The rest is looked up at its own time: a provider should not get thousands of GETs at once.

log = structlog.get_logger()


async def catch_up(deps: Deps) -> None:
    """
    Have every generating take looked up now, in the runs that are due soonest, at most `RUNS_MAX` of them.

    The number of tasks that a worker runs at once limits how many are asked about at once. A run that cannot be reached
    now keeps the look-up that its state has planned.
    """
    count = 0
    try:
        # All ids are read first: runs that are looked up change their position in the index.
        pages = [await deps.store.awaiting(start=start, count=PAGE) for start in range(0, RUNS_MAX, PAGE)]
        for run_id in dict.fromkeys(run_id for page in pages for run_id in page):
            run = await deps.store.load(run_id)
            if run is not None and _is_generating(run):
                count += (await record(deps.store, run_id, events.WorkerStarted())).changed
    except FrameRelayError as error:
        log.warning("catch_up_broken_off", reason=error.message)
    if count:
        log.info("caught_up", runs=count)


def _is_generating(run: Run) -> bool:
    return any(take.status is TakeStatus.GENERATING for shot in run.shots for take in shot.takes)
