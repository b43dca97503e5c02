"""FrameRelay as a receiver and a worker of their own, on a synced Redis, with an instant provider in this process."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from arq.connections import ArqRedis

from benchmarks.callback_to_submit import wait_until_ready
from benchmarks.library import Library
from cli.http import listening_on, serving
from config.keys import find_api_key
from config.settings import Settings
from runs.embedded_redis import EmbeddedRedis
from runs.queue import connect, disconnect
from sandbox.clip import ClipOrder, render_clip

SECRET = "only for benchmarks"


@dataclass(frozen=True, slots=True, kw_only=True)
class Relay:
    """One of each, running; *receiver* and *worker* are process ids, *api* carries the key."""

    library: Library
    redis: ArqRedis
    api: httpx.AsyncClient
    port: int
    receiver: int
    worker: int

    async def start(self, shots: int, *, title: str = "bench") -> str:
        """Begin a chain of so many shots; returns the id of the run."""
        story = {"title": title, "model": "m", "shots": [{"id": f"s{n}", "prompt": "bench"} for n in range(shots)]}
        answer = await self.api.post("/v1/runs", json=story)
        if answer.status_code != 201:
            raise SystemExit(f"a run was refused: {answer.text}")
        return str(answer.json()["id"])

    @contextmanager
    def without_worker(self) -> Iterator[None]:
        """Nothing is taken from the queue meanwhile."""
        os.kill(self.worker, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.worker, signal.SIGCONT)


@asynccontextmanager
async def relay(folder: Path, clips: list[Path], **settings: str) -> AsyncIterator[Relay]:
    """Everything it writes goes below *folder*. *settings* by their names without ``FRAMERELAY_``, in small letters."""
    library = Library(clips)
    async with AsyncExitStack() as stack:
        with listening_on("127.0.0.1", 0) as free:
            port = int(free.getsockname()[1])
        listener = stack.enter_context(listening_on("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        await stack.enter_async_context(serving(library.app(), listener))
        server = await stack.enter_async_context(EmbeddedRedis(folder / "redis"))
        ours = Settings(port=port, data_dir=folder / "data")
        environ = _environ(
            upstream_url=url,
            upstream_key="sk-bench",
            trusted_hosts=url.removeprefix("http://"),
            port=str(port),
            data_dir=str(ours.data_dir),
            redis_url=server.url,
            secret=SECRET,
            **settings,
        )
        receiver = stack.enter_context(_running("receiver", environ, folder))
        worker = stack.enter_context(_running("worker", environ, folder))
        redis = connect(server.url)
        stack.push_async_callback(disconnect, redis)
        client = httpx.AsyncClient(base_url=ours.listen_url, trust_env=False, timeout=30)
        api = await stack.enter_async_context(client)
        await wait_until_ready(api)
        api.headers["Authorization"] = f"Bearer {find_api_key(ours)}"
        yield Relay(library=library, redis=redis, api=api, port=port, receiver=receiver, worker=worker)


def small_clip(folder: Path) -> Path:
    """Half a second of a small picture: next to nothing to carry and to decode."""
    clip = folder / "clip.mp4"
    order = ClipOrder(number=1, prompt="bench", seed=1, width=160, height=96, frames=12, bframes=0)
    render_clip(order, clip, last_frame_into=None, stop=threading.Event())
    return clip


def memory_mb(pid: int) -> float:
    """What the process holds now."""
    found = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=True)
    return round(int(found.stdout) / 1024, 1)


def _environ(**settings: str) -> dict[str, str]:
    others = {name: value for name, value in os.environ.items() if not name.startswith("FRAMERELAY_")}
    return {**others, **{f"FRAMERELAY_{name.upper()}": value for name, value in settings.items()}}


@contextmanager
def _running(command: str, environ: dict[str, Any], folder: Path) -> Iterator[int]:
    """Its process id."""
    folder.mkdir(exist_ok=True)
    with (folder / f"{command}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "cli.main", command], env=environ, cwd=folder, stdout=log, stderr=log
        )
        try:
            yield process.pid
        finally:
            process.terminate()
            process.wait()
