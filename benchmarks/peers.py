"""
The programs and libraries that we are measured against, as they are found on this machine.

None of them is needed to run FrameRelay. What is not on PATH, `make bench` puts into ``.venv/bench``: the Python
packages of ``requirements/bench.lock`` (one of them brings a static ffmpeg), and Debian's ``webhook`` where apt can be
asked. None: the figures say that this peer was not there.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

VENV = Path(__file__).parent.parent / ".venv" / "bench"
LIBRARIES = {"OpenCV": "opencv_python_headless", "moviepy": "moviepy", "imageio-ffmpeg": "imageio_ffmpeg"}


def ffmpeg() -> Path | None:
    """The command ``ffmpeg``: the one on PATH, else the one of imageio-ffmpeg."""
    return _on_path("ffmpeg") or _first(_packages() / "imageio_ffmpeg" / "binaries", "ffmpeg-*")


def python_with_peers() -> Path | None:
    """A Python that can import cv2, moviepy and imageio_ffmpeg."""
    python = VENV / "bin" / "python"
    there = all(_first(_packages(), f"{name}-*.dist-info") for name in LIBRARIES.values())
    return python if there and os.access(python, os.X_OK) else None


def webhook() -> Path | None:
    """The Go program ``webhook`` (github.com/adnanh/webhook): the one on PATH, else Debian's."""
    return _on_path("webhook") or _first(VENV / "debian" / "usr" / "bin", "webhook")


def versions() -> dict[str, str | None]:
    """The version of each peer; None if it is not there."""
    versions = {name: _library_version(package) for name, package in LIBRARIES.items()}
    return {
        "ffmpeg": _says(ffmpeg(), "-version", r"ffmpeg version (\S+)"),
        "webhook": _says(webhook(), "-version", r"version (\S+)"),
        **versions,
    }


def _packages() -> Path:
    """Where the packages of the peers' venv are, whichever Python made it."""
    return _first(VENV / "lib", "python3*/site-packages") or VENV / "nowhere"


def _on_path(name: str) -> Path | None:
    path = shutil.which(name)
    return Path(path) if path else None


def _first(folder: Path, pattern: str) -> Path | None:
    return next(iter(sorted(folder.glob(pattern))), None)


def _library_version(package: str) -> str | None:
    place = _first(_packages(), f"{package}-*.dist-info")
    return place.name.removesuffix(".dist-info").rpartition("-")[2] if place else None


def _says(program: Path | None, option: str, pattern: str) -> str | None:
    if program is None:
        return None
    process = subprocess.run([program, option], capture_output=True, text=True, check=False, timeout=30)
    match = re.search(pattern, process.stdout + process.stderr)
    return match[1] if match else "unknown"
