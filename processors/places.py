"""Places at providers: a submit asks for one, and if there is none waits for the end of another job."""

from dataclasses import replace
from typing import Final

import structlog

from framerelay.processors.deps import Deps
from framerelay.runs import events
from framerelay.runs.machine import NO_PLACE
from framerelay.runs.model import Family, Problem, Run, Shot
from framerelay.runs.standing import takes_to_submit
from framerelay.runs.takes import has_place
from framerelay.store.places import Allowance, Entry, TakePlace
from framerelay.store.progress import record, wake_newcomers
from framerelay.upstream.providers import Provider

HELD_S: Final = 120.0  # After that a held shot asks by itself, in case the message about a free place was lost.
LOST_S: Final = 60.0  # A place whose take is not in flight this long after getting it was abandoned.
LOST_LOOKED_AT: Final = 8  # The oldest places, each with a run to be read; abandoned ones end up as the oldest.

log = structlog.get_logger()


def allowance_of(provider: Provider) -> Allowance:
    """What the settings give, or else the profile; if neither does, it is learned."""
    limits = provider.profile.limits
    refuses = limits.over == "refused" and limits.concurrent is not None
    return Allowance(
        jobs_at_once=provider.jobs_at_once,
        submits_per_minute=provider.submits_per_minute or limits.submits_per_minute,
        **({"begin_with": limits.concurrent} if refuses and limits.concurrent else {}),
    )


async def enter(deps: Deps, run: Run, shot: Shot, take: int, provider: Provider) -> bool:
    """
    Whether the take has a place; if not, its shot is held until one is free.

    The place is requested again after the hold is saved, since a job may have ended in between, when nobody was there
    to be woken.
    """
    place, allowance = TakePlace(run_id=run.id, shot_id=shot.id, take=take), allowance_of(provider)
    entry = await deps.store.places.enter(provider.name, place, allowance)
    if not entry.has_place:
        await wake_newcomers(deps.store, provider.name, await _free_dead_places(deps, provider))
        entry = await deps.store.places.enter(provider.name, place, allowance)
    await wake_newcomers(deps.store, provider.name, entry.entrants)
    if entry.has_place and entry.wait_s == 0:
        return True
    if not entry.has_place and await _others_of(deps, place, provider):
        return False  # Their intents come first: a hold of the shot would be in their way, and each asks for this step.
    await record(deps.store, run.id, _hold(shot, provider, entry, deps.store.clock.now()))
    if not entry.has_place:
        entry = await deps.store.places.enter(provider.name, place, allowance)
        mine = (place,) if entry.has_place else await _others_of(deps, place, provider)
        await wake_newcomers(deps.store, provider.name, (*entry.entrants, *mine))
    return False


async def _others_of(deps: Deps, place: TakePlace, provider: Provider) -> tuple[TakePlace, ...]:
    """Other takes of the same shot that have a place and are not submitted yet."""
    run = await deps.store.load(place.run_id)
    shot = run.shot(place.shot_id) if run else None
    numbers = set(takes_to_submit(run, shot)) - {place.take} if run and shot else set()
    if not numbers:
        return ()
    others = {replace(place, take=number) for number in numbers}
    return tuple(each for each, _ in await deps.store.places.inside(provider.name) if each in others)


async def leave(deps: Deps, run: Run, shot_id: str, take: int, provider: Provider) -> None:
    """Nothing was submitted for the take: its place goes to another one."""
    place = TakePlace(run_id=run.id, shot_id=shot_id, take=take)
    await wake_newcomers(deps.store, provider.name, await deps.store.places.leave(provider.name, place))


async def note_acceptance(deps: Deps, run: Run, shot: Shot, take: int, provider: Provider) -> None:
    """The provider accepted it, and may accept more."""
    place = TakePlace(run_id=run.id, shot_id=shot.id, take=take)
    await wake_newcomers(deps.store, provider.name, await deps.store.places.note_acceptance(provider.name, place))


async def note_refusal(
    deps: Deps, run: Run, shot: Shot, take: int, provider: Provider, *, retry_after_s: float | None
) -> float:
    """The provider accepted no more; returns seconds to wait, 0 while other jobs are in flight there."""
    place = TakePlace(run_id=run.id, shot_id=shot.id, take=take)
    return await deps.store.places.note_refusal(provider.name, place, retry_after_s=retry_after_s)


def _hold(shot: Shot, provider: Provider, entry: Entry, now: float) -> events.PlaceWanted:
    if entry.has_place:
        message = f"{provider.name} takes only so many submits a minute, and it is not its turn yet"
    else:
        message = f"it waits for a free place at {provider.name}"
    problem = Problem(code=NO_PLACE, message=message, family=Family.RATE)
    until = now + (entry.wait_s or HELD_S)
    return events.PlaceWanted(shot_id=shot.id, problem=problem, until=until, turn=shot.turns)


async def _free_dead_places(deps: Deps, provider: Provider) -> tuple[TakePlace, ...]:
    """Takes places away from takes that are no longer in flight, whose end could not be recorded."""
    newcomers: list[TakePlace] = []
    inside = await deps.store.places.inside(provider.name)
    for place in [place for place, since_s in inside if deps.store.clock.now() - since_s >= LOST_S][:LOST_LOOKED_AT]:
        run = await deps.store.load(place.run_id)
        shot = run.shot(place.shot_id) if run else None
        take = run.take(place.shot_id, place.take) if run else None
        if shot is None or take is None or not has_place(shot, take):
            log.warning("place_found_free", provider=provider.name, run_id=place.run_id, shot=place.shot_id)
            newcomers += await deps.store.places.leave(provider.name, place)
    return tuple(newcomers)
