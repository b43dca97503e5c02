"""
The storm: many runs against real processes that are killed all the time; then a table, and a verdict.

    python tests/chaos/storm.py --runs 200 --seed 1

Exit code 0: every promise held. 1: one did not, and is named. It stops by itself after ``--minutes``, and at once when
a take was paid twice or a run is gone.
"""

import argparse
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click
from caller import Caller, surely
from director import Director, is_going
from house import House, Weather
from monkey import Monkey
from verdict import Verdict, judge, missing_callbacks, paid_twice

ENDED = ("succeeded", "failed", "cancelled", "missing")
AT_ONCE = 12  # More would wait in the sandbox for longer than a job may live.
GLANCE_S = 0.5
SPOOL_S = 90.0


def main() -> int:
    """One storm from the command line."""
    options = argparse.ArgumentParser()
    options.add_argument("--runs", type=int, default=200)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--minutes", type=float, default=25.0)
    options.add_argument("--strikes", type=int, default=120, help="kills and stops, then peace")
    options.add_argument("--pause-s", type=float, nargs=2, default=(1.0, 4.0), help="between two strikes")
    options.add_argument("--hold-s", type=float, default=30.0, help="how long an unsure take may be alive")
    options.add_argument("--submit-timeout-s", type=float, default=6.0, help="then a take is unsure")
    options.add_argument("--leave-unsure", action="store_true", help="do not wait until such takes give way")
    options.add_argument("--no-whims", action="store_true", help="nobody decides anything that is not asked for")
    options.add_argument("--broken", help="a safeguard of worker_with_a_trap.py to switch off")
    given_options = options.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = Path(tempfile.mkdtemp(prefix="fr-storm-"))
    outside = Weather(
        seed=given_options.seed,
        hold_s=given_options.hold_s,
        submit_timeout_s=given_options.submit_timeout_s,
        fault=given_options.broken,
    )
    plan = Plan(
        runs=given_options.runs,
        strikes=given_options.strikes,
        pause_s=tuple(given_options.pause_s),
        seconds=given_options.minutes * 60,
        leaves_unsure=given_options.leave_unsure,
        whims=not given_options.no_whims,
    )
    began = time.monotonic()
    verdict = storm(folder, outside, plan)
    say(verdict, seed=given_options.seed, took_s=time.monotonic() - began)
    if verdict.breaches:
        click.echo(f"the logs are in {folder}")
        return 1
    shutil.rmtree(folder)
    return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """
    How many *runs*, numbered from *first*; how many *strikes*, with a pause of *pause_s* between two, then peace.

    *gently*: the share of strikes that tell a process to end, as at a deploy; the others kill it.
    It is over after *seconds* at the latest. ``leaves_unsure``: a run that waits for a take of which nothing is known
    is not waited for. ``whims``: a person retakes, picks, adopts and cancels at random moments.
    """

    runs: int
    first: int = 0
    strikes: int = 0
    pause_s: tuple[float, float] = (1.0, 4.0)
    gently: float = 0.3
    seconds: float
    leaves_unsure: bool = False
    whims: bool = True


def storm(folder: Path, outside: Weather, plan: Plan) -> Verdict:
    """A house in *folder*, shaken."""
    house = House(folder, outside)
    try:
        house.open()
        monkey = Monkey(house, seed=outside.seed, strikes=plan.strikes, pause_s=plan.pause_s, gently=plan.gently)
        return weather(house, monkey, plan)
    finally:
        house.close()


def weather(house: House, monkey: Monkey, plan: Plan) -> Verdict:
    """Start the runs while *monkey* is at work; judge when all have ended, or when there is nothing to wait for."""
    deadline = time.monotonic() + plan.seconds
    glance_at = time.monotonic() + GLANCE_S
    statuses: dict[str, str] = {}
    with Caller(house.urls) as caller:
        director = Director(caller, seed=house.seed, whims=plan.whims)
        while time.monotonic() < deadline:
            monkey.tick()
            look_after(caller, monkey, director, statuses, plan)
            if monkey.is_done and len(statuses) == plan.runs:
                director.rest()
            at_peace = monkey.is_done and len(statuses) == plan.runs
            if at_peace and all(status in ENDED for status in statuses.values()):
                break
            if time.monotonic() > glance_at:
                began = time.monotonic()
                if "missing" in statuses.values() or beyond_repair(house, caller):
                    break
                if plan.leaves_unsure and at_peace and "running" not in statuses.values():
                    verdict = settled(house, caller, director, list(statuses))
                    if not verdict.breaches:
                        return verdict
                now = time.monotonic()
                glance_at = now + max(GLANCE_S, 20 * (now - began))
            time.sleep(0.1)
        calm(house, monkey)
        verdict = settled(house, caller, director, list(statuses))
        if missing := plan.runs - len(statuses):
            verdict.breaches.append(f"{missing} of {plan.runs} runs could not be started")
        return verdict


def look_after(caller: Caller, monkey: Monkey, director: Director, statuses: dict[str, str], plan: Plan) -> None:
    """Start the next run if there is room, see how those are that go on, and let a person decide about them."""
    going = [run_id for run_id, status in statuses.items() if status not in ENDED]
    if len(statuses) < plan.runs and len(going) < AT_ONCE and (new := caller.start(plan.first + len(statuses))):
        statuses[new] = "running"
    for run_id in going:
        monkey.tick()
        if (run := caller.ask(f"/v1/runs/{run_id}")) is not None:
            statuses[run_id] = "running" if is_going(run) else run["status"]
            if run["status"] != "missing" and director.look(run):
                statuses[run_id] = "running"  # Another film than the one that was there; it may wait for a person.


def beyond_repair(house: House, caller: Caller) -> bool:
    """Whether something happened that time cannot repair, so that there is nothing to wait for."""
    journal = house.journal()
    is_spool_empty = not house.spooled()  # Then Redis alone has what was acknowledged up to the line above.
    if paid_twice(journal) or any(process.desertions for process in house.ours):
        return True
    callbacks = caller.callbacks() if is_spool_empty else None
    return callbacks is not None and bool(missing_callbacks(journal, callbacks))


def calm(house: House, monkey: Monkey) -> None:
    """Everything runs again, so that it can be asked."""
    monkey.rest()
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        monkey.tick()
        try:
            house.wait_until_ready(within_s=0.5)
        except TimeoutError:
            continue
        if monkey.is_done:
            return
    raise TimeoutError(f"not everything came back; logs are in {house.folder}")


def settled(house: House, caller: Caller, director: Director, run_ids: list[str]) -> Verdict:
    """Judged when the spool is empty; it is emptied in its own time."""
    runs = [surely(partial(caller.ask, f"/v1/runs/{run_id}")) for run_id in run_ids]
    deadline = time.monotonic() + SPOOL_S
    while house.spooled() and time.monotonic() < deadline:
        time.sleep(0.1)
    journal = house.journal()  # Before the callbacks are listed: what is acknowledged after this is not asked for.
    return judge(house, journal, runs, surely(caller.callbacks), director)


def say(verdict: Verdict, *, seed: int, took_s: float) -> None:
    """The table, and what did not hold."""
    click.echo(f"storm of seed {seed}, {took_s:.0f} s")
    for name, figure in verdict.figures.items():
        click.echo(f"  {name:<38} {figure:>8}")
    for sentence in verdict.breaches[:20]:
        click.echo(f"  BROKEN  {sentence}")
    if len(verdict.breaches) > 20:
        click.echo(f"  … and {len(verdict.breaches) - 20} more")
    click.echo("a promise did not hold" if verdict.breaches else "every promise held")


if __name__ == "__main__":
    sys.exit(main())
