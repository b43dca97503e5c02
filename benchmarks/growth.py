"""
Does the cost of an event grow with the runs that are stored?

Real processes: one receiver and one worker on a synced Redis, a provider that is instant in this process. With 10,
1,000 and 10,000 runs stored, every second of them with a place in the time-table, a run of chained shots goes through.
Counted are Redis's own commands (those inside scripts too) and bytes over its socket, for each callback that came in,
and the memory of the two processes.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import uvloop
from arq.connections import ArqRedis

from benchmarks.callback_to_submit import wait_until_ready
from benchmarks.library import Library
from cli.http import listening_on, serving
from config.keys import find_api_key
from config.settings import Settings
from runs.embedded_redis import EmbeddedRedis
from runs.machine import begin
from runs.model import Run, RunId, RunStatus, Shot, Terms
from runs.queue import connect, disconnect
from runs.store import Store
from sandbox.clip import ClipOrder, render_clip

STORED = (10, 1_000, 10_000)
SHOTS = 30
SAVED_AT_ONCE = 100


def measure() -> dict[str, Any]:
    """One film at each number of stored runs."""
    with tempfile.TemporaryDirectory(prefix="fr-bench-") as name:
        folder = Path(name)
        clip = folder / "clip.mp4"
        order = ClipOrder(number=1, prompt="bench", seed=1, width=160, height=96, frames=12, bframes=0)
        render_clip(order, clip, last_frame_into=None, stop=threading.Event())
        return {"question": "growth", "callbacks": SHOTS, "at": uvloop.run(_measure(Library([clip]), folder))}


async def _measure(library: Library, folder: Path) -> list[dict[str, Any]]:
    with listening_on("127.0.0.1", 0) as provider, listening_on("127.0.0.1", 0) as free:
        url, port = f"http://127.0.0.1:{provider.getsockname()[1]}", free.getsockname()[1]
        free.close()
        settings = Settings(port=port, data_dir=folder / "data")
        async with serving(library.app(), provider), EmbeddedRedis(settings.data_dir / "redis") as server:
            redis = connect(server.url, connections_max=SAVED_AT_ONCE)
            environ = _environ(settings, upstream=url, redis_url=server.url)
            with _running("receiver", environ, folder) as receiver, _running("worker", environ, folder) as worker:
                found = await _each_size(settings, redis, receiver=receiver, worker=worker)
            await disconnect(redis)
    return found


async def _each_size(settings: Settings, redis: ArqRedis, *, receiver: int, worker: int) -> list[dict[str, Any]]:
    found, stored = [], 0
    async with _api(settings) as api:
        await _film(api, redis)  # What is loaded on first use counts for nobody.
        for wanted in STORED:
            await _store(Store(redis), range(stored, wanted))
            stored = wanted
            cost = await _film(api, redis)
            memory = {"receiver_mb": _memory_mb(receiver), "worker_mb": _memory_mb(worker)}
            found.append({"runs": wanted, **cost, **memory})
    return found


def _environ(settings: Settings, *, upstream: str, redis_url: str) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("FRAMERELAY_")},
        "FRAMERELAY_UPSTREAM_URL": upstream,
        "FRAMERELAY_UPSTREAM_KEY": "sk-bench",
        "FRAMERELAY_TRUSTED_HOSTS": upstream.removeprefix("http://"),
        "FRAMERELAY_PORT": str(settings.port),
        "FRAMERELAY_DATA_DIR": str(settings.data_dir),
        "FRAMERELAY_REDIS_URL": redis_url,
    }


@contextmanager
def _running(command: str, environ: dict[str, str], folder: Path) -> Iterator[int]:
    """Its process id."""
    with (folder / f"{command}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "cli.main", command], env=environ, cwd=folder, stdout=log, stderr=log
        )
        try:
            yield process.pid
        finally:
            process.terminate()
            process.wait()


@asynccontextmanager
async def _api(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=settings.listen_url, trust_env=False, timeout=30) as api:
        await wait_until_ready(api)
        api.headers["Authorization"] = f"Bearer {find_api_key(settings)}"
        yield api


async def _store(store: Store, numbers: range) -> None:
    for first in range(numbers.start, numbers.stop, SAVED_AT_ONCE):
        some = range(first, min(first + SAVED_AT_ONCE, numbers.stop))
        await asyncio.gather(*(_save(store, number) for number in some))


async def _save(store: Store, number: int) -> None:
    """Every second one waits in the time-table, an hour or more away; no task is asked for."""
    shot = Shot(id="s1", scene="1", origin="continue", source=None, input={"prompt": "雨夜"}, gated=True)
    now = time.time()
    run_id = RunId(f"run_stored{number}")
    run = Run(id=run_id, title="bench", model="m", created_at=now, updated_at=now, shots=(shot,), terms=Terms())
    wake_at = now + 3600 + number if number % 2 else None
    await store.save(begin(run), expected=None, event={"event": "started"}, steps=[], wake_at=wake_at)


async def _film(api: httpx.AsyncClient, redis: ArqRedis) -> dict[str, float]:
    """Commands and bytes for each callback of a run of `SHOTS` shots, our own look at it left out."""
    store, looks = Store(redis), 0
    before = await _asked(redis)
    shots = [{"id": f"s{number}", "prompt": "bench"} for number in range(SHOTS)]
    run_id = (await api.post("/v1/runs", json={"title": "bench", "model": "m", "shots": shots})).json()["id"]
    deadline = time.monotonic() + 120
    status = RunStatus.RUNNING
    while status is RunStatus.RUNNING and time.monotonic() < deadline:
        await asyncio.sleep(0.5)
        run = await store.load(run_id)
        status, looks = run.status if run else status, looks + 1
    if status is not RunStatus.SUCCEEDED:
        raise SystemExit(f"the run did not get to its end: {status}")
    calls, received = (after - first for after, first in zip(await _asked(redis), before, strict=True))
    return {
        "commands_per_event": round((calls - looks) / SHOTS, 1),
        "kilobytes_per_event": round(received / SHOTS / 1000, 1),
    }


async def _asked(redis: ArqRedis) -> tuple[int, int]:
    """Commands so far, and bytes that came in: what we read ourselves goes out."""
    commands = await redis.info("commandstats")
    calls = sum(each["calls"] for name, each in commands.items() if name not in ("cmdstat_info", "cmdstat_ping"))
    return calls, (await redis.info("stats"))["total_net_input_bytes"]


def _memory_mb(pid: int) -> float:
    found = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=True)
    return round(int(found.stdout) / 1024, 1)


def main() -> None:
    """One JSON line, one sentence."""
    found = measure()
    print(json.dumps(found))
    each = "; ".join(
        f"{at['runs']:,} runs: {at['commands_per_event']} commands, {at['kilobytes_per_event']} kB, "
        f"receiver {at['receiver_mb']} MB, worker {at['worker_mb']} MB"
        for at in found["at"]
    )
    print(f"What Redis does for one callback, its look-up, fetch, hand-off and next submit included, with {each}.")


if __name__ == "__main__":
    main()
