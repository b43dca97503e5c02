"""Frames of runs that ended long ago are removed if they can be made again from clips, which stay, as films do."""

import time
from collections.abc import Iterator
from typing import Final

import structlog

from framerelay.processors.deps import Deps
from framerelay.runs.model import Frame, Run, Take
from framerelay.runs.standing import has_ended
from framerelay.store.frame_times import ANNOUNCED_S

AT_ONCE: Final = 20

log = structlog.get_logger()


async def remove_old_frames(deps: Deps, now: float) -> None:
    """
    A few runs each time; nothing for a week after the log has first announced it.

    Raises: StoreUnavailable; StorageFailed.
    """
    keep_s = deps.settings.frames_keep_s
    if keep_s is None:
        return
    if await deps.frame_times.announce(now) and (runs := await deps.frame_times.waiting(now - keep_s)):
        first = time.strftime("%Y-%m-%d", time.gmtime(now + ANNOUNCED_S))
        advice = "clips and films stay, frames are made again when wanted; FRAMERELAY_FRAMES_KEEP_S=forever keeps them"
        log.warning("frames_leave_soon", runs=runs, first=first, advice=advice)
    announced_at = await deps.frame_times.announced_at()
    if announced_at is None or now < announced_at + ANNOUNCED_S:
        return
    run_ids, moment = await deps.frame_times.next(now - keep_s, at_most=AT_ONCE)
    for run_id in run_ids:
        run = await deps.store.load(run_id)
        if run is not None and has_ended(run) and run.updated_at <= now - keep_s:
            await _remove_frames(deps, run)
    await deps.frame_times.settle(moment)


async def _remove_frames(deps: Deps, run: Run) -> None:
    names, total = [], 0
    for take, frame in _frames_of(run):
        video = take.video
        size = await deps.media.size(frame.path)
        if size is None or video is None or not await deps.media.is_kept(video.path, size=video.bytes):
            continue
        await deps.media.forget(frame.path)
        names.append(frame.path.rpartition("/")[2])
        total += size
    if names:
        log.info("frames_removed", run_id=run.id, files=names, bytes=total)


def _frames_of(run: Run) -> Iterator[tuple[Take, Frame]]:
    """Those that we took from a clip; what the provider gave cannot be made again."""
    for shot in run.shots:
        for take in shot.takes:
            yield from ((take, frame) for frame in (take.last_frame, take.opening) if frame is not None)
