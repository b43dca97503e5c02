"""Ids as people type them, for every client alike: the beginning of one, or last."""

from typing import Any

import pytest
from arq.connections import ArqRedis

from framerelay.runs.machine import begin
from framerelay.runs.model import Run, RunId, Shot, Terms
from framerelay.store.inbox import CALLBACKS
from framerelay.store.outbox import NOTIFICATIONS
from framerelay.store.progress import start

pytestmark = pytest.mark.anyio

OPENING = "opening"


@pytest.fixture
async def twins(relay: Any) -> tuple[str, str]:
    """Two runs of a shot that waits for an approval, whose ids begin alike; the second is newer."""
    shot = Shot(id=OPENING, scene="main", origin="cut", source=None, input={"prompt": "a"}, gated=True)
    for age, name in enumerate(("run_twina111", "run_twinb222")):
        made_at = 1000.0 + age
        run = Run(
            id=RunId(name), title=name, model="m", created_at=made_at, updated_at=made_at, shots=(shot,), terms=Terms()
        )
        await start(relay.store, begin(run))
    return "run_twina111", "run_twinb222"


async def test_every_route_of_a_run_takes_the_beginning_of_its_id(relay: Any, twins: tuple[str, str]) -> None:
    """Reading and deciding; the answer names the whole id."""
    first, second = twins
    assert (await relay.api.get("/v1/runs/run_twina")).json()["id"] == first
    assert (await relay.api.get("/v1/runs/last")).json()["id"] == second
    assert (await relay.api.get("/v1/notifications", params={"run": "run_twina"})).json()["data"] == []

    answer = (await relay.api.post("/v1/runs/run_twinb/shots/open/approve")).json()
    assert (answer["id"], answer["shots"][0]["approved"]) == (second, True)
    assert (await relay.api.post("/v1/runs/run_twina/cancel")).json()["status"] == "cancelled"
    assert (await relay.api.get("/v1/runs/run_twina/events", params={"after": "0"})).status_code == 200
    body = {"job_id": "job_1", "run": "last", "shot": OPENING}
    assert (await relay.api.post("/v1/jobs/adopt", json=body)).json()["id"] == second
    assert (await relay.api.delete("/v1/runs/run_twina")).json() == {"id": first, "object": "run", "removed": True}
    assert (await relay.api.get("/v1/runs/run_twin")).json()["id"] == second, "the removed one does not count"


async def test_what_several_begin_with_does_nothing_and_names_them(relay: Any, twins: tuple[str, str]) -> None:
    """409 with the candidates, whatever was asked for."""
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("POST", "/resume"), ("GET", "/events")):
        answer = await relay.api.request(method, f"/v1/runs/run_twin{path}")
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["candidates"]) == (409, "ambiguous", list(twins)), path
        assert "run_twina111, run_twinb222" in error["message"]
    assert (await relay.api.get("/v1/runs/run_twi")).status_code == 404, "three signs are too few"


async def test_the_page_goes_on_to_the_whole_address(relay: Any, twins: tuple[str, str]) -> None:
    """So that what is copied from the browser stays right."""
    for text, run_id in (("last", twins[1]), ("run_twina", twins[0])):
        answer = await relay.api.get(f"/runs/{text}")
        assert (answer.status_code, answer.headers["Location"]) == (303, f"/runs/{run_id}")
    shot = await relay.api.get("/runs/run_twina/shots/open")
    assert (shot.status_code, shot.headers["Location"]) == (303, f"/runs/{twins[0]}/shots/{OPENING}")
    assert (await relay.api.get(f"/runs/{twins[0]}/shots/{OPENING}")).status_code == 200
    assert (await relay.api.get(f"/runs/{twins[0]}/shots/none")).status_code == 404
    assert (await relay.api.get(f"/runs/{twins[0]}")).status_code == 200
    assert (await relay.api.get("/runs/run_nothing")).status_code == 404


async def test_callbacks_and_notifications_are_named_alike(
    relay: Any, redis: ArqRedis, hook_address: str, board: Any
) -> None:
    """Among the newest thousand, since nothing sorts them by their ids."""
    await relay.api.post(hook_address, json={"id": "job_1", "status": "succeeded"})
    (callback,) = (await relay.api.get("/v1/callbacks")).json()["data"]
    shots = [{"id": "s1", "prompt": "a", "gate": "approve"}]
    await relay.run({**board, "shots": shots, "notify_url": "https://hooks.example.com/x"})
    (notification,) = (await relay.api.get("/v1/notifications")).json()["data"]

    for text in (callback["id"], callback["id"][:8], "last"):
        answer = (await relay.api.post(f"/v1/callbacks/{text}/replay")).json()
        assert answer["replay_of"] == callback["id"], text
        assert (
            (await relay.api.post(f"/v1/callbacks/{text}/release")).json()["error"]["message"].startswith("it is not")
        )
    for text in (notification["id"], notification["id"][:9], "last"):
        assert (await relay.api.post(f"/v1/notifications/{text}/replay")).json()["id"] == notification["id"], text
    await redis.zadd(CALLBACKS, {f"{callback['id'][:10]}x": 1, f"{callback['id'][:8]}y": 2})
    await redis.zadd(NOTIFICATIONS, {f"{notification['id'][:9]}x": 1})
    for path in (f"callbacks/{callback['id'][:8]}", f"notifications/{notification['id'][:9]}"):
        assert (await relay.api.post(f"/v1/{path}/replay")).json()["error"]["code"] == "ambiguous"
    assert (await relay.api.post(f"/v1/callbacks/{callback['id'][:5]}/replay")).status_code == 404
