"""All that a film asks of object storage: of S3, Google Cloud Storage and Azure Blob Storage, by their own dialects."""

import hashlib
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import obstore
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from framerelay.cli.doctor.finding import Status
from framerelay.cli.doctor.storage import look_at_storage
from framerelay.config.settings import Settings
from framerelay.store.bucket_store import BucketStore
from framerelay.store.media_places import media_store_of
from tests.fixtures.relay import StartProvider, StartRelay
from tests.machines import azurite
from tests.machines.google_storage import GoogleStorage
from tests.machines.object_storage import ObjectStorage
from tests.machines.refusals import assert_refusal
from tests.machines.test_outages import files_of

pytestmark = pytest.mark.anyio

RUN = "run_" + "a" * 20
CLIP = f"{RUN}/s1.1.mp4"
LARGE = os.urandom(1 << 20) * 11 + b"end"
CHAIN: dict[str, Any] = {
    "title": "Elsewhere",
    "model": "vendor/any-model",
    "defaults": {"resolution": "480p", "duration": 5, "return_last_frame": True},
    "shots": [{"id": f"s{number}", "prompt": f"shot {number}"} for number in range(1, 4)],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """*settings*: the settings that keep files there; *use_wrong_key*: from now on."""

    settings: dict[str, Any]
    use_wrong_key: Callable[[], None]

    def media(self, folder: Path, **settings: Any) -> BucketStore:
        """A machine's."""
        media = media_store_of(Settings(**{"data_dir": folder, **self.settings, **settings}))
        assert isinstance(media, BucketStore)
        return media

    async def names(self, folder: Path) -> set[str]:
        """What is below the prefix."""
        return {each["path"] for each in await obstore.list(self.media(folder).bucket).collect_async()}


@pytest.fixture(params=["s3", "google", "azure"])
async def cloud(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Cloud]:
    if request.param == "s3":
        server: ObjectStorage = request.getfixturevalue("storage")
        yield Cloud(
            settings=server.settings,
            use_wrong_key=lambda: monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-the-key-of-these-tests"),
        )
        return
    if request.param == "google":
        storage, place = GoogleStorage(), tmp_path / "account.json"
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(storage.account(place)))
        async with storage.running():
            yield Cloud(
                settings={"store": "gs://films/studio", "store_endpoint": storage.url},
                use_wrong_key=lambda: _ignored(storage.account(place, key=rsa.generate_private_key(65537, 2048))),
            )
        return
    if azurite.program() is None:
        fetch = f"npm install --prefix .venv/azurite azurite@{azurite.VERSION}"
        pytest.skip(f"there is no Azurite here ({fetch} fetches it, 360 MB)")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", azurite.WHO)
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", azurite.KEY)
    with azurite.azurite(tmp_path / "azurite") as url:
        yield Cloud(
            settings={"store": f"az://{azurite.BUCKET}/studio", "store_endpoint": url},
            use_wrong_key=lambda: monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "bm90IHRoZSBrZXk="),
        )


def _ignored(_: object) -> None:
    """What a lambda returns."""


async def test_doctor_tries_it_out_and_leaves_nothing(cloud: Cloud, tmp_path: Path) -> None:
    """Written, read, listed, linked to and deleted; the place of files is as empty as before, here and there."""
    (finding,) = await look_at_storage(Settings(data_dir=tmp_path, **cloud.settings))

    assert finding.status is Status.OK, finding
    assert "written, read, listed, linked to and deleted" in finding.message
    assert await cloud.names(tmp_path) == set()
    assert [place for place in tmp_path.iterdir() if place.suffix != ".json"] == []


async def test_a_large_clip_comes_back_and_its_links_are_good_for_anybody(cloud: Cloud, tmp_path: Path) -> None:
    """In parts and in pieces, byte for byte; who changes a link, or has none, is refused."""
    here, there = cloud.media(tmp_path / "a"), cloud.media(tmp_path / "b")
    here.files.place(CLIP).write_bytes(LARGE)
    await here.keep(CLIP)
    back = (await there.fetch(CLIP)).read_bytes()
    link, head = await there.link(CLIP, life_s=60), await there.link(CLIP, life_s=60, method="HEAD")
    assert link
    assert head
    async with httpx.AsyncClient(trust_env=False) as anybody:
        part = await anybody.get(link, headers={"Range": "bytes=2-4"})
        size = await anybody.head(head)
        others = await anybody.get(link.replace("s1.1.mp4", "s2.1.mp4"))
        response = await anybody.put(link, content=b"x")
        plain = await anybody.get(link.partition("?")[0])

    assert hashlib.sha256(back).digest() == hashlib.sha256(LARGE).digest()
    assert (part.status_code, part.content, part.headers["content-type"]) == (206, LARGE[2:5], "video/mp4")
    assert (size.status_code, size.headers["content-length"]) == (200, str(len(LARGE)))
    assert [answer.status_code for answer in (others, response, plain)] == [403] * 3
    assert await there.signs_for(7 * 86_400)
    assert not await there.signs_for(8 * 86_400)
    assert await cloud.names(tmp_path) == {CLIP}
    assert await there.size(f"{RUN}/s2.1.mp4") is None


async def test_a_film_is_made_shown_and_removed(
    cloud: Cloud, redis_url: str, tmp_path: Path, start_provider: StartProvider, relay_in: StartRelay
) -> None:
    """By two machines without a common folder; the receiver sends readers on to signed links."""
    async with AsyncExitStack() as stack:
        provider = await stack.enter_async_context(start_provider())
        relay = await stack.enter_async_context(
            relay_in(tmp_path / "a", redis_url, provider.url, worker=False, **cloud.settings)
        )
        ours = {**cloud.settings, "public_url": relay.settings.listen_url}
        for machine in ("b", "c"):
            await stack.enter_async_context(relay_in(tmp_path / machine, redis_url, provider.url, **ours))
        run = await relay.wait_for_end(await relay.run(CHAIN))
        names = await cloud.names(tmp_path / "d")
        sent_on = await relay.api.get(run["film"]["url"])
        async with httpx.AsyncClient(trust_env=False) as anybody:
            film = await anybody.get(sent_on.headers["location"], headers={"Range": "bytes=4-7"})
        journal = await provider.journal()
        await relay.api.delete(f"/v1/runs/{run['id']}")
        left_names = await cloud.names(tmp_path / "d")

    assert run["status"] == "succeeded", run
    assert len(journal["jobs"]) == 3
    assert files_of(run) <= names
    assert f"{run['id']}/s1.1.mp4" in names
    assert all(shot["takes"][0]["provider_frame"] for shot in run["shots"])
    assert (sent_on.status_code, film.status_code, film.content) == (307, 206, b"ftyp")
    assert left_names == set()


async def test_two_removals_of_the_same_run_leave_nothing_of_it(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the other one was quicker with ends nobody's work."""
    media = cloud.media(tmp_path)
    paths = [f"{RUN}/s{number}.1.mp4" for number in range(1, 30)]
    for path in paths:
        media.files.place(path).write_bytes(b"0123456789")
        await media.keep(path)
    names = [*paths[:3], *(f"{RUN}/t{number}.1.mp4" for number in range(1, 30)), *paths[3:]]

    async def listed_before(_: str) -> list[str]:
        return names

    monkeypatch.setattr(media, "_names", listed_before)
    assert await media.remove(RUN)
    assert await cloud.names(tmp_path) == set()


@pytest.mark.parametrize("wrong", ["key", "bucket"])
async def test_what_it_refuses_is_reported(wrong: str, cloud: Cloud, tmp_path: Path) -> None:
    """By doctor, and by the worker that keeps a clip."""
    settings, words = dict(cloud.settings), "it refuses the key: check the credentials"
    if wrong == "bucket" and settings["store"].startswith("s3:"):
        pytest.skip("SeaweedFS makes a bucket that is missing, where the key may do that")
    if wrong == "key":
        cloud.use_wrong_key()
    else:
        settings["store"] = settings["store"].replace("films", "others")
        words = "there is no such"
    media = cloud.media(tmp_path, **settings)
    report = await assert_refusal(Settings(data_dir=tmp_path, **settings), media, CLIP, words)

    assert "not-the-key" not in report
