"""The object storage of the tests in this folder: one server for all of them, and one bucket, emptied before each."""

from collections.abc import Iterator

import obstore
import pytest

from tests.machines.object_storage import CREDENTIALS, ObjectStorage, object_storage, program


@pytest.fixture(scope="session")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStorage]:
    if program() is None:
        pytest.skip("there is no SeaweedFS here (make test-machines fetches it)")
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
