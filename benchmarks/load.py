"""64 kept connections that each send the next request when the last one is answered."""

import asyncio
import itertools
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from framerelay.runs.tokens import TakeAddress, Tokens

CONNECTIONS = 64
_run_numbers = itertools.count()


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a load found: answers a second, times in milliseconds, and what one answer cost the server in CPU time."""

    per_s: float
    p50_ms: float
    p99_ms: float
    cpu_us: float


async def load(ports: list[int], requests: list[bytes], *, seconds: float, pids: list[int]) -> Load:
    """
    As many of *requests* as are answered in *seconds*, spread over *ports*; *pids*: the processes that answer.

    Raises: SystemExit for an answer that is no 200 or 202, and when *requests* do not last.
    """
    loop, took_s, waiting = asyncio.get_running_loop(), list[float](), iter(requests)
    used_before, began = _cpu_s(pids), time.perf_counter()
    until = began + seconds
    ends = [loop.create_future() for _ in range(CONNECTIONS)]
    for each, port in zip(ends, itertools.cycle(ports), strict=False):
        await loop.create_connection(lambda each=each: _Caller(waiting, until, took_s, each), "127.0.0.1", port)  # type: ignore[misc]
    await asyncio.gather(*ends)
    lasted_s, cpu_s = time.perf_counter() - began, _cpu_s(pids) - used_before
    took_s.sort()
    return Load(
        per_s=len(took_s) / lasted_s,
        p50_ms=took_s[len(took_s) // 2] * 1000,
        p99_ms=took_s[len(took_s) * 99 // 100] * 1000,
        cpu_us=cpu_s / len(took_s) * 1e6,
    )


def callbacks(secret: str, number: int, *, provider: str | None = None) -> list[bytes]:
    """
    *number* callbacks as the jobs API sends them, no two alike, each to an address of its own.

    The clip's address is signed, as addresses in object storage are; the head is that of a common HTTP library.
    *provider*: ``ark`` for what that one sends, to takes of its own, which are read by its profile.
    """
    tokens, run_id = Tokens(secret), f"run_{os.urandom(6).hex()}{next(_run_numbers)}"
    ends_at = int(time.time()) + 86_400
    signature = "X-Tos-Algorithm=TOS4-HMAC-SHA256&X-Tos-Date=20261122T120000Z&X-Tos-Expires=86400&X-Tos-Signature="
    requests = []
    for take in range(number):
        address = TakeAddress(run_id=run_id, shot_id="s1", take=take, ends_at=ends_at, provider=provider)
        token = tokens.mint(address)
        clip = f"https://ark-content.example.com/doubao-seedance/{run_id}{take}.mp4?{signature}{os.urandom(32).hex()}"
        job_id = f"cgt-20261122-{run_id}{take}"
        job = _task(job_id, clip) if provider == "ark" else _job(f"job_{run_id}{take}", job_id, clip)
        body = json.dumps(job).encode()
        head = (
            f"POST /webhook/{token} HTTP/1.1\r\nHost: relay.example.com\r\nUser-Agent: Go-http-client/1.1\r\n"
            f"Content-Length: {len(body)}\r\nContent-Type: application/json\r\nAccept-Encoding: gzip\r\n\r\n"
        )
        requests.append(head.encode() + body)
    return requests


class _Caller(asyncio.Protocol):
    """One kept connection."""

    def __init__(self, requests: Iterator[bytes], until: float, took_s: list[float], end: asyncio.Future[None]) -> None:
        self._requests, self._until, self._took_s, self._future = requests, until, took_s, end
        self._sent_at, self._data = 0.0, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own is not a subclass of it.
        self._send()

    def data_received(self, data: bytes) -> None:
        """An answer, or a part of it."""
        self._data += data
        if not _is_whole(self._data):
            return
        if not self._data.startswith((b"HTTP/1.1 200", b"HTTP/1.1 202")):
            self._future.set_exception(SystemExit(f"a callback was not taken: {self._data[:200]!r}"))
            return
        self._data = b""
        now = time.perf_counter()
        self._took_s.append(now - self._sent_at)
        if now < self._until:
            self._send()
            return
        self._transport.close()
        self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        """The server ends it: no answer will come."""
        if not self._future.done():
            self._future.set_exception(SystemExit(f"a connection was closed in the middle: {exc}"))

    def _send(self) -> None:
        request = next(self._requests, None)
        if request is None:
            self._future.set_exception(SystemExit("the server is faster than was foreseen: more requests are needed"))
            return
        self._sent_at = time.perf_counter()
        self._transport.write(request)

    def _end(self) -> None:
        if not self._future.done():
            self._future.set_result(None)


def _is_whole(answer: bytes) -> bool:
    head = answer.find(b"\r\n\r\n")
    if head < 0:
        return False
    at = answer.lower().find(b"content-length: ", 0, head)
    return at < 0 or len(answer) - head - 4 >= int(answer[at + 16 : answer.index(b"\r", at)])


def _cpu_s(pids: list[int]) -> float:
    """Of all their threads, by the scheduler's own count."""
    return sum(
        int((task / "schedstat").read_text().split()[0]) / 1e9
        for pid in pids
        for task in Path(f"/proc/{pid}/task").iterdir()
    )


def _job(job_id: str, task_id: str, clip: str) -> dict[str, Any]:
    output = {"task_id": task_id, "status": "succeeded", "videos": [clip]}
    return {"id": job_id, "object": "job", "status": "succeeded", "created": 1795348800, "output": output}


def _task(task_id: str, clip: str) -> dict[str, Any]:
    content = {"video_url": clip}
    return {"id": task_id, "model": "seedance", "status": "succeeded", "content": content, "created_at": 1795348800}
