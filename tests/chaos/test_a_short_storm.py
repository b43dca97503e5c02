"""The storm of `make chaos`, cut short: real processes, killed while they work."""

import subprocess
import sys
from pathlib import Path

STORM = Path(__file__).with_name("storm.py")
SHORT = ("--runs", "8", "--seed", "3", "--strikes", "5", "--pause-s", "0.6", "1.5", "--patience-s", "8")


def test_a_short_storm_loses_nothing_and_pays_nothing_twice() -> None:
    """Kills of receiver, workers and Redis, lost, doubled and early callbacks: every film comes out, each take once."""
    ended = subprocess.run(
        [sys.executable, str(STORM), *SHORT, "--minutes", "2"], capture_output=True, text=True, timeout=240
    )

    assert ended.returncode == 0, ended.stdout + ended.stderr
