"""
Every commit point in turn: the receiver or the workers die exactly there, once, and the film comes out all the same.

    python tests/chaos/points.py [POINT …]

Exit code 0: at each point the trap went off, and every promise held.
"""

import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import click
from house import House, Weather
from monkey import RECEIVER_POINTS, WORKER_POINTS, Monkey
from storm import weather

FAIR = {name: 0.0 for name in ("lose", "repeat", "reorder", "early", "unavailable", "accept_then_500")}


def main() -> int:
    """Each point that is named, or all."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    failed = [point for point in sys.argv[1:] or [*RECEIVER_POINTS, *WORKER_POINTS] if not is_survived(point)]
    click.echo(f"not survived: {', '.join(failed)}" if failed else "every point was survived")
    return bool(failed)


def is_survived(point: str) -> bool:
    """One run of four shots, killed at *point*; prints a line, and what did not hold."""
    folder = Path(tempfile.mkdtemp(prefix="fr-point-"))
    house = House(folder, Weather(seed=1, hold_s=12.0, **FAIR))
    role = "receiver" if point in RECEIVER_POINTS else "worker"
    began = time.monotonic()
    try:
        house.open(traps={role: point})
        nobody = Monkey(house, seed=1, strikes=0, pause_s=(1, 1))
        verdict = weather(house, nobody, runs=1, seconds=120, patience_s=60, first=1)  # An odd number is a chain.
    finally:
        house.close()
    wrong = list(verdict.broken)
    if verdict.figures["of these at an exact point"] != 1:
        wrong.append("the trap did not go off")
    if verdict.figures["runs that succeeded"] != 1:
        wrong.append("there is no film")
    jobs, takes = verdict.figures["jobs"], verdict.figures["takes"]
    click.echo(
        f"  {point:<24} {time.monotonic() - began:5.1f} s  takes {takes}, jobs {jobs}  {'; '.join(wrong) or 'ok'}"
    )
    shutil.rmtree(folder)
    return not wrong


if __name__ == "__main__":
    sys.exit(main())
