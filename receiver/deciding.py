"""A person's decision about a run, from wherever it comes: the API or the page."""

import re
import time
from typing import Final

import structlog

from receiver.state import State
from runs import events
from runs.decisions import why_not
from runs.errors import Conflict, NotFound, RunNotFound
from runs.events import Event
from runs.machine import apply
from runs.model import Run, RunStatus
from runs.progress import check_revision, record

RUN_ID: Final = re.compile(r"run_[a-z0-9]{1,40}")

log = structlog.get_logger()


async def decide(state: State, run_id: str, event: Event, *, revision: int | None) -> Run:
    """
    The run after *event*; saying the same thing twice is no mistake.

    Raises: NotFound without such a run, shot or take; Conflict if *revision* is an older one, or nothing changed.
    """
    run = await _with_shot(state, run_id, event)
    recorded = await record(state.store, run.id, event, revision=revision)
    if isinstance(event, events.Picked) and run.take(event.shot, event.take) is None:
        raise NotFound(f"shot {event.shot} has no take {event.take}")
    if not recorded.changed and not _holds_already(recorded.run, event):
        raise Conflict(_why_not(recorded.run, event))
    log.info("person_decided", run_id=run.id, shot=getattr(event, "shot", None), decision=type(event).__name__)
    return recorded.run


async def undecided(state: State, run_id: str, event: Event, *, revision: int | None) -> Run:
    """The run as it stands, if *event* would change it; nothing happens to it. Raises: as `decide`."""
    run = await _with_shot(state, run_id, event)
    check_revision(run, revision)
    if apply(run, event, time.time()) is run:
        raise Conflict(_why_not(run, event))
    return run


async def _with_shot(state: State, run_id: str, event: Event) -> Run:
    run = await stored_run(state, run_id)
    shot = getattr(event, "shot", None)
    if shot is not None and run.shot(shot) is None:
        raise NotFound(f"the run has no shot {shot}")
    return run


async def stored_run(state: State, run_id: str) -> Run:
    """The run of that id. Raises: NotFound."""
    run = await state.store.load(run_id) if RUN_ID.fullmatch(run_id) else None
    if run is None:
        raise RunNotFound(run_id)
    return run


def _why_not(run: Run, event: Event) -> str:
    if isinstance(event, events.Approved) and run.status in (RunStatus.RUNNING, RunStatus.WAITING):
        return f"shot {event.shot} waits for no approval: it has no gate in the storyboard"
    decision = events.Resumed | events.Adopted | events.Retaken
    words = why_not(run, event, time.time()) if isinstance(event, decision) else None
    has = "has" if run.status in (RunStatus.SUCCEEDED, RunStatus.FAILED) else "is"
    return words or f"the run {has} {run.status.value}; this is not possible now"


def _holds_already(run: Run, event: Event) -> bool:
    """Saying the same thing twice is no mistake."""
    match event:
        case events.RunCancelled():
            return run.cancelled
        case events.Approved(shot=name):
            shot = run.shot(name)
            return shot is not None and shot.approved
        case events.Picked(shot=name, take=number):
            shot = run.shot(name)
            return shot is not None and shot.picked == number
        case events.Adopted(shot=name, job_id=job_id):
            shot = run.shot(name)
            return shot is not None and any(job_id in take.job_ids for take in shot.takes)
        case _:
            return False
