"""A shot that waits for a free place at its provider says so, and in which turn."""

import time
from typing import Any

import pytest

from framerelay.runs import events
from framerelay.runs.machine import NO_PLACE
from framerelay.runs.model import Family, Problem
from framerelay.runs.text import ordinal
from framerelay.store.places import Allowance, TakePlace
from framerelay.store.progress import record

pytestmark = pytest.mark.anyio


async def test_the_queue_position_is_shown_and_counted(relay: Any, board: Any) -> None:
    """In the run's JSON, in words, and in the figures; a list of runs does without."""
    run = (await relay.api.post("/v1/runs", json=board)).json()
    provider, one = run["provider"], Allowance(jobs_at_once=1)
    places = relay.store.places
    for name in ("run_other:s1:1", "run_other:s2:1", f"{run['id']}:s1:1"):
        await places.enter(provider, TakePlace.of(name), one)
    problem = Problem(code=NO_PLACE, message=f"it waits for a free place at {provider}", family=Family.RATE)
    await record(relay.store, run["id"], events.PlaceWanted(shot_id="s1", problem=problem, until=time.time() + 60))

    run_json = (await relay.api.get(f"/v1/runs/{run['id']}")).json()
    figures = (await relay.api.get("/metrics")).text

    assert run_json["shots"][0]["queue_position"] == 2
    assert "queue_position" not in run_json["shots"][1]
    assert f'framerelay_provider_held_shots{{provider="{provider}"}} 2' in figures
    assert f'framerelay_provider_jobs{{provider="{provider}"}} 1' in figures
    await places.leave(provider, TakePlace.of("run_other:s1:1"))
    assert (await relay.api.get(f"/v1/runs/{run['id']}")).json()["shots"][0]["queue_position"] == 1


async def test_a_long_queue_is_not_read_for_a_look_at_one_run(relay: Any, board: Any, redis: Any) -> None:
    """Ten thousand that wait cost the receiver tens of milliseconds for each look at the page of any that does."""
    run = (await relay.api.post("/v1/runs", json=board)).json()
    provider, one = run["provider"], Allowance(jobs_at_once=1)
    for name in ("run_other:s1:1", "run_other:s2:1", f"{run['id']}:s1:1"):
        await relay.store.places.enter(provider, TakePlace.of(name), one)
    problem = Problem(code=NO_PLACE, message=f"it waits for a free place at {provider}", family=Family.RATE)
    await record(relay.store, run["id"], events.PlaceWanted(shot_id="s1", problem=problem, until=time.time() + 60))
    stored_run = await relay.store.load(run["id"])
    await redis.config_resetstat()

    assert await relay.store.places.positions(stored_run) == {"s1": 2}
    assert not {"cmdstat_zrange"} & (await redis.info("commandstats")).keys()


@pytest.mark.parametrize(
    ("number", "words"), [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (13, "13th"), (22, "22nd")]
)
def test_turns_are_ordinal_numbers(number: int, words: str) -> None:
    assert ordinal(number) == words
