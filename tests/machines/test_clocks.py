"""Two workers whose clocks are ten minutes fast and slow, and the storage's between them: nothing is paid twice."""

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.machines.backups import ROOT
from tests.machines.object_storage import ObjectStorage
from tests.machines.studio import OpenStudio
from tests.machines.test_a_lossy_fail_over import board, jobs_of_takes

pytestmark = pytest.mark.anyio

RUNS, SHOTS = 4, 3
LIBRARY = "libfaketime.so.1"


@pytest.fixture(scope="module")
def faketime() -> Path:
    """Without it the tests are skipped, except where `make test-machines` could have installed it."""
    if library := next(Path("/usr/lib").glob(f"*/faketime/{LIBRARY}"), None):
        return library
    if os.geteuid() == 0 and shutil.which("apt-get"):
        pytest.fail("no libfaketime, though `make test-machines` can install it: apt-get install libfaketime")
    pytest.skip("no libfaketime; as root on Debian or Ubuntu `make test-machines` installs it")


def by_another_clock(library: Path, offset_s: int) -> dict[str, str]:
    """The time of day alone: what a machine measures by does not go wrong with it."""
    return {"LD_PRELOAD": str(library), "FAKETIME": f"{offset_s:+d}s", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


@pytest.mark.slow
async def test_workers_whose_clocks_differ_submit_each_take_once(
    faketime: Path, open_studio: OpenStudio, wait_until: Callable[..., Awaitable[None]]
) -> None:
    """
    Deadlines, leases and the queue go by the clock of Redis, and claims by revisions.

    Submits are answered late: none in flight is given up by the machine whose clock is ahead, which would ask a person.
    """
    async with open_studio(faults={"slow": 1.0}) as studio:
        relay = studio.relay
        with (
            studio.process("ahead", environ=by_another_clock(faketime, 600)),
            studio.process("behind", environ=by_another_clock(faketime, -600)),
        ):
            runs = [await relay.run(board(number, SHOTS)) for number in range(RUNS)]

            async def are_there() -> bool:
                return all([(await relay.view(run_id))["status"] == "succeeded" for run_id in runs])

            await wait_until(are_there, "all films are there")
            jobs = await jobs_of_takes(relay, studio.provider)
            lines = [line.fields for run_id in runs for line in await relay.store.history(run_id)]
        logs = [studio.log(name) for name in ("ahead", "behind")]

    assert len(jobs) == RUNS * SHOTS
    assert set(jobs.values()) == {1}
    assert [line for line in lines if line["event"] in ("elapsed", "submit_lost")] == []
    assert all("submitted" in log for log in logs), "one of them had nothing to do"


@pytest.mark.parametrize(
    ("offset_s", "status", "words"),
    [
        (-600, "fail", "s behind the storage's"),
        (600, "warn", "s ahead of the storage's"),
        (1800, "fail", "its clock and ours differ: set the clock of this machine"),
    ],
)
async def test_doctor_says_that_a_clock_is_wrong(
    faketime: Path, storage: ObjectStorage, tmp_path: Path, offset_s: int, status: str, words: str
) -> None:
    """Links that are signed by it have ended before they begin, or are of a time that has not come."""
    environ = {**storage.environ, **by_another_clock(faketime, offset_s), "PATH": "/usr/bin:/bin"}
    process = await asyncio.create_subprocess_exec(
        *(str(ROOT / ".venv/bin/framerelay"), "doctor", "--json"),
        env={**environ, "FRAMERELAY_DATA_DIR": str(tmp_path)},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
    )
    out, _ = await process.communicate()
    (look,) = [each for each in json.loads(out)["checks"] if each["name"] == "storage"]

    assert (look["status"], words in look["message"]) == (status, True), look
