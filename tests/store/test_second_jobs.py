"""What was paid for twice is reported and counted once, however the second job became known."""

import pytest
from arq.connections import ArqRedis
from structlog.testing import capture_logs

from framerelay.runs import events
from framerelay.store.keys import PREFIX
from framerelay.store.progress import record, start
from framerelay.store.runs import Store
from tests.store.test_runs import a_run, intent

pytestmark = pytest.mark.anyio

SECOND_WAYS = {
    "a callback at another address of the take": events.SecondJobFound(shot_id="s0", take=1, job_ids=("job_2",)),
    "the answer to our submit, behind a callback about the forgotten one": events.Submitted(
        shot_id="s0", take=1, intent="i", job_id="job_2"
    ),
    "a look-up that was on its way meanwhile": events.Rendered(
        shot_id="s0", take=1, job_ids=("job_2",), video_url="https://v"
    ),
}


@pytest.mark.parametrize("second", SECOND_WAYS.values(), ids=SECOND_WAYS)
async def test_it_is_counted_once(redis: ArqRedis, second: events.TakeEvent) -> None:
    store, run = Store(redis), a_run()
    await start(store, run)
    await record(store, run.id, intent())
    await record(store, run.id, events.Submitted(shot_id="s0", take=1, job_id="job_1"))  # A forgotten one calls back.
    with capture_logs() as lines:
        for _ in range(2):  # It comes twice, too.
            run = (await record(store, run.id, second)).run
    words = [line for line in lines if line["event"] == "paid_twice"]

    assert [take.job_ids for take in run.shots[0].takes] == [("job_1",), ("job_2",)]
    assert [(line["log_level"], line["job_id"], line["second_job_id"]) for line in words] == [
        ("error", "job_1", "job_2")
    ]
    assert await redis.hget(f"{PREFIX}counts", "paid_twice") == b"1"  # type: ignore[misc]


async def test_one_job_that_says_everything_twice_is_no_second_one(redis: ArqRedis) -> None:
    store, run = Store(redis), a_run()
    await start(store, run)
    await record(store, run.id, intent())
    for _ in range(2):
        await record(store, run.id, events.Submitted(shot_id="s0", take=1, intent="i", job_id="job_1"))
        await record(store, run.id, events.Rendered(shot_id="s0", take=1, job_ids=("job_1",), video_url="https://v"))

    assert await redis.hget(f"{PREFIX}counts", "paid_twice") is None  # type: ignore[misc]
