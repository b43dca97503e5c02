"""What is on the disk besides object storage is bounded, and nothing is removed that is not kept there."""

import os
import time
from pathlib import Path

import pytest
from obstore.store import MemoryStore

from framerelay.runs.errors import StorageFailed
from framerelay.store.bucket_store import BucketStore
from framerelay.store.client import RelayRedis
from framerelay.store.files import MediaFiles
from framerelay.store.folder_store import FolderStore
from framerelay.store.runs import Store, run_key
from framerelay.store.scratch import ABANDONED_S, IN_USE_S, clear_abandoned_copies, clear_copies, keep_scratch

pytestmark = pytest.mark.anyio

RUN = "run_" + "a" * 20
OTHER = "run_" + "b" * 20
SIZE = 1000


class Away(BucketStore):
    """A storage that is away. A real one that is cut is in tests/machines/; here it is the clearing that is tested."""

    async def is_kept(self, path: str, *, size: int) -> bool:
        raise StorageFailed("object storage: it cannot be reached")


def media_with(tmp_path: Path, kind: type[BucketStore] = BucketStore) -> BucketStore:
    """A bucket in memory: what is tested is what leaves the disk."""
    return kind(MediaFiles(tmp_path), MemoryStore(), name="s3://films")


def lay(media: BucketStore, path: str, *, age_s: float) -> Path:
    place = media.files.place(path)
    place.write_bytes(b"x" * SIZE)
    os.utime(place, (time.time() - age_s,) * 2)
    return place


async def test_the_least_recently_used_copies_are_removed_first(tmp_path: Path) -> None:
    """Until there is room; each is had again from the storage."""
    media = media_with(tmp_path)
    names = [f"{RUN}/s{number}.1.mp4" for number in range(5)]
    places = [lay(media, name, age_s=2 * IN_USE_S + 100 * (5 - number)) for number, name in enumerate(names)]
    for name, place in zip(names, places, strict=True):
        age = place.stat().st_mtime
        await media.keep(name)
        os.utime(place, (age, age))

    assert await clear_copies(media, bytes_max=3 * SIZE, now=time.time()) == 3
    assert [place.exists() for place in places] == [False] * 3 + [True] * 2
    assert (await media.fetch(names[0])).read_bytes() == b"x" * SIZE


async def test_what_is_not_kept_and_what_is_in_use_stays_whatever_the_bound(tmp_path: Path) -> None:
    """A clip that is still to be put there is only on this disk."""
    media = media_with(tmp_path)
    unkept = lay(media, f"{RUN}/s1.1.mp4", age_s=9 * IN_USE_S)
    torn = lay(media, f"{RUN}/s2.1.mp4", age_s=9 * IN_USE_S)
    await media.bucket.put_async(f"{RUN}/s2.1.mp4", b"x" * (SIZE - 1))  # An earlier one of another length.
    file_in_use = lay(media, f"{RUN}/s3.1.mp4", age_s=1)
    await media.keep(f"{RUN}/s3.1.mp4")

    assert await clear_copies(media, bytes_max=1, now=time.time()) == 0
    assert all(place.exists() for place in (unkept, torn, file_in_use))
    assert media.unkept_bytes == 2 * SIZE, "no further clips are fetched while these alone are too much"


async def test_while_the_storage_is_away_nothing_is_removed(tmp_path: Path) -> None:
    """And a worker that would fetch more reports that there is no room."""
    media = media_with(tmp_path, Away)
    place = lay(media, f"{RUN}/s1.1.mp4", age_s=9 * IN_USE_S)

    with pytest.raises(StorageFailed):
        await clear_copies(media, bytes_max=1, now=time.time())
    assert place.exists()
    assert media.unkept_bytes == SIZE


async def test_copies_of_a_run_that_another_machine_removed_are_removed_too(redis: RelayRedis, tmp_path: Path) -> None:
    """A run of which Redis knows nothing at all stays: it may be another Redis."""
    media = media_with(tmp_path)
    file, strange = lay(media, f"{RUN}/s1.1.mp4", age_s=0), lay(media, f"{OTHER}/s1.1.mp4", age_s=0)
    for place in (file, strange):
        os.utime(place.parent, (time.time() - 2 * ABANDONED_S,) * 2)
    await redis.hset(run_key(RUN), "revision", "removed")
    await redis.pexpire(run_key(RUN), 60_000)

    await clear_abandoned_copies(media.files, Store(redis), now=time.time())
    assert (file.exists(), strange.exists()) == (False, True)


async def test_a_folder_without_object_storage_is_never_cleared(redis: RelayRedis, tmp_path: Path) -> None:
    """Without object storage those are the only copies."""
    await keep_scratch(FolderStore(MediaFiles(tmp_path)), Store(redis), bytes_max=1)
