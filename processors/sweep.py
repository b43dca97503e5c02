"""The sweep: runs whose time has come are looked at again, so that no lost message can hold up a film."""

from typing import Final

import structlog

from framerelay.processors.deps import Deps
from framerelay.runs import events
from framerelay.runs.errors import NotFound
from framerelay.runs.machine import wake_at
from framerelay.runs.steps import steps_due
from framerelay.store.progress import record

PUT_OFF_S: Final = 30.0  # If this sweep dies, another one finds its runs after this long.
AT_ONCE: Final = 100

log = structlog.get_logger()


async def sweep(deps: Deps) -> str:
    """Let time pass for every run that is due, and queue what its state asks for; returns how many, for the log."""
    count = 0
    while run_ids := await deps.store.overdue(deps.store.clock.now(), put_off_s=PUT_OFF_S, at_most=AT_ONCE):
        for run_id in run_ids:
            await _let_time_pass(deps, run_id)
        count += len(run_ids)
        if len(run_ids) < AT_ONCE:
            break
    return f"{count} runs"


async def _let_time_pass(deps: Deps, run_id: str) -> None:
    try:
        result = await record(deps.store, run_id, events.Elapsed())
    except NotFound:
        log.warning("run_missing", run_id=run_id)
        return
    if not result.changed:  # Otherwise its steps were queued and its next time was set with the change.
        now = deps.store.clock.now()
        run = result.run
        await deps.store.schedule(run, steps=steps_due(run, now), wake_at=wake_at(run, now))
