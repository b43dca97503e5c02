"""All processes keep files in one place: one that would use another is told so before anything is split."""

import shutil
import socket
from pathlib import Path

import pytest
from obstore.store import MemoryStore

from framerelay.store.bucket_store import BucketStore
from framerelay.store.client import RelayRedis
from framerelay.store.files import MediaFiles
from framerelay.store.folder_store import FolderStore
from framerelay.store.media_store import MediaStore
from framerelay.store.one_place import PlaceDiffers, agree, difference, place_of_all

pytestmark = pytest.mark.anyio


def folder(place: Path) -> FolderStore:
    return FolderStore(MediaFiles(place))


def bucket(place: Path, storage: MemoryStore) -> BucketStore:
    """A bucket in memory: what is tested is who finds which id, and tests/machines/ has a real server."""
    return BucketStore(MediaFiles(place), storage, name="s3://films/studio")


async def test_a_process_that_shares_the_folder_starts_and_another_is_told_which_machine_has_which(
    redis: RelayRedis, tmp_path: Path
) -> None:
    """Nothing is left in the folder that was refused, and it is refused again."""
    ours, theirs = folder(tmp_path / "a"), folder(tmp_path / "b")
    await agree(redis, ours)
    await agree(redis, folder(tmp_path / "a"))

    for _ in range(2):
        with pytest.raises(PlaceDiffers) as failure:
            await agree(redis, theirs)
        for words in (str(tmp_path / "a" / "media"), str(tmp_path / "b" / "media"), socket.gethostname()):
            assert words in failure.value.message
    assert not (tmp_path / "b").exists()


async def test_the_first_of_two_that_begin_at_once_wins(redis: RelayRedis, tmp_path: Path) -> None:
    """Both had an id of their own already, from before they met."""
    ours, theirs = folder(tmp_path / "a"), folder(tmp_path / "b")
    assert await theirs.mark("f" * 32) == "f" * 32
    await agree(redis, ours)

    with pytest.raises(PlaceDiffers):
        await agree(redis, theirs)
    place = await place_of_all(redis)
    assert place is not None
    assert place.id == await ours.place_id()


@pytest.mark.parametrize("kind", ["folder", "bucket"])
async def test_an_id_is_given_once(kind: str, tmp_path: Path) -> None:
    """The later one gets the one that is there, whole."""
    media: MediaStore = folder(tmp_path) if kind == "folder" else bucket(tmp_path, MemoryStore())

    assert await media.place_id() is None
    assert await media.mark("a" * 32) == "a" * 32
    assert await media.mark("b" * 32) == "a" * 32
    assert await media.place_id() == "a" * 32
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == (["place-id"] if kind == "folder" else [])


async def test_files_that_move_with_their_id_are_the_same_place(redis: RelayRedis, tmp_path: Path) -> None:
    """A folder that was copied elsewhere, and one that was copied into a bucket."""
    await agree(redis, folder(tmp_path / "a"))
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    storage = MemoryStore()
    await storage.put_async("place-id", (tmp_path / "a" / "media" / "place-id").read_bytes())

    await agree(redis, folder(tmp_path / "b"))
    await agree(redis, bucket(tmp_path / "c", storage))

    place = await place_of_all(redis)
    assert place is not None
    assert str(place) == "s3://films/studio"


async def test_a_machine_that_was_forgotten_on_the_way_to_a_bucket_is_refused(
    redis: RelayRedis, tmp_path: Path
) -> None:
    """It lacks FRAMERELAY_STORE, and would keep clips where nobody finds them."""
    await agree(redis, bucket(tmp_path / "a", MemoryStore()))

    with pytest.raises(PlaceDiffers, match="s3://films/studio"):
        await agree(redis, folder(tmp_path / "b"))


async def test_a_folder_that_was_emptied_is_still_the_same(redis: RelayRedis, tmp_path: Path) -> None:
    """Frames and films are made again, and clips that are gone are named; nobody is locked out for it."""
    media = folder(tmp_path / "a")
    await agree(redis, media)
    before = await media.place_id()
    shutil.rmtree(tmp_path / "a")

    assert difference(await place_of_all(redis), await media.place_id(), media) is None
    await agree(redis, media)
    assert await media.place_id() == before


async def test_a_bucket_that_is_another_one_by_its_name_alone_is_refused(redis: RelayRedis, tmp_path: Path) -> None:
    """A prefix with a letter wrong is empty, and would be filled beside the right one."""
    await agree(redis, bucket(tmp_path, MemoryStore()))

    with pytest.raises(PlaceDiffers, match="s3://films/studoi"):
        await agree(redis, BucketStore(MediaFiles(tmp_path), MemoryStore(), name="s3://films/studoi"))
