"""What the tests in this folder share: one server of object storage, whose bucket is emptied before each; a backup."""

import platform
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import obstore
import pytest

from tests.fixtures.relay import StartProvider, StartRelay
from tests.machines.backups import backup_of
from tests.machines.object_storage import CREDENTIALS, ObjectStorage, object_storage, program
from tests.machines.servers import free_port, running
from tests.machines.studio import OpenStudio, studios


@pytest.fixture(scope="session")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStorage]:
    """
    One for each process of this test run.

    Without it the tests are skipped, except where there is one to be had: a server that nobody notices missing would
    let everything here pass for ever.
    """
    if program() is None:
        if sys.platform == "linux" and platform.machine() in ("x86_64", "aarch64"):
            pytest.fail("no SeaweedFS, though `make test-machines` fetches it here: make .venv/machines/.ready")
        pytest.skip("no SeaweedFS here, and none to be had")
    with object_storage(tmp_path_factory.mktemp("weed")) as storage:
        yield storage


@pytest.fixture
def storage(_server: ObjectStorage, monkeypatch: pytest.MonkeyPatch) -> ObjectStorage:
    """A real S3 server with an empty bucket, whose credentials are in the environment."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    _server.start()  # A test may have taken it away, and failed before it was back.
    names = [each["path"] for each in obstore.list(_server.client()).collect()]
    if names:
        obstore.delete(_server.client(), names)
    return _server


@pytest.fixture
def open_studio(
    storage: ObjectStorage, redis_url: str, tmp_path: Path, start_provider: StartProvider, relay_in: StartRelay
) -> OpenStudio:
    """``async with open_studio() as studio``: machines without a common folder, beside one bucket."""
    return studios(storage, redis_url, tmp_path, start_provider, relay_in)


@pytest.fixture
def soon_asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Settings of a relay that is restored: it is where it was, and a person is asked after a second."""
    monkeypatch.setattr("framerelay.runs.takes.ASK_S_MIN", 1.0)  # Half a minute is for people, not for tests.
    return {"port": free_port(), "lookup_after_s": 1.0, "ask_after_s": 1.0}


@pytest.fixture(scope="session")
async def _taken_once(relay_in: StartRelay, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Path]:
    folder = tmp_path_factory.mktemp("backup")
    with running(folder / "redis") as server:
        async with relay_in(folder, server.url, "http://127.0.0.1:9", worker=False) as relay:
            yield await backup_of(relay, server.url, folder / "copy")


@pytest.fixture
def copy(_taken_once: Path, tmp_path: Path) -> Path:
    """A backup of one run that has begun and a picture, which a test may spoil."""
    return shutil.copytree(_taken_once, tmp_path / "copy")
