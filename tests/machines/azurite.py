"""Azurite, Microsoft's emulator of its object storage, which checks signatures; fetched by hand, since it is large."""

import base64
import hmac
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import httpx

from tests.machines.servers import free_port
from tests.waiting import wait_for

VERSION: Final = "3.37.0"
WHO: Final = "relaytests"
KEY: Final = base64.b64encode(b"only for tests of object storage").decode()
BUCKET: Final = "films"
DATED: Final = "2023-11-03"


def program() -> Path | None:
    """Where `npm install --prefix .venv/azurite azurite@VERSION` puts it; None where nobody did."""
    place = Path(sys.prefix) / "azurite" / "node_modules" / ".bin" / "azurite-blob"
    return place if place.exists() and shutil.which("node") else None


@contextmanager
def azurite(folder: Path) -> Iterator[str]:
    """Its address, of one account, in which there is one container."""
    folder.mkdir()
    port = free_port()
    words = [str(program()), "--blobPort", str(port), "--location", str(folder), "--silent", "--disableTelemetry"]
    environ = {"PATH": os.environ["PATH"], "AZURITE_ACCOUNTS": f"{WHO}:{KEY}"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(words, env=environ, cwd=folder, stdout=log, stderr=log, start_new_session=True)
    url = f"http://127.0.0.1:{port}/{WHO}"
    try:
        wait_for(lambda: _has_container(url), lambda: (folder / "log").read_text())
        yield url
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _has_container(url: str) -> bool:
    """By the request that makes one, signed with the account's key."""
    date = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
    own = f"x-ms-date:{date}\nx-ms-version:{DATED}\n"
    message = "PUT" + "\n" * 12 + f"{own}/{WHO}/{WHO}/{BUCKET}\nrestype:container"
    digest = hmac.digest(base64.b64decode(KEY), message.encode(), "sha256")
    headers = {"x-ms-date": date, "x-ms-version": DATED}
    headers["authorization"] = f"SharedKey {WHO}:{base64.b64encode(digest).decode()}"
    with suppress(httpx.TransportError):
        answer = httpx.put(f"{url}/{BUCKET}?restype=container", headers=headers, trust_env=False)
        return answer.status_code in (201, 409)
    return False
