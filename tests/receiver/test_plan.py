"""A plan over HTTP, and a run of exactly what was planned."""

from typing import Any

import pytest

pytestmark = pytest.mark.anyio


async def test_a_plan_spends_and_stores_nothing(relay: Any, redis: Any, board: Any, queued_tasks: Any) -> None:
    """Jobs, chain, scenes and warnings of a storyboard; there is no run and no task after it."""
    answer = await relay.api.post("/v1/plan", json={**board, "budget": {"jobs": 1}})
    plan = answer.json()

    assert answer.status_code == 200
    assert (plan["object"], plan["jobs"], plan["budget"], plan["longest_chain"]) == ("plan", 2, {"jobs": 1}, 2)
    (scene,) = plan["scenes"]
    assert scene["shots"][1] == {
        **{"id": "s2", "from": "continue", "source": "s1", "gate": "approve", "takes": 1, "prompt": "closer"}
    }
    assert [(each["code"], each["place"]) for each in plan["warnings"]] == [("budget_too_small", "budget.jobs")]
    assert await queued_tasks() == []
    assert (await relay.api.get("/v1/runs")).json()["data"] == []


async def test_a_given_picture_is_checked_against_what_its_provider_takes(relay: Any, board: Any) -> None:
    """By the beginning of its file; a name without a file is passed over."""
    head = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + (3000).to_bytes(4, "big") + (300).to_bytes(4, "big")
    name = (await relay.api.post("/v1/files", content=head)).json()["name"]
    shots = [
        {"prompt": "a", "first_frame": name},
        {"prompt": "b", "from": "cut", "first_frame": "file:given/gone.png"},
    ]
    answer = await relay.api.post("/v1/plan", json={"provider": "kling", "model": "kling-3.0", "shots": shots})

    warnings = [(each["code"], each["place"]) for each in answer.json()["warnings"]]
    assert ("picture_ratio", "shots[0].first_frame") in warnings
    assert len([code for code, _ in warnings if code.startswith("picture_")]) == 1


async def test_yaml_has_lines_and_mistakes_are_reported_as_for_a_run(relay: Any) -> None:
    """The same reading as `POST /v1/runs`."""
    yaml = {"Content-Type": "application/yaml"}
    text = "model: m\nshots:\n  - {prompt: a, gate: approve}\n"
    (warning,) = (await relay.api.post("/v1/plan", content=text, headers=yaml)).json()["warnings"]
    assert (warning["code"], warning["line"]) == ("gate_without_frame", 3)

    response = await relay.api.post("/v1/plan", content="model: m\nshots: [{promt: a}]\n", headers=yaml)
    assert response.status_code == 422
    assert response.json()["error"]["mistakes"][0]["line"] == 2


async def test_a_run_of_another_storyboard_than_was_planned_is_not_started(relay: Any, board: Any) -> None:
    """409 plan_changed, and nothing happens; the planned one starts, however it is written down."""
    plan = (await relay.api.post("/v1/plan", json=board)).json()
    headers = {"Plan": plan["id"]}
    response = await relay.api.post("/v1/runs", json={**board, "title": "another"}, headers=headers)

    assert (response.status_code, response.json()["error"]["code"]) == (409, "plan_changed")
    assert (await relay.api.get("/v1/runs")).json()["data"] == []
    assert (await relay.api.post("/v1/runs", json=board, headers=headers)).status_code == 201


@pytest.mark.parametrize(
    ("own", "limit", "rest"), [({"jobs": 3}, "2", 2), ({"jobs": 3}, "9", 3), (None, "2", 2), ({"jobs": 3}, None, 3)]
)
async def test_max_jobs_lowers_a_budget_and_never_raises_it(
    relay: Any, board: Any, own: Any, limit: str | None, rest: int
) -> None:
    """What a program was allowed to spend is the limit, whatever the storyboard says."""
    storyboard = {key: value for key, value in {**board, "budget": own}.items() if value is not None}
    headers = {"Max-Jobs": limit} if limit else {}
    run = (await relay.api.post("/v1/runs", json=storyboard, headers=headers)).json()

    assert run["budget"] == {"jobs": rest}


@pytest.mark.parametrize("limit", ["0", "-1", "many", "1.5", ""])
async def test_a_malformed_limit_starts_nothing(relay: Any, board: Any, limit: str) -> None:
    """Nobody who tried to limit a run gets one without limit."""
    answer = await relay.api.post("/v1/runs", json=board, headers={"Max-Jobs": limit})

    assert (answer.status_code, answer.json()["error"]["param"]) == (422, "Max-Jobs")
    assert (await relay.api.get("/v1/runs")).json()["data"] == []
