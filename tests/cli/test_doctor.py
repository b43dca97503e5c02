"""`doctor`: every way in which a set-up can be wrong has a sentence of its own, and a callback really makes the way."""

import time
from typing import Any

import pytest

from processors.worker import LEASE_S, WORKER
from runs.queue import QUEUE
from runs.tokens import ProbeAddress

NOWHERE = "http://127.0.0.1:9"


@pytest.mark.anyio
async def test_a_probe_is_kept_like_a_callback_and_asks_for_nothing(start_relay: Any, redis: Any) -> None:
    """Under the id that its sender chose, so that it is found again; no task, whatever its body says."""
    async with start_relay(NOWHERE, worker=False) as relay:
        address = "/webhook/" + relay.tokens.mint(ProbeAddress(nonce="abc", expires_at=int(time.time()) + 60))
        answer = await relay.api.post(address, json={"id": "job_1", "status": "succeeded"})
        (record,) = (await relay.api.get("/v1/callbacks")).json()["data"]

    assert (answer.status_code, answer.json()["received"]) == (200, True)
    assert (record["id"], record["outcome"], record["run"], record["hook"]) == ("cb_abc", "probe", None, None)
    assert await redis.zcard(QUEUE) == 0


@pytest.mark.anyio
async def test_the_address_of_a_probe_opens_nothing_when_its_time_is_over(start_relay: Any) -> None:
    """It cannot be used as a way in later."""
    async with start_relay(NOWHERE, worker=False) as relay:
        address = "/webhook/" + relay.tokens.mint(ProbeAddress(nonce="abc", expires_at=int(time.time())))
        assert (await relay.api.post(address, json={})).status_code == 404


@pytest.mark.anyio
async def test_a_worker_is_noticed_while_it_runs(start_relay: Any, redis: Any, wait_until: Any) -> None:
    """From its start on, and for seconds only after it was killed."""
    async with start_relay(NOWHERE):
        await wait_until(lambda: redis.exists(WORKER), "the worker says that it is there")
        assert 0 < await redis.pttl(WORKER) <= LEASE_S * 1000
