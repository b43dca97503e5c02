"""Callbacks at addresses that are not ours: a few are shown, and a flood of them costs nothing."""

import time
from typing import Any

import pytest

from framerelay.receiver.door.strangers import Strangers
from framerelay.store.inbox import REFUSED_MAX, Callback, Inbox

pytestmark = pytest.mark.anyio


@pytest.fixture
async def relay(start_relay: Any, nobody_calls: str) -> Any:
    """A receiver that has taken no sample yet."""
    async with start_relay(nobody_calls, worker=False) as relay:
        yield relay


async def test_a_refused_callback_is_listed_with_the_reason(
    relay: Any, recent_callbacks: Any, queued_tasks: Any, wait_until: Any, take_address: Any
) -> None:
    """The person who changed the secret finds out here; the beginning of the body is enough, and no address is kept."""
    wrong = take_address() + "A"
    assert (await relay.api.post(wrong, content=b"x" * 10_000)).status_code == 404
    await wait_until(recent_callbacks, "the sample is listed")

    (record,) = await recent_callbacks()
    assert (record["outcome"], record["run"], record["bytes"]) == ("refused", None, 4096)
    assert "FRAMERELAY_SECRET" in record["reason"]
    assert wrong.removeprefix("/webhook/") not in str(record)
    assert await queued_tasks() == []


async def test_a_flood_is_sampled(
    relay: Any, recent_callbacks: Any, take_address: Any, redis: Any, wait_until: Any
) -> None:
    """Ten in a minute reach Redis, the rest cost it nothing; each is answered 404."""
    await relay.api.post(take_address(), json={"id": "job_0"})  # A script is loaded when it is first used.
    await relay.api.post("/webhook/wrong", json={"n": -1})
    before = (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"]
    answers = [await relay.api.post("/webhook/wrong", json={"n": number}) for number in range(60)]
    await relay.api.post(take_address(), json={"id": "job_1"})
    calls = (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"] - before

    assert {answer.status_code for answer in answers} == {404}
    assert sorted(record["outcome"] for record in await recent_callbacks()) == ["accepted"] * 2 + ["refused"] * 10
    assert calls <= 10


async def test_the_next_minute_is_sampled_again(redis: Any) -> None:
    """The rate holds for any sixty seconds."""
    clock = 0.0
    strangers = Strangers(Inbox(redis, keep_s=100), clock=lambda: clock)

    class Empty:
        async def stream(self) -> Any:
            yield b""

    async def samples_of(count: int) -> int:
        return sum([await strangers.sample(Empty()) is not None for _ in range(count)])  # type: ignore[arg-type]

    first = await samples_of(30)
    clock = 59.0
    early = await samples_of(30)
    clock = 61.0
    assert (first, early, await samples_of(30)) == (10, 0, 10)


async def test_strangers_push_out_only_strangers(redis: Any) -> None:
    """Two hundred stay, with nothing left of the others; a real callback is not touched."""
    inbox = Inbox(redis, keep_s=100)
    real = Callback(
        id="cb_real", received_at=time.time(), outcome="accepted", body=b"{}", run_id="r", shot_id="s", take=1
    )
    await inbox.accept(real, fingerprint="f", task=None)
    for number in range(REFUSED_MAX + 5):
        await inbox.refuse(Callback(id=f"cb_{number}", received_at=1.0, outcome="refused", body=b""))

    ids = [each.id for each in await inbox.recent(limit=1000)]
    assert len(ids) == REFUSED_MAX + 1
    assert "cb_real" in ids
    assert "cb_4" not in ids
    assert await redis.exists("{framerelay}:callback:cb_4") == 0
