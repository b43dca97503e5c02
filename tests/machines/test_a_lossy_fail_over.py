"""
A copy of Redis takes over that lacks what was written last: what was paid for is not paid for again.

The copy is cut off, work goes on at the primary, then that is killed and its address leads to the copy. It is what
asynchronous replication does, drawn out until something else has happened.
"""

import os
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from framerelay.runs.tokens import TakeAddress
from tests.machines.servers import Forwarder, primary_and_copy, running

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

RUNS, SHOTS = int(os.environ.get("FAIL_OVER_RUNS", "8")), 4  # `make chaos` has 50 runs.
SLOW = {"job_s": 2.0}  # What is submitted while the copy is cut off ends when it has taken over.
WaitUntil = Callable[..., Awaitable[None]]


def board(number: int, shots: int = SHOTS) -> dict[str, Any]:
    return {
        "title": f"film {number}",
        "model": "m",
        "budget": {"jobs": 2 * shots},
        "shots": [{"id": f"s{shot}", "prompt": f"a car, {shot}"} for shot in range(1, shots + 1)],
    }


async def jobs_of_takes(relay: Any, provider: Any) -> Counter[tuple[str, str, int]]:
    submits: Counter[tuple[str, str, int]] = Counter()
    for job in (await provider.journal())["jobs"]:
        address = relay.tokens.read(job["input"]["callback_url"].rpartition("/")[2], now=0)
        assert isinstance(address, TakeAddress)
        submits[address.run_id, address.shot_id, address.take] += 1
    return submits


async def has_jobs(provider: Any, number: int) -> bool:
    return len((await provider.journal())["jobs"]) >= number


async def shots_held(relay: Any, runs: list[str]) -> int:
    """How many shots wait because Redis has too few copies."""
    documents = [await relay.view(run_id) for run_id in runs]
    words = [shot["held_by"] for run in documents for shot in run["shots"] if shot["held_by"]]
    return sum(each["code"] == "copies_missing" for each in words)


async def metric(relay: Any, name: str) -> float:
    lines = (await relay.api.get("/metrics")).text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))


async def test_with_one_copy_no_take_is_paid_twice(
    start_provider: Any, relay_in: Any, tmp_path: Path, wait_until: WaitUntil
) -> None:
    """Submits wait, with a message, while no copy is there; the copy that takes over knows what was sent."""
    with primary_and_copy(tmp_path) as (primary, copy):
        async with (
            start_provider(options=SLOW) as provider,
            Forwarder(primary.port) as address,
            relay_in(tmp_path, address.url, provider.url, redis_copies=1, lookup_after_s=3.0) as relay,
        ):
            runs = [await relay.run(board(number)) for number in range(RUNS)]
            await wait_until(lambda: has_jobs(provider, RUNS), "the first shot of each run is submitted")
            copy.ask("REPLICAOF", "NO", "ONE")
            await wait_until(lambda: _is(shots_held(relay, runs), RUNS // 2), "submits wait for a copy")
            primary.kill()
            with primary_again(tmp_path, copy.port):
                address.move_to(copy.port)
                ends = [await relay.wait_for_end(run_id) for run_id in runs]
                jobs = await jobs_of_takes(relay, provider)

    assert [run["status"] for run in ends] == ["succeeded"] * RUNS
    assert {take: number for take, number in jobs.items() if number > 1} == {}
    assert len(jobs) == RUNS * SHOTS


async def test_without_copies_what_was_paid_twice_is_seen_and_counted(
    start_provider: Any, relay_in: Any, tmp_path: Path, wait_until: WaitUntil
) -> None:
    """
    Redis forgot the submits; the jobs of both call back at the address of one take.

    Late: the sandbox loses its callbacks, and the test sends them. One that came before the second submit would have
    named the job, and nothing would be paid twice.
    """
    number, shots = 3, 6
    with primary_and_copy(tmp_path) as (primary, copy):
        async with (
            start_provider(lose=1.0) as provider,
            Forwarder(primary.port) as address,
            relay_in(tmp_path, address.url, provider.url, lookup_after_s=1.0) as relay,
        ):
            runs = [await relay.run(board(each, shots)) for each in range(number)]
            await wait_until(lambda: has_jobs(provider, number), "the first shot of each run is submitted")
            copy.ask("REPLICAOF", "NO", "ONE")
            jobs = len((await provider.journal())["jobs"])
            # Each run had at most one submit in flight just then; the copy that takes over knows of it.
            await wait_until(
                lambda: has_jobs(provider, jobs + number + 1), "more is submitted, and no copy hears of it"
            )
            primary.kill()
            address.move_to(copy.port)
            await wait_until(lambda: _is(paid_twice(relay, provider), 1), "a take is paid twice")
            await call_back(relay, provider)
            ends = [await relay.wait_for_end(run_id) for run_id in runs]
            await call_back(relay, provider)
            twice = await paid_twice(relay, provider)
            await wait_until(lambda: _is(warnings(relay, runs), twice), "each is warned of")
            suspicions = partial(metric, relay, "framerelay_paid_twice_suspected_total")
            await wait_until(lambda: _is(suspicions(), twice), "each is counted")
            assert await suspicions() == twice

    assert [run["status"] for run in ends] == ["succeeded"] * number


async def paid_twice(relay: Any, provider: Any) -> int:
    """How many takes have two jobs."""
    return sum(jobs > 1 for jobs in (await jobs_of_takes(relay, provider)).values())


async def call_back(relay: Any, provider: Any) -> None:
    """As every job would have, when it was done."""
    for job in (await provider.journal())["jobs"]:
        token = job["input"]["callback_url"].rpartition("/")[2]
        body = {"id": job["id"], "status": "succeeded"}
        assert (await relay.api.post(f"/webhook/{token}", json=body)).status_code == 200


async def warnings(relay: Any, runs: list[str]) -> int:
    documents = [await relay.view(run_id) for run_id in runs]
    return sum(each["code"] == "paid_twice" for run in documents for each in run["warnings"])


async def _is(number: Awaitable[float], least: int) -> bool:
    return await number >= least


def primary_again(folder: Path, port: int) -> Any:
    """The new primary gets a copy of its own: without one nothing is submitted."""
    durable = ("--appendonly", "yes", "--appendfsync", "always")
    return running(folder / "second", *durable, "--replicaof", f"127.0.0.1 {port}")
