"""Downloads that end without a file: too large, expired, redirected to where we must not go, no room for them."""

import asyncio
import io
import os
from pathlib import Path
from typing import Any

import pytest

import framerelay.media.download
from framerelay.media.download import DownloadLimits, download
from framerelay.network.client import guarded_client
from framerelay.runs.errors import (
    AddressForbidden,
    DownloadExpired,
    DownloadInterrupted,
    DownloadTooLarge,
    FrameRelayError,
    StorageFailed,
    UpstreamAnswerUnreadable,
)
from tests.media.download_server import (
    CLIP,
    FAST,
    answer,
    assert_whole,
    chunked,
    client_for,
    cut,
    endless,
    fails,
    fetch,
    names_in,
    redirect,
    serving,
    stall,
    until,
    whole,
)

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("short_pauses")]


async def test_announced_size_over_the_limit_is_refused_at_once(tmp_path: Path) -> None:
    """Nothing of the body is read."""
    limits = DownloadLimits(size_bytes_max=len(CLIP) - 1)
    async with serving(whole) as server:
        await fails(DownloadTooLarge, server, tmp_path, "300000 bytes", limits)


async def test_size_exactly_at_the_limit_is_accepted(tmp_path: Path) -> None:
    """The limit is the largest size that passes."""
    async with serving(chunked()) as server:
        assert_whole(await fetch(server, tmp_path, DownloadLimits(size_bytes_max=len(CLIP))), tmp_path)


async def test_endless_body_ends_at_the_limit(tmp_path: Path) -> None:
    """Bytes are counted as they come: disk use never passes the limit."""
    async with serving(endless) as server:
        await fails(DownloadTooLarge, server, tmp_path, "more than 1000000 bytes")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 451])
async def test_refused_address_is_expired_and_not_asked_again(tmp_path: Path, status: int) -> None:
    """Signed addresses die after hours: only a new look-up can help. A compressed error page changes nothing."""
    async with serving(answer(status, {"Content-Encoding": "gzip"})) as server:
        await fails(DownloadExpired, server, tmp_path, f"answered {status}")
    assert len(server.requests) == 1


async def test_address_that_expires_during_the_transfer_is_expired(tmp_path: Path) -> None:
    """The resumed request meets a 403."""
    async with serving(cut(at=100_000), answer(403)) as server:
        await fails(DownloadExpired, server, tmp_path, "answered 403")


@pytest.mark.parametrize("status", [500, 502, 503, 429, 408])
async def test_passing_trouble_is_tried_again(tmp_path: Path, status: int) -> None:
    """One 5xx, and then the file."""
    async with serving(answer(status), whole) as server:
        assert_whole(await fetch(server, tmp_path), tmp_path)


async def test_retry_after_is_handed_to_the_caller(tmp_path: Path) -> None:
    """A server that names a time is not asked again within this call."""
    async with serving(answer(503, {"Retry-After": "17"})) as server:
        error = await fails(DownloadInterrupted, server, tmp_path, "answered 503")
    assert isinstance(error, DownloadInterrupted)
    assert error.retry_after_s == 17
    assert len(server.requests) == 1


async def test_compressed_body_is_refused(tmp_path: Path) -> None:
    """It was asked for as it is; a small file that unpacks to a large one never gets the chance."""
    async with serving(answer(200, {"Content-Encoding": "gzip"})) as server:
        await fails(UpstreamAnswerUnreadable, server, tmp_path, "compresses")


async def test_connection_refused_is_interrupted(tmp_path: Path) -> None:
    """A server that is not there may be there later."""
    async with serving() as server:
        pass
    await fails(DownloadInterrupted, server, tmp_path, "gave up")


async def test_redirects_are_followed(tmp_path: Path) -> None:
    """Five hops, relative ones too."""
    hops = [redirect(f"/hop{n}?sig=1") for n in range(5)]
    async with serving(*hops, whole) as server:
        assert_whole(await fetch(server, tmp_path), tmp_path)
    assert server.targets[-1] == "/hop4?sig=1"


async def test_sixth_redirect_ends_it(tmp_path: Path) -> None:
    """A loop of redirects does not go on."""
    async with serving(*[redirect("/again")] * 20) as server:
        await fails(DownloadInterrupted, server, tmp_path, "redirects more than 5 times")
    assert len(server.requests) == 6


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/meta-data/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[::ffff:169.254.169.254]/",
        "https://localhost/",
        "http://127.0.0.1:1/",
        "//10.0.0.1/",
        "file:///etc/passwd",
        "https://user:pass@8.8.8.8/",
        "http://[broken/",
        "https://0177.0.0.1/",
        "https://xn--a/",
        "https://xn--/",
        "https://8.8.8.8:port/",
    ],
)
async def test_redirect_to_a_forbidden_place_is_refused(tmp_path: Path, location: str) -> None:
    """Each hop passes the guard: a public address cannot send us inside."""
    async with serving(redirect(location)) as server:
        await fails(AddressForbidden, server, tmp_path)
    assert len(server.requests) == 1


async def test_address_that_is_no_url_is_forbidden(tmp_path: Path) -> None:
    """What a provider sends as a URL may be anything."""
    async with guarded_client() as client:
        for url in ("http://[broken", "not a url", "", "https://", "https://0177.0.0.1/", "https://8.8.8.8:port/"):
            with pytest.raises(AddressForbidden):
                await download(url, tmp_path / "clip.mp4", client=client)
    assert names_in(tmp_path) == []


async def test_cancellation_leaves_nothing_behind(tmp_path: Path) -> None:
    """A worker that is stopped in the middle of a body leaves no half file."""
    async with serving(stall(at=100_000)) as server:
        task = asyncio.create_task(fetch(server, tmp_path, DownloadLimits(stall_s=10)))
        await until(lambda: any(path.stat().st_size >= 90_000 for path in tmp_path.iterdir()))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert names_in(tmp_path) == []


async def test_full_disk_is_reported_in_one_sentence_and_tried_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel's own ENOSPC, from /dev/full: transient, so the clip is fetched when there is room again."""

    def write(file: object, data: bytes) -> None:
        with open("/dev/full", "wb", buffering=0) as full:
            full.write(data)

    monkeypatch.setattr(framerelay.media.download, "_write_whole", write)
    async with serving(whole) as server:
        await fails(StorageFailed, server, tmp_path, "^our disk is full; free some space$")


async def test_bytes_are_synced_before_they_get_their_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a power cut a file of that name is whole; the folder is synced too, so that the name stays."""
    named_at_sync: list[bool] = []
    sync = os.fsync

    def record(descriptor: int) -> None:
        named_at_sync.append((tmp_path / "clip.mp4").exists())
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", record)
    async with serving(whole) as server:
        await fetch(server, tmp_path)
    assert named_at_sync == [False, True]


def test_a_file_that_takes_less_than_it_is_given_is_given_the_rest() -> None:
    """The system may write a part only; no byte is lost by that."""

    class Narrow(io.BytesIO):
        def write(self, data: Any) -> int:
            return super().write(data[:3])

    file = Narrow()
    framerelay.media.download._write_whole(file, b"0123456789")
    assert file.getvalue() == b"0123456789"


async def test_other_trouble_with_the_disk_is_not_hidden(tmp_path: Path) -> None:
    """A folder that is not there is a mistake of ours, not a reason to try again."""
    async with serving(whole) as server, client_for(server) as client:
        with pytest.raises(FileNotFoundError):
            await download(server.url, tmp_path / "missing" / "clip.mp4", client=client, limits=FAST)


async def test_messages_hold_no_signature(tmp_path: Path) -> None:
    """The query of a signed address is a secret; no error repeats it."""
    for behaviour in (answer(403), answer(500), redirect("http://10.0.0.1/?sig=canary"), cut(at=10)):
        async with serving(*[behaviour] * 3) as server:
            server.path = "/clip.mp4?sig=canary"
            error = await fails(FrameRelayError, server, tmp_path)
        assert "canary" not in str(error)
