"""``GET /metrics``: figures that a watcher can act on, for those who may read."""

import re
import time
from typing import Any

import pytest

from framerelay.store.tasks import QUEUE

pytestmark = pytest.mark.anyio

LINE = re.compile(r'framerelay_[a-z_]+(\{[a-z]+="[a-z_]+"\})? -?[0-9.]+(e-?[0-9]+)?')


async def read(relay: Any) -> dict[str, float]:
    answer = await relay.api.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = {}
    for line in answer.text.splitlines():
        if not line.startswith("# "):
            assert LINE.fullmatch(line), line
            name, _, value = line.rpartition(" ")
            found[name.removeprefix("framerelay_")] = float(value)
            assert f"# TYPE {name.partition('{')[0]} " in answer.text
    return found


async def test_it_counts_what_came_and_what_lies_there(relay: Any, take_address: Any, board: Any) -> None:
    """A callback, its repeat, a stranger's; a run; what is queued."""
    before = await read(relay)
    run = (await relay.api.post("/v1/runs", json=board)).json()
    for _ in range(2):
        await relay.api.post(take_address(), json={"id": "job_1", "status": "succeeded"})
    await relay.api.post("/webhook/none", json={})
    found = await read(relay)

    names = {outcome: f'callbacks_total{{outcome="{outcome}"}}' for outcome in ("kept", "repeated", "refused", "held")}
    came = {outcome: found[name] - before[name] for outcome, name in names.items()}
    assert came == {"kept": 1, "repeated": 1, "refused": 1, "held": 0}
    assert found[f'runs{{status="{run["status"]}"}}'] == 1
    assert (found["redis_up"], found["spool_files"], found["notifications_due"]) == (1, 0, 0)
    assert found["queue"] >= 2
    assert run["id"] not in (await relay.api.get("/metrics")).text


async def test_it_says_how_late_the_first_task_is(relay: Any, redis: Any) -> None:
    """What nobody does is seen by its age; what has its time in the future is not late."""
    await redis.zadd(QUEUE, {"later": (time.time() + 600) * 1000})
    on_time = await read(relay)
    await redis.zadd(QUEUE, {"old": (time.time() - 90) * 1000})
    late = await read(relay)

    assert on_time["queue_late_seconds"] == 0
    assert 85 < late["queue_late_seconds"] < 150


async def test_it_needs_a_key(relay: Any) -> None:
    """What there is, is nobody's business."""
    key = relay.api.headers.pop("Authorization")
    answer = await relay.api.get("/metrics")
    relay.api.headers["Authorization"] = key

    assert answer.status_code == 401
