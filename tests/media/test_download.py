"""Downloads against a real server on loopback that misbehaves in the ways that servers do."""

import asyncio
import contextlib
import hashlib
import io
import os
import random
import re
import socket
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

import framerelay.media.download
from framerelay.media.download import Download, DownloadLimits, download
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

pytestmark = pytest.mark.anyio

CLIP = random.Random(1).randbytes(300_000)
OTHER_CLIP = random.Random(2).randbytes(250_000)
FAST = DownloadLimits(size_bytes_max=1_000_000, total_s=10, stall_s=0.3, tries=3)


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pause between tries is not what is tested."""
    monkeypatch.setattr(framerelay.media.download, "PAUSE_S", 0.01)


async def test_file_arrives_whole_with_its_size_and_hash(tmp_path: Path) -> None:
    """What is written, counted and hashed is what was served; only the file itself is left in the folder."""
    async with serving(whole) as server:
        got = await fetch(server, tmp_path)
    assert_whole(got, tmp_path)
    assert server.requests[0]["accept-encoding"] == "identity"
    assert "authorization" not in server.requests[0]


async def test_calling_it_again_replaces_the_file(tmp_path: Path) -> None:
    """A task that runs twice does no harm."""
    (tmp_path / "clip.mp4").write_bytes(b"older")
    async with serving(whole, whole) as server:
        await fetch(server, tmp_path)
        assert_whole(await fetch(server, tmp_path), tmp_path)


async def test_cut_is_resumed_and_no_byte_is_sent_twice(tmp_path: Path) -> None:
    """After a reset in the body, the rest is asked for by Range, bound to the same ETag."""
    async with serving(cut(at=100_000), rest) as server:
        assert_whole(await fetch(server, tmp_path), tmp_path)
    assert re.fullmatch(r"bytes=[1-9]\d*-", server.requests[1]["range"])
    assert server.requests[1]["if-range"] == '"one"'
    kept = int(server.requests[1]["range"][6:-1])
    assert server.sent[1] == len(CLIP) - kept


async def test_reset_in_the_body_is_resumed(tmp_path: Path) -> None:
    """The connection is reset, not closed: what had come is kept."""
    async with serving(reset(at=200_000), rest) as server:
        assert_whole(await fetch(server, tmp_path), tmp_path)


async def test_cut_twice_is_resumed_twice(tmp_path: Path) -> None:
    """A second cut continues from the second place."""
    async with serving(cut(at=100_000), cut_rest(after=50_000), rest) as server:
        assert_whole(await fetch(server, tmp_path), tmp_path)
    first, second = (int(server.requests[n]["range"][6:-1]) for n in (1, 2))
    assert first < second <= first + 50_000


async def test_date_stands_in_for_a_missing_etag(tmp_path: Path) -> None:
    """If-Range takes Last-Modified where the server gives no ETag, or a weak one."""
    date = "Wed, 04 Nov 2026 12:00:00 GMT"
    headers = {"ETag": 'W/"weak"', "Last-Modified": date}
    async with serving(cut(at=100_000, headers=headers), rest) as server:
        assert_whole(await fetch(server, tmp_path), tmp_path)
    assert server.requests[1]["if-range"] == date


async def test_without_a_validator_it_starts_over(tmp_path: Path) -> None:
    """Bytes of two versions are never put together on trust."""
    async with serving(cut(at=100_000, headers={}), whole) as server:
        assert_whole(await fetch(server, tmp_path), tmp_path)
    assert "range" not in server.requests[1]


async def test_server_without_range_starts_over(tmp_path: Path) -> None:
    """A 200 to a Range request is taken as the whole file."""
    async with serving(cut(at=100_000), whole) as server:
        assert_whole(await fetch(server, tmp_path), tmp_path)
    assert "range" in server.requests[1]


async def test_changed_file_starts_over(tmp_path: Path) -> None:
    """If-Range fails on the server's side: the new version is taken from its first byte."""
    async with serving(cut(at=100_000), other_whole) as server:
        got = await fetch(server, tmp_path)
    assert_whole(got, tmp_path, OTHER_CLIP)


@pytest.mark.parametrize(
    "wrong",
    [
        {"Content-Range": f"bytes 0-{len(CLIP) - 1}/{len(CLIP)}"},
        {"Content-Range": f"bytes 50000-{len(CLIP) - 1}/{len(CLIP)}"},
        {"Content-Range": "bytes {from}-299998/299999"},
        {"Content-Range": "octets of some kind"},
        {},
        {"Content-Range": "bytes {from}-299999/300000", "ETag": '"two"'},
    ],
    ids=["from 0", "elsewhere", "another total", "unreadable", "no Content-Range", "changed ETag"],
)
async def test_wrong_206_is_not_appended(tmp_path: Path, wrong: dict[str, str]) -> None:
    """A part that does not continue our bytes is thrown away and the file fetched whole, without Range."""
    async with serving(cut(at=100_000), part_with(wrong), whole) as server:
        assert_whole(await fetch(server, tmp_path), tmp_path)
    assert "range" not in server.requests[2]


async def test_206_that_nobody_asked_for_is_refused(tmp_path: Path) -> None:
    """The first answer must be the whole file."""
    unasked = part_with({"Content-Range": f"bytes 0-99/{len(CLIP)}"})
    async with serving(unasked, unasked, unasked) as server:
        await fails(DownloadInterrupted, server, tmp_path, "not asked for")


async def test_part_that_is_longer_than_announced_starts_over(tmp_path: Path) -> None:
    """Chunked, a 206 can send more than its Content-Range says; nothing of it is kept."""
    async with serving(cut(at=100_000), too_long_rest, whole) as server:
        assert_whole(await fetch(server, tmp_path), tmp_path)


async def test_416_starts_over(tmp_path: Path) -> None:
    """The file has become shorter than what we have of it."""
    async with serving(cut(at=100_000), answer(416), other_whole) as server:
        assert_whole(await fetch(server, tmp_path), tmp_path, OTHER_CLIP)


async def test_shorter_part_than_asked_for_is_continued(tmp_path: Path) -> None:
    """A server may cap the length of a part; the next request goes on from there."""
    async with serving(cut(at=100_000), capped_rest(50_000), rest) as server:
        assert_whole(await fetch(server, tmp_path), tmp_path)


async def test_chunked_body_without_length_arrives_whole(tmp_path: Path) -> None:
    """No Content-Length: the last chunk says that it is whole."""
    async with serving(chunked()) as server:
        assert_whole(await fetch(server, tmp_path), tmp_path)


async def test_chunked_body_that_is_cut_is_resumed(tmp_path: Path) -> None:
    """A missing last chunk is a cut, also when the server closes politely; Content-Range tells the length then."""
    async with serving(chunked(at=100_000), rest) as server:
        assert_whole(await fetch(server, tmp_path), tmp_path)
    assert "range" in server.requests[1]


async def test_polite_close_before_the_announced_length_is_a_cut(tmp_path: Path) -> None:
    """Content-Length says more than comes, each time: interrupted, and no file."""
    async with serving(*[cut(at=100_000, headers={})] * 3) as server:
        await fails(DownloadInterrupted, server, tmp_path, "gave up after 3 tries")


async def test_content_length_beyond_the_file_never_yields_one(tmp_path: Path) -> None:
    """The server announces one byte more than it has and keeps the connection open."""
    async with serving(*[lying(by=1)] * 3) as server:
        await fails(DownloadInterrupted, server, tmp_path, "gave up")


async def test_stall_ends_the_try_and_the_rest_is_fetched(tmp_path: Path) -> None:
    """No byte for stall_s seconds: the connection is given up, what came is kept."""
    async with serving(stall(at=100_000), rest) as server:
        assert_whole(await fetch(server, tmp_path), tmp_path)
    assert "range" in server.requests[1]


async def test_stall_before_the_headers_ends_the_try(tmp_path: Path) -> None:
    """A server that accepts and says nothing."""
    async with serving(silent, silent, silent) as server:
        await fails(DownloadInterrupted, server, tmp_path, r"no byte came for 0\.3 s")


async def test_dripping_body_ends_at_the_total_time(tmp_path: Path) -> None:
    """One byte every 20 ms never stalls, yet the call ends."""
    limits = DownloadLimits(size_bytes_max=1_000_000, total_s=0.3, stall_s=5)
    async with serving(drip) as server:
        await fails(DownloadInterrupted, server, tmp_path, r"longer than 0\.3 s", limits)


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
    ],
)
async def test_redirect_to_a_forbidden_place_is_refused(tmp_path: Path, location: str) -> None:
    """Each hop passes the guard: a public address cannot send us inside."""
    async with serving(redirect(location)) as server:
        await fails(AddressForbidden, server, tmp_path)
    assert len(server.requests) == 1


async def test_redirect_to_no_address_at_all_is_the_servers_trouble(tmp_path: Path) -> None:
    """A Location that cannot be read is treated as a broken answer."""
    async with serving(*[redirect("https://0177.0.0.1/")] * 3) as server:
        await fails(DownloadInterrupted, server, tmp_path)


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


async def test_full_disk_is_said_in_one_sentence_and_tried_later(
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


# --- what the tests share


async def fetch(server: "Server", folder: Path, limits: DownloadLimits = FAST) -> Download:
    """Download from *server* into ``clip.mp4``."""
    async with client_for(server) as client:
        return await download(server.url, folder / "clip.mp4", client=client, limits=limits)


def client_for(server: "Server") -> httpx.AsyncClient:
    """The product's own client, with this server trusted."""
    return guarded_client(frozenset({f"127.0.0.1:{server.port}"}))


async def fails(
    kind: type[FrameRelayError], server: "Server", folder: Path, words: str = ".", limits: DownloadLimits = FAST
) -> FrameRelayError:
    """The download ends in *kind*, and the folder stays empty."""
    with pytest.raises(kind, match=words) as caught:
        await fetch(server, folder, limits)
    assert names_in(folder) == []
    return caught.value


def assert_whole(got: Download, folder: Path, body: bytes = CLIP) -> None:
    """The file is the body, and nothing else lies beside it."""
    assert names_in(folder) == ["clip.mp4"]
    assert (folder / "clip.mp4").read_bytes() == body
    assert got == Download(bytes=len(body), sha256=hashlib.sha256(body).hexdigest())


def names_in(folder: Path) -> list[str]:
    """What lies in *folder*, temporary files too."""
    return sorted(path.name for path in folder.iterdir())


async def until(condition: Callable[[], bool], seconds: float = 90) -> None:
    """Wait for *condition*."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        await asyncio.sleep(0.005)


# --- the server: one behaviour per request, in order


@dataclass
class Server:
    """What was asked of it, and how many body bytes it sent per request."""

    port: int = 0
    path: str = "/clip.mp4"
    targets: list[str] = field(default_factory=list)
    requests: list[dict[str, str]] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.path}"


@dataclass
class Exchange:
    """One request, and the means to answer it."""

    headers: dict[str, str]
    writer: asyncio.StreamWriter
    sent: int = 0

    async def head(self, status: int, headers: dict[str, str]) -> None:
        lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        self.writer.write("\r\n".join(lines).encode())
        await self.writer.drain()

    async def body(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()
        self.sent += len(data)

    @property
    def first(self) -> int:
        """Where the Range that was asked for begins."""
        return int(self.headers["range"].removeprefix("bytes=").removesuffix("-"))


Behaviour = Callable[[Exchange], Awaitable[None]]
ETAG = {"ETag": '"one"'}


@asynccontextmanager
async def serving(*behaviours: Behaviour) -> AsyncIterator[Server]:
    """A server that answers the n-th request with the n-th behaviour, then closes that connection."""
    server = Server()
    waiting = iter(behaviours)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            exchange = Exchange(headers, writer)
            server.targets.append(first.split()[1])
            server.requests.append(headers)
            try:
                await next(waiting)(exchange)
            finally:
                server.sent.append(exchange.sent)
        writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    server.port = listener.sockets[0].getsockname()[1]
    async with listener:
        yield server


async def whole(exchange: Exchange) -> None:
    await exchange.head(200, {"Content-Length": str(len(CLIP)), "Set-Cookie": "a=b"} | ETAG)
    await exchange.body(CLIP)


async def other_whole(exchange: Exchange) -> None:
    await exchange.head(200, {"Content-Length": str(len(OTHER_CLIP)), "ETag": '"two"'})
    await exchange.body(OTHER_CLIP)


async def rest(exchange: Exchange) -> None:
    span = f"bytes {exchange.first}-{len(CLIP) - 1}/{len(CLIP)}"
    await exchange.head(206, {"Content-Length": str(len(CLIP) - exchange.first), "Content-Range": span})
    await exchange.body(CLIP[exchange.first :])


async def too_long_rest(exchange: Exchange) -> None:
    span = f"bytes {exchange.first}-{len(CLIP) - 1}/{len(CLIP)}"
    await exchange.head(206, {"Transfer-Encoding": "chunked", "Content-Range": span} | ETAG)
    data = CLIP[exchange.first :] + b"more"
    await exchange.body(f"{len(data):x}\r\n".encode() + data + b"\r\n0\r\n\r\n")


async def silent(exchange: Exchange) -> None:
    await asyncio.sleep(5)


async def drip(exchange: Exchange) -> None:
    await exchange.head(200, {"Content-Length": str(len(CLIP))})
    for n in range(1000):
        await exchange.body(CLIP[n : n + 1])
        await asyncio.sleep(0.02)


async def endless(exchange: Exchange) -> None:
    await exchange.head(200, {"Transfer-Encoding": "chunked"})
    for _ in range(1000):
        await exchange.body(b"10000\r\n" + bytes(0x10000) + b"\r\n")


def cut(at: int, headers: dict[str, str] = ETAG) -> Behaviour:
    async def behave(exchange: Exchange) -> None:
        await exchange.head(200, {"Content-Length": str(len(CLIP))} | headers)
        await exchange.body(CLIP[:at])

    return behave


def reset(at: int) -> Behaviour:
    async def behave(exchange: Exchange) -> None:
        await cut(at)(exchange)
        await asyncio.sleep(0.05)  # Let something arrive: a reset throws away what is still on its way.
        linger = struct.pack("ii", 1, 0)
        exchange.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        exchange.writer.transport.abort()

    return behave


def cut_rest(after: int) -> Behaviour:
    async def behave(exchange: Exchange) -> None:
        span = f"bytes {exchange.first}-{len(CLIP) - 1}/{len(CLIP)}"
        await exchange.head(206, {"Content-Length": str(len(CLIP) - exchange.first), "Content-Range": span} | ETAG)
        await exchange.body(CLIP[exchange.first : exchange.first + after])

    return behave


def capped_rest(size: int) -> Behaviour:
    async def behave(exchange: Exchange) -> None:
        span = f"bytes {exchange.first}-{exchange.first + size - 1}/{len(CLIP)}"
        await exchange.head(206, {"Content-Length": str(size), "Content-Range": span} | ETAG)
        await exchange.body(CLIP[exchange.first : exchange.first + size])

    return behave


def part_with(headers: dict[str, str]) -> Behaviour:
    async def behave(exchange: Exchange) -> None:
        start = exchange.headers.get("range", "bytes=0-").removeprefix("bytes=").removesuffix("-")
        filled = {name: value.replace("{from}", start) for name, value in headers.items()}
        await exchange.head(206, {"Content-Length": "100"} | ETAG | filled)
        await exchange.body(bytes(100))

    return behave


def chunked(at: int | None = None) -> Behaviour:
    async def behave(exchange: Exchange) -> None:
        await exchange.head(200, {"Transfer-Encoding": "chunked"} | ETAG)
        for start in range(0, len(CLIP) if at is None else at, 10_000):
            await exchange.body(b"2710\r\n" + CLIP[start : start + 10_000] + b"\r\n")
        if at is None:
            await exchange.body(b"0\r\n\r\n")

    return behave


def lying(by: int) -> Behaviour:
    async def behave(exchange: Exchange) -> None:
        await exchange.head(200, {"Content-Length": str(len(CLIP) + by)})
        await exchange.body(CLIP)
        await asyncio.sleep(5)

    return behave


def stall(at: int) -> Behaviour:
    async def behave(exchange: Exchange) -> None:
        await exchange.head(200, {"Content-Length": str(len(CLIP))} | ETAG)
        await exchange.body(CLIP[:at])
        await asyncio.sleep(5)

    return behave


def answer(status: int, headers: dict[str, str] | None = None) -> Behaviour:
    async def behave(exchange: Exchange) -> None:
        await exchange.head(status, {"Content-Length": "4"} | (headers or {}))
        await exchange.body(b"oops")

    return behave


def redirect(location: str) -> Behaviour:
    return answer(302, {"Location": location})
