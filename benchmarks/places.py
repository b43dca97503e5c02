"""
A provider that takes five jobs at once, 150 one-second jobs, two workers: how often does it have to refuse one?

Real processes; no setting says how many places there are, so they are learned. Ten runs of fifteen shots side by side
are started while the workers are stopped, so that something is always waiting. All figures are from the provider's own
journal: what it refused, and when each job began and ended. Use is the time of all jobs divided by that of five places,
from the beginning of the first job to the end of the last. A place is free from the moment at which its job ends: the
callback, the look-up, the next job's turn and its submit are all time in which it is not used, and so is what others on
this machine take; ``load`` says how many wanted its cores in the last minute.
"""

import asyncio
import json
import os
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvloop
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from benchmarks.library import Library
from benchmarks.relay import Relay, relay, small_clip

PLACES = 5
RUNS, SHOTS = 10, 15
JOB_S = 1.0
WORKERS = 2
AT_MOST_S = 180
REFUSALS_TO_REACH = 15
USE_TO_REACH = 0.9


@dataclass
class Narrow(Library):
    """A library that refuses more than `PLACES` jobs at once. ``jobs``: begin and end of each, monotonic seconds."""

    jobs: list[tuple[float, float]] = field(default_factory=list)
    refusals: int = 0
    most: int = 0

    def at_once(self, now: float) -> int:
        """Jobs that have not ended."""
        return sum(ends_at > now for _, ends_at in self.jobs[-2 * PLACES :])

    async def _submit(self, request: Request) -> Response:
        fields = (await request.json())["input"]
        at = time.monotonic()
        if self.at_once(at) >= PLACES:
            self.refusals += 1
            return JSONResponse({"error": {"code": "RateLimited", "message": "too many jobs at once"}}, 429)
        number = len(self.submits)
        self.submits.append((at, fields))
        self.jobs.append((at, at + JOB_S))
        self.most = max(self.most, self.at_once(at))
        job = self._job(request, number)
        done_job = {"id": str(number), "status": "succeeded"}
        return JSONResponse(job, background=BackgroundTask(self._call_back, fields["callback_url"], done_job))


def measure() -> dict[str, Any]:
    """Refusals, and the part of the places' time in which they were used."""
    with tempfile.TemporaryDirectory(prefix="fr-bench-") as name:
        return uvloop.run(_measure(Path(name)))


async def _measure(folder: Path) -> dict[str, Any]:
    library = Narrow([small_clip(folder)], rendering_s=[JOB_S] * (RUNS * SHOTS), called_back_after_s=JOB_S)
    async with relay(folder / "house", [], library=library, workers=WORKERS) as house:
        with house.without_worker():
            await asyncio.gather(*(_start(house, f"run {number}") for number in range(RUNS)))
        await _until_all_ended(library)
        return {
            "question": "places",
            "places": PLACES,
            "jobs": len(library.jobs),
            "workers": WORKERS,
            "refusals": library.refusals,
            "use": round(_use(library.jobs), 3),
            "at_once_most": library.most,
            "load": round(os.getloadavg()[0], 1),
        }


async def _start(house: Relay, name: str) -> None:
    scenes = [{"id": f"c{number}", "shots": [{"id": f"s{number}", "prompt": name}]} for number in range(SHOTS)]
    answer = await house.api.post("/v1/runs", json={"title": name, "model": "m", "scenes": scenes})
    if answer.status_code != 201:
        raise SystemExit(f"a run was refused: {answer.text}")


async def _until_all_ended(library: Narrow) -> None:
    deadline = time.monotonic() + AT_MOST_S
    while len(library.jobs) < RUNS * SHOTS or library.at_once(time.monotonic()):
        if time.monotonic() > deadline:
            raise SystemExit(f"after {AT_MOST_S} s only {len(library.jobs)} jobs were made")
        await asyncio.sleep(0.1)


def _use(jobs: list[tuple[float, float]]) -> float:
    begins, ends = zip(*jobs, strict=True)
    return sum(end - begin for begin, end in jobs) / (PLACES * (max(ends) - min(begins)))


def main() -> None:
    """One JSON line, one sentence."""
    facts = measure()
    print(json.dumps(facts))
    print(
        f"{facts['jobs']} jobs of {JOB_S:.0f} s at a provider with {PLACES} places, {WORKERS} workers: "
        f"{facts['refusals']} refusals (to reach: {REFUSALS_TO_REACH}), its places used for {facts['use']:.0%} of the "
        f"time (to reach: {USE_TO_REACH:.0%}); never more than {facts['at_once_most']} at once."
    )


if __name__ == "__main__":
    main()
