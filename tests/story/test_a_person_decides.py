"""The tour, where a person is needed: go on, bring a job in, make a shot again; and what that costs."""

from typing import Any

import pytest

pytestmark = pytest.mark.anyio

ONE = {"title": "one", "model": "seedance-1.5-pro-1080p", "shots": [{"id": "s1", "prompt": "a car", "seed": 7}]}
TWO = {**ONE, "shots": [*ONE["shots"], {"id": "s2", "prompt": "closer"}]}  # type: ignore[misc]


async def test_a_clip_that_we_refused_to_fetch_is_fetched_after_a_resume(start_provider: Any, start_relay: Any) -> None:
    """The clips come from a host that nobody trusted; once it is named, what was paid for is fetched, not rendered."""
    async with start_provider() as provider:
        async with start_relay(provider.url, trusted_hosts=frozenset()) as relay:
            run_id = await relay.run(ONE)
            refused_run = await relay.wait_for_end(run_id)
        async with start_relay(provider.url) as relay:
            response = await relay.api.post(f"/v1/runs/{run_id}/resume")
            run = await relay.wait_for_end(run_id)
            again = await relay.api.post(f"/v1/runs/{run_id}/resume")
        journal = await provider.journal()

    assert (refused_run["status"], refused_run["error"]["code"]) == ("failed", "address_forbidden")
    assert (response.status_code, response.json()["submits_to_come"]) == (200, 0)
    assert run["status"] == "succeeded", run["error"]
    assert len(journal["submits"]) == 1
    assert (again.status_code, again.json()["error"]["message"]) == (409, "the run has succeeded")


async def test_a_job_that_was_paid_for_and_lost_is_brought_in(start_provider: Any, start_relay: Any) -> None:
    """Accepted, answered 500, never called back: a person reads its id at the provider, and the run goes on from it."""
    async with (
        start_provider(accept_then_500=1.0, lose=1.0) as provider,
        start_relay(provider.url, lookup_after_s=0.5) as relay,
    ):
        run_id = await relay.run(ONE)
        held_run = await relay.wait_for_end(run_id)
        job_id = (await provider.journal())["jobs"][0]["id"]
        body = {"job_id": job_id, "run": run_id, "shot": "s1"}
        response = await relay.api.post("/v1/jobs/adopt", json=body)
        run = await relay.wait_for_end(run_id)
        while run["status"] == "waiting":
            run = await relay.wait_for_end(run_id)
        missing = await relay.api.post("/v1/jobs/adopt", json={**body, "shot": "s9"})
        unnamed_response = await relay.api.post("/v1/jobs/adopt", json={"run": run_id, "shot": "s1"})
        journal = await provider.journal()

    assert held_run["status"] == "waiting"
    assert response.status_code == 200, response.text
    assert run["status"] == "succeeded", run["error"]
    assert run["shots"][0]["takes"][0]["job_id"] == job_id
    assert len(journal["submits"]) == 1
    assert (missing.status_code, unnamed_response.status_code) == (404, 422)


async def test_a_shot_is_made_once_more_and_the_film_with_it(start_provider: Any, start_relay: Any) -> None:
    """Another prompt and seed for the last shot: one submit, and the film is joined again."""
    async with start_provider() as provider, start_relay(provider.url) as relay:
        run_id = await relay.run(TWO)
        before = await relay.wait_for_end(run_id)
        retake = f"/v1/runs/{run_id}/shots/s2/retake"
        response = await relay.api.post(retake, json={"prompt": "from above", "seed": 40})
        run = await relay.wait_for_end(run_id)
        late = await relay.api.post(retake, json={"revision": before["revision"]})
        journal = await provider.journal()

    assert before["status"] == "succeeded", before["error"]
    assert (response.status_code, response.json()["status"], response.json()["submits_to_come"]) == (200, "running", 1)
    assert run["status"] == "succeeded", run["error"]
    assert (run["shots"][1]["picked"], run["shots"][1]["takes"][1]["seed"]) == (2, 40)
    assert run["film"] is not None
    assert len(journal["submits"]) == 3
    assert late.status_code == 409


async def test_a_retake_of_an_earlier_shot_leaves_the_later_one_stale(start_provider: Any, start_relay: Any) -> None:
    """It was paid for and stays, the film shows all of both; the old take picked again, all fits as before."""
    async with start_provider() as provider, start_relay(provider.url) as relay:
        run_id = await relay.run(TWO)
        before = await relay.wait_for_end(run_id)
        shot_id = f"/v1/runs/{run_id}/shots/s1"
        outlook = await relay.api.post(f"{shot_id}/retake", json={"seed": 40, "dry_run": True})
        response = await relay.api.post(f"{shot_id}/retake", json={"dry_run": True, "revision": before["revision"] - 1})
        unchanged_run = await relay.view(run_id)
        asked_response = await relay.api.post(f"{shot_id}/retake", json={"seed": 40})
        run = await relay.wait_for_end(run_id)
        picked_response = await relay.api.post(f"{shot_id}/pick", json={"take": 1})
        after = await relay.wait_for_end(run_id)
        journal = await provider.journal()

    assert outlook.json() == {
        "object": "outlook",
        "jobs": 1,
        "following": [],
        "stale": ["s2"],
        "budget_left": None,
        "would": "shot s1 is made again, for 1 job; "
        "s2 is made from the old take, and is stale until it is retaken as well",
    }
    assert (response.status_code, unchanged_run) == (409, before)
    assert (asked_response.status_code, picked_response.status_code) == (200, 200), (
        asked_response.text,
        picked_response.text,
    )
    assert [shot["stale"] for shot in run["shots"]] == [False, True]
    assert [shot["stale"] for shot in after["shots"]] == [False, False]
    assert run["film"]["frames"] == before["film"]["frames"] + 1, "no frame is repeated at that seam"
    assert {**after["film"], "url": ""} == {**before["film"], "url": ""}
    assert len(journal["submits"]) == 3


async def test_a_run_whose_budget_ends_one_before_the_last_shot_goes_on_with_more(
    start_provider: Any, start_relay: Any
) -> None:
    """It waits and says so; with one job more the last shot is made, and nothing that was there is paid for again."""
    three = {**TWO, "budget": {"jobs": 2}, "shots": [*TWO["shots"], {"id": "s3", "prompt": "away"}]}
    async with start_provider() as provider, start_relay(provider.url) as relay:
        run_id = await relay.run(three)
        waiting = await relay.wait_for_end(run_id)
        less = await relay.api.post(f"/v1/runs/{run_id}/resume", json={"budget": {"jobs": 1}})
        more = await relay.api.post(f"/v1/runs/{run_id}/resume", json={"budget": {"jobs": 3}})
        run = await relay.wait_for_end(run_id)
        journal = await provider.journal()

    assert (waiting["status"], waiting["error"]["code"], waiting["spent"]["jobs"]) == ("waiting", "budget_reached", 2)
    assert [shot["status"] for shot in waiting["shots"]] == ["done", "done", "waiting"]
    assert (less.status_code, more.status_code, more.json()["submits_to_come"]) == (409, 200, 1)
    assert (run["status"], run["spent"]["jobs"]) == ("succeeded", 3), run["error"]
    assert len(journal["submits"]) == 3
    job_ids = [shot["takes"][0]["job_id"] for shot in waiting["shots"][:2]]
    assert [shot["takes"][0]["job_id"] for shot in run["shots"][:2]] == job_ids


async def test_the_prompt_that_was_changed_at_an_approval_is_the_one_that_is_submitted(
    start_provider: Any, start_relay: Any
) -> None:
    """With seed and length; the shot before it is left alone."""
    board = {**TWO, "shots": [*ONE["shots"], {"id": "s2", "prompt": "closer", "gate": "approve"}]}  # type: ignore[misc]
    async with start_provider() as provider, start_relay(provider.url) as relay:
        run_id = await relay.run(board)
        waiting = await relay.wait_for_end(run_id)
        body = {"prompt": "from above", "seed": 40, "input": {"duration": 8}}
        response = await relay.api.post(f"/v1/runs/{run_id}/shots/s2/approve", json=body)
        again = await relay.api.post(f"/v1/runs/{run_id}/shots/s2/approve", json={"prompt": "late"})
        run = await relay.wait_for_end(run_id)
        journal = await provider.journal()

    assert waiting["error"]["code"] == "approval_needed"
    assert (response.status_code, again.status_code) == (200, 409), response.text
    assert run["status"] == "succeeded", run["error"]
    first, second = (job["input"] for job in journal["jobs"])
    assert (first["prompt"], first["seed"]) == ("a car", 7)
    assert (second["prompt"], second["seed"], second["duration"]) == ("from above", 40, 8)
