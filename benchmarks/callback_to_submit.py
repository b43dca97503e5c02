"""
How long from a callback to the next submit, with jobs of a second and a clip of about 1 MB on loopback?

Real processes: `framerelay up` on one side, the provider in this one. The clip has the anatomy of a Seedance file
(864x496, one keyframe, three B-frames in a row, moov at the end) and weighs about 1 MB, so the last frame costs a real
decode. The hop is: keep the callback, GET, fetch, decode, PNG, upload, intent, POST. What follows a submit (the clip's
first frame, small copies) has ended when the next callback comes, as it has with any real job.
"""

import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import uvloop

from benchmarks.library import Library
from framerelay.cli.http import listening_on, serving
from framerelay.config.keys import find_api_key
from framerelay.config.settings import Settings
from framerelay.sandbox.clip import ClipOrder, render_clip

HOPS = 15
JOB_S = 1.0
WARM_UP = 3


def measure() -> dict[str, Any]:
    """One run of many shots; returns milliseconds."""
    with tempfile.TemporaryDirectory(prefix="fr-bench-") as folder:
        clip = Path(folder) / "clip.mp4"
        order = ClipOrder(number=1, prompt="bench", seed=1, width=864, height=496, frames=57, bframes=3)
        render_clip(order, clip, last_frame_into=None, stop=threading.Event())
        library = Library([clip], called_back_after_s=JOB_S)
        uvloop.run(_measure(library, Path(folder)))
        hops = [
            (submit - at) * 1000 for at, (submit, _) in zip(library.called_back, library.submits[1:], strict=False)
        ][WARM_UP:]
        return {
            "question": "callback_to_submit",
            "clip_bytes": clip.stat().st_size,
            "hops": len(hops),
            "median_ms": round(statistics.median(hops), 1),
            "min_ms": round(min(hops), 1),
            "max_ms": round(max(hops), 1),
            "to_reach_ms": 150,
        }


async def _measure(library: Library, folder: Path) -> None:
    with listening_on("127.0.0.1", 0) as provider:
        async with serving(library.app(), provider):
            await relay_one_run(f"http://127.0.0.1:{provider.getsockname()[1]}", folder, shots=HOPS + WARM_UP + 1)


async def relay_one_run(
    provider: str, folder: Path, *, shots: int, profile: str = "jobs", more: Mapping[str, str] | None = None
) -> None:
    """
    `framerelay up` with the provider at that URL, until a run of that many chained shots has its last clip.

    *more*: variables of its environment.
    """
    with listening_on("127.0.0.1", 0) as free:
        port = free.getsockname()[1]
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("FRAMERELAY_")},
        "FRAMERELAY_PROVIDER": profile,
        "FRAMERELAY_UPSTREAM_URL": provider + ("/api/v3" if profile == "ark" else ""),
        "FRAMERELAY_UPSTREAM_KEY": "sk-bench",
        "FRAMERELAY_TRUSTED_HOSTS": provider.removeprefix("http://"),
        "FRAMERELAY_PORT": str(port),
        "FRAMERELAY_DATA_DIR": str(folder / "data"),
        **(more or {}),
    }
    command = [sys.executable, "-m", "framerelay.cli.main", "up"]
    relay = subprocess.Popen(command, env=environ, cwd=folder, stderr=subprocess.DEVNULL)  # noqa: ASYNC220
    try:
        await _run(Settings(port=port, data_dir=folder / "data"), shots)
    finally:
        relay.send_signal(signal.SIGTERM)
        relay.wait()


async def _run(settings: Settings, number: int) -> None:
    shots = [{"id": f"s{each}", "prompt": "bench"} for each in range(number)]
    async with httpx.AsyncClient(base_url=settings.listen_url, trust_env=False, timeout=30) as api:
        await wait_until_ready(api)
        api.headers["Authorization"] = f"Bearer {find_api_key(settings)}"
        run = (await api.post("/v1/runs", json={"title": "bench", "model": "m", "shots": shots})).json()
        deadline = time.monotonic() + 120
        while run["shots"][-1]["status"] != "done":
            if run["status"] != "running" or time.monotonic() > deadline:
                raise SystemExit(f"the run did not get to its end: {run['status']} {run['error']}")
            await asyncio.sleep(0.5)
            run = (await api.get(f"/v1/runs/{run['id']}")).json()


async def wait_until_ready(api: httpx.AsyncClient) -> None:
    """Until the receiver at *api* can keep what it is given."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if (await api.get("/readyz")).status_code == 200:
                return
        except httpx.TransportError:
            await asyncio.sleep(0.05)
    raise SystemExit("framerelay up did not come up")


def main() -> None:
    """One JSON line, one sentence."""
    facts = measure()
    print(json.dumps(facts))
    print(
        f"Callback → next submit, {facts['clip_bytes'] / 1e6:.2f} MB clip on loopback: median {facts['median_ms']} ms "
        f"({facts['min_ms']} to {facts['max_ms']}, {facts['hops']} hops); to reach: {facts['to_reach_ms']} ms."
    )


if __name__ == "__main__":
    main()
