"""
The only way in which a run changes: load, `apply`, save unless somebody was faster, with the tasks that are due and the
notices that are to be sent.

Tasks, callbacks, people and the sweep all come through here; there is no other way in.
"""

import asyncio
import random
import re
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from typing import Any, Final

import structlog

from framerelay.runs import events
from framerelay.runs.errors import Conflict, RunNotFound, StoreUnavailable
from framerelay.runs.events import Event
from framerelay.runs.machine import apply, begin, is_news, wake_at
from framerelay.runs.model import Problem, Run, Wording
from framerelay.runs.notices import notices_of
from framerelay.runs.outlook import new_second_jobs
from framerelay.runs.steps import is_to_come_at, left_queue, steps_due
from framerelay.runs.takes import left_provider
from framerelay.runs.wire_names import WIRE_NAMES
from framerelay.store.places import TakePlace
from framerelay.store.runs import Store

log = structlog.get_logger()

RACES_MAX: Final = 100
RACE_S: Final = 0.002  # Writers that lost a race step aside, each time a little longer.
_SHOWN: Final = frozenset(
    {"shot_id", "take", "job_id", "word", "seed", "status", "until", "seam", "budget_jobs", "budget_money"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventResult:
    """The run in its state after an event, and whether the event changed it."""

    run: Run
    changed: bool


async def record(
    store: Store,
    run_id: str,
    event: Event,
    *,
    revision: int | None = None,
    copied: bool = False,
    wording: Wording | None = None,
) -> EventResult:
    """
    Apply *event* to the run; what follows from it is queued in the same transaction.

    *revision*: only if the run has not changed since. *copied*: as in `Store.save`; if nothing is changed, nothing is
    said about copies. *wording*: the text of its storyboard, if the event brings one. Losing a race to another worker
    is normal: the event is then applied to the run as that one left it.
    Raises: RunNotFound; Conflict for a stale *revision*; CopiesMissing, once it is saved; StoreUnavailable.
    """
    for races in range(RACES_MAX):
        await asyncio.sleep(random.random() * min(races, 10) * RACE_S)  # noqa: S311  (spreads writers; not a secret)
        run = await store.load(run_id)
        if run is None:
            raise RunNotFound(run_id)
        check_revision(run, revision)
        now = store.clock.now()
        after = apply(run, event, now)
        if after is run:
            return EventResult(run=run, changed=False)
        entry = describe(event, after, now)
        if await _save(store, after, before=run, event=entry, now=now, copied=copied, wording=wording):
            await _free_places(store, after, left_provider(run, after))
            if isinstance(event, events.Amended):
                await _free_places(store, after, left_queue(run, after))
            if isinstance(event, events.TakeEvent):
                await _count_second_jobs(store, run, after, event.shot_id)
            return EventResult(run=after, changed=True)
    raise Conflict(f"run {run_id} changes faster than it can be saved")


async def _count_second_jobs(store: Store, before: Run, after: Run, shot_id: str) -> None:
    """Log and count that a take was paid for twice: found by a callback, a look-up, or the answer to a submit."""
    for job in new_second_jobs(before, after, shot_id):
        log.error("paid_twice", job_id=job.first, second_job_id=job.second, advice="the second clip is kept as a take")
        with suppress(StoreUnavailable):
            await store.count("paid_twice")


async def _free_places(store: Store, run: Run, takes: Sequence[tuple[str, str, int]]) -> None:
    """
    A take that is not in flight at its provider any more, nor will be, frees its place for the next, which is woken at
    once.

    If Redis does not accept it, the place is found to be free when somebody is refused one (`processors.places`).
    """
    for provider, shot_id, number in takes:
        place = TakePlace(run_id=run.id, shot_id=shot_id, take=number)
        with suppress(StoreUnavailable):
            await wake_newcomers(store, provider, await store.places.leave(provider, place))


async def wake_newcomers(store: Store, provider: str, newcomers: tuple[TakePlace, ...]) -> None:
    """
    Wake those that got a place at *provider*; if nobody wants a take any more, its place goes to the next one.

    Raises: StoreUnavailable.
    """
    waiting = deque(newcomers)
    while waiting:
        place = waiting.popleft()
        if not await _use_place(store, provider, place):
            waiting += await store.places.leave(provider, place)


async def _use_place(store: Store, provider: str, place: TakePlace) -> bool:
    """Whether there is still a take for it, made by *provider*; it is now submitted."""
    try:
        run = (await record(store, place.run_id, events.PlaceFreed(shot_id=place.shot_id))).run
    except RunNotFound:
        return False
    return is_to_come_at(run, provider, place.shot_id, place.take)


def check_revision(run: Run, revision: int | None) -> None:
    """Raises: Conflict if *run* has changed since a person saw it at *revision*, if one is given."""
    if revision is not None and is_news(run, revision):
        raise Conflict(f"the run is at revision {run.revision}, not {revision}: somebody acted in the meantime")


async def start(store: Store, run: Run, *, first: Event | None = None, wording: Wording | None = None) -> Run:
    """
    Save a new run and queue what it asks for; *first* is applied to it at once. *wording*: the text of its storyboard.
    A second call with the same id returns the existing run.
    Raises: Conflict if it was removed; StoreUnavailable.
    """
    now = store.clock.now()
    new = begin(run)
    if first is not None:
        new = apply(new, first, now)
    entry = {"event": "started", "at": now, "revision": new.revision, "status": new.status.value}
    if await _save(store, new, before=None, event=entry, now=now, wording=wording):
        return new
    existing = await store.load(run.id)
    if existing is None:
        raise Conflict(f"run {run.id} was removed; it is not made again")
    return existing


async def _save(
    store: Store,
    run: Run,
    *,
    before: Run | None,
    event: dict[str, Any],
    now: float,
    copied: bool = False,
    wording: Wording | None = None,
) -> bool:
    """*run* with everything that follows from its change: tasks, the next look, and its notifications."""
    return await store.save(
        run,
        before=before,
        event=event,
        steps=steps_due(run, now),
        wake_at=wake_at(run, now),
        notices=notices_of(before, run),
        copied=copied,
        wording=wording,
    )


def describe(event: Event, run: Run, now: float) -> dict[str, Any]:
    """*event* for a run's history: names and ids, no addresses."""
    line: dict[str, Any] = {
        "event": name_of(type(event)),
        "at": now,
        "revision": run.revision,
        "status": run.status.value,
    }
    for field in fields(event):
        value = getattr(event, field.name)
        if isinstance(value, Problem):
            line["problem"] = {"code": value.code, "message": value.message}
        elif field.name in _SHOWN and value is not None:
            line[WIRE_NAMES.get(field.name, field.name)] = value
    if shot := run.shot(line.get("shot", "")):
        line |= {"shot": shot.name} | ({"made_as": shot.id} if shot.alias else {})
    if isinstance(event, events.ShotChange):
        line |= _change(event)
    if isinstance(event, events.Submitting) and event.first_frame is not None:
        line["first_frame"] = event.first_frame.source
    return line


def _change(event: events.ShotChange) -> dict[str, Any]:
    """Names, not values: a prompt may be long, and is in the run."""
    names = [*(["prompt"] if event.prompt is not None else []), *event.input]
    follows = isinstance(event, events.Retaken) and event.following
    return {**({"changed": names} if names else {}), **({"following": True} if follows else {})}


def name_of(kind: type[Event]) -> str:
    """The name of a kind of event as people read it: ``job_seen``."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()
