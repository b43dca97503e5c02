"""What all tests share: a real Redis, waiting with a deadline, and asyncio as the only event loop."""

import asyncio
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import redis as redis_sync
from arq.connections import ArqRedis

from runs.embedded_redis import find_server
from runs.queue import connect, disconnect

WAIT_S = 20.0


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Tests marked ``anyio`` run on asyncio, as the programs do."""
    return "asyncio"


@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    """A real server for the whole test run, reached as an operator's own would be: by a ``redis://`` URL."""
    folder = Path(tempfile.mkdtemp(prefix="fr-redis-"))
    command = [str(find_server()), "--port", "0", "--unixsocket", f"{folder}/s", "--dir", str(folder)]
    process = subprocess.Popen([*command, "--save", "", "--appendonly", "yes"], stdout=subprocess.DEVNULL)
    url = f"unix://{folder}/s"
    try:
        _wait_for_pong(url)
        yield url
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for_pong(url: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while True:
        client = redis_sync.Redis.from_url(url)
        try:
            client.ping()
            return
        except redis_sync.ConnectionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        finally:
            client.close()


@pytest.fixture
def redis_url(redis_server: str) -> str:
    """The server, empty."""
    client = redis_sync.Redis.from_url(redis_server)
    client.flushall()
    client.close()
    return redis_server


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[ArqRedis]:
    """A client of the empty server."""
    client = connect(redis_url)
    yield client
    await disconnect(client)


@pytest.fixture
def wait_until() -> Callable[..., Awaitable[None]]:
    """``await wait_until(condition, "what should be")``: asks until it holds; says what was awaited if not."""

    async def wait(condition: Callable[[], object], description: str, *, within_s: float = WAIT_S) -> None:
        deadline = time.monotonic() + within_s
        while True:
            held = condition()
            if isinstance(held, Awaitable):
                held = await held
            if held:
                return
            if time.monotonic() > deadline:
                pytest.fail(f"not within {within_s:.0f} s: {description}")
            await asyncio.sleep(0.01)

    return wait
