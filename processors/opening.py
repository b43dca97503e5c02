"""A clip's first frame, the figure of its seam, small copies: for people to look at, so no submit waits for them."""

import asyncio
from pathlib import Path
from typing import Final

import structlog

from framerelay.processors.deps import Deps
from framerelay.runs import events
from framerelay.runs.errors import FrameRelayError, NotFound
from framerelay.runs.model import FirstFrame, Frame, Run, Shot, Take, TakeStatus
from framerelay.runs.standing import picked_take, takes_missing
from framerelay.store.progress import record
from framerelay.store.tasks import Task

OPENING_S_MAX: Final = 60.0
BEHIND_SUBMITS_S: Final = 0.3  # A submit takes a third of that, or is put off.

log = structlog.get_logger()


def is_waited_for(run: Run, shot_id: str) -> bool:
    """Whether a submit may follow as soon as this shot is collected; then its opening comes after that."""
    return any(each.source == shot_id and takes_missing(run, each) for each in run.shots)


def is_ahead(run: Run, shot_id: str, take: Take) -> bool:
    """Whether it began with a provider's frame whose clip is still being collected: its seam cannot be measured yet."""
    shot, first = run.shot(shot_id), take.first_frame
    source = run.take(shot.source, first.take) if shot and shot.source and first and first.take else None
    return source is not None and source.status is TakeStatus.COLLECTING and source.last_frame is None


def takes_ahead_of(run: Run, shot_id: str, number: int) -> list[tuple[str, Take]]:
    """Takes before that one in the film that have no opening because of it."""
    return [
        (shot.id, take)
        for shot in run.shots
        for take in shot.takes
        if shot.source == shot_id and take.first_frame and take.first_frame.take == number
        if take.status is TakeStatus.DONE and take.opening is None
    ]


async def take_opening_later(deps: Deps, run_id: str, shot_id: str, take: int) -> None:
    """
    Queue it for when the shots that begin with the last frame are on their way.

    Even on another core it took some 15 ms of each such submit: both write the run, and the machine is busy anyway. A
    separate task waits without occupying a place.
    """
    arguments = {"run": run_id, "shot": shot_id, "take": take}
    task = Task(id=f"opening:{run_id}:{shot_id}:{take}", function="opening", arguments=arguments)
    await deps.store.enqueue([task], rest_s=BEHIND_SUBMITS_S)


async def opening(deps: Deps, *, run_id: str, shot_id: str, take: int) -> str:
    """The task; returns the outcome for the log."""
    run = await deps.store.load(run_id)
    current = run.take(shot_id, take) if run else None
    if run is None or current is None or current.status is not TakeStatus.DONE:
        return "not_due"
    ours = [(shot_id, current)] if current.opening is None and not is_ahead(run, shot_id, current) else []
    due = [*ours, *takes_ahead_of(run, shot_id, take)]
    for each, its_take in due:
        await keep_opening(deps, run, each, its_take)
    return "looked_at" if due else "not_due"


async def keep_opening(deps: Deps, run: Run, shot_id: str, take: Take) -> None:
    """
    Take the first frame of a clip that is kept, measure its seam and record both; problems are only logged.

    Whichever decoder is free does it: most often that of the films, so that no last frame has to wait.
    """
    shot = run.shot(shot_id)
    path = deps.files.opening(run.id, shot_id, take.number)
    frames = (path, deps.files.last_frame(run.id, shot_id, take.number))
    try:
        if deps.media.is_remote:
            await deps.media.fetch(frames[1])  # The small copy is made from it.
        size = take.video.bytes if take.video else None
        clip = await deps.media.fetch(deps.files.clip(run.id, shot_id, take.number), size=size)
        begun_with = await first_frame_file(deps, run, shot, take.first_frame) if shot and take.first_frame else None
        decoder = deps.frames if deps.films.is_busy else deps.films
        async with asyncio.timeout(OPENING_S_MAX):
            answer = await decoder.open(
                clip, frame_into=deps.files.place(path), begun_with=begun_with, small=deps.files.small_copies(frames)
            )
        if deps.media.is_remote:
            paths = (path, *map(deps.files.small, frames))
            await asyncio.gather(*(deps.media.keep(each) for each in paths if deps.files.has(each)))
        seam = None if answer.difference is None else round(answer.difference, 1)
        facts = answer.frame
        opening = Frame(path=path, sha256=facts.sha256, width=facts.width, height=facts.height)
        event = events.OpeningTaken(shot_id=shot_id, take=take.number, opening=opening, seam=seam)
        await record(deps.store, run.id, event)
    except (FrameRelayError, OSError, TimeoutError) as error:
        log.warning("opening_missing", reason=str(error) or type(error).__name__)
        return
    if seam is not None:
        log.info("seam_measured", levels=seam)


async def keep_missing_openings(deps: Deps, run: Run) -> None:
    """Before the film is made: a run that has ended should no longer change."""
    for shot in run.shots:
        take = picked_take(shot)
        if take is not None and take.status is TakeStatus.DONE and take.opening is None:
            await keep_opening(deps, run, shot.id, take)


async def first_frame_file(deps: Deps, run: Run, shot: Shot, first: FirstFrame) -> Path | None:
    """
    The picture that *shot* was given from its source, if we keep it.

    If a provider's own frame could not be kept, ours takes its place: they were compared when both were there.
    """
    source = run.take(shot.source, first.take) if shot.source and first.take else None
    frames = (source.provider_frame, source.last_frame) if source else ()
    paths = (first.path,) if first.path else tuple(frame.path for frame in frames if frame)
    for path in paths if shot.source else ():
        try:
            return await deps.media.fetch(path)
        except NotFound:
            continue
    return None
