"""Our calls to object storage, against one in memory: what is where, and that nothing is ever shown half."""

import asyncio
from pathlib import Path

import obstore
import pytest
from obstore.store import MemoryStore

from framerelay.config.metrics import STORE
from framerelay.runs.errors import NotFound, StorageFailed
from framerelay.store import bucket_store
from framerelay.store.bucket import bucket_words, open_bucket
from framerelay.store.bucket_store import PIECE_BYTES, BucketStore
from framerelay.store.files import MediaFiles

pytestmark = pytest.mark.anyio

RUN = "run_" + "a" * 20
CLIP = f"{RUN}/s1.1.mp4"
LARGE = bytes(range(256)) * (2 * PIECE_BYTES // 256) + b"end"


@pytest.fixture
def storage() -> MemoryStore:
    """A real server is in tests/machines/; here it is what we do with whatever answers."""
    return MemoryStore()


def machine(folder: Path, storage: MemoryStore) -> BucketStore:
    return BucketStore(MediaFiles(folder), storage, name="s3://films")


async def test_what_one_machine_keeps_another_one_has_byte_for_byte(tmp_path: Path, storage: MemoryStore) -> None:
    """In pieces, side by side; a second look costs no second way."""
    here, there = machine(tmp_path / "a", storage), machine(tmp_path / "b", storage)
    here.files.place(CLIP).write_bytes(LARGE)
    assert not await there.has(CLIP)
    await here.keep(CLIP)

    assert await there.is_kept(CLIP, size=len(LARGE))
    assert not await there.is_kept(CLIP, size=len(LARGE) - 1)
    assert [await there.size(name) for name in (CLIP, f"{RUN}/s1.2.mp4")] == [len(LARGE), None]
    place = await there.fetch(CLIP)
    assert place.read_bytes() == LARGE
    await obstore.delete_async(storage, CLIP)
    assert await there.fetch(CLIP) == place


async def test_transfers_in_both_directions_are_timed(tmp_path: Path, storage: MemoryStore) -> None:
    """Each way by what came of it; a copy that is here already is no way at all."""

    def ways() -> dict[str, float]:
        return {labels: number for suffix, labels, number in STORE.samples() if suffix == "_count"}

    here, there = machine(tmp_path / "a", storage), machine(tmp_path / "b", storage)
    here.files.place(CLIP).write_bytes(LARGE)
    before = ways()
    await here.keep(CLIP)
    for _ in range(2):
        await there.fetch(CLIP)
    with pytest.raises(NotFound):
        await there.fetch("run_gone/s1.1.mp4")
    after = ways()

    growth = {labels: number - before.get(labels, 0) for labels, number in after.items()}
    assert {labels: number for labels, number in growth.items() if number} == {
        '{call="put",outcome="ok"}': 1,
        '{call="get",outcome="ok"}': 1,
        '{call="get",outcome="not_found"}': 1,
    }


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1])
async def test_a_file_of_any_length_arrives_whole(size: int, tmp_path: Path, storage: MemoryStore) -> None:
    """At the edges of pieces as well."""
    await obstore.put_async(storage, CLIP, LARGE[:size])

    assert (await machine(tmp_path, storage).fetch(CLIP)).read_bytes() == LARGE[:size]


async def test_a_fetch_that_breaks_off_leaves_nothing_and_is_tried_again(
    tmp_path: Path, storage: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A decoder must never see half a clip under its name."""
    media = machine(tmp_path, storage)
    await obstore.put_async(storage, CLIP, LARGE)
    real = obstore.get_range_async

    async def breaks_off(store: MemoryStore, path: str, *, start: int, length: int) -> obstore.Bytes:
        if start > 0:
            raise OSError("the connection broke off")
        return await real(store, path, start=start, length=length)

    monkeypatch.setattr(bucket_store.obstore, "get_range_async", breaks_off)
    with pytest.raises(StorageFailed, match="object storage"):
        await media.fetch(CLIP)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []

    monkeypatch.undo()
    assert (await media.fetch(CLIP)).read_bytes() == LARGE


async def test_a_copy_of_another_length_is_an_earlier_one_and_is_replaced(tmp_path: Path, storage: MemoryStore) -> None:
    """This machine fetched a clip and died before it was kept; another one fetched it again."""
    media = machine(tmp_path, storage)
    media.files.place(CLIP).write_bytes(b"an earlier one")
    await obstore.put_async(storage, CLIP, LARGE)

    assert (await media.fetch(CLIP)).read_bytes() == b"an earlier one"
    assert (await media.fetch(CLIP, size=len(LARGE))).read_bytes() == LARGE


async def test_two_that_want_the_same_file_both_get_it_whole(tmp_path: Path, storage: MemoryStore) -> None:
    """A join and a page, say; neither writes into what the other one reads."""
    media = machine(tmp_path, storage)
    await obstore.put_async(storage, CLIP, LARGE)

    places = await asyncio.gather(*(media.fetch(CLIP) for _ in range(5)))
    assert {place.read_bytes() for place in places} == {LARGE}
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["s1.1.mp4"]


async def test_what_is_nowhere_is_not_found_and_no_other_name_is_looked_for(
    tmp_path: Path, storage: MemoryStore
) -> None:
    """A name that is not one of ours never leaves the process."""
    media = machine(tmp_path, storage)
    await obstore.put_async(storage, "others/secret.mp4", b"x")

    for path in (CLIP, "others/secret.mp4", f"{RUN}/../../others/secret.mp4"):
        with pytest.raises(NotFound):
            await media.fetch(path)
    with pytest.raises(NotFound):
        await media.has("others/secret.mp4")
    with pytest.raises(NotFound):
        await media.keep(CLIP)


async def test_old_films_and_whole_runs_are_removed_on_disk_and_in_storage_and_nothing_else(
    tmp_path: Path, storage: MemoryStore
) -> None:
    """An id that begins like another one is another run's."""
    media = machine(tmp_path, storage)
    near = f"{RUN}a/s1.1.mp4"
    names = [CLIP, near, f"{RUN}/film-1-{'0' * 8}.mp4", f"{RUN}/film-2-{'0' * 8}.mp4"]
    for name in names:
        media.files.place(name).write_bytes(b"x")
        await media.keep(name)

    await media.remove_old_films(RUN, before_turn=2)
    left_names = {each["path"] for each in await obstore.list(storage).collect_async()}
    assert left_names == {CLIP, near, names[3]}
    assert not media.files.has(names[2])

    assert await media.remove(RUN)
    assert {each["path"] for each in await obstore.list(storage).collect_async()} == {near}
    assert (media.files.has(CLIP), media.files.has(near)) == (False, True)
    assert await media.remove(RUN), "a second time is not trouble"


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("…<Code>NoSuchBucket</Code>…", "there is no such bucket"),
        ("…<Code>SignatureDoesNotMatch</Code>…", "it refuses the key"),
        ("…<Code>ExpiredToken</Code>…", "the credentials have expired"),
        ("…<Code>RequestTimeTooSkewed</Code>…", "set the clock of this machine"),
        ("Server returned non-2xx status code: 403 Forbidden: <html>", "it refuses the key"),
        ("Server returned non-2xx status code: 503 Service Unavailable: ", "HTTP 503 Service Unavailable"),
        ("Generic S3 error: error sending request for url (http://10.0.0.7:8333/films/x?X-Amz-Signature=1)", "reached"),
        ("Generic S3 error: Error performing token request: HTTP error: error sending request", "cannot be reached"),
    ],
)
def test_what_a_storage_says_becomes_words_without_addresses(message: str, words: str) -> None:
    """A person reads them in a run, where signatures and private addresses have no business."""
    words_said = bucket_words(RuntimeError(message))

    assert words in words_said
    assert "Signature=" not in words_said
    assert "10.0.0.7" not in words_said


@pytest.mark.parametrize("url", ["s3://films", "s3://films/a/b", "gs://films/a", "az://films/a"])
def test_each_kind_of_storage_can_be_opened(url: str) -> None:
    """Nothing is asked of it yet: a process starts while it is away."""
    name = {"AZURE_STORAGE_ACCOUNT_NAME": "account", "AZURE_STORAGE_ACCOUNT_KEY": "a2V5"}

    assert open_bucket(url, endpoint=None, environ=name)
