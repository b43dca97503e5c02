"""
Fetch a file from a provider's address: whole or not at all, counted as it arrives, resumed where it broke off.

The client decides which addresses may be contacted (see addresses.py); redirects are followed here, one by one, so that
each hop passes that guard.
"""

import asyncio
import errno
import hashlib
import os
import re
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NoReturn

import anyio
import httpx

from framerelay.config.urls import join_url, parse_url
from framerelay.media.follow import Follower
from framerelay.media.host_headers import HostHeaders
from framerelay.media.tail import Tail
from framerelay.network.client import BYTES_RECEIVED
from framerelay.runs.errors import (
    AddressForbidden,
    DownloadExpired,
    DownloadInterrupted,
    DownloadTooLarge,
    StorageFailed,
    UpstreamAnswerUnreadable,
)
from framerelay.store.files import hold, publish

REDIRECTS_MAX = 5
NO_LOCATION = re.compile("Invalid URL in location header")
"""httpx's message for a redirect to something that is no address: it parses it, though it is not to follow it."""
PAUSE_S = 0.2
"""Before the second try; doubled before each further one."""
PACE_BYTES = 16 * 1024
"""The least that must arrive in ``stall_s``: a byte now and then is a stall, too."""
FRAMING_BYTES_MAX = 1 << 20
"""What may come over the wire, where the file's own bytes count twice: chunked, a byte can cost 100 KB."""
RETRY_AFTER_S_MAX = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadLimits:
    """
    When to give a transfer up.

    ``stall_s``: no byte for that time, or fewer than ``PACE_BYTES``, ends one try; ``total_s`` limits the whole call;
    ``tries`` counts requests that may fail within it. A clip of 15 s in 1080p is about 20 MB.
    """

    size_bytes_max: int = 1 << 30
    total_s: float = 600
    stall_s: float = 20
    tries: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """A file that was written: its size, and the SHA-256 (hex) of its bytes."""

    bytes: int
    sha256: str


async def download(
    url: str,
    into: Path,
    *,
    client: httpx.AsyncClient,
    limits: DownloadLimits | None = None,
    follower: Follower | None = None,
    key: HostHeaders | None = None,
) -> Download:
    """
    Stream *url* to *into*, whose folder exists; the file appears whole, synced to disk, or not at all.

    Calling it again replaces the file. After an interruption the rest is requested by Range, bound to the same file by
    If-Range; no byte is fetched twice unless the server cannot do that or the file has changed. A body of unknown
    length that the server ends by closing an HTTP/1.0 connection is taken as complete: there is no way to tell.

    A *follower* sees the file as it arrives, if its size is known. The part that it wants first is fetched by a second
    request, from there to the end, while the first one waits; the first one then stops where the other began
    (media/tail.py).

    *key*: for a server that requires one for the file.
    Raises: DownloadInterrupted if a later call may succeed (cut, stalled, 5xx, 429); StorageFailed if our own disk is
    full; DownloadExpired for any other 4xx, most often an expired signed address; DownloadTooLarge, also for more
    framing than file; AddressForbidden for an address that the client does not contact, redirects included;
    UpstreamAnswerUnreadable for a body that is compressed although nobody asked for it.
    """
    limits = limits or DownloadLimits()
    temporary = into.with_name(f".{into.name}.{secrets.token_hex(4)}.part")
    try:
        with temporary.open("x+b", buffering=0) as file:
            hold(file)
            transfer = _Transfer(url, file, temporary, client, limits, follower, key)
            async with asyncio.timeout(limits.total_s):
                await transfer.run()
            # In a thread that is not abandoned on cancellation: the descriptor stays open until it is done.
            await anyio.to_thread.run_sync(publish, temporary, into)
        return Download(bytes=transfer.received_bytes, sha256=transfer.digest.hexdigest())
    except TimeoutError as error:
        raise DownloadInterrupted(f"the transfer took longer than {limits.total_s:g} s") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFailed.of(error) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


class _Cut(Exception):
    """One try has ended early; the bytes that arrived are good."""


class _StartOver(Exception):
    """What the server sends does not continue what we have."""


class _Transfer:
    """The bytes so far, and what is known about the file that they belong to."""

    def __init__(
        self,
        url: str,
        file: BinaryIO,
        place: Path,
        client: httpx.AsyncClient,
        limits: DownloadLimits,
        follower: Follower | None,
        key: HostHeaders | None,
    ) -> None:
        self.url = url
        self.key = key
        self.file = file
        self.place = place
        self.client = client
        self.limits = limits
        self.follower = follower
        self.tail = Tail(self.fetch_part, self.keep_part)
        self.received_bytes = 0
        self.restart()

    def restart(self) -> None:
        """Forget all bytes."""
        self.tail.forget()
        if self.follower and self.received_bytes:
            self.follower.drop()
        self.file.seek(0)
        self.file.truncate()
        self.digest = hashlib.sha256()
        self.received_bytes = 0
        self.total: int | None = None  # Bytes of the whole file, once a server has said.
        self.end: int | None = None  # Where the body that is being read ends in the file.
        self.validator: str | None = None  # For If-Range.

    async def run(self) -> None:
        """Request the file, and again whatever is missing, until it is complete or the tries are used up."""
        try:
            await self.fetch_with_retries()
        finally:
            await self.tail.close()

    async def fetch_with_retries(self) -> None:
        """Like `run`, which cleans up after it."""
        trouble = "no try was allowed"
        for n in range(self.limits.tries):
            if n:
                await asyncio.sleep(PAUSE_S * 2 ** (n - 1))
            try:
                return await self.fetch_rest()
            except _StartOver as error:
                self.restart()
                trouble = str(error)
            except httpx.ReadTimeout:
                trouble = f"no byte came for {self.limits.stall_s:g} s"
            except TimeoutError:
                trouble = f"hardly a byte came for {self.limits.stall_s:g} s"
            except httpx.RemoteProtocolError as error:
                # After the colon are the server's own bytes, which may be our request with its signed address.
                trouble = str(error).partition(":")[0]
            except (_Cut, httpx.TransportError) as error:
                trouble = str(error) or type(error).__name__
        raise DownloadInterrupted(f"gave up after {self.limits.tries} tries and {self.received_bytes} bytes: {trouble}")

    async def fetch_rest(self) -> None:
        """One request for the missing part, its redirects, and its body."""
        headers = {"Accept": "*/*", "Accept-Encoding": "identity"}
        if self.received_bytes and self.validator:
            last = "" if self.tail.begins is None else self.tail.begins - 1
            headers |= {"Range": f"bytes={self.received_bytes}-{last}", "If-Range": self.validator}
        response = await self.follow(headers)
        try:
            self.accept(response)
            await self.read(response)
        finally:
            await response.aclose()

    async def follow(self, headers: dict[str, str]) -> httpx.Response:
        """The first answer that is not a redirect, its body not yet read."""
        try:
            url = parse_url(self.url)
            for _ in range(REDIRECTS_MAX + 1):
                own_headers = headers | dict(self.key.at(url.scheme, url.host) if self.key else {})
                request = self.client.build_request("GET", url, headers=own_headers, timeout=self.timeout())
                async with asyncio.timeout(self.head_s()):
                    response = await self.client.send(request, stream=True, auth=None, follow_redirects=False)
                if not response.has_redirect_location:
                    return response
                await response.aclose()
                url = join_url(url, response.headers["location"])
        except (httpx.InvalidURL, ValueError) as error:
            raise AddressForbidden("the address is not a valid URL") from error
        except httpx.RemoteProtocolError as error:
            if NO_LOCATION.match(str(error)):
                raise AddressForbidden("it redirects to what is not a valid URL") from error
            raise
        raise DownloadInterrupted(f"{url.host} redirects more than {REDIRECTS_MAX} times")

    def timeout(self) -> httpx.Timeout:
        """The client's own timeouts, but ours for a stalled body."""
        own = self.client.timeout
        return httpx.Timeout(connect=own.connect, write=own.write, pool=own.pool, read=self.limits.stall_s)

    def head_s(self) -> float:
        """How long an answer may take to its last header; a read timeout alone would never expire if bytes trickle."""
        own = self.client.timeout
        return (own.connect or 0) + (own.pool or 0) + self.limits.stall_s

    def accept(self, response: httpx.Response) -> None:
        """Decide from status and headers whether the body begins the file, continues it, or is useless."""
        if response.status_code not in (200, 206):
            self.refuse(response)
        if response.headers.get("content-encoding", "identity").lower() not in ("", "identity"):
            raise UpstreamAnswerUnreadable(f"{response.url.host} compresses the file although asked not to")
        if response.status_code == 206:
            self.accept_rest(response)
        else:
            self.restart()  # The first answer; or no Range here; or a different file than before.
            self.total = self.end = _number(response.headers.get("content-length"))
            self.validator = _validator(response)
            if self.follower and self.total and self.total <= self.limits.size_bytes_max:
                self.follower.begin(self.place, self.total, self.want)
        if self.total is not None and self.total > self.limits.size_bytes_max:
            raise DownloadTooLarge(f"the file has {self.total} bytes; the limit is {self.limits.size_bytes_max}")

    def accept_rest(self, response: httpx.Response) -> None:
        """Accept a 206 only if it continues exactly where we stopped, in the same file."""
        content_range = response.headers.get("content-range", "").strip()
        match = re.fullmatch(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)", content_range)
        if not match or "range" not in response.request.headers:
            raise _StartOver("the server sent a part that was not asked for")
        first, last, total = int(match[1]), int(match[2]), _number(match[3]) or self.total
        if first != self.received_bytes or (self.total or total) != total:
            raise _StartOver("the server sent another part than was asked for")
        if total is None or not first <= last < total:
            raise _StartOver("the server sent a part of no size that can be")
        etag = response.headers.get("etag")
        if etag and self.validator and self.validator.startswith('"') and etag != self.validator:
            raise _StartOver("the file has changed on the server")
        self.total, self.end = total, last + 1

    def refuse(self, response: httpx.Response) -> NoReturn:
        """Raise what a status other than 200 and 206 stands for."""
        status, host = response.status_code, response.url.host
        if status == 416:
            raise _StartOver("the server has fewer bytes than before")
        if 400 <= status < 500 and status not in (408, 425, 429):
            raise DownloadExpired(f"{host} answered {status}; the address is probably past its time")
        retry_after_s = _number(response.headers.get("retry-after"))
        if retry_after_s is not None:
            retry_after_s = min(retry_after_s, RETRY_AFTER_S_MAX)
            raise DownloadInterrupted(f"{host} answered {status}", retry_after_s=float(retry_after_s))
        raise _Cut(f"{host} answered {status}")

    async def read(self, response: httpx.Response) -> None:
        """Write, hash and count the body as it comes; both are cheap enough per 64 KiB to stay on the event loop."""
        began = mark = self.received_bytes
        wire_began = _wire_bytes(response)
        clock = asyncio.get_running_loop().time
        async with asyncio.timeout(self.limits.stall_s) as patience:
            async for part in response.aiter_raw():
                self.take(part)
                if _wire_bytes(response) - wire_began > FRAMING_BYTES_MAX + 2 * (self.received_bytes - began):
                    raise DownloadTooLarge(f"{response.url.host} sends more framing than file")
                if self.received_bytes - mark >= PACE_BYTES:
                    mark = self.received_bytes
                    patience.reschedule(clock() + self.limits.stall_s)
                if not self.tail.is_idle.is_set():
                    patience.reschedule(None)  # It has its own limit.
                    await self.tail.is_idle.wait()
                    patience.reschedule(clock() + self.limits.stall_s)
                if self.received_bytes == self.tail.edge:
                    break
        if self.received_bytes == self.tail.edge:
            await response.aclose()
            await self.add_tail()
        if self.total is not None and self.received_bytes < self.total:
            raise _Cut(f"{self.received_bytes} of {self.total} bytes came")

    def take(self, part: bytes) -> None:
        """Keep bytes that came."""
        if self.received_bytes + len(part) > self.limits.size_bytes_max:
            raise DownloadTooLarge(f"the file has more than {self.limits.size_bytes_max} bytes")
        if self.end is not None and self.received_bytes + len(part) > self.end:
            raise _StartOver(f"more came than the {self.end} bytes that were announced")
        if self.tail.edge is not None:
            part = part[: self.tail.edge - self.received_bytes]  # The rest arrives, or has arrived, by another request.
        _write_whole(self.file, part)
        self.digest.update(part)
        if self.follower:
            self.follower.has(self.received_bytes, self.received_bytes + len(part))
        self.received_bytes += len(part)

    def want(self, at: int) -> None:
        """Fetch the end of the file from the byte *at* on before the rest, if the server can do that."""
        if self.total is not None and self.validator:
            self.tail.request(at, received_bytes=self.received_bytes, total=self.total)

    async def fetch_part(self, first: int, end: int) -> AsyncIterator[tuple[int, bytes]]:
        """A part in the middle of the file, by a separate request, as (position, bytes)."""
        validator, total, at = self.validator or "", self.total, first
        headers = {"Accept": "*/*", "Accept-Encoding": "identity"}
        async with asyncio.timeout(self.limits.stall_s + (end - first) / PACE_BYTES * self.limits.stall_s):
            response = await self.follow(headers | {"Range": f"bytes={first}-{end - 1}", "If-Range": validator})
            try:
                is_part = response.headers.get("content-range", "").strip() == f"bytes {first}-{end - 1}/{total}"
                is_same = response.headers.get("etag", validator) == validator or not validator.startswith('"')
                is_plain = response.headers.get("content-encoding", "identity").lower() in ("", "identity")
                if response.status_code != 206 or not (is_part and is_same and is_plain):
                    raise DownloadInterrupted(f"{response.url.host} sends no part of the file")
                wire_began = _wire_bytes(response)
                async for data in response.aiter_raw():
                    if at + len(data) > end or _wire_bytes(response) - wire_began > FRAMING_BYTES_MAX + 2 * (
                        at - first
                    ):
                        raise DownloadTooLarge(f"{response.url.host} sends more than the part")
                    yield at, data
                    at += len(data)
                if at < end:
                    raise DownloadInterrupted(f"{response.url.host} ended the part early")
            finally:
                await response.aclose()

    def keep_part(self, at: int, data: bytes) -> None:
        """Write bytes of the tail to their position; they are hashed when the bytes before them have arrived."""
        rest = memoryview(data)
        while rest:
            rest = rest[os.pwrite(self.file.fileno(), rest, at + len(data) - len(rest)) :]
        if self.follower:
            self.follower.has(at, at + len(data))

    async def add_tail(self) -> None:
        """The first request has reached the beginning of the tail."""
        await self.tail.settle()
        if self.received_bytes == self.tail.begins and self.total:
            await anyio.to_thread.run_sync(self.hash_rest)
            self.received_bytes = self.total

    def hash_rest(self) -> None:
        """Add the bytes of the tail to the hash, from the file."""
        at = self.received_bytes
        while data := os.pread(self.file.fileno(), 1 << 20, at):
            self.digest.update(data)
            at += len(data)


def _write_whole(file: BinaryIO, data: bytes) -> None:
    """An unbuffered file may take less than it is given, which is how a disk begins to fill up."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def _wire_bytes(response: httpx.Response) -> int:
    """What has come over the connection of *response* so far, framing included."""
    return int(response.extensions["network_stream"].get_extra_info(BYTES_RECEIVED) or 0)


def _number(text: str | None) -> int | None:
    """A plain decimal number from a header; None for anything else."""
    return int(text) if text and re.fullmatch(r"[0-9]{1,18}", text) else None


def _validator(response: httpx.Response) -> str | None:
    """Identifies exactly this version of the file: a strong ETag, or else its date; it must fit into a header."""
    for name, begin in (("etag", '"'), ("last-modified", "")):
        value: str = response.headers.get(name, "")
        if value and value.startswith(begin) and value.isascii() and value.isprintable() and len(value) <= 200:
            return value
    return None
