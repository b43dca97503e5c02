"""What a worker does once for runs that an early version has stored."""

from typing import Any

import pytest
from arq.connections import ArqRedis

from framerelay.processors.repair import INDEXED
from framerelay.store.keys import PREFIX
from framerelay.store.runs import REPAIRED

pytestmark = pytest.mark.anyio

BOARD = {
    "title": "Harbor at dawn",
    "model": "m",
    "labels": {"project": "sea"},
    "shots": [{"id": "s1", "prompt": "x", "gate": "approve"}],
}


async def test_runs_of_a_version_without_indexes_are_found_after_a_worker_has_started(
    redis: ArqRedis, start_relay: Any, wait_until: Any
) -> None:
    """By label, word and need, without a change of their own; no other worker does it again."""
    async with start_relay("http://127.0.0.1:9") as relay:
        run_id = await relay.run(BOARD)
    for name in (await redis.hget(f"{PREFIX}run:{run_id}", "indexes")).decode().split("\n"):
        await redis.delete(f"{PREFIX}runs:{name}")
    await redis.hdel(f"{PREFIX}run:{run_id}", "indexes")
    await redis.delete(REPAIRED)

    async with start_relay("http://127.0.0.1:9") as relay:

        async def is_found() -> bool:
            query = {"label": "project:sea", "q": "harb", "needs": "person"}
            return [run["id"] for run in (await relay.api.get("/v1/runs", params=query)).json()["data"]] == [run_id]

        await wait_until(is_found, "it is found")
        await wait_until(lambda: redis.sismember(REPAIRED, INDEXED), "nobody has to look again")
        assert (await relay.view(run_id))["revision"] == 0
