"""
A thousand runs in flight on one worker process: how much memory, and does each get its share?

Real processes, an instant provider, clips that weigh nothing, so that the queue is always full. The worker is stopped
while a thousand chained runs are started, then one more comes, last of all. A run's hop is the time between its first
and its second submit: look-up, fetch, last frame, upload, and the queue in front of each. With a fair order all hops
are alike, the last run's too, and no run is two shots ahead of another that is not yet begun.
"""

import asyncio
import json
import statistics
import subprocess
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.relay import Relay, memory_mb, relay, small_clip

RUNS = 1_000
SHOTS = 2
STARTED_AT_ONCE = 20
AT_MOST_S = 150
MEMORY_MB_MAX = 300
LATE = "late"


def measure() -> dict[str, Any]:
    """Seconds, megabytes, and how far the runs were apart."""
    with tempfile.TemporaryDirectory(prefix="fr-bench-") as name:
        return {"question": "many_runs", "runs": RUNS, **uvloop.run(_measure(Path(name)))}


async def _measure(folder: Path) -> dict[str, Any]:
    async with relay(folder / "house", [small_clip(folder)]) as house:
        names = [f"run {number}" for number in range(RUNS)]
        with house.without_worker():
            for first in range(0, RUNS, STARTED_AT_ONCE):
                await asyncio.gather(*(_start(house, name) for name in names[first : first + STARTED_AT_ONCE]))
            await _start(house, LATE)
        released_at = time.monotonic()
        alone, family = await _until_all_hopped(house, released_at + AT_MOST_S)
        return {
            "worker_mb": alone,
            "worker_and_decoders_mb": family,
            **_order([fields["prompt"] for _, fields in house.library.submits]),
            **_hops(_times(house), released_at),
        }


async def _start(house: Relay, name: str) -> None:
    shots = [{"id": f"s{number}", "prompt": name} for number in range(SHOTS)]
    answer = await house.api.post("/v1/runs", json={"title": name, "model": "m", "shots": shots})
    if answer.status_code != 201:
        raise SystemExit(f"a run was refused: {answer.text}")


async def _until_all_hopped(house: Relay, deadline: float) -> tuple[float, float]:
    """The most memory during the block: of the worker, and of it with its decoders."""
    alone = family = 0.0
    while len(house.library.submits) < (RUNS + 1) * SHOTS:
        if time.monotonic() > deadline:
            raise SystemExit(f"after {AT_MOST_S} s only {len(house.library.submits)} submits had left")
        here = memory_mb(house.worker)
        alone, family = max(alone, here), max(family, here + sum(map(_memory_mb_or_0, _below(house.worker))))
        await asyncio.sleep(0.5)
    return alone, round(family, 1)


def _below(pid: int) -> list[int]:
    """Its children and theirs."""
    listing = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    children = defaultdict(list)
    for line in listing.splitlines():
        child, parent = map(int, line.split())
        children[parent].append(child)
    children_of_pid = list(children[pid])
    for each in children_of_pid:
        children_of_pid += children[each]
    return children_of_pid


def _memory_mb_or_0(pid: int) -> float:
    """What only this process holds: what it shares with its parent is counted there."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0  # It has ended by now, or this system does not say.
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


def _times(house: Relay) -> dict[str, list[float]]:
    times: dict[str, list[float]] = defaultdict(list)
    for moment, fields in house.library.submits:
        times[fields["prompt"]].append(moment)
    return times


def _order(submits: list[str]) -> dict[str, int]:
    """``begun_before_any_hop``: runs that were at their first shot when the first run came to its second."""
    names: set[str] = set()
    first_hop = next(place for place, name in enumerate(submits) if name in names or names.add(name))  # type: ignore[func-returns-value]
    return {"begun_before_any_hop": first_hop, "late_was_begun_as": submits.index(LATE) + 1}


def _hops(times: dict[str, list[float]], released_at: float) -> dict[str, float]:
    hops = sorted(second - first for name, (first, second) in times.items() if name != LATE)
    late = times[LATE][1] - times[LATE][0]
    median = statistics.median(hops)
    end = max(moment for moments in times.values() for moment in moments)
    return {
        "submits_per_s": round((RUNS + 1) * SHOTS / (end - released_at), 1),
        "hop_s": round(median, 2),
        "hop_s_max": round(hops[-1], 2),
        "late_hop_s": round(late, 2),
        "slowest_to_median": round(hops[-1] / median, 2),
        "late_to_median": round(late / median, 2),
    }


def main() -> None:
    """One JSON line, one sentence."""
    facts = measure()
    print(json.dumps(facts))
    print(
        f"{RUNS:,} runs in flight on one worker: {facts['worker_mb']} MB, {facts['worker_and_decoders_mb']} MB with "
        f"its decoders (to stay below: {MEMORY_MB_MAX}); the median hop takes {facts['hop_s']} s, the "
        f"slowest one's {facts['slowest_to_median']} times that, the late-comer's {facts['late_to_median']} times; "
        f"{facts['begun_before_any_hop']:,} runs were begun before any came to its second shot."
    )


if __name__ == "__main__":
    main()
