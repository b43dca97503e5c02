"""What a real S3 server makes of our calls: large files, links that anybody may follow, and refusals in words."""

import hashlib
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import obstore
import pytest

from framerelay.cli.doctor.finding import Status
from framerelay.cli.doctor.storage import look_at_storage
from framerelay.config.settings import Settings
from framerelay.runs.errors import StorageFailed
from framerelay.store.bucket_store import BucketStore
from framerelay.store.media_places import media_store_of
from tests.machines.object_storage import READER_ID, ObjectStorage

pytestmark = pytest.mark.anyio

RUN = "run_" + "a" * 20
CLIP = f"{RUN}/s1.1.mp4"
LARGE = os.urandom(1 << 20) * 23 + b"end"


def settings_for(storage: ObjectStorage, folder: Path, **chosen: Any) -> Settings:
    store = {**storage.chosen, "data_dir": folder}
    return Settings(**{**store, **chosen})


def machine(storage: ObjectStorage, folder: Path, **chosen: Any) -> BucketStore:
    media = media_store_of(settings_for(storage, folder, **chosen))
    assert isinstance(media, BucketStore)
    return media


async def test_a_large_clip_goes_in_parts_and_comes_back_in_pieces(storage: ObjectStorage, tmp_path: Path) -> None:
    """Byte for byte, below the prefix and nowhere else."""
    here, there = machine(storage, tmp_path / "a"), machine(storage, tmp_path / "b")
    here.files.place(CLIP).write_bytes(LARGE)
    await here.keep(CLIP)

    assert hashlib.sha256((await there.fetch(CLIP)).read_bytes()).digest() == hashlib.sha256(LARGE).digest()
    assert [each["path"] for each in obstore.list(storage.client()).collect()] == [f"studio/{CLIP}"]


async def test_a_link_is_followed_by_anybody_in_parts_and_by_nobody_who_changes_it(
    storage: ObjectStorage, tmp_path: Path
) -> None:
    """For one file, one method, and as long as it says."""
    media = machine(storage, tmp_path)
    media.files.place(CLIP).write_bytes(b"0123456789")
    await media.keep(CLIP)
    link, head = await media.link(CLIP, life_s=60), await media.link(CLIP, life_s=60, method="HEAD")
    assert link
    assert head
    async with httpx.AsyncClient(trust_env=False) as anybody:
        part = await anybody.get(link, headers={"Range": "bytes=2-4"})
        size = await anybody.head(head)
        others = await anybody.get(link.replace("s1.1.mp4", "s2.1.mp4"))
        longer = await anybody.get(link.replace("X-Amz-Expires=60", "X-Amz-Expires=6000"))
        written = await anybody.put(link, content=b"x")
        plain = await anybody.get(link.partition("?")[0])

    assert (part.status_code, part.content, part.headers["content-type"]) == (206, b"234", "video/mp4")
    assert (size.status_code, size.headers["content-length"]) == (200, "10")
    assert [answer.status_code for answer in (others, longer, written, plain)] == [403] * 4
    assert await media.link(f"{RUN}/s2.1.mp4", life_s=60) is None
    assert await media.signs_for(7 * 86_400)
    assert not await media.signs_for(8 * 86_400)


async def test_doctor_tries_it_out_and_leaves_nothing(storage: ObjectStorage, tmp_path: Path) -> None:
    """Written, read, listed, linked to and deleted; what a killed one left before goes as well."""
    obstore.put(storage.client(prefix="studio"), "probe/left", b"x")
    settings = settings_for(storage, tmp_path, redis_url=None)
    (finding,) = await look_at_storage(settings)

    assert finding.status is Status.OK, finding
    assert "written, read, listed, linked to and deleted" in finding.message
    assert obstore.list(storage.client()).collect() == []
    assert list(tmp_path.iterdir()) == []

    (finding,) = await look_at_storage(replace(settings, media="proxy"))
    assert "written, read, listed and deleted" in finding.message


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "not-the-key-of-these-tests"}, "it refuses the key"),
        ({"AWS_ACCESS_KEY_ID": "AKNOBODY"}, "it does not know the key"),
        ({"AWS_ACCESS_KEY_ID": READER_ID}, "the key may not do this"),
    ],
)
async def test_what_it_refuses_is_said_in_words(
    wrong: dict[str, str], words: str, storage: ObjectStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By doctor and by whoever keeps a clip alike; the key itself is in neither."""
    for name, value in wrong.items():
        monkeypatch.setenv(name, value)
    (finding,) = await look_at_storage(settings_for(storage, tmp_path))
    media = machine(storage, tmp_path)
    media.files.place(CLIP).write_bytes(b"0123456789")
    with pytest.raises(StorageFailed) as caught:
        await media.keep(CLIP)

    assert finding.status is Status.FAIL, finding
    assert words in finding.message
    assert words in caught.value.message
    assert "not-the-key" not in f"{finding}{caught.value}"
