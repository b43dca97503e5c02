"""Keeping a rendered take: its whole clip and its exact last frame."""

import asyncio
import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Final

import structlog

from framerelay.config.traces import note, span
from framerelay.config.urls import host_of
from framerelay.media.download import Download, download
from framerelay.media.fetch import fetch_clip
from framerelay.media.host_headers import HostHeaders
from framerelay.media.model import Examination
from framerelay.processors.deps import Deps
from framerelay.processors.keep import keep_clip
from framerelay.processors.opening import is_ahead, is_waited_for, keep_opening, take_opening_later, takes_ahead_of
from framerelay.processors.problems import problem_of
from framerelay.processors.waits import retry_wait_s
from framerelay.runs import events
from framerelay.runs.errors import (
    ClipUnusable,
    DecoderFailed,
    DownloadExpired,
    FrameRelayError,
    StorageFailed,
    Transient,
)
from framerelay.runs.model import Clip, Frame, Run, Take, TakeStatus
from framerelay.runs.takes import is_unkept
from framerelay.store.files import storing
from framerelay.store.progress import record
from framerelay.upstream.credentials import clip_key_hosts, is_clip_host

FETCHES_MAX: Final = 8  # Problems on the way; each is retried after a growing wait.
DAMAGED_MAX: Final = 2  # The same bytes may be half written at first; more often they stay bad.
CRASHES_MAX: Final = 2  # Twice in a row, a crash is the fault of the clip; once, it may be the machine.
STORING_TURNS_MAX: Final = 6  # Half a minute: it is soon noticed when the storage is back.
PICTURE_S: Final = 10.0
SAME_FRAME_LEVELS: Final = 2.0  # Of 255; beyond this the provider's frame is not the clip's last one.

log = structlog.get_logger()


async def collect(deps: Deps, *, run_id: str, shot_id: str, take: int, turn: int) -> str:
    """
    Fetch the clip of a take and its last frame; returns the outcome for the log.

    Doing it twice replaces the same files. The event is recorded only when everything is on disk and was checked. With
    object storage, the frame is there before that, and the clip is uploaded while the next submit goes out. The clip's
    first frame is taken when that submit has been sent, or at once if no shot waits for this one.
    """
    run = await deps.store.load(run_id)
    current = run.take(shot_id, take) if run else None
    if run is None or current is None or current.turns != turn or not current.video_url:
        return "not_due"
    if current.status is TakeStatus.DONE and current.opening is None:  # We were interrupted between the two.
        await take_opening_later(deps, run_id, shot_id, take)
    if current.status is not TakeStatus.COLLECTING:
        return "not_due"
    if is_unkept(current):  # The same, by an end that came before its clip was kept.
        return await keep_clip(deps, run_id, shot_id, current)
    with span("collect", parent=current.trace, run_id=run_id, shot=shot_id, take=take):
        outcome = await _collect_now(deps, run, shot_id, current, current.video_url)
        note(outcome=outcome)
        return outcome


async def _collect_now(deps: Deps, run: Run, shot_id: str, current: Take, video_url: str) -> str:
    """Like `collect`, for a take that is due."""
    run_id, take = run.id, current.number
    try:
        _check_room(deps)
        with storing():
            event = await _fetch_all(deps, run_id, shot_id, current, video_url)
    except FrameRelayError as error:
        return await _put_off_or_give_up(deps, run_id, shot_id, current, error)
    now = await deps.store.load(run_id) or run  # The clip before may have arrived in the meantime.
    later = is_waited_for(now, shot_id) or is_ahead(now, shot_id, current)
    if not later:
        await keep_opening(deps, now, shot_id, current)
    after = (await record(deps.store, run_id, event)).run.take(shot_id, take)
    if after is not None and is_unkept(after):  # The next submit is on its way; this continues at the same time.
        return f"collected, {await keep_clip(deps, run_id, shot_id, after)}"
    if later or takes_ahead_of(now, shot_id, take):
        await take_opening_later(deps, run_id, shot_id, take)
    return "collected"


def _check_room(deps: Deps) -> None:
    """Raises: StorageFailed while this disk is full of clips that object storage has not accepted yet."""
    if deps.media.unkept_bytes > deps.settings.scratch_bytes_max:
        raise StorageFailed(
            "object storage takes no clips, and the data folder has as many as it may: take care of the storage"
        )


async def _fetch_all(deps: Deps, run_id: str, shot_id: str, take: Take, video_url: str) -> events.Collected:
    clip_path = deps.files.clip(run_id, shot_id, take.number)
    frame_path = deps.files.last_frame(run_id, shot_id, take.number)
    _note_strange_host(deps, take, video_url)
    provider = asyncio.ensure_future(_provider_frame(deps, run_id, shot_id, take))
    try:
        place = deps.files.place(clip_path)
        frame_place = deps.files.place(frame_path)
        result, examination = await _find_clip(deps, take, place, frame_place) or await fetch_clip(
            video_url,
            place,
            frame_into=frame_place,
            client=deps.downloads,
            decoder=deps.frames,
            limits=deps.limits,
            key=_key(deps, take),
        )
        frame = await _in_time(provider)
    finally:
        provider.cancel()
    if frame is not None:
        await _compare(deps, deps.files.place(frame_path), deps.files.place(frame.path))
    await deps.media.keep(frame_path)  # The next submit may be sent by another machine.
    return events.Collected(
        shot_id=shot_id,
        take=take.number,
        video=replace(_clip(clip_path, result.sha256, result.bytes, examination), kept=not deps.media.is_remote),
        last_frame=Frame(
            path=frame_path,
            sha256=examination.frame.sha256,
            width=examination.frame.width,
            height=examination.frame.height,
        ),
        provider_frame=frame,
    )


async def _find_clip(deps: Deps, take: Take, place: Path, frame_place: Path) -> tuple[Download, Examination] | None:
    """The clip, if it was fetched before and only its frame could not be kept; None: it has to be fetched again."""
    if take.error is None or take.error.code != StorageFailed.code or not await asyncio.to_thread(place.is_file):
        return None
    try:
        examination = await deps.frames.examine(place, frame_into=frame_place)
    except FrameRelayError:
        return None
    return await asyncio.to_thread(_download_at, place), examination


def _download_at(place: Path) -> Download:
    with place.open("rb") as file:
        return Download(bytes=place.stat().st_size, sha256=hashlib.file_digest(file, "sha256").hexdigest())


def _key(deps: Deps, take: Take) -> HostHeaders | None:
    """The provider's key, if clips need it; it is only sent to those of its own hosts that serve clips."""
    if take.maker is None:
        return None
    client = deps.clients.of_maker(take.maker)
    if not client.profile.download.auth:
        return None
    hosts = clip_key_hosts(client.base, client.profile)
    return HostHeaders(hosts=hosts, headers=client.key_headers(), plain=client.is_plain)


def _note_strange_host(deps: Deps, take: Take, video_url: str) -> None:
    """A clip at a host that its provider's profile does not name is fetched like any other: it was paid for."""
    client = deps.clients.of_maker(take.maker) if take.maker else None
    if client is None or client.is_own(video_url) or is_clip_host(host_of(video_url), client.profile):
        return
    log.warning("clip_host_unknown", host=host_of(video_url), profile=client.profile.id)


def _renews(deps: Deps, take: Take) -> bool:
    """Whether a look-up may give another address once one has expired: yes, unless its profile denies it."""
    return take.maker is None or deps.clients.of_maker(take.maker).profile.download.get_renews is not False


async def _in_time(picture: asyncio.Future[Frame | None]) -> Frame | None:
    """*picture*, if it arrives soon after the clip; the next shot does not wait for a server that never finishes."""
    try:
        return await asyncio.wait_for(picture, PICTURE_S)
    except TimeoutError:
        log.warning("provider_frame_missing", reason=f"it was not there {PICTURE_S:.0f} s after the clip")
        return None


async def _provider_frame(deps: Deps, run_id: str, shot_id: str, take: Take) -> Frame | None:
    """The provider's own last frame, kept next to ours; nothing depends on it by now, so problems are only logged."""
    if take.provider_frame_url is None:
        return None
    path = deps.files.provider_frame(run_id, shot_id, take.number)
    try:
        result = await download(
            take.provider_frame_url, deps.files.place(path), client=deps.downloads, limits=deps.limits
        )
    except Exception as error:  # Whatever it was: failing to keep an extra costs no clip.
        log.warning("provider_frame_missing", reason=_reason(error))
        return None
    return Frame(path=path, sha256=result.sha256, width=0, height=0)


async def _compare(deps: Deps, ours: Path, theirs: Path) -> None:
    try:
        levels = await deps.frames.difference(ours, theirs)
    except Exception as error:  # The same here.
        log.warning("provider_frame_unusable", reason=_reason(error))
        return
    if levels is None or levels > SAME_FRAME_LEVELS:
        log.warning("provider_frame_differs", levels=levels)


def _reason(error: Exception) -> str:
    return error.message if isinstance(error, FrameRelayError) else f"{type(error).__name__}: {error}"


async def _put_off_or_give_up(deps: Deps, run_id: str, shot_id: str, take: Take, error: FrameRelayError) -> str:
    problem = problem_of(error)
    damaged = isinstance(error, ClipUnusable) and error.reason in ("truncated", "corrupt")
    expired = isinstance(error, DownloadExpired)
    crashed_again = isinstance(error, DecoderFailed) and take.error is not None and take.error.code == error.code
    most = DAMAGED_MAX if damaged else CRASHES_MAX if crashed_again else FETCHES_MAX
    passing = damaged or expired or isinstance(error, Transient)
    # A clip that was paid for is not given up because our own disk is full.
    if not passing or (take.fetches >= most and not isinstance(error, StorageFailed)):
        await record(deps.store, run_id, events.CollectFailed(shot_id=shot_id, take=take.number, problem=problem))
        return error.code
    tries = min(take.turns, STORING_TURNS_MAX) if isinstance(error, StorageFailed) else take.fetches
    until = deps.store.clock.now() + retry_wait_s(tries)
    log.warning("collect_put_off", reason=error.message, again_s=round(until - deps.store.clock.now(), 1))
    ask_again = damaged or (expired and _renews(deps, take))
    put_off = events.CollectPutOff(shot_id=shot_id, take=take.number, problem=problem, until=until, ask_again=ask_again)
    await record(deps.store, run_id, put_off)
    return "put_off"


def _clip(path: str, sha256: str, size: int, examination: Examination) -> Clip:
    facts = examination.clip
    return Clip(
        path=path,
        sha256=sha256,
        bytes=size,
        width=facts.width,
        height=facts.height,
        duration_s=facts.duration_s,
        frames=facts.frames,
        notes=facts.notes,
    )
