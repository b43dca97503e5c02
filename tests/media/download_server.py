"""A server on loopback that misbehaves in the ways that servers do, one behavior per request; and what asks it."""

import asyncio
import contextlib
import hashlib
import random
import socket
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from framerelay.media.download import Download, DownloadLimits, download
from framerelay.network.client import guarded_client
from framerelay.runs.errors import (
    FrameRelayError,
)

CLIP = random.Random(1).randbytes(300_000)
OTHER_CLIP = random.Random(2).randbytes(250_000)
FAST = DownloadLimits(size_bytes_max=1_000_000, total_s=10, stall_s=0.3, tries=3)


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
    with pytest.raises(kind, match=words) as failure:
        await fetch(server, folder, limits)
    assert names_in(folder) == []
    return failure.value


def assert_whole(download: Download, folder: Path, body: bytes = CLIP) -> None:
    """The file is the body, and there is no other file."""
    assert names_in(folder) == ["clip.mp4"]
    assert (folder / "clip.mp4").read_bytes() == body
    assert download == Download(bytes=len(body), sha256=hashlib.sha256(body).hexdigest())


def names_in(folder: Path) -> list[str]:
    """What is in *folder*, temporary files too."""
    return sorted(path.name for path in folder.iterdir())


async def until(condition: Callable[[], bool], seconds: float = 90) -> None:
    """Wait for *condition*."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        await asyncio.sleep(0.005)


@dataclass
class Server:
    """What was asked of it, and how many body bytes it sent per request."""

    port: int = 0
    path: str = "/clip.mp4"
    targets: list[str] = field(default_factory=list)
    requests: list[dict[str, str]] = field(default_factory=list)
    bytes_sent: list[int] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.path}"


@dataclass
class Exchange:
    """One request, and the means to answer it."""

    headers: dict[str, str]
    writer: asyncio.StreamWriter
    bytes_sent: int = 0

    async def head(self, status: int, headers: dict[str, str]) -> None:
        lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        self.writer.write("\r\n".join(lines).encode())
        await self.writer.drain()

    async def body(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()
        self.bytes_sent += len(data)

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
                server.bytes_sent.append(exchange.bytes_sent)
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
        fields = {name: value.replace("{from}", start) for name, value in headers.items()}
        await exchange.head(206, {"Content-Length": "100"} | ETAG | fields)
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
