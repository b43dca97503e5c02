"""Services as a supervisor starts them, and waiting until they answer."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

from tests.waiting import wait_for


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def started(command: list[str], environ: dict[str, str], folder: Path) -> Iterator[Path]:
    """*command* in *folder*, and its log; it must end in order when it is told to."""
    log = folder / "service.log"
    with log.open("wb") as file:
        process = subprocess.Popen(command, env=environ, cwd=folder, stdout=file, stderr=file)
    try:
        yield log
        process.terminate()
        assert process.wait(60) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()


def is_answered(url: str, log: Path) -> None:
    """Wait until *url* is answered 200; the log says why it is not."""
    with httpx.Client(trust_env=False, timeout=60, verify=False) as http:

        def is_up() -> bool:
            with suppress(httpx.TransportError):
                return http.get(url).status_code == 200
            return False

        wait_for(is_up, lambda: f"{url}: {log.read_text()}")
