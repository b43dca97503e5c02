"""The programs that try the files in deploy/: the system's, or what `make test-e2e` unpacked into .venv/deploy/."""

import shutil
from pathlib import Path

import pytest

PLACE = Path(__file__).parent.parent.parent / ".venv" / "deploy"
FOLDERS = ("bin", "helm", "debian/usr/sbin", "debian/usr/bin")


def tool(name: str) -> str:
    """Its path; a test that needs one that is not here, and could not be fetched, is skipped."""
    path = shutil.which(name) or next(
        (str(each) for each in (PLACE / at / name for at in FOLDERS) if each.exists()), None
    )
    if path is None:
        pytest.skip(f"{name} is not here; `make tools` fetches it where Debian's packages and PyPI can be reached")
    return path
