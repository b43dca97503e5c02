"""``GET /metrics``: figures that a watcher can act on, for those who may read."""

import re
import time
from importlib.metadata import version
from typing import Any

import pytest

from framerelay.store.outbox import NOTIFICATIONS_DUE
from framerelay.store.tasks import QUEUE

pytestmark = pytest.mark.anyio

LABEL = r'[a-z]+="[A-Za-z0-9_.+-]+"'
LINE = re.compile(rf"framerelay_[a-z_]+(\{{{LABEL}(,{LABEL})*\}})? -?[0-9.]+(e-?[0-9]+)?")
HISTOGRAM = re.compile("_(bucket|sum|count)$")


async def read(relay: Any) -> dict[str, float]:
    answer = await relay.api.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    values = {}
    for line in answer.text.splitlines():
        if not line.startswith("# "):
            assert LINE.fullmatch(line), line
            name, _, value = line.rpartition(" ")
            values[name.removeprefix("framerelay_")] = float(value)
            name = name.partition("{")[0]
            assert f"# TYPE {name} " in answer.text or f"# TYPE {HISTOGRAM.sub('', name)} histogram" in answer.text
    return values


async def test_it_counts_callbacks_and_stored_runs(relay: Any, take_address: Any, board: Any) -> None:
    """A callback, its repeat, a stranger's; a run; what is queued."""
    before = await read(relay)
    run = (await relay.api.post("/v1/runs", json=board)).json()
    for _ in range(2):
        await relay.api.post(take_address(), json={"id": "job_1", "status": "succeeded"})
    await relay.api.post("/webhook/none", json={})
    figures = await read(relay)

    names = {outcome: f'callbacks_total{{outcome="{outcome}"}}' for outcome in ("kept", "repeated", "refused", "held")}
    bucket = 'acknowledge_seconds_bucket{le="+Inf"}'
    assert (
        figures[bucket] - before[bucket] == figures["acknowledge_seconds_count"] - before["acknowledge_seconds_count"]
    )
    assert figures[bucket] - before[bucket] == 2
    counts = {outcome: figures[name] - before[name] for outcome, name in names.items()}
    assert counts == {"kept": 1, "repeated": 1, "refused": 1, "held": 0}
    assert figures[f'runs{{status="{run["status"]}"}}'] == 1
    assert (figures["redis_up"], figures["spool_files"], figures["notifications_due"]) == (1, 0, 0)
    assert figures["queue"] >= 2
    assert run["id"] not in (await relay.api.get("/metrics")).text


async def test_it_says_how_late_the_first_task_is(relay: Any, redis: Any) -> None:
    """What nobody does is seen by its age; what has its time in the future is not late."""
    await redis.zadd(QUEUE, {"later": (time.time() + 600) * 1000})
    on_time = await read(relay)
    await redis.zadd(QUEUE, {"old": (time.time() - 90) * 1000})
    late = await read(relay)

    assert on_time["queue_late_seconds"] == 0
    assert 85 < late["queue_late_seconds"] < 150


async def test_it_says_which_workers_are_too_few(relay: Any, redis: Any) -> None:
    """Films that wait are no reason for more workers that cannot take them, and the other way round."""
    films = {f"join:run_{place}::0:0": (time.time() - 300) * 1000 for place in range(30)}
    await redis.zadd(QUEUE, films)
    before = await read(relay)
    await redis.zadd(QUEUE, {"submit:run_1:s1:1:0": (time.time() - 90) * 1000, "sweep": (time.time() + 60) * 1000})
    after = await read(relay)

    assert before['tasks_late_seconds{tasks="light"}'] == 0
    assert 295 < before['tasks_late_seconds{tasks="heavy"}'] < 360
    assert 85 < after['tasks_late_seconds{tasks="light"}'] < 150


async def test_it_needs_a_key(relay: Any) -> None:
    """What there is, is nobody's business."""
    key = relay.api.headers.pop("Authorization")
    answer = await relay.api.get("/metrics")
    relay.api.headers["Authorization"] = key

    assert answer.status_code == 401


async def test_it_says_what_runs_here_and_what_is_left(relay: Any) -> None:
    """The version, the memory of the process, the room on the disk; how Redis answers."""
    figures = await read(relay)

    (build,) = [name for name in figures if name.startswith("build_info")]
    assert f'version="{version("framerelay")}"' in build
    assert figures["disk_free_bytes"] > 1 << 20
    assert figures["resident_memory_bytes"] > 1 << 20
    assert 0 < figures["start_time_seconds"] <= time.time()
    assert figures["redis_seconds_count"] > 0


async def test_a_notification_that_fails_is_seen(relay: Any, redis: Any) -> None:
    """One that waits for its next try is no late one, and still somebody should look."""
    await redis.zadd(NOTIFICATIONS_DUE, {"n_1": (time.time() + 60) * 1000, "n_2": (time.time() - 5) * 1000})
    figures = await read(relay)

    assert (figures["notifications_due"], figures["notifications_failing"]) == (2, 1)
    assert 5 <= figures["notifications_due_late_seconds"] < 65
