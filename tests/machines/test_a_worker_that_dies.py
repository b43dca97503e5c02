"""Workers that are killed between frame and clip, and with half a film put: what lay on their disks is gone."""

import signal
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import obstore
import pytest

from tests.fixtures.relay import StartProvider, StartRelay
from tests.machines.object_storage import BUCKET, ObjectStorage
from tests.machines.workers import worker_beside

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
        first = worker_beside(relay, tmp_path / "b", storage, redis_url, code=DIES)
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


DIES_IN_THE_MIDDLE = """
import asyncio, os, signal, sys
import httpx, obstore
from framerelay.store import bucket_store
put = obstore.put_async
async def in_pieces(bucket, path, place, **options):
    if "/film" not in path:
        return await put(bucket, path, place, **options)
    async def halves():
        yield b"x" * (12 << 20)
        async with httpx.AsyncClient(trust_env=False) as filer:
            while "part" not in await uploads(filer):
                await asyncio.sleep(0.01)
        os.kill(os.getpid(), signal.SIGKILL)
    return await put(bucket, path, halves(), **options)
async def uploads(filer):
    url = os.environ["UPLOADS"]
    listed = (await filer.get(url, headers={"accept": "application/json"})).json()["Entries"] or []
    return "".join([(await filer.get(f"{url}{each['FullPath'].rpartition('/')[2]}/")).text for each in listed])
bucket_store.obstore.put_async = in_pieces
from framerelay.cli.main import main
main()
"""


@pytest.mark.slow
async def test_a_worker_killed_with_half_a_film_put_leaves_nothing_that_is_shown(
    storage: ObjectStorage,
    redis_url: str,
    tmp_path: Path,
    start_provider: StartProvider,
    relay_in: StartRelay,
    wait_until: Any,
) -> None:
    """The film is made again elsewhere. Its pieces stay, unseen: docs/storage.md has the rule that removes them."""
    pieces = f"http://127.0.0.1:{storage.ports['filer']}/buckets/{BUCKET}/.uploads/"
    async with AsyncExitStack() as stack:
        provider = await stack.enter_async_context(start_provider())
        relay = await stack.enter_async_context(
            relay_in(tmp_path / "a", redis_url, provider.url, worker=False, **storage.chosen)
        )
        ours = {**storage.chosen, "public_url": relay.settings.listen_url}
        first = worker_beside(
            relay, tmp_path / "b", storage, redis_url, code=DIES_IN_THE_MIDDLE, environ={"UPLOADS": pieces}
        )
        try:
            run_id = await relay.run({**CHAIN, "shots": CHAIN["shots"][:2]})
            await wait_until(lambda: first.poll() is not None, "the first worker was killed")
        finally:
            if first.poll() is None:
                first.kill()
                first.wait()
        left, names = await relay.shown(run_id), storage.names()
        await stack.enter_async_context(relay_in(tmp_path / "c", redis_url, provider.url, **ours))
        run = await relay.ended(run_id)
        journal = await provider.journal()
        async with httpx.AsyncClient(trust_env=False) as filer:
            stays = (await filer.get(pieces, headers={"accept": "application/json"})).json()["Entries"]

    assert first.returncode == -signal.SIGKILL
    assert (left["status"], left["film"]) == ("running", None)
    assert not [name for name in names if "/film" in name]
    assert run["status"] == "succeeded", run
    assert (len(journal["jobs"]), len(journal["submits"])) == (2, 2)
    film = run["film"]["url"].rpartition("/media/")[2]
    assert obstore.head(storage.client(prefix="studio"), film)["size"] == run["film"]["bytes"]
    assert len(stays) == 1
