"""Uploading a collected clip to object storage while the next submit goes out: until then its take is not done."""

import asyncio
from typing import Any, Final

import structlog

from framerelay.processors.deps import Deps
from framerelay.processors.opening import take_opening_later, takes_ahead_of
from framerelay.processors.problems import problem_of
from framerelay.processors.waits import retry_wait_s
from framerelay.runs import events
from framerelay.runs.errors import FrameRelayError, NotFound, StorageFailed
from framerelay.runs.model import Clip, Take
from framerelay.runs.takes import KEEP_S, is_unkept
from framerelay.store.progress import record

AGAIN_S_MAX: Final = 60.0  # However long the storage is down.

log = structlog.get_logger()


async def keep(deps: Deps, *, run_id: str, shot_id: str, take: int, turn: int) -> str:
    """The task for a clip that the worker that fetched it did not store in time; returns the outcome for the log."""
    current = await _unkept(deps, run_id, shot_id, take)
    if current is None or current.turns != turn:
        return "not_due"
    return await keep_clip(deps, run_id, shot_id, current)


async def keep_clip(deps: Deps, run_id: str, shot_id: str, take: Take) -> str:
    """
    Put the clip of *take* where every machine finds it, and record that; returns the outcome for the log.

    While the storage is down this worker, which has the clip, keeps trying, and records that it does. A clip that is
    neither here nor there is fetched again: its provider still has it.
    """
    about: dict[str, Any] = {"shot_id": shot_id, "take": take.number, "sha256": take.video.sha256 if take.video else ""}
    try:
        is_kept = take.video is not None and await _put(deps, take.video, take)
    except StorageFailed as error:
        is_here = take.video is not None and _is_here(deps, take.video)
        wait_s = min(retry_wait_s(take.turns), AGAIN_S_MAX)
        until = deps.store.clock.now() + wait_s + (KEEP_S if is_here else 0.0)
        log.warning("clip_not_kept_yet", reason=error.message, again_s=round(wait_s, 1))
        await record(deps.store, run_id, events.KeepPutOff(**about, problem=problem_of(error), until=until))
        if is_here:
            deps.keeping.begin(_keep_later(deps, run_id, shot_id, take.number, wait_s))
        return "put_off"
    if not is_kept:
        log.warning("clip_lost", reason="it was only on another machine's disk; it is fetched again")
        await record(deps.store, run_id, events.ClipLost(**about))
        return "lost"
    run = (await record(deps.store, run_id, events.ClipKept(**about))).run
    after = run.take(shot_id, take.number)
    if after is not None and (after.opening is None or takes_ahead_of(run, shot_id, take.number)):
        await take_opening_later(deps, run_id, shot_id, take.number)
    return "kept"


async def _put(deps: Deps, video: Clip, take: Take) -> bool:
    """Whether the clip is in the storage now; its provider's own last frame goes with it. Raises: StorageFailed."""
    if not _is_here(deps, video):
        return await deps.media.is_kept(video.path, size=video.bytes)
    if take.provider_frame is not None and deps.files.has(take.provider_frame.path):
        await deps.media.keep(take.provider_frame.path)
    await deps.media.keep(video.path)
    return True


def _is_here(deps: Deps, video: Clip) -> bool:
    try:
        return deps.files.existing(video.path).stat().st_size == video.bytes
    except (NotFound, OSError):
        return False


async def _keep_later(deps: Deps, run_id: str, shot_id: str, number: int, wait_s: float) -> None:
    """In the background, so that storage that is down for long blocks none of the places for tasks."""
    await asyncio.sleep(wait_s)
    try:
        take = await _unkept(deps, run_id, shot_id, number)
        if take is not None:
            outcome = await keep_clip(deps, run_id, shot_id, take)
            log.info("clip_tried_again", run_id=run_id, shot_id=shot_id, take=number, outcome=outcome)
    except FrameRelayError as error:  # The state asks for it when it is time.
        log.warning("clip_not_kept_yet", run_id=run_id, shot_id=shot_id, take=number, reason=error.message)


async def _unkept(deps: Deps, run_id: str, shot_id: str, number: int) -> Take | None:
    run = await deps.store.load(run_id)
    take = run.take(shot_id, number) if run else None
    return take if take is not None and is_unkept(take) else None
