"""`doctor` for the place of clips, frames and films: that all share it, and that object storage does what we need."""

import time
from contextlib import suppress
from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import Final

import httpx

from framerelay.cli.doctor.finding import Finding, fail, ok, skip, warn
from framerelay.cli.doctor.redis import client_of
from framerelay.cli.one_place import DIFFERS, check_links
from framerelay.config.settings import Settings
from framerelay.network.tls import tls_of
from framerelay.runs.errors import StorageFailed, StoreUnavailable
from framerelay.runs.text import number_of
from framerelay.store.bucket_probe import CONTENT, end_probe, probe
from framerelay.store.bucket_store import BucketStore
from framerelay.store.frame_times import ANNOUNCED_S, FrameTimes
from framerelay.store.media_places import media_store_of
from framerelay.store.media_store import MediaStore
from framerelay.store.one_place import difference, place_of_all
from framerelay.store.redis_messages import REDIS_ERRORS

LINK_WITHIN_S: Final = 10.0
ADDRESS: Final = "check FRAMERELAY_STORE_ENDPOINT: readers and providers follow such links; else FRAMERELAY_MEDIA=proxy"
CLOCK_S: Final = 60.0
CLOCK: Final = "have the clocks of all machines set by NTP"
RIGHTS: Final = "docs/storage.md says what the key must be allowed to do"


async def look_at_storage(settings: Settings) -> list[Finding]:
    """
    Whether our files are in the same place as those of others; for object storage whether it can be written, read,
    listed and so on.

    Raises: SettingInvalid; StorageFailed.
    """
    check_links(settings)
    media = media_store_of(settings)
    if isinstance(media, BucketStore):
        try:
            findings = [await _try_out(media, settings)]
        except StorageFailed as error:
            return [
                fail(
                    f"{media.name} cannot be used: {error.message}",
                    "docs/storage.md says what the key must be allowed to do",
                )
            ]
    else:
        findings = [ok(f"clips, frames and films are kept in {media.name}")]
    words = await _retention_words(settings)
    results = [replace(each, message=f"{each.message}; {words}") if not each.advice else each for each in findings]
    return await _compare(media, settings) or results


async def _retention_words(settings: Settings) -> str:
    """How long files are kept, and what will be removed next."""
    runs_keep_s, frames_keep_s = settings.runs_keep_s, settings.frames_keep_s
    runs = f"runs with clips and films stay {_for(runs_keep_s)} after their end"
    if frames_keep_s is None or (runs_keep_s is not None and runs_keep_s <= frames_keep_s):
        return runs
    words = f"{runs}, their frames {_for(frames_keep_s)} (then they are made again when wanted)"
    try:
        async with client_of(settings) as redis:
            times = FrameTimes(redis) if redis else None
            waiting = await times.waiting(time.time() - frames_keep_s) if times else 0
            announced_at = await times.announced_at() if times else None
    except (*REDIS_ERRORS, StoreUnavailable):
        return words
    if not waiting or announced_at is None:
        return words
    first = time.strftime("%Y-%m-%d", time.gmtime(max(time.time(), announced_at + ANNOUNCED_S)))
    return f"{words}; those of {number_of('run', waiting)} leave from {first} on"


def _for(seconds: float | None) -> str:
    return "forever" if seconds is None else f"for {seconds / 86_400:g} days"


async def _compare(media: MediaStore, settings: Settings) -> list[Finding]:
    """Problems with this place, given the one that the others have registered."""
    try:
        async with client_of(settings) as redis:
            place = await place_of_all(redis) if redis else None
    except REDIS_ERRORS:
        return [skip("whether all use the same can only be seen in Redis, which does not answer")]
    words = difference(place, await media.place_id(), media)
    return [fail(f"it is not where the others keep theirs: {words}", DIFFERS)] if words else []


async def _try_out(media: BucketStore, settings: Settings) -> Finding:
    try:
        link = await probe(media)
        trouble = await _trouble_with(link, media.name, settings) if link else None
    except StorageFailed:
        with suppress(StorageFailed):
            await end_probe(media)
        raise
    await end_probe(media)
    if trouble:
        return trouble
    if not await media.signs_for(settings.link_life_s):
        return warn(
            f"{media.name} works, but its links end with the credentials of the role that signs them",
            "FRAMERELAY_HANDOFF=serve then gives links to the receiver; a key of its own signs for up to seven days",
        )
    steps = "written, read, listed, linked to and deleted" if link else "written, read, listed and deleted"
    return ok(f"{media.name}: a probe was {steps}")


async def _trouble_with(link: str, name: str, settings: Settings) -> Finding | None:
    """Problems with a link that was signed for the bucket *name*; the time from which it counts is ours."""
    try:
        tls = tls_of(settings) or True
        async with httpx.AsyncClient(verify=tls, trust_env=False, timeout=LINK_WITHIN_S) as anybody:
            answer = await anybody.get(link, headers={"Range": "bytes=0-4"})
    except httpx.HTTPError as error:
        return _dead_link(name, f"it cannot be reached ({type(error).__name__})", ADDRESS)
    works = answer.status_code == 206 and answer.content == CONTENT[:5]
    if clock := _clock_words(answer):
        if works:
            return warn(f"{name} works, but its links end too early, or count too late: {clock}", CLOCK)
        return _dead_link(name, clock, CLOCK)
    return None if works else _dead_link(name, f"HTTP {answer.status_code} to a request for a part of it", ADDRESS)


def _dead_link(name: str, trouble: str, advice: str) -> Finding:
    return fail(f"a link that was signed for {name} does not work: {trouble}", advice)


def _clock_words(answer: httpx.Response) -> str | None:
    """By how much our clock is behind or ahead of the server's; None if that is little, or unknown."""
    try:
        behind_s = parsedate_to_datetime(answer.headers["date"]).timestamp() - time.time()
    except (KeyError, ValueError):
        return None
    if abs(behind_s) < CLOCK_S:
        return None
    if behind_s > 0:
        return f"this machine's clock is {behind_s:.0f} s behind the storage's"
    return f"this machine's clock is {-behind_s:.0f} s ahead of the storage's"
