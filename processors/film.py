"""Joining the clips of a run into its film."""

import asyncio
from pathlib import Path
from typing import Final

import structlog

from framerelay.media.model import FilmPart
from framerelay.processors.deps import Deps
from framerelay.processors.missing import look_again_s
from framerelay.processors.opening import keep_missing_openings
from framerelay.processors.problems import problem_of
from framerelay.processors.waits import retry_wait_s
from framerelay.runs import events
from framerelay.runs.errors import FrameRelayError, NotFound, StorageFailed, Transient
from framerelay.runs.model import Clip, Film, Run
from framerelay.runs.outlook import is_continued
from framerelay.runs.standing import picks
from framerelay.runs.steps import Step, StepName, steps_due
from framerelay.store.files import storing
from framerelay.store.progress import record
from framerelay.store.run_files import clip_of, clips_of_film, missing_words

JOINS_MAX: Final = 5

log = structlog.get_logger()


async def join(deps: Deps, *, run_id: str, turn: int, shot_id: str = "", take: int = 0) -> str:
    """
    Make the film if the run asks for it; returns the outcome for the log.

    A decision may come while it is being made. Then it is not the run's film, and another join is due already.
    *shot_id* · *take*: every step is queued with them; a film has neither.
    """
    run = await deps.store.load(run_id)
    if run is None or Step(name=StepName.JOIN, run_id=run.id, turn=turn) not in steps_due(run, deps.store.clock.now()):
        return "not_due"
    await keep_missing_openings(deps, run)
    try:
        with storing():
            film = await _join(deps, run)
    except FrameRelayError as error:
        wait_s = await look_again_s(deps, error, run_id, "film")
        if isinstance(error, StorageFailed) or (isinstance(error, Transient) and run.turns < JOINS_MAX):
            wait_s = retry_wait_s(run.turns)
        until = deps.store.clock.now() + wait_s if wait_s is not None else None
        if wait_s is not None:
            log.warning("join_put_off", reason=error.message, again_s=round(wait_s, 1))
        await record(deps.store, run_id, events.JoinFailed(problem=problem_of(error), until=until, turn=turn))
        return error.code
    after = (await record(deps.store, run_id, events.Joined(film=film, turn=turn))).run
    if after.film is None or after.film.path != film.path:
        await deps.media.forget(film.path)
        log.info("film_out_of_date", turn=turn, now=after.turns)
        return "out_of_date"
    await deps.media.remove_old_films(run_id, before_turn=turn)
    return "joined"


async def _join(deps: Deps, run: Run) -> Film:
    """The film of the picked takes of *run*, kept under its own name."""
    draft = deps.files.film_draft(run.id)
    try:
        facts = await deps.films.join(await parts_of(deps, run), draft)
        path = deps.files.publish_film(draft, run.id, run.turns, is_alone=not deps.media.is_remote)
        await deps.media.keep(path)
    finally:
        draft.unlink(missing_ok=True)
    shots = [shot for shot, _ in clips_of_film(run)]
    lacks = [(shots[warning.part - 1], warning.message) for warning in facts.warnings]
    for shot, reason in lacks:
        log.warning("film_incomplete", shot=shot.id, reason=reason)
    return Film(
        path=path,
        bytes=facts.bytes,
        duration_s=facts.duration_s,
        frames=facts.frames,
        copied=facts.copied,
        reason=facts.reason,
        takes=picks(run),
        sha256=facts.sha256,
        warnings=tuple(f"shot {shot.name}: {reason}" for shot, reason in lacks),
    )


async def parts_of(deps: Deps, run: Run) -> list[FilmPart]:
    """
    The chosen clips in story order, fetched concurrently.

    Raises: NotFound, in words that name the shot, if one is gone; StorageFailed.
    """
    clips = clips_of_film(run)
    places = await asyncio.gather(*(_clip_at(deps, run, clip) for _, clip in clips))
    return [
        FilmPart(path=place, continued=is_continued(run, shot)) for (shot, _), place in zip(clips, places, strict=True)
    ]


async def _clip_at(deps: Deps, run: Run, clip: Clip) -> Path:
    try:
        return await deps.media.fetch(clip.path, size=clip.bytes)
    except NotFound:
        raise NotFound(missing_words(clip_of(run, clip))) from None
