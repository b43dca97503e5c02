"""The server of these tests itself."""

import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import obstore
import pytest

from tests.machines.object_storage import ObjectStorage, object_storage
from tests.waiting import wait_for

ROOT = Path(__file__).parents[2]
RUN = """
import sys
from pathlib import Path
from tests.machines.object_storage import object_storage
with object_storage(Path(sys.argv[1])) as storage:
    print(storage.endpoint, flush=True)
    sys.stdin.read()
"""


def test_two_of_them_run_on_one_machine(storage: ObjectStorage, tmp_path: Path) -> None:
    """As when somebody else runs one next to ours: some of its ports are the same for all, unless they are set."""
    with object_storage(tmp_path / "second") as second:
        obstore.put(second.client(), "here", b"1")
        assert not obstore.list(storage.client()).collect()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child when its parent is killed")
def test_it_ends_with_a_test_run_that_is_killed(storage: ObjectStorage, tmp_path: Path) -> None:
    """Else it would keep its ports and its memory until somebody finds it."""
    command = [sys.executable, "-c", RUN, str(tmp_path / "server")]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        endpoint = urlsplit(run.stdout.readline().strip())
        assert endpoint.port is not None
        assert _answers(endpoint.port)
        run.kill()

    wait_for(lambda: not _answers(endpoint.port or 0), lambda: f"port {endpoint.port} still answers")


def _answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
