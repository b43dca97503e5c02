"""
How many durable callbacks a second, against the same uvicorn's bare 202?

One receiver process, one Redis that appends to its file (synced each second, then synced with each write), fifty kept
connections, each callback with a token and a body of its own. Beside it a server that answers 202 and reads nothing.
They take turns, so that whatever else the machine does hits both; the ratio is the median of the pairs.
"""

import asyncio
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import httpx
import uvloop

from benchmarks.callback_to_submit import wait_until_ready
from cli.http import listening_on
from runs.embedded_redis import find_server
from runs.tokens import TakeAddress, Tokens

CONNECTIONS = 50
EACH_S = 2.0
PAIRS = 5
SECRET = "only for the benchmark of acknowledgements"
AT_LEAST = {"everysec": 0.60, "always": 0.45}


def measure(fsync: str) -> dict[str, Any]:
    """Callbacks per second of both, their ratio, and the 99th percentile of the answer times in milliseconds."""
    with tempfile.TemporaryDirectory(prefix="fr-bench-") as name:
        folder = Path(name)
        ours, bare = _free_port(), _free_port()
        with (
            _redis(folder, fsync),
            _receiver(folder, ours),
            _process([sys.executable, "-m", "benchmarks.bare", str(bare)]),
        ):
            return uvloop.run(_pairs(fsync, ours, bare))


async def _pairs(fsync: str, ours: int, bare: int) -> dict[str, Any]:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{ours}", trust_env=False) as api:
        await wait_until_ready(api)
    await _until_it_listens(bare)
    for port in (ours, bare):
        await _load(port, seconds=1.0)
    pairs = [(await _load(ours, seconds=EACH_S), await _load(bare, seconds=EACH_S)) for _ in range(PAIRS)]
    return {
        "question": "acknowledge",
        "fsync": fsync,
        "callbacks_per_s": round(statistics.median(len(mine) / EACH_S for mine, _ in pairs)),
        "bare_202_per_s": round(statistics.median(len(other) / EACH_S for _, other in pairs)),
        "ratio": round(statistics.median(len(mine) / len(other) for mine, other in pairs), 3),
        "spread": [round(len(mine) / len(other), 3) for mine, other in pairs],
        "p99_ms": round(statistics.median(_p99(mine) for mine, _ in pairs), 1),
        "bare_p99_ms": round(statistics.median(_p99(other) for _, other in pairs), 1),
        "to_reach": AT_LEAST[fsync],
    }


async def _until_it_listens(port: int) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return


class Caller(asyncio.Protocol):
    """One kept connection that sends the next callback when the last one is answered, until *until*."""

    def __init__(
        self, requests: Iterator[bytes], until: float, took_s: list[float], ended: asyncio.Future[None]
    ) -> None:
        self._requests, self._until, self._took_s, self._ended = requests, until, took_s, ended
        self._sent_at, self._heard = 0.0, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own is no subclass of it.
        self._send()

    def data_received(self, data: bytes) -> None:
        """An answer, or a part of it."""
        self._heard += data
        head, blank, body = self._heard.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        if not blank or (length and len(body) < int(length[1])):
            return
        if not head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 202")):
            self._ended.set_exception(SystemExit(f"a callback was not taken: {head[:200]!r}"))
            return
        self._heard = b""
        now = time.perf_counter()
        self._took_s.append(now - self._sent_at)
        if now >= self._until:
            self._transport.close()
            if not self._ended.done():
                self._ended.set_result(None)
        else:
            self._send()

    def _send(self) -> None:
        self._sent_at = time.perf_counter()
        self._transport.write(next(self._requests))


async def _load(port: int, *, seconds: float) -> list[float]:
    """The times of all answers, in seconds."""
    loop, requests, took_s = asyncio.get_running_loop(), _requests(), list[float]()
    until = time.perf_counter() + seconds
    ended = [loop.create_future() for _ in range(CONNECTIONS)]
    for each in ended:
        await loop.create_connection(lambda each=each: Caller(requests, until, took_s, each), "127.0.0.1", port)  # type: ignore[misc]
    await asyncio.gather(*ended)
    return took_s


def _requests() -> Iterator[bytes]:
    """Callbacks as the jobs API sends them, no two alike; made ahead as far as they are the same."""
    tokens, number = Tokens(SECRET), 0
    run = f"run_{os.urandom(12).hex()}"
    while True:
        number += 1
        token = tokens.mint(TakeAddress(run=run, shot="s1", take=number))
        output = {"task_id": f"cgt-{number}", "status": "succeeded", "videos": [f"https://example.com/{number}.mp4"]}
        body = json.dumps({"id": f"job_{number}", "object": "job", "status": "succeeded", "output": output}).encode()
        yield (
            f"POST /webhook/{token} HTTP/1.1\r\nHost: relay\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode() + body


def _p99(took_s: list[float]) -> float:
    return statistics.quantiles(took_s, n=100)[98] * 1000


def _free_port() -> int:
    with listening_on("127.0.0.1", 0) as free:
        return int(free.getsockname()[1])


@contextmanager
def _redis(folder: Path, fsync: str) -> Iterator[None]:
    command = [str(find_server()), "--port", "0", "--unixsocket", f"{folder}/redis.sock", "--dir", str(folder)]
    with _process([*command, "--save", "", "--appendonly", "yes", "--appendfsync", fsync]):
        deadline = time.monotonic() + 30
        while not (folder / "redis.sock").exists():
            if time.monotonic() > deadline:
                raise SystemExit("Redis did not come up")
            time.sleep(0.02)
        yield


@contextmanager
def _receiver(folder: Path, port: int) -> Iterator[None]:
    settings = {
        "REDIS_URL": f"unix://{folder}/redis.sock",
        "SECRET": SECRET,
        "PORT": str(port),
        "DATA_DIR": str(folder / "data"),
        "LOG_LEVEL": "warning",  # As a busy receiver's would be; the bare server logs nothing either.
    }
    environ = {name: value for name, value in os.environ.items() if not name.startswith("FRAMERELAY_")}
    environ |= {f"FRAMERELAY_{name}": value for name, value in settings.items()}
    with _process([sys.executable, "-m", "cli.main", "receiver"], environ):
        yield


@contextmanager
def _process(command: list[str], environ: dict[str, str] | None = None) -> Iterator[None]:
    process = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def main() -> None:
    """One JSON line and one sentence for each way of syncing."""
    for fsync in AT_LEAST:
        found = measure(fsync)
        print(json.dumps(found))
        print(
            f"Durable callbacks, {fsync}: {found['callbacks_per_s']}/s, {found['ratio']} of a bare 202's "
            f"{found['bare_202_per_s']}/s; p99 {found['p99_ms']} ms against {found['bare_p99_ms']} ms; "
            f"to reach: {found['to_reach']}."
        )


if __name__ == "__main__":
    main()
