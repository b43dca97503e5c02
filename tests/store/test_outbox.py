"""What has to be sent: saved with the change that it tells of, lent to one sender at a time, kept for its time."""

import asyncio
import time
from dataclasses import replace
from typing import Any

import pytest
from arq.connections import ArqRedis

from framerelay.runs import events
from framerelay.runs.errors import StoreUnavailable
from framerelay.runs.model import Run, RunId, Shot, Terms
from framerelay.runs.notice_kinds import NotificationState
from framerelay.store.client import connect, disconnect
from framerelay.store.outbox import Delivery, NoticeClaim, Outbox
from framerelay.store.progress import record, start
from framerelay.store.runs import Store
from framerelay.store.tasks import QUEUE

pytestmark = pytest.mark.anyio

SENT = Delivery(at=1.0, status=204, outcome="answered 204", took_ms=3)
FAILED = Delivery(at=1.0, status=500, outcome="answered 500", took_ms=3)


def a_run(name: str = "run_1", **more: Any) -> Run:
    """It waits from its first moment, which is announced."""
    shot = Shot(id="s1", scene="a", origin="continue", source=None, input={}, gated=True)
    fields: dict[str, Any] = {"title": "t", "model": "m", "created_at": 1.0, "updated_at": 1.0, "terms": Terms()}
    return Run(id=RunId(name), shots=(shot,), **{**fields, "notify_url": "https://hooks.example.com/x", **more})


@pytest.fixture
async def outbox(redis: ArqRedis) -> Outbox:
    """Empty."""
    return Outbox(redis)


async def claim(outbox: Outbox, **more: Any) -> list[NoticeClaim]:
    return (await outbox.claim(**{"room": 9, "lease_s": 60.0, **more}))[0]


async def test_notices_are_saved_with_the_change_and_wake_a_sender(redis: ArqRedis, outbox: Outbox) -> None:
    """In one step with the run; nothing where nobody asked for it."""
    await start(Store(redis), a_run())
    await start(Store(redis), a_run("run_2", notify_url=None))
    (one,) = await outbox.recent(limit=9)

    assert (one.notice.run_id, one.notice.type, one.state) == ("run_1", "run.waiting", NotificationState.WAITING)
    assert b"notify" in await redis.zrange(QUEUE, 0, -1)
    assert await outbox.recent(limit=9, run_id="run_2") == []


async def test_a_save_that_lost_a_race_tells_nothing(redis: ArqRedis, outbox: Outbox) -> None:
    """The winner's change is announced, once."""
    store = Store(redis)
    await start(store, a_run())
    await start(store, a_run())
    await asyncio.gather(*(record(Store(redis), "run_1", events.Approved(shot_id="s1")) for _ in range(5)))

    assert len(await outbox.recent(limit=9)) == 1


async def test_what_was_sent_is_not_sent_again(redis: ArqRedis, outbox: Outbox) -> None:
    """A notice of the same id with a later change: what came of it stays."""
    store = Store(redis)
    run = await start(store, a_run())
    (first,) = await claim(outbox)
    await outbox.settle(first, SENT, NotificationState.DELIVERED, wait_s=None)
    later = replace(run, revision=run.revision + 1)
    assert await store.save(later, before=run, event={}, steps=[], wake_at=None, notices=[first.notice])

    assert await outbox.claim(room=9, lease_s=1.0) == ([], None)
    assert [each.state for each in await outbox.recent(limit=9)] == [NotificationState.DELIVERED]


async def test_only_one_of_many_senders_has_it_until_its_lease_ends(redis: ArqRedis, outbox: Outbox) -> None:
    """Nobody sends what another one is sending; a sender that died keeps it for so long and no longer."""
    await start(Store(redis), a_run())
    claims = [each for each in await asyncio.gather(*(claim(outbox, lease_s=0.2) for _ in range(9))) if each]
    _, next_in_s = await outbox.claim(room=9, lease_s=0.2)
    deadline = time.monotonic() + 90
    while not (again := await claim(outbox)):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)

    assert len(claims) == 1
    assert next_in_s is not None
    assert 0 < next_in_s <= 0.2
    assert again[0].notice == claims[0][0].notice


async def test_the_outcome_of_each_try_is_kept_and_decides_what_follows(redis: ArqRedis, outbox: Outbox) -> None:
    """Tried again in its time, with the number of tries; settled when it was taken."""
    await start(Store(redis), a_run())
    (first,) = await claim(outbox)
    await outbox.settle(first, FAILED, NotificationState.WAITING, wait_s=0.0)
    (second,) = await claim(outbox)
    await outbox.settle(second, SENT, NotificationState.DELIVERED, wait_s=None)
    notification = await outbox.find(first.notice.id)

    assert notification is not None
    assert (notification.state, notification.next_at, notification.deliveries) == (
        NotificationState.DELIVERED,
        None,
        (FAILED, SENT),
    )
    assert (first.tries, second.tries) == (0, 1)
    assert await outbox.claim(room=9, lease_s=1.0) == ([], None)


async def test_what_was_put_back_was_not_tried(redis: ArqRedis, outbox: Outbox) -> None:
    """Another one goes before it; the day and the ladder do not count that."""
    await start(Store(redis), a_run())
    (first,) = await claim(outbox)
    await outbox.put_back(first, wait_s=0.0)
    (again,) = await claim(outbox)
    notification = await outbox.find(first.notice.id)

    assert (again.tries, again.since) == (0, first.since)
    assert notification is not None
    assert notification.deliveries == ()


async def test_a_replay_is_not_swallowed_by_the_try_that_is_under_way(redis: ArqRedis, outbox: Outbox) -> None:
    """A request in between gets one more, with a day of its own; what came of the other is kept as well."""
    await start(Store(redis), a_run())
    (under_way,) = await claim(outbox)
    assert await outbox.send_again(under_way.notice.id)
    await outbox.settle(under_way, SENT, NotificationState.DELIVERED, wait_s=None)
    (again,) = await claim(outbox)

    assert again.notice == under_way.notice
    assert (again.tries, again.since >= under_way.since) == (0, True)
    notification = await outbox.find(again.notice.id)
    assert notification is not None
    assert (notification.state, notification.deliveries) == (NotificationState.WAITING, (SENT,))
    assert not await outbox.send_again("ntf_gone")


async def test_lists_are_read_page_by_page_newest_first(redis: ArqRedis, outbox: Outbox) -> None:
    """All, or those of one run."""
    for number in range(5):
        await start(Store(redis), a_run(f"run_{number}"))
        await asyncio.sleep(0.002)
    first = await outbox.recent(limit=3)
    rest = await outbox.recent(limit=3, after=first[-1].notice.id)

    assert [each.notice.run_id for each in [*first, *rest]] == ["run_4", "run_3", "run_2", "run_1", "run_0"]
    assert [each.notice.run_id for each in await outbox.recent(limit=3, run_id="run_2")] == ["run_2"]
    assert await outbox.recent(limit=3, after="ntf_gone") == []


async def test_expired_notifications_are_removed(redis: ArqRedis, outbox: Outbox) -> None:
    """Record, deliveries and places in lists; one that is still to be sent is then forgotten, too."""
    store = Store(redis, notices_keep_s=0.2)
    await start(store, a_run())
    (first,) = await claim(outbox, lease_s=0.0)
    deadline = time.monotonic() + 90
    while await outbox.find(first.notice.id):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    await outbox.settle(first, SENT, NotificationState.DELIVERED, wait_s=5.0)

    assert await outbox.claim(room=9, lease_s=1.0) == ([], None)
    await start(store, a_run("run_2"))
    assert len(await outbox.recent(limit=9)) == 1
    keys = {key.decode() for key in await redis.keys("{framerelay}:*notif*")} | {
        key.decode() for key in await redis.keys("{framerelay}:deliveries:*")
    }
    assert not {key for key in keys if first.notice.id in key or key.endswith(":run_1")}


@pytest.mark.usefixtures("gives_redis_up_soon")
async def test_without_redis_it_says_so(redis_url: str) -> None:
    """As all that is stored."""
    nowhere = connect(redis_url + "-not-there", timeout_s=1.0)
    outbox = Outbox(nowhere)
    try:
        for call in (
            outbox.claim(room=1, lease_s=1.0),
            outbox.find("x"),
            outbox.recent(limit=1),
            outbox.send_again("x"),
        ):
            with pytest.raises(StoreUnavailable):
                await call
    finally:
        await disconnect(nowhere)
