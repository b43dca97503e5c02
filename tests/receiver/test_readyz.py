"""`/readyz`: a receiver that can keep a callback in Redis is ready; others say why not, and where callbacks go."""

import asyncio
import resource
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import redis as redis_sync

pytestmark = pytest.mark.anyio

DONE = {"id": "job_1", "status": "succeeded"}
FILES_MAX = resource.RLIM_INFINITY


@pytest.fixture
def redis_url(private_server: Any) -> str:
    """In this file the receiver has a server of its own, since the tests spoil it."""
    return str(private_server.url)


@pytest.fixture
async def relay(start_relay: Any, nobody_calls: str, impatient: None) -> AsyncIterator[Any]:
    """A receiver on that server."""
    async with start_relay(nobody_calls, worker=False) as relay:
        yield relay


def limit_files(server: Any, bytes_max: int) -> None:
    """What a full disk is to a server: what it writes past a file's limit fails."""
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (bytes_max, FILES_MAX))


Trouble = tuple[Callable[[Any, redis_sync.Redis], object], Callable[[Any, redis_sync.Redis], object], str]
TROUBLES: dict[str, Trouble] = {
    "full": (
        lambda _, redis: redis.config_set("maxmemory", 1),
        lambda _, redis: redis.config_set("maxmemory", 0),
        "no memory left: raise its maxmemory",
    ),
    "a copy": (
        lambda _, redis: redis.execute_command("REPLICAOF", "127.0.0.1", "1"),
        lambda _, redis: redis.execute_command("REPLICAOF", "NO", "ONE"),
        "a copy that only reads",
    ),
    "unable to write its file": (
        lambda server, _: limit_files(server, 1),
        lambda server, _: limit_files(server, FILES_MAX),
        "cannot write to its disk: free some space",
    ),
}


async def ask(relay: Any) -> tuple[int, str]:
    answer = await relay.api.get("/readyz")
    return answer.status_code, answer.json()["status"]


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_a_redis_that_answers_but_keeps_nothing_makes_the_receiver_not_ready(
    relay: Any, private_server: Any, board: Any, take_address: Any, wait_until: Any, trouble: str
) -> None:
    """503 with the reason in words, also where a run is started; callbacks are spooled until then; all recovers."""
    spoil, mend, words = TROUBLES[trouble]
    assert await ask(relay) == (200, "ok")
    with redis_sync.Redis.from_url(private_server.url) as redis:
        spoil(private_server, redis)

        async def is_degraded() -> bool:
            return await ask(relay) == (503, "degraded")

        await wait_until(is_degraded, "it is not ready")
        not_ready, response = await relay.api.get("/readyz"), await relay.api.post("/v1/runs", json=board)
        callback = await relay.api.post(take_address(), json=DONE)
        mend(private_server, redis)

        async def is_ready() -> bool:
            return await ask(relay) == (200, "ok")

        await wait_until(is_ready, "it is ready again")
    for answer in (not_ready, response):
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "store_unavailable")
        assert words in answer.json()["error"]["message"]
        assert int(answer.headers["Retry-After"]) >= 1
    assert "kept on this machine's disk" in not_ready.json()["error"]["message"]
    assert callback.status_code == 200


async def test_when_the_disk_keeps_nothing_either_it_says_that_callbacks_are_refused(
    relay: Any, private_server: Any, take_address: Any, no_spool: Any
) -> None:
    """The difference between late and lost is shown where a person looks first."""
    private_server.stop()

    assert await ask(relay) == (503, "refused")
    message = (await relay.api.get("/readyz")).json()["error"]["message"]
    assert message.startswith(("Redis cannot be reached", "Redis does not answer in time"))  # As busy as we are.
    assert "callbacks are refused, since our disk: " in message
    assert (await relay.api.post(take_address(), json=DONE)).status_code == 503


async def test_asking_leaves_nothing_behind_and_many_requests_cost_one_write(
    relay: Any, private_server: Any, wait_until: Any
) -> None:
    """A health check is no load: what was found holds for a second, for all; no key, no file stays."""
    with redis_sync.Redis.from_url(private_server.url) as redis:
        await asyncio.gather(*(relay.api.get("/readyz") for _ in range(100)))
        writes = redis.info("commandstats")["cmdstat_set"]["calls"]
        assert 1 <= writes <= 10
        assert redis.keys() == []
    private_server.stop()

    async def is_degraded() -> bool:
        return await ask(relay) == (503, "degraded")

    await wait_until(is_degraded, "it is not ready")
    assert list((relay.settings.data_dir / "spool").iterdir()) == []


async def test_the_log_says_once_that_readiness_was_lost_and_once_that_it_is_back(
    relay: Any, private_server: Any, wait_until: Any, log_stream: Any
) -> None:
    """A line for each change, not for each question."""
    private_server.stop()
    for _ in range(3):
        assert await ask(relay) == (503, "degraded")
    private_server.start()

    async def is_ready() -> bool:
        return await ask(relay) == (200, "ok")

    await wait_until(is_ready, "it is ready again")
    changes = [line for line in log_stream.getvalue().splitlines() if "readiness_changed" in line]
    assert ["degraded" in change for change in changes] == [True, False]
