"""A short folder for an embedded Redis, and processes that use it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.store.embedded.users import USER, Start, User, is_free, wait_until


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder for Redis; whatever a test does, no server may be left when it is over."""
    path = tmp_path / "redis"
    yield path
    wait_until(lambda: is_free(path), "the server has ended")


@pytest.fixture
def start(tmp_path: Path, folder: Path) -> Iterator[Start]:
    """Starts a process that uses the folder; `is_up` waits until it has its server."""
    users: list[User] = []

    def start_user(name: str = "one", *, place: Path = folder, code: str = USER, **env: str) -> User:
        output = tmp_path / f"{name}.out"
        with output.open("w") as file:
            process = subprocess.Popen(
                [sys.executable, "-c", code, str(place), name],
                stdin=subprocess.PIPE,
                stdout=file,
                text=True,
                env=os.environ | env,
                start_new_session=True,
            )
        users.append(User(name, process, output))
        return users[-1]

    yield start_user
    for user in users:
        user.kill()
        assert user.process.stdin is not None
        user.process.stdin.close()
