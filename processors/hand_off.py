"""Giving a shot its first frame (and its last, for a bridge) in a form that the provider can fetch."""

import time
from dataclasses import replace
from typing import Final

import structlog

from framerelay.processors.again import ensure
from framerelay.processors.deps import Deps
from framerelay.runs.errors import ClipUnusable, NotFound, RequestInvalid, UpstreamAnswerUnreadable, UpstreamRejected
from framerelay.runs.model import FirstFrame, Run, Shot, Take
from framerelay.runs.standing import chosen

# Ark keeps results for 24 h; a job may be queued for a while before the provider opens the address.
PROVIDER_FRAME_LIFE_S: Final = 18 * 3600.0
FILE: Final = "file:"

log = structlog.get_logger()


async def first_frame(deps: Deps, run: Run, shot: Shot) -> FirstFrame | None:
    """
    What *shot* begins with; None if it may begin with anything.

    ``auto``: the provider's own last frame while its address lives, else ours by upload, else ours by a signed link.
    A frame of ours that is gone is taken again from its clip.
    Raises: Transient when the upload may work later; NotFound when our own file and its clip are gone; RequestInvalid.
    """
    source = run.shot(shot.source) if shot.source else None
    if source is None:
        return await _frame_of(deps, shot.first_frame) if shot.first_frame else None
    take = chosen(source)
    if take is None:
        raise RequestInvalid(f"shot {source.id} has no last frame yet")
    if deps.settings.handoff == "auto" and _is_fresh(take) and take.provider_frame_url:
        return FirstFrame(url=take.provider_frame_url, source="provider", take=take.number)
    if take.last_frame is None:
        raise NotFound(f"the last frame of shot {source.id} is not kept")
    await ensure(deps, run, take.last_frame.path)
    return replace(await _sent(deps, take.last_frame.path), take=take.number)


async def last_frame_url(deps: Deps, shot: Shot) -> str | None:
    """The address of the picture that *shot* is to end on, if the storyboard gives one. Raises like `first_frame`."""
    frame = await _frame_of(deps, shot.last_frame) if shot.last_frame else None
    return frame.url if frame else None


async def _frame_of(deps: Deps, reference: str) -> FirstFrame:
    if reference.startswith(FILE):
        path = reference.removeprefix(FILE)
        await _check(deps, path)
        return await _sent(deps, path)
    return FirstFrame(url=reference, source="given")


async def _check(deps: Deps, path: str) -> None:
    """A person may have given a file that is not a picture; it is looked at before anything is sent, or paid for."""
    if not deps.files.has(path):
        raise NotFound("the picture that was given is gone from the data folder: put it back, or give it again")
    try:
        await deps.frames.check(deps.files.existing(path))
    except ClipUnusable as error:
        raise RequestInvalid(f"the picture that was given cannot be used: {error.message}") from error


async def _sent(deps: Deps, path: str) -> FirstFrame:
    place = deps.files.existing(path)
    if deps.settings.handoff != "serve":
        try:
            url = await deps.jobs.upload(place, kind="image", purpose="reference")
            return FirstFrame(url=url, source="upload", path=path)
        except (UpstreamRejected, UpstreamAnswerUnreadable) as error:
            if deps.settings.handoff == "upload":
                raise
            log.warning("upload_refused", reason=error.message, instead="serve")
    expires_at = int(time.time() + deps.settings.link_life_s)
    link = deps.links.signed(f"/media/{path}", expires_at=expires_at)
    return FirstFrame(url=deps.settings.reachable_url + link, source="serve", path=path)


def _is_fresh(take: Take) -> bool:
    return take.rendered_at is not None and time.time() - take.rendered_at < PROVIDER_FRAME_LIFE_S
