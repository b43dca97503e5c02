"""
Every test, again and again, beside processes that want all the cores for themselves: `make test-busy`.

    python tests/busy.py [RUNS] [MARKS]

MARKS is what pytest's `-m` takes: `not e2e` for what `make test` runs. Without it, all tests run.

What passes on a quiet machine alone has asked how fast the machine is. A line for each run; all of a run that failed.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent
SUITE = [sys.executable, "-m", "pytest", "-q", "-n", "auto", "--dist", "worksteal"]
# It watches its parent: whatever happens to that, no burner is left.
BURNER = "import os, sys\nwhile os.getppid() == int(sys.argv[1]):\n    sum(range(100_000))\n"


def main(runs: int, marks: str = "") -> int:
    """Exit 0 if all were green."""
    failures = 0
    with all_cores_burning() as burners:
        for run in range(1, runs + 1):
            began = time.monotonic()
            command = [*SUITE, "-m", marks]
            process = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            failures += process.returncode != 0
            if process.returncode:
                say(process.stdout)
            word = "red" if process.returncode else "green"
            summary = process.stdout.rstrip().rpartition("\n")[2]
            say(f"run {run} of {runs} beside {burners}: {word} in {time.monotonic() - began:.0f} s ({summary})")
    say(f"{runs - failures} of {runs} green")
    return int(failures > 0)


def say(line: str) -> None:
    """A run takes minutes: each line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


@contextmanager
def all_cores_burning() -> Iterator[int]:
    """As many burners as there are cores for us; how many."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    burners = [subprocess.Popen([sys.executable, "-S", "-c", BURNER, str(os.getpid())]) for _ in range(cores)]
    try:
        yield cores
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 5, *sys.argv[2:]))
