"""
Is the storm worth its name? One safeguard after the other is switched off, and a small storm has to find it.

    python tests/chaos/broken.py [SAFEGUARD …]

Prints what the storm said of each. Exit code 0: nothing broken was weathered, and each broken safeguard found, by the
promise that it keeps.
"""

import shutil
import signal
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click
from house import Weather
from points import verdict_at
from storm import Plan, storm
from verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspicion:
    """What the storm has to say, and the weather in which it shows soon."""

    words: str
    runs: int = 8
    strikes: int = 16
    gently: float = 0.3
    seconds: float = 60.0
    seed: int = 3
    whims: bool = False
    doubling: float = 0.1
    point: str | None = None
    """No storm, but one run through the end of a process at this point."""


NOTHING: Final = "nothing"
SUSPICIONS: Final = {
    # Left to chance, two writers of one shot meet too seldom: each submit gets a twin.
    "save_without_looking": Suspicion(words="paid twice:", doubling=1.0, runs=1, strikes=0),
    # The first job of seed 4 is accepted and answered 500.
    "submit_again": Suspicion(words="paid twice:", seed=4, runs=1, strikes=0),
    "post_before_intent": Suspicion(words="paid twice:", gently=0.0),
    "no_sweep": Suspicion(words=" is running:", seconds=45.0),
    "answer_before_kept": Suspicion(words="lost:"),
    "spool_forgets": Suspicion(words="lost:", point="after_spooled_200"),
    "no_drain": Suspicion(words="on disk for good:", point="after_spooled_200"),
    "no_goodbye": Suspicion(words="at SIGTERM", gently=1.0),
    # The first that seed 3 strikes is Redis, and six strikes are one round: it comes twice.
    # A person decides all the time, so no strikes are needed.
    "ended_is_over": Suspicion(words="paid and not kept:", whims=True, runs=16, strikes=0),
    "any_film_will_do": Suspicion(words="another film:", whims=True, runs=24, strikes=0),
    "redis_keeps_nothing": Suspicion(words=" is missing:", runs=4, strikes=6, gently=0.0),
}


def main() -> int:
    """Those that are named, or all, after a storm in which nothing is broken."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    misses = [name for name in sys.argv[1:] or [NOTHING, *SUSPICIONS] if not is_found(name)]
    click.echo(f"the storm is wrong about: {', '.join(misses)}" if misses else "the storm finds all of them")
    return bool(misses)


def is_found(name: str) -> bool:
    """Whether the storm says of the safeguard *name* what it should; prints a line."""
    suspicion = SUSPICIONS.get(name, Suspicion(words="", seconds=120.0, whims=True))
    if suspicion.point:
        breaches = verdict_at(suspicion.point, fault=name).breaches
    else:
        breaches = small_storm(suspicion, fault=None if name == NOTHING else name).breaches
    fitting = [sentence for sentence in breaches if suspicion.words and suspicion.words in sentence]
    click.echo(f"  {name:<22} {(fitting or breaches or ['every promise held'])[0]}")
    return not breaches if name == NOTHING else bool(fitting)


def small_storm(suspicion: Suspicion, *, fault: str | None) -> Verdict:
    """A few runs in the weather of *suspicion*."""
    plan = Plan(
        runs=suspicion.runs,
        strikes=suspicion.strikes,
        gently=suspicion.gently,
        pause_s=(0.6, 1.5),
        seconds=suspicion.seconds,
        leaves_unsure=True,
        whims=suspicion.whims,
    )
    folder = Path(tempfile.mkdtemp(prefix="fr-broken-"))
    try:
        return storm(folder, Weather(seed=suspicion.seed, doubling=suspicion.doubling, fault=fault), plan)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
