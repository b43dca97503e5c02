"""``GET /media/{path}`` with object storage: readers are sent there, or served through us."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from obstore.store import MemoryStore, S3Store

from framerelay.runs.errors import StorageFailed
from framerelay.store.bucket_store import BucketStore
from framerelay.store.files import MediaFiles
from tests.fixtures.relay import StartRelay

pytestmark = pytest.mark.anyio

RUN = "run_" + "a" * 24
CLIP, FRAME, SMALL = f"{RUN}/s1.1.mp4", f"{RUN}/s1.1.last.png", f"{RUN}/s1.1.last.jpg"
PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 100
KEYS: dict[str, Any] = {
    "access_key_id": "AKID",
    "secret_access_key": "hidden-key-of-the-storage",
    "region": "eu-west-1",
}


class Bucket(BucketStore):
    """
    One in memory, whose links are signed as those of S3, by a client of it that asks nobody.

    A real server is in tests/machines/; here it is seen what the receiver makes of it.
    """

    is_away = False

    async def sign(self, path: str, *, life_s: float, method: str = "GET") -> str:
        return await BucketStore(self.files, S3Store("films", config=KEYS), name="").sign(
            path, life_s=life_s, method=method
        )

    async def size(self, path: str) -> int | None:
        if self.is_away:
            raise StorageFailed("object storage: it cannot be reached")
        return await super().size(path)


StartReceiver = Callable[..., AbstractAsyncContextManager[Any]]


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """The storage of a receiver that starts now."""
    storage = Bucket(MediaFiles(tmp_path / "data"), MemoryStore(), name="s3://films")
    monkeypatch.setattr("framerelay.receiver.app.media_store_of", lambda _: storage)
    return storage


@pytest.fixture
async def relay(bucket: Bucket, start_relay: StartRelay) -> AsyncIterator[Any]:
    """A receiver in front of that storage, which has one clip and one frame."""
    for path in (CLIP, FRAME):
        await bucket.bucket.put_async(path, b"0123456789")
    async with start_relay("http://127.0.0.1:9", worker=False) as relay:
        yield relay


async def test_a_reader_is_sent_to_a_signed_link_and_keeps_that_no_longer_than_it_lives(relay: Any) -> None:
    """Without our key, and without a copy here; for as long as a film is watched."""
    answer = await relay.api.get(f"/media/{CLIP}")
    link = urlsplit(answer.headers["location"])
    query = parse_qs(link.query)

    assert (answer.status_code, answer.content) == (307, b"")
    assert link.path.endswith(CLIP)
    assert int(query["X-Amz-Expires"][0]) == 3600
    assert answer.headers["Cache-Control"] == "private, max-age=600"
    assert "hidden-key" not in answer.headers["location"]
    assert not (relay.settings.data_dir / "media" / CLIP).exists()


async def test_a_head_request_gets_a_link_for_head(relay: Any) -> None:
    """A link is signed for one method, and another one is refused there."""
    whole = urlsplit((await relay.api.get(f"/media/{CLIP}")).headers["location"])
    head = urlsplit((await relay.api.head(f"/media/{CLIP}")).headers["location"])

    assert head.path == whole.path
    assert parse_qs(head.query)["X-Amz-Signature"] != parse_qs(whole.query)["X-Amz-Signature"]


async def test_a_small_copy_replaces_a_frame_as_soon_as_it_is_there(relay: Any, bucket: Bucket) -> None:
    """Until then the frame itself is shown, and asked for again soon."""
    before = await relay.api.get(f"/media/{FRAME}?small")
    await bucket.bucket.put_async(SMALL, b"small")
    after = await relay.api.get(f"/media/{FRAME}?small")

    assert urlsplit(before.headers["location"]).path.endswith(FRAME)
    assert before.headers["Cache-Control"] == "private, max-age=10"
    assert urlsplit(after.headers["location"]).path.endswith(SMALL)


async def test_without_a_key_there_is_no_redirect(relay: Any) -> None:
    """Nor by a name that is not one of ours."""
    assert (await relay.api.get(f"/media/{CLIP}", headers={"Authorization": ""})).status_code == 401
    for path in ("place-id", f"{RUN}/../place-id", "probe/0000", f"{RUN}/s2.1.mp4"):
        assert (await relay.api.get(f"/media/{path}")).status_code == 404, path


async def test_a_setting_serves_it_through_the_receiver(relay: Any, bucket: Bucket) -> None:
    """For storage that readers cannot reach: in parts as well, and nothing on the page leads there."""
    bucket.gives_links = False
    answer = await relay.api.get(f"/media/{CLIP}", headers={"Range": "bytes=2-4"})
    page = await relay.api.get("/", headers={"Accept": "text/html"})

    assert (answer.status_code, answer.content) == (206, b"234")
    assert "amazonaws" not in page.headers["Content-Security-Policy"]


async def test_the_page_may_show_files_from_there(relay: Any) -> None:
    """Pictures and clips from that one place, and nothing else from it."""
    page = await relay.api.get("/", headers={"Accept": "text/html"})
    policy = dict(each.strip().split(" ", 1) for each in page.headers["Content-Security-Policy"].split(";"))
    origin = "https://s3.eu-west-1.amazonaws.com"

    assert origin in policy["img-src"]
    assert origin in policy["media-src"]
    assert "amazonaws" not in policy["script-src"] + policy["connect-src"] + policy["default-src"]


async def test_a_given_picture_is_kept_there_before_the_answer(relay: Any, bucket: Bucket) -> None:
    """An answer of 201 is a promise to each worker, wherever it runs."""
    answer = await relay.api.post("/v1/files", content=PNG)
    path = answer.json()["name"].removeprefix("file:")

    assert answer.status_code == 201
    assert bytes(await (await bucket.bucket.get_async(path)).bytes_async()) == PNG


async def test_an_unavailable_storage_is_reported_and_callbacks_go_on(relay: Any, bucket: Bucket) -> None:
    """503, to be asked again; whether callbacks can be kept has nothing to do with it."""
    bucket.is_away = True
    answer = await relay.api.get(f"/media/{CLIP}")

    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "storage_failed")
    assert "object storage" in answer.json()["error"]["message"]
    assert int(answer.headers["Retry-After"]) > 0
    assert (await relay.api.get("/readyz")).status_code == 200
    assert (await relay.api.get("/", headers={"Accept": "text/html"})).status_code == 200
