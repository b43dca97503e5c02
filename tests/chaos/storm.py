"""
The storm: many runs against real processes that are killed all the time; then a table, and a verdict.

    python tests/chaos/storm.py --runs 200 --seed 1

Exit code 0: every promise held. 1: one did not, and is named. It stops by itself after ``--minutes``.
"""

import argparse
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import httpx
from house import API_KEY, House, Weather
from monkey import Monkey
from verdict import Verdict, judge

ENDED = ("succeeded", "failed", "cancelled")
AT_ONCE = 12  # More would wait in the sandbox for longer than a job may live.


def main() -> int:
    """One storm from the command line."""
    options = argparse.ArgumentParser()
    options.add_argument("--runs", type=int, default=200)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--minutes", type=float, default=25.0)
    options.add_argument("--strikes", type=int, default=150, help="kills and stops, then peace")
    options.add_argument("--pause-s", type=float, nargs=2, default=(1.5, 5.0), help="between two strikes")
    options.add_argument("--hold-s", type=float, default=60.0, help="how long an unsure take may be alive")
    options.add_argument("--patience-s", type=float, default=100.0, help="for a run that waits for an unsure take")
    options.add_argument("--broken", help="a safeguard of worker_with_a_trap.py to switch off")
    given = options.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = Path(tempfile.mkdtemp(prefix="fr-storm-"))
    house = House(folder, Weather(seed=given.seed, hold_s=given.hold_s, broken=given.broken))
    try:
        house.open()
        monkey = Monkey(house, seed=given.seed, strikes=given.strikes, pause_s=tuple(given.pause_s))
        began = time.monotonic()
        verdict = weather(house, monkey, runs=given.runs, seconds=given.minutes * 60, patience_s=given.patience_s)
    finally:
        house.close()
    say(verdict, seed=given.seed, took_s=time.monotonic() - began)
    if verdict.broken:
        click.echo(f"the logs are in {folder}")
        return 1
    shutil.rmtree(folder)
    return 0


def weather(house: House, monkey: Monkey, *, runs: int, seconds: float, patience_s: float, first: int = 0) -> Verdict:
    """
    Start *runs* runs, numbered from *first*, while *monkey* is at work; judge when all have ended, or time is up.

    A run that has waited for *patience_s* in peace has ended, too; the verdict says if it may.
    """
    deadline = time.monotonic() + seconds
    started, going, ended = 0, set[str](), list[str]()
    waiting: dict[str, float] = {}
    headers = {"Authorization": f"Bearer {API_KEY}"}
    with httpx.Client(base_url=house.url, headers=headers, trust_env=False, timeout=4.0) as api:
        while time.monotonic() < deadline and (len(ended) < runs or not monkey.is_done):
            monkey.tick()
            if started < runs and len(going) < AT_ONCE and (run_id := start(api, first + started)):
                going.add(run_id)
                started += 1
                waiting[run_id] = time.monotonic()
            for run_id in sorted(going):
                monkey.tick()
                run = ask(api, f"/v1/runs/{run_id}")
                if run is None:
                    continue
                if run["status"] != "waiting" or not monkey.is_done:
                    waiting[run_id] = time.monotonic()
                if run["status"] in ENDED or time.monotonic() - waiting[run_id] > patience_s:
                    ended.append(run_id)
                    going.discard(run_id)
            time.sleep(0.1)
        calm(house, monkey)
        shown = [ask_surely(api, f"/v1/runs/{run_id}") for run_id in [*ended, *going]]
        time.sleep(2.0)  # The last callbacks of jobs that are done already are still on their way.
        for _ in range(15):  # And what a spool holds goes to Redis in its own time.
            verdict = judge(house, shown, kept_callbacks(api), monkey.redis_stops)
            if not verdict.figures["acknowledged and lost"]:
                break
            time.sleep(1.0)
        return verdict


def calm(house: House, monkey: Monkey) -> None:
    """Everything runs again, so that it can be asked."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        monkey.tick()
        try:
            house.wait_for(f"{house.url}/readyz", within_s=0.5)
            return
        except TimeoutError:
            continue
    raise TimeoutError(f"the receiver did not come back; logs are in {house.folder}")


def start(api: httpx.Client, number: int) -> str | None:
    """Ask for run *number*; asking again after trouble gives the same run."""
    try:
        answer = api.post("/v1/runs", json=storyboard(number), headers={"Idempotency-Key": f"storm-{number}"})
    except httpx.HTTPError:
        return None
    return answer.json()["id"] if answer.status_code == 201 else None


def storyboard(number: int) -> dict[str, Any]:
    """Four shots: a chain, or two scenes side by side."""
    shots = [{"id": f"s{place}", "prompt": f"run {number}, shot {place}"} for place in (1, 2, 3, 4)]
    head = {"title": f"storm {number}", "model": "seedance-1.5-pro-1080p", "budget": {"jobs": 8}}
    if number % 2:
        return {**head, "shots": shots}
    return {**head, "scenes": [{"id": "a", "shots": shots[:2]}, {"id": "b", "shots": shots[2:]}]}


def ask(api: httpx.Client, path: str) -> dict[str, Any] | None:
    """What *path* answers; None while nobody can."""
    try:
        answer = api.get(path)
    except httpx.HTTPError:
        return None
    found: dict[str, Any] = answer.json() if answer.status_code == 200 else {}
    return found or ({"id": path, "status": "missing"} if answer.status_code == 404 else None)


def ask_surely(api: httpx.Client, path: str) -> dict[str, Any]:
    """What *path* answers, within some tries."""
    for _ in range(40):
        if (found := ask(api, path)) is not None:
            return {"shots": [], "error": None, **found}
        time.sleep(0.25)
    raise TimeoutError(f"{path} does not answer")


def kept_callbacks(api: httpx.Client) -> list[dict[str, Any]]:
    """Every callback that was kept, page by page."""
    kept: list[dict[str, Any]] = []
    after: str | None = None
    while True:
        page = ask_surely(api, f"/v1/callbacks?limit=200{f'&after={after}' if after else ''}")
        kept += page["data"]
        after = page["next"]
        if after is None:
            return kept


def say(verdict: Verdict, *, seed: int, took_s: float) -> None:
    """The table, and what did not hold."""
    click.echo(f"storm of seed {seed}, {took_s:.0f} s")
    for name, figure in verdict.figures.items():
        click.echo(f"  {name:<38} {figure:>8}")
    for sentence in verdict.broken[:20]:
        click.echo(f"  BROKEN  {sentence}")
    if len(verdict.broken) > 20:
        click.echo(f"  … and {len(verdict.broken) - 20} more")
    click.echo("a promise did not hold" if verdict.broken else "every promise held")


if __name__ == "__main__":
    sys.exit(main())
