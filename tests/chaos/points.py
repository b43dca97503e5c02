"""
Every commit point in turn: one process ends exactly there, once, and the film comes out all the same.

    python tests/chaos/points.py [POINT …]

Killed at each point; told to end, as at a deploy, at those of ``DEPLOYS``, which may then not even cost a take. Exit
code 0: at each point the trap went off, and every promise held.
"""

import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import click
from house import House, Weather
from monkey import RECEIVER_POINTS, WORKER_POINTS, Monkey
from storm import Plan, weather
from verdict import Verdict

RATES: Final = ("lose", "repeat", "reorder", "early", "unavailable", "accept_then_500", "doubling")
FAIR: Final[Any] = dict.fromkeys(RATES, 0.0)
WITHOUT_REDIS: Final = ("after_spooled_200", "mid_drain")
DEPLOYS: Final = ("after_accept", "after_intent_saved", "mid_download", "mid_join")
UNSURE: Final = "after_intent_saved"  # Nobody knows if anything was sent: the take gives way to a second one.


def main() -> int:
    """Each point that is named, or all."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    points = sys.argv[1:] or [*RECEIVER_POINTS, *WORKER_POINTS]
    failures = [point for point in points if not is_survived(point)]
    failures += [f"a deploy {point}" for point in points if point in DEPLOYS and not is_survived(point, gently=True)]
    click.echo(f"not survived: {', '.join(failures)}" if failures else "every point was survived")
    return bool(failures)


def is_survived(point: str, *, gently: bool = False) -> bool:
    """One run through the end of a process at *point*; prints a line, and what did not hold."""
    began = time.monotonic()
    verdict = verdict_at(point, gently=gently)
    wrong = [*verdict.breaches, *missed(verdict, point, gently=gently)]
    takes, jobs = verdict.figures["takes"], verdict.figures["jobs"]
    name, took_s = f"{'deploy ' if gently else ''}{point}", time.monotonic() - began
    click.echo(f"  {name:<26} {took_s:5.1f} s  takes {takes}, jobs {jobs}  {'; '.join(wrong) or 'ok'}")
    return not wrong


def verdict_at(point: str, *, gently: bool = False, fault: str | None = None) -> Verdict:
    """What came of one run of four shots, while a process ended at *point*, and a safeguard was off by *fault*."""
    folder = Path(tempfile.mkdtemp(prefix="fr-point-"))
    job_s = 2.0 if point in WITHOUT_REDIS else 0.2
    house = House(folder, Weather(seed=1, hold_s=12.0, job_s=job_s, fault=fault, **FAIR))
    try:
        house.open(traps={"receiver" if point in RECEIVER_POINTS else "worker": point}, gently=gently)
        monkey = Outages(house, point) if point in WITHOUT_REDIS else Monkey(house, seed=1)
        return weather(house, monkey, Plan(runs=1, first=1, seconds=120, whims=False))  # An odd number is a chain.
    finally:
        house.close()
        shutil.rmtree(folder, ignore_errors=True)


def missed(verdict: Verdict, point: str, *, gently: bool) -> list[str]:
    """What this point was to show, and did not."""
    promises = {
        "the trap did not go off": verdict.figures["of these at an exact point"] == 1,
        "there is no film": verdict.figures["runs that succeeded"] == 1,
        "it cost a take": verdict.figures["takes"] == (5 if point == UNSURE and not gently else 4),
        "it did not end with 0": verdict.figures["processes told to end, exit code 0"] == int(gently),
        "nothing was spooled": bool(verdict.figures["spooled while Redis was away"]) or point not in WITHOUT_REDIS,
    }
    return [sentence for sentence, is_so in promises.items() if not is_so]


class Outages(Monkey):
    """
    Redis is away while a job ends, until the trap has gone off; then no receiver is left that had taken part.

    A job that was faster is no harm: the next one is waited for.
    """

    def __init__(self, house: House, point: str) -> None:
        super().__init__(house, seed=1)
        self._mark = house.mark(point)
        self._is_over = False

    def tick(self) -> None:
        """One outage after the other, each longer than a job."""
        house = self._house
        if self._mark.exists() and not self._is_over:
            self._is_over = True
            for receiver in house.receivers:
                receiver.kill()
        if not self._is_over and not house.redis.is_gone() and self._is_job_running():
            house.redis.kill()
            self._away_s[house.redis.name] = 4.0
        super().tick()

    def _is_job_running(self) -> bool:
        return any(job["state"] in ("queued", "running") for job in self._house.journal()["jobs"])


if __name__ == "__main__":
    sys.exit(main())
