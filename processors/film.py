"""Joining the clips of a run into its film."""

import time
from typing import Final

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
from runs.standing import chosen

JOINS_MAX: Final = 5


async def join(deps: Deps, *, run: str, turn: int, **_: object) -> str:
    """Make the film if the run asks for it; returns what came of it, for the log. Doing it twice replaces the file."""
    loaded = await deps.store.load(run)
    if loaded is None or Step(name=StepName.JOIN, run=loaded.id, turn=turn) not in steps_due(loaded, time.time()):
        return "not_due"
    await keep_those_left(deps, loaded)
    path = deps.files.film(run)
    try:
        try:
            facts = await deps.films.join(parts_of(deps, loaded), deps.files.place(path))
        except OSError as error:
            raise StorageFailed.of(error) from error
    except FrameRelayError as error:
        again = isinstance(error, StorageFailed) or (isinstance(error, Transient) and loaded.turns < JOINS_MAX)
        until = time.time() + wait_s(loaded.turns) if again else None
        await record(deps.store, run, events.JoinFailed(problem=problem_of(error), until=until))
        return error.code
    film = Film(
        path=path,
        bytes=facts.bytes,
        duration_s=facts.duration_s,
        frames=facts.frames,
        copied=facts.copied,
        reason=facts.reason,
    )
    await record(deps.store, run, events.Joined(film=film))
    return "joined"


def parts_of(deps: Deps, run: Run) -> list[FilmPart]:
    """The chosen clips in story order; of a run that asks for its film every shot has one."""
    parts = []
    for shot in run.shots:
        take = chosen(shot)
        if take is None or take.status is not TakeStatus.DONE or take.video is None:
            continue
        parts.append(FilmPart(path=deps.files.existing(take.video.path), continued=is_continued(run, shot)))
    return parts
