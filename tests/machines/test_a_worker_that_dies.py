"""A worker killed between frame and clip: the next shot is under way, and the clip lies on a disk that is gone."""

import os
import signal
import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import obstore
import pytest

from tests.conftest import KEY, SECRET, StartProvider, StartRelay
from tests.machines.object_storage import ObjectStorage

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
    storage: ObjectStorage,
    redis_url: str,
    tmp_path: Path,
    start_provider: StartProvider,
    relay_in: StartRelay,
    wait_until: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another worker goes on from the frame that is kept, fetches the clip anew, and no job is made twice."""
    monkeypatch.setattr("framerelay.runs.takes.KEEP_S", 1.0)  # The waits are shorter, the rules are the same.
    async with AsyncExitStack() as stack:
        provider = await stack.enter_async_context(start_provider())
        relay = await stack.enter_async_context(
            relay_in(tmp_path / "a", redis_url, provider.url, worker=False, **storage.chosen)
        )
        ours = {**storage.chosen, "public_url": relay.settings.listen_url}
        first = _worker(tmp_path / "b", storage, redis_url, provider.url, relay.settings.listen_url)
        try:
            run_id = await relay.run(CHAIN)
            await wait_until(lambda: first.poll() is not None, "the first worker was killed")
        finally:
            if first.poll() is None:
                first.kill()
                first.wait()
        left = await relay.shown(run_id)
        names = storage.names()
        await stack.enter_async_context(relay_in(tmp_path / "c", redis_url, provider.url, **ours))
        run = await relay.ended(run_id)
        history = await relay.store.history(run_id)
        journal = await provider.journal()

    assert first.returncode == -signal.SIGKILL
    assert (left["shots"][0]["status"], left["shots"][0]["takes"][0]["video"]) == ("collecting", None)
    assert {f"{run_id}/s1.1.last.png"} <= names
    assert f"{run_id}/s1.1.mp4" not in names
    assert run["status"] == "succeeded", run
    assert (len(journal["jobs"]), len(journal["submits"])) == (3, 3)
    events = [each.fields["event"] for each in history if each.fields.get("shot") == "s1"]
    assert "clip_lost" in events
    assert events.count("clip_kept") == 1
    kept = storage.client(prefix="studio")
    assert obstore.head(kept, f"{run_id}/s1.1.mp4")["size"] == run["shots"][0]["takes"][0]["video"]["bytes"]


def _worker(
    folder: Path, storage: ObjectStorage, redis_url: str, upstream_url: str, public_url: str
) -> "subprocess.Popen[bytes]":
    """A process of its own, so that it can be killed."""
    folder.mkdir()
    environ = {
        **storage.environ,
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "FRAMERELAY_REDIS_URL": redis_url,
        "FRAMERELAY_SECRET": SECRET,
        "FRAMERELAY_UPSTREAM_URL": upstream_url,
        "FRAMERELAY_UPSTREAM_KEY": KEY,
        "FRAMERELAY_PUBLIC_URL": public_url,
        "FRAMERELAY_TRUSTED_HOSTS": "127.0.0.1",
    }
    with (folder / "log").open("wb") as log:
        command = [sys.executable, "-c", DIES, "worker"]
        return subprocess.Popen(command, cwd=folder, env=environ, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
