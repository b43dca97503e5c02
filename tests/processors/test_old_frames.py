"""Frames of runs that ended long ago: they leave after a word of warning, and come back when somebody wants them."""

import time
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import obstore
import pytest
from obstore.store import MemoryStore
from structlog.testing import capture_logs

from framerelay.processors.old_frames import remove_old_frames
from framerelay.store.bucket_store import BucketStore
from framerelay.store.client import RelayRedis
from framerelay.store.files import MediaFiles
from framerelay.store.folder_store import FolderStore
from framerelay.store.frame_times import ANNOUNCED_S, FRAMES_GONE, FrameTimes
from framerelay.store.runs import ENDED

pytestmark = pytest.mark.anyio

BOARD = {"title": "t", "model": "m", "shots": [{"id": "s1", "prompt": "a car"}, {"id": "s2", "prompt": "a car"}]}
DAY = 86_400.0


def deps_of(relay: Any, redis: RelayRedis, **settings: Any) -> Any:
    """What the chore needs; the worker's own has nothing to do yet."""
    return SimpleNamespace(
        settings=replace(relay.settings, **settings),
        store=relay.store,
        media=FolderStore(MediaFiles(relay.settings.data_dir)),
        frame_times=FrameTimes(redis),
    )


async def make_film(relay: Any, wait_until: Any) -> Any:
    """A run that has its film and all its frames, small copies too; its folder."""
    run_id = await relay.run(BOARD)
    assert (await relay.wait_for_end(run_id))["status"] == "succeeded"
    folder = relay.settings.data_dir / "media" / run_id

    async def are_there() -> bool:
        run = await relay.store.load(run_id)
        return all(take.opening for shot in run.shots for take in shot.takes)

    await wait_until(are_there, "its first frames are taken")
    return folder


@pytest.mark.slow
async def test_they_are_removed_a_week_after_the_warning_and_made_again(
    start_provider: Any, start_relay: Any, redis: RelayRedis, wait_until: Any
) -> None:
    """Clips, film and small copies stay; what leaves is named, with its bytes; the same picture comes back."""
    async with start_provider() as provider, start_relay(provider.url) as relay:
        folder = await make_film(relay, wait_until)
        deps, now = deps_of(relay, redis), time.time() + 31 * DAY
        await redis.delete(FRAMES_GONE)  # What the worker has said at its start, when nothing was old.
        before = {place.name: place.read_bytes() for place in folder.iterdir()}
        with capture_logs() as logs:
            await remove_old_frames(deps, now)
            await remove_old_frames(deps, now + ANNOUNCED_S - 1)
        names = {place.name for place in folder.iterdir()}
        with capture_logs() as logs_after:
            await remove_old_frames(deps, now + ANNOUNCED_S)
            await remove_old_frames(deps, now + ANNOUNCED_S)
        names_after = {place.name for place in folder.iterdir()}
        frame = f"/media/{folder.name}/s1.1.last.png"

        async def is_back() -> bool:
            return bool((await relay.api.get(frame)).is_success)

        await wait_until(is_back, "it is made again")
        again = (folder / "s1.1.last.png").read_bytes()

    names_gone = {"s1.1.last.png", "s1.1.first.png", "s2.1.last.png", "s2.1.first.png"}
    assert names == before.keys()
    assert names_after == before.keys() - names_gone
    assert [(each["event"], each["runs"]) for each in logs] == [("frames_leave_soon", 1)]
    (line,) = [each for each in logs_after if each["event"] == "frames_removed"]
    assert set(line["files"]) == names_gone
    assert line["bytes"] == sum(len(before[name]) for name in names_gone)
    assert again == before["s1.1.last.png"]


@pytest.mark.slow
async def test_what_cannot_be_made_again_stays_and_so_does_what_is_not_old(
    start_provider: Any, start_relay: Any, redis: RelayRedis, wait_until: Any
) -> None:
    """A frame whose clip is gone, all of a younger run, and everything where it was set so."""
    async with start_provider() as provider, start_relay(provider.url) as relay:
        folder = await make_film(relay, wait_until)
        deps, now = deps_of(relay, redis), time.time()
        await deps.frame_times.announce(now)
        (folder / "s1.1.mp4").unlink()
        names = {place.name for place in folder.iterdir()}

        await remove_old_frames(deps_of(relay, redis, frames_keep_s=None), now + 99 * DAY)
        await remove_old_frames(deps, now + 29 * DAY)
        assert {place.name for place in folder.iterdir()} == names
        await remove_old_frames(deps, now + 31 * DAY)

        assert {place.name for place in folder.iterdir()} == names - {"s2.1.last.png", "s2.1.first.png"}


@pytest.mark.slow
async def test_with_object_storage_they_are_removed_from_the_bucket_and_this_machine(
    start_provider: Any, start_relay: Any, redis: RelayRedis, wait_until: Any
) -> None:
    """Only if the bucket has the clip: one that is only here is no reason."""
    async with start_provider() as provider, start_relay(provider.url) as relay:
        folder = await make_film(relay, wait_until)
        deps, now, storage = deps_of(relay, redis), time.time(), MemoryStore()
        deps.media = BucketStore(MediaFiles(relay.settings.data_dir), storage, name="s3://films")
        for place in folder.iterdir():
            if place.name != "s2.1.mp4":
                await obstore.put_async(storage, f"{folder.name}/{place.name}", place.read_bytes())
        await deps.frame_times.announce(now)
        await remove_old_frames(deps, now + 31 * DAY)
        names = {each["path"].rpartition("/")[2] for each in obstore.list(storage).collect()}

    assert {name for name in names if name.endswith(".png")} == {"s2.1.last.png", "s2.1.first.png"}
    assert "s1.1.mp4" in names
    assert sorted(place.name for place in folder.glob("*.png")) == ["s2.1.first.png", "s2.1.last.png"]


async def test_runs_of_the_same_moment_are_not_parted(redis: RelayRedis) -> None:
    """However many: each is looked at once, and none is passed over."""
    times = FrameTimes(redis)
    await redis.zadd(ENDED, {f"run_{number}": float(number // 7) for number in range(30)})
    ids_there: list[str] = []
    for _ in range(30):
        ids, moment = await times.next(3.0, at_most=4)
        ids_there += ids
        await times.settle(moment)

    assert sorted(ids_there) == sorted(f"run_{number}" for number in range(28))
    assert await times.waiting(3.0) == 0
    assert await times.waiting(9.0) == 2
