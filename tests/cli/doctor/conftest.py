"""Servers and time-outs for `doctor`."""

import shutil
import ssl
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis as redis_sync

from framerelay.cli.doctor import callback, network, redis
from framerelay.store.embedded import find_server
from tests.cli.doctor.looking import CERTIFICATE


@pytest.fixture
def start_redis() -> Iterator[Callable[..., str]]:
    """``start_redis("--appendonly", "no")``: a server with these arguments; returns its URL."""
    servers: list[tuple[subprocess.Popen[bytes], Path]] = []

    def start(*arguments: str) -> str:
        folder = Path(tempfile.mkdtemp(prefix="fr-doctor-"))
        command = [str(find_server()), "--port", "0", "--unixsocket", f"{folder}/s", "--dir", str(folder), *arguments]
        servers.append((subprocess.Popen(command, stdout=subprocess.DEVNULL), folder))
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            with redis_sync.Redis.from_url(f"unix://{folder}/s") as client:
                try:
                    client.ping()
                    break
                except redis_sync.AuthenticationError:
                    break
                except redis_sync.ConnectionError:
                    time.sleep(0.01)
        return f"unix://{folder}/s"

    yield start
    for process, folder in servers:
        process.terminate()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time-outs of a moment, so that a test of silence is short."""
    monkeypatch.setattr(network, "WITHIN_S", 0.5)
    monkeypatch.setattr(redis, "COMMAND_S", 0.5)
    monkeypatch.setattr(callback, "LISTED_WITHIN_S", 0.5)


@pytest.fixture
def tls(tmp_path: Path) -> ssl.SSLContext:
    """A certificate of nobody's authority, for relay.test; ``tmp_path / "pem"`` holds it."""
    (tmp_path / "pem").write_text(CERTIFICATE)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "pem")
    return context
