"""The tour, second stop: messages get lost, come early, come often; providers refuse; a film still comes of it."""

import asyncio
from typing import Any

import pytest
from starlette.datastructures import Secret

from framerelay.runs.tokens import TakeAddress
from tests.story.test_providers import Exactly

pytestmark = pytest.mark.anyio

TWO = {
    "title": "two",
    "model": "seedance-1.5-pro-1080p",
    "shots": [{"id": "s1", "prompt": "a car"}, {"id": "s2", "prompt": "closer"}],
}


async def test_lost_callbacks_are_found_by_looking(start_provider: Any, start_relay: Any) -> None:
    """Not one callback arrives: each take is looked up when such jobs are usually done, and the film is finished."""
    async with start_provider(lose=1.0) as provider, start_relay(provider.url, lookup_after_s=0.1) as relay:
        run = await relay.wait_for_end(await relay.run(TWO))
        journal = await provider.journal()
        callbacks = (await relay.api.get("/v1/callbacks")).json()["data"]

    assert run["status"] == "succeeded", run["error"]
    assert callbacks == []
    assert len(journal["submits"]) == 2


async def test_a_callback_may_overtake_the_answer_to_its_own_submit(start_provider: Any, start_relay: Any) -> None:
    """Its token names the take before the job's id is known to us."""
    async with start_provider(early=1.0) as provider, start_relay(provider.url) as relay:
        run = await relay.wait_for_end(await relay.run(TWO))
        journal = await provider.journal()

    assert run["status"] == "succeeded", run["error"]
    assert len(journal["jobs"]) == 2


async def test_a_submit_that_was_accepted_but_answered_500_is_settled_by_its_callback(
    start_provider: Any, start_relay: Any
) -> None:
    """Nobody knows if it was accepted: it is held, not posted again, until the job itself calls back."""
    async with start_provider(accept_then_500=1.0) as provider, start_relay(provider.url) as relay:
        run_id = await relay.run(TWO)
        run = await relay.wait_for_end(run_id)
        while run["status"] == "waiting":
            run = await relay.wait_for_end(run_id)
        journal = await provider.journal()

    assert run["status"] == "succeeded", run["error"]
    assert set(journal["jobs_per_callback_url"].values()) == {1}
    assert len(journal["submits"]) == 2


async def test_a_moderated_clip_gets_one_new_take_with_another_seed(start_provider: Any, start_relay: Any) -> None:
    """Output moderation is known to strike at random: once more, then a person has to decide."""
    board = {**TWO, "defaults": {"seed": 7}, "shots": TWO["shots"][:1]}
    async with start_provider(moderate=1.0) as provider, start_relay(provider.url) as relay:
        run = await relay.wait_for_end(await relay.run(board))

    assert run["status"] == "failed"
    assert [(take["status"], take["seed"]) for take in run["shots"][0]["takes"]] == [("failed", 7), ("failed", 8)]
    assert "OutputVideoSensitiveContentDetected" in run["shots"][0]["takes"][0]["error"]["code"]


async def test_a_moderated_clip_is_asked_for_once_with_the_other_prompt(start_provider: Any, start_relay: Any) -> None:
    """As the storyboard gives it, with its style; and what is made from the shot goes on. Then a person decides."""
    first = {"id": "s1", "prompt": "a fight", "on_moderated": {"prompt": "a dance"}}
    board = {**TWO, "style": "in the rain", "defaults": {"seed": 7}, "shots": [first, TWO["shots"][1]]}
    async with start_provider(moderate=1.0) as provider, start_relay(provider.url) as relay:
        refused_run = await relay.wait_for_end(await relay.run(board))
        both = (await provider.journal())["jobs"]
    faults = Exactly(hits=frozenset({("moderate", "1")}))
    async with start_provider(options={"faults": faults}) as provider, start_relay(provider.url) as relay:
        run = await relay.wait_for_end(await relay.run(board))
        jobs = (await provider.journal())["jobs"]

    assert (refused_run["status"], [job["input"]["prompt"] for job in both]) == (
        "failed",
        ["a fight, in the rain", "a dance, in the rain"],
    )
    assert run["status"] == "succeeded", run["error"]
    prompts = ["a fight, in the rain", "a dance, in the rain", "closer, in the rain"]
    assert [job["input"]["prompt"] for job in jobs] == prompts
    assert [shot["alternative_since"] for shot in run["shots"]] == [2, None]


async def test_a_failed_scene_does_not_stop_the_others(start_provider: Any, start_relay: Any) -> None:
    """The provider refuses one scene's input; the other scene is made to its end."""
    board = {
        "title": "two scenes",
        "model": "seedance-1.5-pro-1080p",
        "scenes": [
            {"id": "bad", "shots": [{"id": "b1", "prompt": "x", "ratio": "7:5"}, {"id": "b2", "prompt": "y"}]},
            {"id": "good", "shots": [{"id": "g1", "prompt": "x"}, {"id": "g2", "prompt": "y"}]},
        ],
    }
    async with start_provider() as provider, start_relay(provider.url) as relay:
        run = await relay.wait_for_end(await relay.run(board))

    assert run["status"] == "failed"
    assert [shot["status"] for shot in run["shots"]] == ["failed", "pending", "done", "done"]
    assert run["error"]["message"].startswith("shot b1:")
    assert run["spent"] == {"jobs": 2}


async def test_a_wrong_key_is_reported_at_once(start_provider: Any, start_relay: Any) -> None:
    """One clear sentence in the run, and nothing is tried again until a person has fixed it and resumes."""
    async with start_provider(options={"key": "sk-another"}) as provider:
        async with start_relay(provider.url) as relay:
            run_id = await relay.run(TWO)
            held_run = await relay.wait_for_end(run_id)
            journal = await provider.journal()
        async with start_relay(provider.url, upstream_key=Secret("sk-another")) as relay:
            answer = (await relay.api.post(f"/v1/runs/{run_id}/resume")).json()
            run = await relay.wait_for_end(run_id)

    assert (held_run["status"], held_run["error"]["family"], held_run["spent"]) == ("waiting", "account", {"jobs": 0})
    assert "key" in held_run["error"]["message"]
    assert held_run["shots"][0]["next_try"] is None
    assert len(journal["submits"]) == 1
    assert answer["submits_to_come"] == 2
    assert run["status"] == "succeeded", run["error"]


async def test_an_address_that_expired_is_asked_for_again(start_provider: Any, start_relay: Any) -> None:
    """Results are kept at once; when their address died first, a new look-up comes before anything else."""
    options = {"output_ttl_s": 0.0001}
    async with start_provider(options=options) as provider, start_relay(provider.url) as relay:
        run_id = await relay.run({**TWO, "shots": TWO["shots"][:1]})
        journal = await _until_looked_up(provider, times=3)
        run = await relay.view(run_id)

    assert run["status"] == "running"
    assert len(journal["submits"]) == 1, "a clip that cannot be fetched is not rendered again"


async def _until_looked_up(provider: Any, *, times: int) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while True:
            journal: dict[str, Any] = await provider.journal()
            if journal["jobs"] and journal["jobs"][0]["look_ups"] >= times:
                return journal
            await asyncio.sleep(0.05)


async def test_a_callback_for_a_cancelled_run_revives_nothing(start_provider: Any, start_relay: Any) -> None:
    """It is kept and acknowledged; nothing is submitted."""
    async with start_provider(options={"job_s": 1.0}) as provider, start_relay(provider.url) as relay:
        run_id = await relay.run(TWO)
        async with asyncio.timeout(60):
            while not (await provider.journal())["jobs"]:
                await asyncio.sleep(0.02)
        cancelled_answer = (await relay.api.post(f"/v1/runs/{run_id}/cancel")).json()
        token = relay.tokens.mint(TakeAddress(run_id=run_id, shot_id="s1", take=1))
        answer = await relay.api.post(f"/webhook/{token}", json={"id": "job_x", "status": "succeeded"})
        later = await relay.view(run_id)
        journal = await provider.journal()

    assert cancelled_answer["status"] == "cancelled"
    assert answer.status_code == 200
    assert later["status"] == "cancelled"
    assert len(journal["submits"]) == 1


async def test_callbacks_that_were_lost_while_nobody_listened_are_made_up_for_at_the_start(
    start_provider: Any, start_relay: Any
) -> None:
    """The next look-up is planned for much later; a worker that starts asks at once, and the film is finished."""
    one = {**TWO, "shots": TWO["shots"][:1]}
    async with start_provider(lose=1.0) as provider:
        async with start_relay(provider.url, lookup_after_s=900.0) as relay:
            run_id = await relay.run(one)
            async with asyncio.timeout(60):
                while (await relay.view(run_id))["shots"][0]["status"] != "generating":
                    await asyncio.sleep(0.02)
                while (await provider.journal())["jobs"][0]["state"] != "succeeded":
                    await asyncio.sleep(0.02)
        async with start_relay(provider.url, lookup_after_s=900.0) as relay:
            run = await relay.wait_for_end(run_id)
        journal = await provider.journal()

    assert run["status"] == "succeeded", run["error"]
    assert len(journal["submits"]) == 1
