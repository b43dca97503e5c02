"""The server of these tests itself."""

from pathlib import Path

import obstore

from tests.machines.object_storage import ObjectStorage, object_storage


def test_two_of_them_run_on_one_machine(storage: ObjectStorage, tmp_path: Path) -> None:
    """As when somebody else runs one next to ours: some of its ports are the same for all, unless they are set."""
    with object_storage(tmp_path / "second") as second:
        obstore.put(second.client(), "here", b"1")
        assert not obstore.list(storage.client()).collect()
