"""The house that the storm shakes: one sandbox, a Redis, a receiver and workers, each a real process on loopback."""

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from runs.embedded_redis import find_server

API_KEY: Final = "fr_storm"
UPSTREAM_KEY: Final = "sk-storm"
LAUNCHER: Final = Path(__file__).with_name("worker_with_a_trap.py")
PR_SET_PDEATHSIG: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """What goes wrong outside, and how short the waits are; rates as in `sandbox.faults`."""

    seed: int
    lose: float = 0.2
    repeat: float = 0.3
    reorder: float = 0.3
    early: float = 0.2
    unavailable: float = 0.1
    accept_then_500: float = 0.2
    hold_s: float = 25.0
    broken: str | None = None
    """The safeguard that is switched off, to see that the storm finds it."""


@dataclass(slots=True)
class Process:
    """One program: how it is started, and what became of it."""

    name: str
    command: list[str]
    environment: dict[str, str]
    log: Path
    running: subprocess.Popen[bytes] | None = None
    starts: int = 0
    kills: int = 0
    deserted: list[str] = field(default_factory=list)
    """How it ended though nobody ended it, after it had been ready."""

    def start(self, *more: str) -> None:
        """Start it; *more* is appended to the command this time."""
        self.starts += 1
        with self.log.open("ab") as log:
            self.running = subprocess.Popen(
                [*self.command, *more],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_end_with_parent,
            )

    def end(self, number: signal.Signals) -> None:
        """Send it *number* and wait until it is gone; SIGTERM may take a while, SIGKILL not."""
        if self.running is None or self.running.poll() is not None:
            return
        self.kills += 1
        self.running.send_signal(number)
        try:
            self.running.wait(20)
        except subprocess.TimeoutExpired:
            self.deserted.append(f"{self.name} did not end within 20 s of {number.name}")
            self.running.kill()
            self.running.wait()
        self.running = None

    def is_gone(self) -> bool:
        """Whether it is not running now; notes how it ended if that was its own doing."""
        if self.running is None:
            return True
        code = self.running.poll()
        if code is None:
            return False
        if code == -signal.SIGKILL:  # A trap killed it from inside.
            self.kills += 1
        elif code != 1 or not self._last_word_is("there is no Redis at"):  # A start without Redis ends with 1.
            self.deserted.append(f"{self.name} ended with {code}")
        self.running = None
        return True

    def _last_word_is(self, words: str) -> bool:
        return words in self.log.read_text(encoding="utf-8", errors="replace")[-600:]


class House:
    """Everything, in *folder*; ``close`` ends each process by its id."""

    def __init__(self, folder: Path, weather: Weather, *, workers: int = 2) -> None:
        self.folder = folder
        self.sandbox_url = f"http://127.0.0.1:{free_port()}"
        self.url = f"http://127.0.0.1:{free_port()}"
        self.redis = self._redis(weather)
        self.sandbox = self._sandbox(weather)
        self.receiver = self._ours("receiver", "receiver", weather)
        self.workers = [self._ours(f"worker{number}", "worker", weather) for number in range(1, workers + 1)]

    @property
    def ours(self) -> list[Process]:
        """The processes of FrameRelay."""
        return [self.receiver, *self.workers]

    def open(self, *, traps: Mapping[str, str] | None = None) -> None:
        """Start everything and wait until it answers; *traps*: the point at which a ``receiver`` or ``worker`` dies."""
        self.sandbox.start()
        self.redis.start()
        wait_for_socket(self.folder / "redis.sock")
        for process in self.ours:
            point = (traps or {}).get(process.name.rstrip("0123456789"))
            process.start(*(("--trap", point) if point else ()))
        self.wait_for(f"{self.sandbox_url}/sandbox/jobs")
        self.wait_for(f"{self.url}/readyz")

    def close(self) -> None:
        """End everything that was started."""
        for process in [*self.ours, self.sandbox, self.redis]:
            if process.running is not None and process.running.poll() is None:
                process.running.kill()
                process.running.wait()

    def journal(self) -> dict[str, Any]:
        """What the sandbox saw."""
        found: dict[str, Any] = httpx.get(f"{self.sandbox_url}/sandbox/jobs", trust_env=False, timeout=30).json()
        return found

    def wait_for(self, url: str, *, within_s: float = 30.0) -> None:
        """Until *url* answers 200."""
        deadline = time.monotonic() + within_s
        while True:
            try:
                if httpx.get(url, trust_env=False).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            if time.monotonic() > deadline:
                raise TimeoutError(f"{url} did not answer within {within_s:.0f} s; logs are in {self.folder}")
            time.sleep(0.05)

    def _redis(self, weather: Weather) -> Process:
        kept = "no" if weather.broken == "redis_keeps_nothing" else "yes"
        data = self.folder / "redis"
        data.mkdir()
        command = [str(find_server()), "--port", "0", "--unixsocket", str(self.folder / "redis.sock")]
        command += ["--dir", str(data), "--save", "", "--appendonly", kept, "--appendfsync", "always"]
        return Process("redis", command, {"PATH": os.environ["PATH"]}, self.folder / "redis.log")

    def _sandbox(self, weather: Weather) -> Process:
        command = [sys.executable, "-m", "cli.main", "sandbox", "--port", self.sandbox_url.rpartition(":")[2]]
        command += ["--key", UPSTREAM_KEY, "--folder", str(self.folder / "sandbox"), "--seed", str(weather.seed)]
        command += ["--scale", "0.1", "--clip-s", "0.2", "--job-s", "0.2"]
        for name in ("lose", "repeat", "reorder", "early", "unavailable", "accept_then_500"):
            command += [f"--{name.replace('_', '-')}", str(getattr(weather, name))]
        return Process("sandbox", command, self._environment(weather), self.folder / "sandbox.log")

    def _ours(self, name: str, role: str, weather: Weather) -> Process:
        command = [sys.executable, str(LAUNCHER), role, "--marks", str(self.folder)]
        if weather.broken:
            command += ["--broken", weather.broken]
        return Process(name, command, self._environment(weather), self.folder / f"{name}.log")

    def _environment(self, weather: Weather) -> dict[str, str]:
        chosen = {
            "UPSTREAM_URL": self.sandbox_url,
            "UPSTREAM_KEY": UPSTREAM_KEY,
            "PUBLIC_URL": self.url,
            "PORT": self.url.rpartition(":")[2],
            "REDIS_URL": f"unix://{self.folder / 'redis.sock'}",
            "DATA_DIR": str(self.folder / "data"),
            "API_KEY": API_KEY,
            "SECRET": "only for the storm",
            "TRUSTED_HOSTS": "127.0.0.1",
            "LOOKUP_AFTER_S": "2",
            "SUBMIT_TIMEOUT_S": "6",
            "UNSURE_HOLD_S": str(weather.hold_s),
            "CONFIG": str(self.folder / "none.yaml"),
            "LOG_FORMAT": "json",
        }
        root = str(Path(__file__).parents[2])
        environment = {f"FRAMERELAY_{name}": value for name, value in chosen.items()}
        return environment | {"PATH": os.environ["PATH"], "PYTHONPATH": root}


def free_port() -> int:
    """A port of loopback that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for_socket(path: Path, *, within_s: float = 20.0) -> None:
    """Until somebody listens at *path*."""
    deadline = time.monotonic() + within_s
    while True:
        with socket.socket(socket.AF_UNIX) as caller:
            if caller.connect_ex(str(path)) == 0:
                return
        if time.monotonic() > deadline:
            raise TimeoutError(f"nobody listens at {path}")
        time.sleep(0.01)


def lines_of(process: Process) -> list[dict[str, Any]]:
    """The log of *process* as fields."""
    text = process.log.read_text(encoding="utf-8", errors="replace")
    return [json.loads(line) for line in text.splitlines() if line.startswith("{") and line.endswith("}")]


def _end_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
