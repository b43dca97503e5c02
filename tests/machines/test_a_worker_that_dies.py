"""A worker that is killed between frame and clip: what lay on its disk is gone."""

import signal
from collections.abc import Awaitable, Callable
from typing import Any

import obstore
import pytest

from tests.machines.studio import OpenStudio

pytestmark = pytest.mark.anyio

CHAIN: dict[str, Any] = {
    "title": "Killed",
    "model": "vendor/any-model",
    "defaults": {"resolution": "480p", "duration": 5},
    "shots": [{"id": f"s{number}", "prompt": f"shot {number}"} for number in range(1, 4)],
}
DIES = """
import os, signal
from framerelay.store.bucket_store import BucketStore
keep = BucketStore.keep
async def keep_or_die(self, path):
    if path.endswith("s1.1.mp4"):
        os.kill(os.getpid(), signal.SIGKILL)
    await keep(self, path)
BucketStore.keep = keep_or_die
from framerelay.cli.main import main
main()
"""


@pytest.mark.slow
async def test_a_worker_killed_between_frame_and_clip_costs_a_download_and_nothing_else(
    open_studio: OpenStudio, wait_until: Callable[..., Awaitable[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another worker goes on from the frame that is kept, fetches the clip again, and no job is made twice."""
    monkeypatch.setattr("framerelay.runs.takes.KEEP_S", 1.0)  # The waits are shorter, the rules are the same.
    async with open_studio() as studio:
        relay = studio.relay
        with studio.process("b", code=DIES) as first:
            run_id = await relay.run(CHAIN)
            await wait_until(lambda: first.poll() is not None, "the first worker was killed")
        half_way = await relay.view(run_id)
        names = studio.storage.names()
        await studio.add_workers("c")
        run = await relay.wait_for_end(run_id)
        history = await relay.store.history(run_id)
        journal = await studio.provider.journal()
        facts = obstore.head(studio.storage.client(prefix="studio"), f"{run_id}/s1.1.mp4")

    assert first.returncode == -signal.SIGKILL
    assert (half_way["shots"][0]["status"], half_way["shots"][0]["takes"][0]["video"]) == ("collecting", None)
    assert {f"{run_id}/s1.1.last.png"} <= names
    assert f"{run_id}/s1.1.mp4" not in names
    assert run["status"] == "succeeded", run
    assert (len(journal["jobs"]), len(journal["submits"])) == (3, 3)
    events = [each.fields["event"] for each in history if each.fields.get("shot") == "s1"]
    assert "clip_lost" in events
    assert events.count("clip_kept") == 1
    assert facts["size"] == run["shots"][0]["takes"][0]["video"]["bytes"]
