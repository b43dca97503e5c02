"""What only S3 has: links whose lifetime is in their address, and keys of few rights."""

from pathlib import Path
from typing import Any

import httpx
import obstore
import pytest

from framerelay.cli.doctor.finding import Status
from framerelay.cli.doctor.storage import look_at_storage
from framerelay.config.settings import Settings
from framerelay.store.bucket_store import BucketStore
from framerelay.store.media_places import media_store_of
from tests.machines.object_storage import READER_ID, ObjectStorage
from tests.machines.refusals import assert_refusal

pytestmark = pytest.mark.anyio

RUN = "run_" + "a" * 20
CLIP = f"{RUN}/s1.1.mp4"


def settings_for(storage: ObjectStorage, folder: Path, **settings: Any) -> Settings:
    store = {**storage.settings, "data_dir": folder}
    return Settings(**{**store, **settings})


def machine(storage: ObjectStorage, folder: Path, **settings: Any) -> BucketStore:
    media = media_store_of(settings_for(storage, folder, **settings))
    assert isinstance(media, BucketStore)
    return media


async def test_a_link_lives_no_longer_than_it_was_signed_for(storage: ObjectStorage, tmp_path: Path) -> None:
    """Its holder cannot extend its life; below the prefix, and nowhere else."""
    media = machine(storage, tmp_path)
    media.files.place(CLIP).write_bytes(b"0123456789")
    await media.keep(CLIP)
    link = await media.link(CLIP, life_s=60)
    assert link
    async with httpx.AsyncClient(trust_env=False) as anybody:
        longer = await anybody.get(link.replace("X-Amz-Expires=60", "X-Amz-Expires=6000"))

    assert longer.status_code == 403
    assert [each["path"] for each in obstore.list(storage.client()).collect()] == [f"studio/{CLIP}"]


async def test_doctor_takes_away_what_a_killed_one_left(storage: ObjectStorage, tmp_path: Path) -> None:
    """Also where nobody is to be given links."""
    for media in ("redirect", "proxy"):
        obstore.put(storage.client(prefix="studio"), "probe/left", b"x")
        (finding,) = await look_at_storage(settings_for(storage, tmp_path, redis_url=None, media=media))
        assert finding.status is Status.OK, finding
        assert obstore.list(storage.client()).collect() == []

    assert "written, read, listed and deleted" in finding.message


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"AWS_ACCESS_KEY_ID": "AKNOBODY"}, "it does not know the key"),
        ({"AWS_ACCESS_KEY_ID": READER_ID}, "the key may not do this"),
    ],
)
async def test_what_it_refuses_is_reported(
    wrong: dict[str, str], words: str, storage: ObjectStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By doctor and by the worker that keeps a clip alike."""
    for name, value in wrong.items():
        monkeypatch.setenv(name, value)
    await assert_refusal(settings_for(storage, tmp_path), machine(storage, tmp_path), CLIP, words)
