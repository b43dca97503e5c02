"""The storm of `make chaos`, cut short: real processes, killed while they work."""

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SHORT = ("--runs", "4", "--seed", "3", "--strikes", "4", "--pause-s", "0.3", "0.8", "--minutes", "12")
HASTY = ("--submit-timeout-s", "2", "--leave-unsure")


def program(name: str, *words: str) -> subprocess.CompletedProcess[str]:
    """A program of this folder, run to its end."""
    return subprocess.run([sys.executable, str(HERE / name), *words], capture_output=True, text=True, timeout=900)


@pytest.mark.slow
def test_a_short_storm_loses_nothing_and_pays_nothing_twice() -> None:
    """Kills of receivers, workers, Redis; lost, doubled, early callbacks: every film comes out, each take paid once."""
    process = program("storm.py", *SHORT, *HASTY)

    assert process.returncode == 0, process.stdout + process.stderr


@pytest.mark.slow
@pytest.mark.parametrize("safeguard", ["redis_keeps_nothing", "submit_again"])
def test_the_storm_finds_a_safeguard_that_is_broken(safeguard: str) -> None:
    """Finding nothing in a broken house, it would prove nothing in a whole one; `make chaos-broken` tries them all."""
    process = program("broken.py", safeguard)

    assert process.returncode == 0, process.stdout + process.stderr


@pytest.mark.slow
def test_the_end_of_a_process_at_a_point_costs_nothing() -> None:
    """One of many points, killed and at a deploy; `make chaos` tries them all."""
    process = program("points.py", "mid_join")

    assert process.returncode == 0, process.stdout + process.stderr
