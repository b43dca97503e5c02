"""A clip's first frame, the figure of its seam, small copies: for people to look at, so no submit waits for them."""

import asyncio
from pathlib import Path
from typing import Final

import structlog

from processors.deps import Deps
from runs import events
from runs.errors import FrameRelayError, NotFound
from runs.model import FirstFrame, Frame, Run, Shot, ShotStatus, Take
from runs.progress import record
from runs.standing import takes_missing, takes_to_submit

OPENING_S_MAX: Final = 60.0
SUBMIT_S_MAX: Final = 3.0  # A submit takes a tenth of that, or is put off.
LOOK_EVERY_S: Final = 0.1

log = structlog.get_logger()


def is_waited_for(run: Run, shot_id: str) -> bool:
    """Whether a submit may follow as soon as this shot is collected; then its opening comes after that."""
    return any(each.source == shot_id and takes_missing(run, each) for each in run.shots)


async def keep_opening(deps: Deps, run: Run, shot_id: str, take: Take, *, behind_submits: bool) -> None:
    """
    Take the first frame of a clip that is on disk, measure its seam and tell the run; trouble is only noted.

    *behind_submits*: when the shots that begin with its last frame are on their way. Even on another core it took some
    15 ms of each such submit: both write the run, and the machine is busy as it is. Whichever decoder is free does it:
    that of the films, most often, so that no last frame has to wait.
    """
    shot = run.shot(shot_id)
    path = deps.files.opening(run.id, shot_id, take.number)
    frames = (path, deps.files.last_frame(run.id, shot_id, take.number))
    try:
        if behind_submits:
            await _submits(deps, run, shot_id)
        clip = deps.files.existing(deps.files.clip(run.id, shot_id, take.number))
        begun_with = handed_on(deps, run, shot, take.first_frame) if shot and take.first_frame else None
        decoder = deps.frames if deps.films.is_busy else deps.films
        async with asyncio.timeout(OPENING_S_MAX):
            found = await decoder.open(
                clip, frame_into=deps.files.place(path), begun_with=begun_with, small=deps.files.small_copies(frames)
            )
        seam = None if found.difference is None else round(found.difference, 1)
        facts = found.frame
        opening = Frame(path=path, sha256=facts.sha256, width=facts.width, height=facts.height)
        event = events.OpeningTaken(shot=shot_id, take=take.number, opening=opening, seam=seam)
        await record(deps.store, run.id, event)
    except (FrameRelayError, OSError, TimeoutError) as error:
        log.warning("opening_missing", reason=str(error) or type(error).__name__)
        return
    if seam is not None:
        log.info("seam_measured", levels=seam)


async def _submits(deps: Deps, run: Run, shot_id: str) -> None:
    """Wait for the submits that the shot leads to, as far as they come at once."""
    for _ in range(round(SUBMIT_S_MAX / LOOK_EVERY_S)):
        await asyncio.sleep(LOOK_EVERY_S)
        now = await deps.store.load(run.id) or run
        heirs = [each for each in now.shots if each.source == shot_id]
        if not any(takes_to_submit(now, each) or each.status is ShotStatus.SUBMITTING for each in heirs):
            return


def handed_on(deps: Deps, run: Run, shot: Shot, first: FirstFrame) -> Path | None:
    """
    The picture that *shot* was given from its source, where we keep it.

    Of a provider's own frame that could not be kept ours stands in: they were compared when both were there.
    """
    source = run.take(shot.source, first.take) if shot.source and first.take else None
    frames = (source.provider_frame, source.last_frame) if source else ()
    paths = (first.path,) if first.path else tuple(frame.path for frame in frames if frame)
    for path in paths if shot.source else ():
        try:
            return deps.files.existing(path)
        except NotFound:
            continue
    return None
