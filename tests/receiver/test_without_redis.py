"""When Redis refuses, is gone, or hangs: nothing is acknowledged that is not kept, and nobody is kept waiting."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis as redis_sync

pytestmark = pytest.mark.anyio

DONE = {"id": "job_1", "status": "succeeded"}


@pytest.fixture
def redis_url(private_server: Any) -> str:
    """In this file the receiver has a server of its own, since the tests end it."""
    return str(private_server.url)


@pytest.fixture
async def relay(start_relay: Any, nobody_calls: str) -> AsyncIterator[Any]:
    """A receiver on that server."""
    async with start_relay(nobody_calls, worker=False) as started:
        yield started


async def test_a_full_redis_is_answered_503_and_the_next_try_is_new(
    relay: Any, redis_url: str, take_address: Any, kept: Any
) -> None:
    """Refused, not acknowledged; when there is room again, the provider's next try is kept and counts as the first."""
    with redis_sync.Redis.from_url(redis_url) as admin:
        admin.config_set("maxmemory", "1")
        refused = await relay.api.post(take_address(), json=DONE)
        admin.config_set("maxmemory", "0")
    taken = await relay.api.post(take_address(), json=DONE)

    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "store_unavailable")
    assert int(refused.headers["Retry-After"]) >= 1
    assert taken.json() == {"received": True, "repeated": False}
    assert len(await kept()) == 1


async def test_without_redis_everything_that_needs_it_says_so_and_the_rest_goes_on(
    relay: Any, take_address: Any, private_server: Any, board: Any, wait_until: Any
) -> None:
    """503 with Retry-After; a wrong token is still 404, the process is alive but not ready; all heals by itself."""
    assert (await relay.api.get("/readyz")).status_code == 200
    private_server.stop()

    began = time.monotonic()
    answers = await asyncio.gather(
        relay.api.post(take_address(), json=DONE),
        relay.api.post(take_address(), content=b"not json"),
        relay.api.post("/v1/runs", json=board),
        relay.api.get("/v1/runs"),
        relay.api.get("/v1/callbacks"),
        relay.api.get("/readyz"),
    )
    assert [answer.status_code for answer in answers] == [503] * 6
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer in answers)
    assert time.monotonic() - began < 5
    assert (await relay.api.get("/livez")).json() == {"status": "ok"}
    for wrong in ("x", take_address().removeprefix("/webhook/") + "A"):
        assert (await relay.api.post(f"/webhook/{wrong}", json=DONE)).status_code == 404

    private_server.start()

    async def is_ready() -> bool:
        return bool((await relay.api.get("/readyz")).status_code == 200)

    await wait_until(is_ready, "ready again")
    assert (await relay.api.post(take_address(), json=DONE)).json() == {"received": True, "repeated": False}


async def test_a_redis_that_hangs_is_answered_before_the_provider_gives_up(
    relay: Any, take_address: Any, private_server: Any, kept: Any, wait_until: Any, logged: Any
) -> None:
    """503 within five seconds, for those that come later, too; what was refused is kept on its next try."""
    await relay.api.post(take_address("s0"), json=DONE)
    private_server.hang()

    async def timed(request: Any) -> tuple[int, float]:
        began = time.monotonic()
        status: int = (await request).status_code
        return status, time.monotonic() - began

    first = [timed(relay.api.post(take_address("s1", number), json=DONE)) for number in range(5)]
    waiting = asyncio.gather(*first, timed(relay.api.get("/readyz")))
    wrong = await timed(relay.api.post("/webhook/x", json=DONE))
    later = await timed(relay.api.post(take_address("s2"), json=DONE))
    answers = [*await waiting, later]
    private_server.go_on()
    reasons = {
        line["reason"] for line in map(json.loads, logged.getvalue().splitlines()) if line.get("outcome") == "not_kept"
    }

    async def is_taken() -> bool:
        return bool((await relay.api.post(take_address("s2"), json=DONE)).status_code == 200)

    await wait_until(is_taken, "the callback is kept")
    assert (wrong[0], wrong[1] < 2) == (404, True)
    assert {status for status, _ in answers} == {503}
    assert max(took for _, took in answers) < 3.9, "nobody waits until two writes have failed, one after the other"
    assert not any(reason.endswith(": ") for reason in reasons), reasons
    assert [record["shot"] for record in await kept()].count("s2") == 1


async def test_a_watcher_is_let_go_when_redis_dies(relay: Any, board: Any, private_server: Any, logged: Any) -> None:
    """The stream ends as if the network had: the reader comes back later, and the log holds no traceback."""
    run_id = await relay.run(board)
    async with relay.api.stream("GET", f"/v1/runs/{run_id}/events") as answer:
        lines = answer.aiter_lines()
        assert (await anext(lines)).startswith("id: ")
        private_server.stop()
        async with asyncio.timeout(10):
            rest = [line async for line in lines]

    assert any("started" in line for line in rest)
    assert "Traceback" not in logged.getvalue()
