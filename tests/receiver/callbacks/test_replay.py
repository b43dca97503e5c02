"""``POST /v1/callbacks/{id}/replay``: says first what it would do, and is never swallowed as a repeat."""

from dataclasses import replace
from typing import Any

import pytest

from framerelay.runs import events
from framerelay.runs.tokens import HookAddress
from framerelay.store.progress import record, start

pytestmark = pytest.mark.anyio

DONE = {"id": "job_1", "status": "succeeded"}


async def under_way(relay: Any, board: Any) -> str:
    """A run whose first take was submitted."""
    run_id = str(await relay.run(board))
    for event in (
        events.Submitting(shot_id="s1", take=1, intent="i", seed=None, first_frame=None),
        events.Submitted(shot_id="s1", take=1, job_id="job_1"),
    ):
        assert (await record(relay.store, run_id, event)).changed
    return run_id


async def looks(queued_tasks: Any) -> int:
    return sum(name in ("look_up", "hook") for name, _ in await queued_tasks())


async def test_a_replay_says_what_it_would_do_and_then_does_it(
    relay: Any, take_address: Any, board: Any, recent_callbacks: Any, queued_tasks: Any
) -> None:
    """Without ``spend`` nothing is queued; each one with it is a look-up of its own."""
    run_id = await under_way(relay, board)
    await relay.api.post(take_address(run_id=run_id), json=DONE)
    (first,) = await recent_callbacks()
    path = f"/v1/callbacks/{first['id']}/replay"
    before = await looks(queued_tasks)

    answer = (await relay.api.post(path)).json()
    assert (answer["object"], answer["done"], answer["may_spend"], answer["id"]) == ("replay", False, False, None)
    assert answer["would"] == (
        f"ask the provider about take 1 of shot s1 of run {run_id}, which is generating; asking submits nothing"
    )
    assert (await looks(queued_tasks), len(await recent_callbacks())) == (before, 1)

    answers = [(await relay.api.post(path, json={"spend": True})).json() for _ in range(2)]
    assert [answer["done"] for answer in answers] == [True, True]
    assert await looks(queued_tasks) == before + 2
    replays = [record for record in await recent_callbacks() if record["outcome"] == "replay"]
    assert {record["id"] for record in replays} == {answer["id"] for answer in answers}
    assert {(record["replay_of"], record["job_id"]) for record in replays} == {(first["id"], "job_1")}


async def test_a_final_take_is_shown_as_final(
    relay: Any, take_address: Any, board: Any, recent_callbacks: Any, render: Any
) -> None:
    """What is final stays so."""
    run_id = await relay.run(board)
    await render(run_id, "s1")
    await relay.api.post(take_address(run_id=run_id), json=DONE)
    (first,) = await recent_callbacks()

    answer = (await relay.api.post(f"/v1/callbacks/{first['id']}/replay")).json()
    assert answer["would"] == f"do nothing: take 1 of shot s1 of run {run_id} is done, and that is final"
    assert answer["may_spend"] is False


async def test_a_hooks_callback_tells_what_its_storyboard_may_submit(
    start_relay: Any, nobody_calls: str, tmp_path: Any, queued_tasks: Any
) -> None:
    """Only here may a replay lead to jobs that were not going to be: it says how many."""
    hooks = "hooks:\n  mine: {storyboard: {model: m, shots: [{id: s2, prompt: on, takes: 2}, {id: s3, prompt: off}]}}\n"
    (tmp_path / "framerelay.yaml").write_text(hooks)
    async with start_relay(nobody_calls, worker=False) as relay:
        outlooks = {}
        for hook in ("mine", "plain"):
            await relay.api.post("/webhook/" + relay.tokens.mint(HookAddress(hook=hook)), json=DONE)
        for record_ in (await relay.api.get("/v1/callbacks")).json()["data"]:
            answer = (await relay.api.post(f"/v1/callbacks/{record_['id']}/replay")).json()
            outlooks[record_["hook"]] = (answer["may_spend"], answer["would"])

    assert outlooks["mine"][0] is True
    assert "3 jobs to submit and pay for" in outlooks["mine"][1]
    assert outlooks["plain"][0] is False
    assert "submits nothing" in outlooks["plain"][1]
    assert await looks(queued_tasks) == 2


async def test_a_hooks_callback_whose_run_exists_makes_no_other(
    relay: Any, hook_address: str, recent_callbacks: Any, board: Any
) -> None:
    """The run's id follows from hook and job."""
    await relay.api.post(hook_address, json=DONE)
    (first,) = await recent_callbacks()
    run = await relay.store.load(await relay.run(board))
    run_id = relay.tokens.hook_run("mine", "job_1")
    await start(relay.store, replace(run, id=run_id))

    answer = (await relay.api.post(f"/v1/callbacks/{first['id']}/replay")).json()
    assert (answer["run"], answer["may_spend"]) == (run_id, False)
    assert "exists already" in answer["would"]


async def test_what_cannot_be_replayed_is_refused_with_the_reason(
    relay: Any, hook_address: str, take_address: Any, recent_callbacks: Any
) -> None:
    """No such callback, no job named, no sense in the question; and nobody without the key."""
    await relay.api.post(hook_address, content=b"not json")
    (first,) = await recent_callbacks()
    path = f"/v1/callbacks/{first['id']}/replay"

    assert (await relay.api.post("/v1/callbacks/cb_gone/replay")).status_code == 404
    assert (await relay.api.post(path)).status_code == 409
    assert (await relay.api.post(path, json={"spend": "yes"})).status_code == 422
    assert (await relay.api.post(path, headers={"Authorization": "Bearer wrong"})).status_code == 401
