"""A person's decision about a run, whether through the API or the page."""

from dataclasses import replace
from typing import Any, Final, TypeVar, cast

import structlog

from framerelay.receiver.renewal import read_again_everywhere
from framerelay.receiver.state import State
from framerelay.runs import events
from framerelay.runs.changes import input_after
from framerelay.runs.costs import Quote
from framerelay.runs.decisions import Decision, why_not
from framerelay.runs.errors import Conflict, NotFound, RunNotFound
from framerelay.runs.model import Run, RunStatus
from framerelay.store.ids import find_shot_id
from framerelay.store.progress import check_revision, record
from framerelay.upstream.quotes import estimate_of

GOES_ON: Final = (RunStatus.RUNNING, RunStatus.WAITING)  # Only these can use what was read again.

log = structlog.get_logger()


async def decide(state: State, run_id: str, event: Decision, *, revision: int | None) -> Run:
    """
    The run after *event*.

    Raises: NotFound if there is no such run, shot or take; Conflict if *revision* is outdated, or nothing changes.
    """
    run, event = await _with_shot(state, run_id, event)
    if isinstance(event, events.Resumed):  # A person resumes after fixing something, such as a key.
        await read_again_everywhere(state)
    before = why_not(run, event, state.store.clock.now())
    result = await record(state.store, run.id, event, revision=revision)
    if isinstance(event, events.Picked) and run.take(event.shot_id, event.take) is None:
        raise NotFound(f"shot {run.name_of(event.shot_id)} has no take {event.take}")
    if not result.changed:
        words = (
            why_not(result.run, event, state.store.clock.now())
            or before
            or "somebody acted in the meantime: look again"
        )
        bare = event == events.Resumed()  # One with a budget gets its answer without that.
        is_read_again = bare and result.run.status in GOES_ON
        raise Conflict(words + ("; settings and keys were read again" if is_read_again else ""))
    log.info("person_decided", run_id=run.id, shot=getattr(event, "shot_id", None), decision=type(event).__name__)
    return result.run


D = TypeVar("D", bound=Decision)


async def intend(state: State, run_id: str, event: D, *, revision: int | None) -> tuple[Run, D]:
    """
    The current run, and *event* as it is meant, if that would change it; nothing is done.

    Raises: as `decide`.
    """
    run, event = await _with_shot(state, run_id, event)
    check_revision(run, revision)
    if words := why_not(run, event, state.store.clock.now()):
        raise Conflict(words)
    return run, event


async def _with_shot(state: State, run_id: str, event: D) -> tuple[Run, D]:
    """The run, and *event* about the shot that a person meant (the beginning of its id is enough), with its price."""
    run = await stored_run(state, run_id)
    shot_id = getattr(event, "shot_id", None)
    if shot_id is not None:
        event = cast(D, replace(cast(Any, event), shot_id=stored_shot(run, shot_id)))
    if isinstance(event, events.ShotChange) and event.input:
        event = cast(D, replace(event, quote=_quote(state, run, event)))
    return run, event


def _quote(state: State, run: Run, change: events.ShotChange) -> Quote:
    """What one take of the shot may cost with *change*; for a provider that does not exist, no price is known."""
    shot = run.shots[run.index.places[change.shot_id]]
    new = input_after(shot, change)
    try:
        provider = state.providers.of(run.provider_of(shot))
    except NotFound:
        return Quote(input=new, estimate=None)
    return Quote(input=new, estimate=estimate_of(provider, run.model_of(shot), replace(shot, input=new)))


def stored_shot(run: Run, text: str) -> str:
    """The id of the shot that *text* means. Raises: NotFound; IdAmbiguous."""
    name = find_shot_id(run, text)
    if name is None:
        raise NotFound(f"the run has no shot {text}")
    return name


async def stored_run(state: State, run_id: str) -> Run:
    """The run with that id, or with an id that begins so; the newest for ``last``. Raises: NotFound; IdAmbiguous."""
    run = await state.store.find_by_name(run_id)
    if run is None:
        raise RunNotFound(run_id)
    return run
