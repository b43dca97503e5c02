"""What the figures were measured on, and with what."""

import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

from benchmarks import peers
from framerelay.store.embedded import find_server

PACKAGES = ("uvicorn", "starlette", "uvloop", "arq", "redis", "av", "msgspec")


def machine() -> dict[str, str]:
    """Processor, cores, memory and kernel, in words."""
    return {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f} GiB",
        "load at the end": f"{os.getloadavg()[0]:.1f}",
        "system": f"{platform.system()} {platform.release()}",
    }


def versions() -> dict[str, str]:
    """What we run on, and the peers; one that is not there is named as such."""
    ours = {"Python": platform.python_version(), "Redis server": _redis_server()}
    ours |= {package: version(package) for package in PACKAGES}
    return ours | {name: version or "not there" for name, version in peers.versions().items()}


def _processor() -> str:
    """The model that the kernel names, else what Python knows."""
    try:
        model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        model = None
    return model[1] if model else platform.processor() or platform.machine()


def _redis_server() -> str:
    output = subprocess.run([str(find_server()), "--version"], capture_output=True, text=True, check=True, timeout=30)
    return output.stdout.partition(" sha=")[0].strip()
