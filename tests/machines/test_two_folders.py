"""Machines without a common folder: a receiver and two workers, each with its own data folder, and one bucket."""

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import API_KEY, StartProvider, StartRelay
from tests.machines.object_storage import BUCKET, ObjectStorage

pytestmark = pytest.mark.anyio

CHAIN: dict[str, Any] = {
    "title": "Far",
    "model": "vendor/any-model",
    "defaults": {"resolution": "480p", "duration": 5},
    "scenes": [
        {"id": "a", "shots": [{"id": f"s{number}", "prompt": f"shot {number}"} for number in range(1, 5)]},
        {"id": "b", "shots": [{"id": "t1", "prompt": "another"}, {"id": "t2", "prompt": "more"}]},
    ],
}


@pytest.mark.parametrize("handoff", ["upload", "serve"])
async def test_any_worker_goes_on_from_what_another_one_fetched(
    handoff: str,
    storage: ObjectStorage,
    redis_url: str,
    tmp_path: Path,
    start_provider: StartProvider,
    relay_in: StartRelay,
) -> None:
    """Chains, their films and pages need no common folder: one job for a take, and clips byte for byte."""
    chosen = {"store": f"s3://{BUCKET}/studio", "store_endpoint": storage.endpoint, "handoff": handoff}
    async with AsyncExitStack() as stack:
        provider = await stack.enter_async_context(start_provider())
        relay = await stack.enter_async_context(
            relay_in(tmp_path / "a", redis_url, provider.url, worker=False, **chosen)
        )
        ours = {**chosen, "public_url": relay.settings.listen_url, "tasks_max": 2}
        for name in ("b", "c"):
            await stack.enter_async_context(relay_in(tmp_path / name, redis_url, provider.url, **ours))
        runs = [await relay.run(CHAIN) for _ in range(3)]
        ended = [await relay.ended(run_id) for run_id in runs]

        assert [run["status"] for run in ended] == ["succeeded"] * 3, ended
        assert len((await provider.journal())["jobs"]) == 18
        for run in ended:
            await _is_whole(relay.api, run, tmp_path)
    folders = [{path.name for path in (tmp_path / name / "data" / "media").rglob("*.mp4")} for name in ("b", "c")]
    assert all(folders), "one worker did everything: the test shows nothing"


async def _is_whole(api: httpx.AsyncClient, run: dict[str, Any], tmp_path: Path) -> None:
    """Each clip, frame and the film are had by an address of the receiver, which sends there without our key."""
    urls = [run["film"]["url"]]
    for shot in run["shots"]:
        for take in shot["takes"]:
            urls += [take["video"]["url"], take["last_frame"]["url"]]
    async with httpx.AsyncClient(trust_env=False) as anybody:
        for url in urls:
            answer = await api.get(url)
            assert answer.status_code == 307, (url, answer.text)
            assert API_KEY not in answer.headers["location"]
            part = await anybody.get(answer.headers["location"], headers={"Range": "bytes=0-3"})
            assert part.status_code == 206
            assert len(part.content) == 4
