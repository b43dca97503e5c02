"""FrameRelay as a receiver and a worker of their own, on a synced Redis, with an instant provider in this process."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from arq.connections import ArqRedis

from benchmarks.callback_to_submit import wait_until_ready
from benchmarks.library import Library
from framerelay.cli.http import listening_on, serving
from framerelay.config.keys import find_api_key
from framerelay.config.settings import Settings
from framerelay.sandbox.clip import ClipOrder, render_clip
from framerelay.store.client import connect, disconnect
from framerelay.store.embedded import EmbeddedRedis

SECRET = "only for benchmarks"


@dataclass(frozen=True, slots=True, kw_only=True)
class Relay:
    """A receiver and workers, running; *receiver* and *workers* are process ids, *api* carries the key."""

    library: Library
    redis: ArqRedis
    api: httpx.AsyncClient
    port: int
    receiver: int
    workers: tuple[int, ...]

    @property
    def worker(self) -> int:
        """The first one, which is the only one unless more were requested."""
        return self.workers[0]

    async def start(self, shots: int, *, title: str = "bench", stop_every: int = 0) -> str:
        """
        Begin a chain of that many shots; returns the id of the run.

        With *stop_every* it waits for an approval before its first shot, and again after every *stop_every* shots.
        """
        chain: list[dict[str, str]] = [{"id": f"s{number}", "prompt": "bench"} for number in range(shots)]
        for shot in chain[::stop_every] if stop_every else []:
            shot["gate"] = "approve"
        answer = await self.api.post("/v1/runs", json={"title": title, "model": "m", "shots": chain})
        if answer.status_code != 201:
            raise SystemExit(f"a run was refused: {answer.text}")
        return str(answer.json()["id"])

    async def approve(self, run_id: str, shot: int) -> None:
        """Let the run go on from that shot."""
        answer = await self.api.post(f"/v1/runs/{run_id}/shots/s{shot}/approve")
        if answer.status_code != 200:
            raise SystemExit(f"an approval was refused: {answer.text}")

    def cpu_ms(self) -> dict[str, float]:
        """What receiver and worker have used of a core so far, by the kernel's own clocks; decoders not included."""
        return {name: cpu_ms(pid) for name, pid in (("receiver", self.receiver), ("worker", self.worker))}

    @contextmanager
    def without_worker(self) -> Iterator[None]:
        """Nothing is taken from the queue within the block."""
        for each in self.workers:
            os.kill(each, signal.SIGSTOP)
        try:
            yield
        finally:
            for each in self.workers:
                os.kill(each, signal.SIGCONT)


@asynccontextmanager
async def relay(
    folder: Path, clips: list[Path], *, library: Library | None = None, workers: int = 1, **settings: str
) -> AsyncIterator[Relay]:
    """
    Everything it writes goes below *folder*. *settings* by their names without ``FRAMERELAY_``, in small letters.

    *library*: a provider that behaves differently.
    """
    library = library or Library(clips)
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
        running = tuple(stack.enter_context(_running("worker", environ, folder)) for _ in range(workers))
        redis = connect(server.url)
        stack.push_async_callback(disconnect, redis)
        client = httpx.AsyncClient(base_url=ours.listen_url, trust_env=False, timeout=30)
        api = await stack.enter_async_context(client)
        await wait_until_ready(api)
        api.headers["Authorization"] = f"Bearer {find_api_key(ours)}"
        yield Relay(library=library, redis=redis, api=api, port=port, receiver=receiver, workers=running)


def small_clip(folder: Path) -> Path:
    """Half a second of a small picture: next to nothing to carry and to decode."""
    clip = folder / "clip.mp4"
    order = ClipOrder(number=1, prompt="bench", seed=1, width=160, height=96, frames=12, bframes=0)
    render_clip(order, clip, last_frame_into=None, stop=threading.Event())
    return clip


def cpu_ms(pid: int) -> float:
    """What the process itself has used of a core so far; its clock is named by its id, as POSIX has it."""
    return time.clock_gettime(~pid << 3 | 2) * 1000


def memory_mb(pid: int) -> float:
    """What the process holds now."""
    process = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=True)
    return round(int(process.stdout) / 1024, 1)


def _environ(**settings: str) -> dict[str, str]:
    others = {name: value for name, value in os.environ.items() if not name.startswith("FRAMERELAY_")}
    return {**others, **{f"FRAMERELAY_{name.upper()}": value for name, value in settings.items()}}


@contextmanager
def _running(command: str, environ: dict[str, Any], folder: Path) -> Iterator[int]:
    """Its process id."""
    folder.mkdir(exist_ok=True)
    with (folder / f"{command}.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "framerelay.cli.main", command], env=environ, cwd=folder, stdout=log, stderr=log
        )
        try:
            yield process.pid
        finally:
            process.terminate()
            process.wait()
