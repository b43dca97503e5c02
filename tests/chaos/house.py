"""The house that the storm shakes: a sandbox, a Redis, receivers and workers, each a real process on loopback."""

import os
import random
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import worker_with_a_trap
from process import Process

import framerelay.cli.sandbox
import framerelay.cli.serve  # noqa: F401  # Loaded here, they are there in all forks.
from framerelay.cli.main import cli as command_line
from framerelay.store.embedded import find_server

API_KEY: Final = "fr_storm"
UPSTREAM_KEY: Final = "sk-storm"
PORTS: Final = range(12_000, 32_000)  # Below those that systems give to outgoing connections.


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
    job_s: float = 0.2
    hold_s: float = 30.0
    submit_timeout_s: float = 6.0
    doubling: float = 0.1
    """The share of tasks that come twice, side by side: a queue promises no more than "at least once"."""
    fault: str | None = None
    """The safeguard that is switched off, to see that the storm finds it."""


class House:
    """
    Everything, in *folder*; ``close`` ends each process by its id.

    Two receivers and two workers share one Redis and one data folder. Each worker has a receiver of its own as its
    public address, so callbacks come to both.
    """

    def __init__(self, folder: Path, weather: Weather) -> None:
        self.folder = folder
        self.seed = weather.seed
        self.sandbox_url, *self.urls = (f"http://127.0.0.1:{port}" for port in free_ports(3))
        self.redis = self._redis(weather)
        self.sandbox = self._sandbox(weather)
        self.receivers = [self._ours("receiver", number, weather) for number in (1, 2)]
        self.workers = [self._ours("worker", number, weather) for number in (1, 2)]

    @property
    def ours(self) -> list[Process]:
        """The processes of FrameRelay."""
        return [*self.receivers, *self.workers]

    def open(self, *, traps: Mapping[str, str] | None = None, gently: bool = False) -> None:
        """
        Start everything and wait until it answers.

        *traps*: the point at which a ``receiver`` or ``worker`` is killed, or told to end if *gently*.
        """
        self.sandbox.start()
        self.redis.start()
        wait_for_socket(self.folder / "redis.sock")
        for process in self.ours:
            point = (traps or {}).get(process.role)
            process.start(*(("--trap", point) if point else ()), *(("--gently",) if point and gently else ()))
        self.wait_for(f"{self.sandbox_url}/sandbox/jobs")
        self.wait_until_ready()

    def close(self) -> None:
        """End everything that was started."""
        for process in [*self.ours, self.sandbox, self.redis]:
            process.kill()

    def journal(self) -> dict[str, Any]:
        """What the sandbox saw."""
        journal: dict[str, Any] = httpx.get(f"{self.sandbox_url}/sandbox/jobs", trust_env=False, timeout=30).json()
        return journal

    def mark(self, point: str) -> Path:
        """There once the trap at *point* has gone off."""
        return self.folder / f"trap.{point}"

    def spooled(self) -> list[Path]:
        """Callbacks that wait on disk for Redis."""
        return list((self.folder / "data" / "spool").glob("*.callback"))

    def wait_until_ready(self, *, within_s: float = 120.0) -> None:
        """Until every receiver answers, and reaches Redis."""
        for url in self.urls:
            self.wait_for(f"{url}/readyz", within_s=within_s)

    def wait_for(self, url: str, *, within_s: float = 120.0) -> None:
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
        appends = "no" if weather.fault == "redis_keeps_nothing" else "yes"
        data = self.folder / "redis"
        data.mkdir()
        command = [str(find_server()), "--port", "0", "--unixsocket", str(self.folder / "redis.sock")]
        command += ["--dir", str(data), "--save", "", "--appendonly", appends, "--appendfsync", "always"]
        return Process("redis", command, {"PATH": os.environ["PATH"]}, self.folder / "redis.log")

    def _sandbox(self, weather: Weather) -> Process:
        command = ["sandbox", "--port", self.sandbox_url.rpartition(":")[2]]
        command += ["--key", UPSTREAM_KEY, "--folder", str(self.folder / "sandbox"), "--seed", str(weather.seed)]
        command += ["--scale", "0.1", "--clip-s", "0.2", "--job-s", str(weather.job_s)]
        for name in ("lose", "repeat", "reorder", "early", "unavailable", "accept_then_500"):
            command += [f"--{name.replace('_', '-')}", str(getattr(weather, name))]
        environment = self._environment(weather, self.urls[0])
        return Process("sandbox", command, environment, self.folder / "sandbox.log", program=command_line)

    def _ours(self, role: str, number: int, weather: Weather) -> Process:
        command = [role, "--marks", str(self.folder), "--doubled", str(weather.doubling)]
        if weather.fault:
            command += ["--broken", weather.fault]
        environment = self._environment(weather, self.urls[number - 1])
        log = self.folder / f"{role}{number}.log"
        return Process(f"{role}{number}", command, environment, log, program=worker_with_a_trap.main)

    def _environment(self, weather: Weather, url: str) -> dict[str, str]:
        settings = {
            "UPSTREAM_URL": self.sandbox_url,
            "UPSTREAM_KEY": UPSTREAM_KEY,
            "PUBLIC_URL": url,
            "PORT": url.rpartition(":")[2],
            "REDIS_URL": f"unix://{self.folder / 'redis.sock'}",
            "DATA_DIR": str(self.folder / "data"),
            "API_KEY": API_KEY,
            "SECRET": "only for the storm",
            "TRUSTED_HOSTS": "127.0.0.1",
            "LOOKUP_AFTER_S": "1",
            "SUBMIT_TIMEOUT_S": str(weather.submit_timeout_s),
            "UNSURE_HOLD_S": str(weather.hold_s),
            "CONFIG": str(self.folder / "none.yaml"),
            "LOG_FORMAT": "json",
        }
        root = str(Path(__file__).parents[2])
        environment = {f"FRAMERELAY_{name}": value for name, value in settings.items()}
        return environment | {"PATH": os.environ["PATH"], "PYTHONPATH": root}


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody uses at this moment; a program that is down must find its own free again."""
    ports: list[int] = []
    while len(ports) < count:
        with socket.socket() as probe:
            port = random.choice(PORTS)
            if port not in ports and probe.connect_ex(("127.0.0.1", port)) != 0:
                ports.append(port)
    return ports


def wait_for_socket(path: Path, *, within_s: float = 90.0) -> None:
    """Until somebody listens at *path*."""
    deadline = time.monotonic() + within_s
    while True:
        with socket.socket(socket.AF_UNIX) as caller:
            if caller.connect_ex(str(path)) == 0:
                return
        if time.monotonic() > deadline:
            raise TimeoutError(f"nobody listens at {path}")
        time.sleep(0.01)
