"""The first frame of a clip, and the figure of its seam: for people to look at, so no submit waits for them."""

import asyncio
from pathlib import Path
from typing import Final

import structlog

from processors.deps import Deps
from runs import events
from runs.errors import FrameRelayError, NotFound
from runs.model import FirstFrame, Frame, Run, Shot, Take
from runs.progress import record
from runs.standing import takes_missing

OPENING_S_MAX: Final = 60.0

log = structlog.get_logger()


def is_waited_for(run: Run, shot_id: str) -> bool:
    """Whether a submit may follow as soon as this shot is collected; then its opening comes after that."""
    return any(each.source == shot_id and takes_missing(run, each) for each in run.shots)


async def keep_opening(deps: Deps, run: Run, shot_id: str, take: Take) -> None:
    """
    Take the first frame of a clip that is on disk, measure its seam and tell the run; trouble is only noted.

    Whichever decoder is free does it: that of the films, most often, so that no last frame has to wait.
    """
    shot = run.shot(shot_id)
    decoder = deps.frames if deps.films.is_busy else deps.films
    path = deps.files.opening(run.id, shot_id, take.number)
    try:
        clip = deps.files.existing(deps.files.clip(run.id, shot_id, take.number))
        begun_with = handed_on(deps, run, shot, take.first_frame) if shot and take.first_frame else None
        async with asyncio.timeout(OPENING_S_MAX):
            found = await decoder.open(clip, frame_into=deps.files.place(path), begun_with=begun_with)
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
