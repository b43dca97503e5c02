"""Giving a shot its first frame (and its last, for a bridge) in a form that the provider can fetch."""

import mimetypes
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final, cast

import structlog

from framerelay.processors.again import ensure
from framerelay.processors.deps import Deps
from framerelay.runs.errors import (
    AddressForbidden,
    ClipUnusable,
    NotFound,
    RequestInvalid,
    UpstreamAnswerUnreadable,
    UpstreamRejected,
)
from framerelay.runs.model import FirstFrame, Run, Shot, Take
from framerelay.runs.standing import picked_take
from framerelay.storyboards.inputs import REFERENCE_FILES
from framerelay.upstream.client import JobsClient
from framerelay.upstream.pictures import PictureForm, inline_bytes_max, inline_text, picture_forms, takes_addresses
from framerelay.upstream.profile import Profile
from framerelay.upstream.providers import HandOff, Provider

# Ark keeps results for 24 h; a job may be queued for a while before the provider opens the address.
PROVIDER_FRAME_LIFE_S: Final = 18 * 3600.0
FILE: Final = "file:"
VIDEOS: Final = (".mp4", ".webm")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Taker:
    """Who is given pictures; ``without_inline``: the request would be too large with them."""

    provider: Provider
    client: JobsClient
    without_inline: bool = False

    @property
    def name(self) -> str:
        """The name of the provider."""
        return self.provider.name

    @property
    def profile(self) -> Profile:
        """The dialect that it speaks."""
        return self.client.profile


async def first_frame(deps: Deps, run: Run, shot: Shot, taker: Taker) -> FirstFrame | None:
    """
    What *shot* begins with; None if it may begin with anything.

    ``auto``: the provider's own last frame while its address is valid, otherwise ours: by upload, in the request
    itself, or by a signed link, the first of these that the provider takes.
    If our frame is gone, it is taken from its clip again.
    Raises: Transient if the upload may work later; NotFound if our own file and its clip are gone; RequestInvalid.
    """
    source = run.shot(shot.source) if shot.source else None
    if source is None:
        return await _frame_of(deps, taker, shot.first_frame) if shot.first_frame else None
    take = picked_take(source)
    if take is None:
        raise RequestInvalid(f"shot {source.name} has no last frame yet")
    is_wanted = _hand_off(deps, taker.provider) == "auto" and takes_addresses(taker.profile)
    if is_wanted and take.provider_frame_url and _is_fresh(take, taker.profile, deps.store.clock.now()):
        return FirstFrame(url=take.provider_frame_url, source="provider", take=take.number)
    if take.last_frame is None:
        raise NotFound(f"the last frame of shot {source.name} is not kept")
    await ensure(deps, run, take.last_frame.path)
    return replace(await _send(deps, taker, take.last_frame.path), take=take.number)


async def last_frame(deps: Deps, shot: Shot, taker: Taker) -> FirstFrame | None:
    """The picture that *shot* is to end on, if the storyboard gives one. Raises: as `first_frame`."""
    return await _frame_of(deps, taker, shot.last_frame) if shot.last_frame else None


async def references(deps: Deps, shot: Shot, taker: Taker) -> dict[str, list[str]]:
    """
    The references of *shot* by the names of their fields, with files in a form that the provider takes.

    Raises: as `first_frame`.
    """
    return {
        field: [await _reference(deps, taker, each) for each in shot.input[field]]
        for field in REFERENCE_FILES.values()
        if any(each.startswith(FILE) for each in shot.input.get(field) or ())
    }


async def _reference(deps: Deps, taker: Taker, reference: str) -> str:
    if not reference.startswith(FILE):
        return reference
    path = reference.removeprefix(FILE)
    await _check(deps, path)
    picture = await _send(deps, taker, path)
    return await _inline_text(deps, taker.profile, path) if picture.source == "inline" else picture.url


async def _inline_text(deps: Deps, profile: Profile, path: str) -> str:
    place = await deps.media.fetch(path)
    media_type = mimetypes.guess_type(place.name)[0] or "application/octet-stream"
    return inline_text(profile, place.read_bytes(), media_type)


async def _frame_of(deps: Deps, taker: Taker, reference: str) -> FirstFrame:
    if reference.startswith(FILE):
        path = reference.removeprefix(FILE)
        if path.endswith(VIDEOS):
            raise RequestInvalid(
                "a video was given where a picture is wanted: give a picture, or take it from the video"
            )
        await _check(deps, path)
        return await _send(deps, taker, path)
    if not takes_addresses(taker.profile):
        raise RequestInvalid(f"{taker.name} takes no addresses of pictures: give the picture as a file")
    return FirstFrame(url=reference, source="given")


async def _check(deps: Deps, path: str) -> None:
    """A file from a person may not be what it seems; it is examined before anything is paid for."""
    kind = "video" if path.endswith(VIDEOS) else "picture"
    try:
        place = await deps.media.fetch(path)
    except NotFound:
        raise NotFound(
            f"the {kind} that was given is gone from the data folder: put it back, or give it again"
        ) from None
    try:
        if kind == "picture":
            await deps.frames.check(place)
        else:
            await _check_video(deps, path)
    except ClipUnusable as error:
        raise RequestInvalid(f"the {kind} that was given cannot be used: {error.message}") from error


async def _check_video(deps: Deps, path: str) -> None:
    """It must be decodable to its end; its last frame is not needed here."""
    frame = deps.files.place(f"{path}.{secrets.token_hex(4)}.png")
    try:
        await deps.frames.examine(await deps.media.fetch(path), frame_into=frame)
    finally:
        frame.unlink(missing_ok=True)


async def _send(deps: Deps, taker: Taker, path: str) -> FirstFrame:
    """Our file *path* in the first form that works. Raises: the error of the last form that was tried."""
    handoff = _hand_off(deps, taker.provider)
    forms = picture_forms(taker.profile, handoff)
    if taker.without_inline and forms:
        forms = tuple(form for form in forms if form != "inline")
        if not forms:
            megabytes = f"{taker.profile.media.body_max_mb:g} MB"
            raise RequestInvalid(
                f"with its pictures inside, the request is larger than the {megabytes} that {taker.name} takes, and it "
                "takes them in no other way: give smaller ones"
            )
    if not forms:
        raise RequestInvalid(f"{taker.name} takes no picture by {handoff}: set its handoff to auto")
    for form, instead in pairwise(forms):
        try:
            return await _FORMS[form](deps, taker.client, path)
        except (UpstreamRejected, UpstreamAnswerUnreadable, RequestInvalid, AddressForbidden) as error:
            if form == "upload":
                log.warning("upload_refused", provider=taker.name, reason=error.message, instead=instead)
            else:
                log.warning("inline_refused", provider=taker.name, reason=error.message, instead=instead)
    return await _FORMS[forms[-1]](deps, taker.client, path)


async def _upload(deps: Deps, client: JobsClient, path: str) -> FirstFrame:
    kind = "video" if path.endswith(VIDEOS) else "image"
    url = await client.upload(await deps.media.fetch(path), kind=kind, purpose="reference")
    return FirstFrame(url=url, source="upload", path=path)


async def _inline(deps: Deps, client: JobsClient, path: str) -> FirstFrame:
    """The bytes themselves are read when the request is made: a run is stored without them."""
    most, size = inline_bytes_max(client.profile), (await deps.media.fetch(path)).stat().st_size
    if most is not None and size > most:
        raise RequestInvalid(f"the picture has {size:,} bytes, and the provider takes {most:,} in a request")
    return FirstFrame(url="", source="inline", path=path)


async def _serve(deps: Deps, client: JobsClient, path: str) -> FirstFrame:
    """The storage's own link if it gives one; ours redirects there as well, or serves the file."""
    if url := await deps.media.link(path, life_s=deps.settings.link_life_s):
        return FirstFrame(url=url, source="serve", path=path)
    expires_at = int(time.time() + deps.settings.link_life_s)
    link = deps.links.sign(f"/media/{path}", expires_at=expires_at)
    return FirstFrame(url=deps.settings.reachable_url + link, source="serve", path=path)


_FORMS: Final[Mapping[PictureForm, Callable[[Deps, JobsClient, str], Awaitable[FirstFrame]]]] = {
    "upload": _upload,
    "inline": _inline,
    "serve": _serve,
}


def _hand_off(deps: Deps, provider: Provider) -> HandOff:
    return provider.handoff or cast("HandOff", deps.settings.handoff)


def _is_fresh(take: Take, profile: Profile, now: float) -> bool:
    lives_s = profile.download.lives_s
    most_s = PROVIDER_FRAME_LIFE_S if lives_s is None else 0.75 * lives_s
    return take.rendered_at is not None and now - take.rendered_at < min(most_s, PROVIDER_FRAME_LIFE_S)
