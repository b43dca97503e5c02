"""Workers as processes of their own, so that they can be killed, or live by another clock."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.fixtures.relay import KEY, SECRET, Relay
from tests.machines.object_storage import ObjectStorage

COMMAND = "from framerelay.cli.main import main; main()"


def worker_beside(
    relay: Relay,
    folder: Path,
    storage: ObjectStorage,
    redis_url: str,
    *,
    code: str = COMMAND,
    environ: Mapping[str, str] | None = None,
) -> "subprocess.Popen[bytes]":
    """One of the installation of *relay*, without a common folder; what it says lies in ``folder/log``."""
    folder.mkdir()
    settings = {
        **storage.environ,
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "FRAMERELAY_REDIS_URL": redis_url,
        "FRAMERELAY_SECRET": SECRET,
        "FRAMERELAY_UPSTREAM_URL": relay.settings.upstream_url,
        "FRAMERELAY_UPSTREAM_KEY": KEY,
        "FRAMERELAY_PUBLIC_URL": relay.settings.listen_url,
        "FRAMERELAY_TRUSTED_HOSTS": "127.0.0.1",
        **(environ or {}),
    }
    with (folder / "log").open("wb") as log:
        command = [sys.executable, "-c", code, "worker"]
        return subprocess.Popen(command, cwd=folder, env=settings, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
