"""
How long does a person wait for `framerelay --help`, and a machine for `framerelay up` to answer /readyz?

The installed command each time, from nothing to its end or to the first 200. It takes turns with the same Python doing
nothing. `up` starts on a folder that does not exist, and again on the one that it left.
"""

import http.client
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from framerelay.cli.http import listening_on

TURNS = 9
STARTS = 4
WITHIN_S = 30.0
TO_REACH = {"help_s": 0.3, "ready_s": 2.0}


def measure() -> dict[str, Any]:
    """Seconds of the command's help, of Python alone, and until `up` is ready."""
    script = Path(sys.executable).with_name("framerelay")
    helps, nothings = [], []
    for _ in range(TURNS):
        helps.append(_took_s([str(script), "--help"]))
        nothings.append(_took_s([sys.executable, "-c", "pass"]))
    first, again = [], []
    for _ in range(STARTS):
        with tempfile.TemporaryDirectory(prefix="fr-bench-") as folder:
            first.append(_ready_s(script, Path(folder) / "data"))
            again.append(_ready_s(script, Path(folder) / "data"))
    return {
        "question": "start",
        "help_s": _spread(helps),
        "python_alone_s": _spread(nothings),
        "help_takes_times": round(statistics.median(a / b for a, b in zip(helps, nothings, strict=True)), 1),
        "ready_first_s": _spread(first),
        "ready_again_s": _spread(again),
        "to_reach": TO_REACH,
    }


def _took_s(command: Sequence[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def _ready_s(script: Path, data: Path) -> float:
    with listening_on("127.0.0.1", 0) as free:
        port = int(free.getsockname()[1])
    environ = {name: value for name, value in os.environ.items() if not name.startswith("FRAMERELAY_")}
    environ |= {
        "FRAMERELAY_UPSTREAM_URL": "http://127.0.0.1:9",  # Nobody is there, and nobody is asked before there is a run.
        "FRAMERELAY_UPSTREAM_KEY": "sk-bench",
        "FRAMERELAY_PORT": str(port),
        "FRAMERELAY_DATA_DIR": str(data),
    }
    began = time.perf_counter()
    relay = subprocess.Popen([str(script), "up"], env=environ, stderr=subprocess.DEVNULL)
    try:
        while not _is_ready(port):
            if relay.poll() is not None or time.perf_counter() - began > WITHIN_S:
                raise SystemExit("framerelay up did not come up")
            time.sleep(0.005)
        return time.perf_counter() - began
    finally:
        relay.send_signal(signal.SIGTERM)
        relay.wait()


def _is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _spread(seconds: Sequence[float]) -> dict[str, float]:
    figures = {"median": statistics.median(seconds), "min": min(seconds), "max": max(seconds)}
    return {name: round(value, 3) for name, value in figures.items()}


def main() -> None:
    """One JSON line, one sentence."""
    facts = measure()
    print(json.dumps(facts))
    print(
        f"`framerelay --help` takes {facts['help_s']['median']} s (Python alone {facts['python_alone_s']['median']} s; "
        f"to reach: {TO_REACH['help_s']} s). `framerelay up` is ready after {facts['ready_first_s']['median']} s on a "
        f"new folder, {facts['ready_again_s']['median']} s on a known one (to reach: {TO_REACH['ready_s']} s)."
    )


if __name__ == "__main__":
    main()
