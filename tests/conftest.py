"""What is so for all tests: where they write, in which order they go, and what of the machine they do not see."""

import asyncio
import gc
import importlib.util
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Final

import certifi
import pytest
import structlog
import uvicorn.server
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from framerelay.store.processes import Presence

# Hypothesis has stopwatches of its own: 200 ms for an example, and a check of how fast examples are made.
hypothesis_settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("any machine")

pytest_plugins = [f"tests.fixtures.{name}" for name in ("documented", "patience", "redis_server", "relay")]

RAM_DISK = Path("/dev/shm")
RAM_DISK_BYTES_MIN = 2 << 30
PROCESSES_THAT_WAIT = 2

TESTS: Final = Path(__file__).parent
# They start FrameRelay as a person does, a browser, shells or servers of others, or ask every route (`make test-e2e`).
END_TO_END: Final = ("chaos/", "deploy/", "docs/test_commands.py", "docs/test_manual.py", "page/", "security/fuzz/")
PROGRAMS: Final = {"tools", "shell", "relay", "provider", "warm_bin"}
"""The fixtures of `tests/cli` that run the command as a process."""


def pytest_configure() -> None:
    """
    All machines are alike: what they do with their disk, and how the tests were started, is no test's business.

    What is written lies in memory where there is room for it: a disk that others keep busy makes nobody wait.

    A sync then costs nothing, of which Redis makes one for each write.
    """
    with suppress(OSError):
        room = os.statvfs(RAM_DISK)
        if room.f_bavail * room.f_frsize >= RAM_DISK_BYTES_MIN and not room.f_flag & os.ST_NOEXEC:
            os.environ["TMPDIR"] = tempfile.tempdir = str(RAM_DISK)
    for number in (signal.SIGINT, signal.SIGHUP):  # `nohup make test &` has them ignored, and all that we start, too.
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number is signal.SIGINT else signal.SIG_DFL)


def pytest_xdist_auto_num_workers() -> int:
    """For ``-n auto``: more than there are cores, since a test waits as long as it works, for processes and servers."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores + PROCESSES_THAT_WAIT


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark what is tried end to end, so that ``-m e2e`` and ``-m 'not e2e'`` share all tests between them."""
    place = item.path.relative_to(TESTS).as_posix()
    fixtures = set(getattr(item, "fixturenames", ()))
    if place.startswith(END_TO_END) or (place.startswith("cli/") and fixtures & PROGRAMS):
        item.add_marker("e2e")


@pytest.hookimpl(trylast=True)  # Only those that `-m` leaves.
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """
    The slow tests go first, since they mostly wait: others work meanwhile, and nobody waits for them in the end.

    pytest-xdist cuts the list into a piece for each process; each begins with its share of the slow ones.
    """
    pieces = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    slow = [item for item in items if item.get_closest_marker("slow")]
    others = iter([item for item in items if not item.get_closest_marker("slow")])
    rest = len(items)
    order: list[pytest.Item] = []
    for number in range(pieces):
        first = slow[number::pieces]
        order += [*first, *islice(others, max(0, rest // (pieces - number) - len(first)))]
        rest = len(items) - len(order)
    items[:] = order


def pytest_collection_finish() -> None:
    """What was loaded and collected stays: looking through it for garbage is a twentieth of all the work."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def same_share_of_the_cores() -> Iterator[None]:
    """No test leaves a priority of its own to the next: real time starved all others (tests/media/clipmaker.py)."""
    yield
    if (scheduler := _scheduler()) != SCHEDULER:
        os.sched_setscheduler(0, SCHEDULER, os.sched_param(0))
        pytest.fail(f"this process has another scheduler than at its start: {scheduler} instead of {SCHEDULER}")


def _scheduler() -> int:
    """Of this thread, where there is a choice: 0 for the usual one, 1 for SCHED_FIFO."""
    return os.sched_getscheduler(0) if hasattr(os, "sched_getscheduler") else 0


SCHEDULER: Final = _scheduler()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Tests marked ``anyio`` run on asyncio, as the programs do."""
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def _one_certificate_authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """
    Loading all of them takes each client 25 ms, and a thousand are opened; no test calls a public server.

    Where the machine names a file or folder of its own, that goes before certifi's: here, and in what a test starts.
    """
    end = "-----END CERTIFICATE-----\n"
    first = Path(certifi.where()).read_text(encoding="ascii").partition(end)[0]
    file = tmp_path_factory.mktemp("authorities") / "one.pem"
    file.write_text(first + end, encoding="ascii")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(certifi, "where", lambda: str(file))
        patch.setenv("SSL_CERT_FILE", str(file))
        patch.delenv("SSL_CERT_DIR", raising=False)
        yield


@pytest.fixture(scope="session", autouse=True)
def _sniffio_is_known_to_be_missing() -> Iterator[None]:
    """httpcore asks at each lock and connection whether it can be imported; no is cheap where it is written down."""
    with pytest.MonkeyPatch.context() as patch:
        if importlib.util.find_spec("sniffio") is None:
            patch.setitem(sys.modules, "sniffio", None)
        yield


@pytest.fixture(scope="session", autouse=True)
def _tracebacks_are_plain() -> Iterator[None]:
    """Where no test has set up logging, structlog has rich draw each in frames, with all variables: half a second."""
    renderer = structlog.get_config()["processors"][-1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(renderer, "exception_formatter", structlog.dev.plain_traceback)
        yield


@pytest.fixture(scope="session", autouse=True)
def _servers_end_at_once() -> Iterator[None]:
    """uvicorn looks ten times a second whether it is to end, and whether its connections have; hundreds are started."""

    async def glance(seconds: float) -> None:
        await asyncio.sleep(seconds / 40)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(uvicorn.server, "asyncio", SimpleNamespace(**{**vars(asyncio), "sleep": glance}))
        yield


_SPEAKING: Final = Presence.keep


async def _silent(_: Presence) -> None:
    await asyncio.Event().wait()


@pytest.fixture(scope="session", autouse=True)
def _nobody_says_that_it_is_there() -> Iterator[None]:
    """What receivers and workers write by the clock would be among the commands and keys that a test counts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Presence, "keep", _silent)
        yield


@pytest.fixture(scope="session", autouse=True)
def _nobody_asks_redis_what_time_it_is_again() -> Iterator[None]:
    """Once is enough for a test, and half a minute may end while it counts commands."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("framerelay.store.clock.FRESH_S", 86_400.0)
        yield


@pytest.fixture
def presence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Receivers and workers that start from now on say that they are there, as in production but more often."""
    monkeypatch.setattr(Presence, "keep", _SPEAKING)
    monkeypatch.setattr("framerelay.store.processes.EVERY_S", 0.05)
