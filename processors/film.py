"""Joining the clips of a run into its film."""

import asyncio
import hashlib
import time
from pathlib import Path
from typing import Final

import structlog

from media.model import FilmPart
from processors.deps import Deps
from processors.opening import keep_those_left
from processors.problems import problem_of
from processors.waits import wait_s
from runs import events
from runs.errors import FrameRelayError, StorageFailed, Transient
from runs.machine import Step, StepName, steps_due
from runs.model import Film, Run, TakeStatus
from runs.outlook import is_continued
from runs.progress import record
from runs.standing import chosen, picks

JOINS_MAX: Final = 5

log = structlog.get_logger()


async def join(deps: Deps, *, run: str, turn: int, **_: object) -> str:
    """
    Make the film if the run asks for it; returns what came of it, for the log.

    A decision may come while it is made. Then it is not the run's film, and another join is due already.
    """
    loaded = await deps.store.load(run)
    if loaded is None or Step(name=StepName.JOIN, run=loaded.id, turn=turn) not in steps_due(loaded, time.time()):
        return "not_due"
    await keep_those_left(deps, loaded)
    try:
        try:
            film = await _joined(deps, loaded)
        except OSError as error:
            raise StorageFailed.of(error) from error
    except FrameRelayError as error:
        again = isinstance(error, StorageFailed) or (isinstance(error, Transient) and loaded.turns < JOINS_MAX)
        until = time.time() + wait_s(loaded.turns) if again else None
        await record(deps.store, run, events.JoinFailed(problem=problem_of(error), until=until, turn=turn))
        return error.code
    after = (await record(deps.store, run, events.Joined(film=film, turn=turn))).run
    if after.film is None or after.film.path != film.path:
        await asyncio.to_thread(deps.files.place(film.path).unlink, missing_ok=True)
        log.info("film_out_of_date", turn=turn, now=after.turns)
        return "out_of_date"
    await asyncio.to_thread(deps.files.remove_old_films, run, before_turn=turn)
    return "joined"


async def _joined(deps: Deps, run: Run) -> Film:
    """The film of the takes that are picked in *run*, on disk under a name of its own."""
    draft = deps.files.film_draft(run.id)
    try:
        facts = await deps.films.join(parts_of(deps, run), draft)
        sha256 = await asyncio.to_thread(_sha256, draft)
        path = deps.files.publish_film(draft, run.id, run.turns)
    finally:
        draft.unlink(missing_ok=True)
    return Film(
        path=path,
        bytes=facts.bytes,
        duration_s=facts.duration_s,
        frames=facts.frames,
        copied=facts.copied,
        reason=facts.reason,
        takes=picks(run),
        sha256=sha256,
    )


def _sha256(place: Path) -> str:
    with place.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def parts_of(deps: Deps, run: Run) -> list[FilmPart]:
    """The chosen clips in story order; of a run that asks for its film every shot has one."""
    parts = []
    for shot in run.shots:
        take = chosen(shot)
        if take is None or take.status is not TakeStatus.DONE or take.video is None:
            continue
        parts.append(FilmPart(path=deps.files.existing(take.video.path), continued=is_continued(run, shot)))
    return parts
