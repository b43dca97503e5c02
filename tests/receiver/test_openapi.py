"""``/openapi.json``: complete, sound, for those who may read, and true of what is really answered."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest
from ruamel.yaml import YAML

from framerelay.api import openapi
from framerelay.receiver.app import routes
from framerelay.runs import events
from framerelay.runs.model import Problem
from framerelay.runs.tokens import HookAddress
from framerelay.store.outbox import NOTIFICATIONS
from framerelay.store.progress import record
from framerelay.store.runs import RUNS_BY_ID

pytestmark = pytest.mark.anyio

DOCS = Path(__file__).parent.parent.parent / "docs"
PICTURE = b"\x89PNG\r\n\x1a\n" + b"p" * 100
GONE = "run_" + "z" * 24
PACKED = {"Content-Encoding": "gzip"}
BRANCHES = [
    {"id": "s1", "prompt": "a", "takes": 1},
    {"id": "s2", "prompt": "b", "from": "cut"},
    {"id": "s3", "prompt": "c", "from": "cut", "gate": "approve"},
]


def test_it_has_every_route_and_no_other() -> None:
    """Each path with each method; HEAD comes with GET."""
    operations = {
        (method, route.path.replace(":path}", "}"))
        for route in routes()
        for method in (route.methods or set()) - {"HEAD"}
    }
    names = {(method.upper(), path) for path, methods in openapi.document()["paths"].items() for method in methods}

    assert names == operations


def test_the_page_about_the_api_names_every_route() -> None:
    """With its method, so that it can be found by searching."""
    page = (DOCS / "api.md").read_text(encoding="utf-8")
    for path, methods in openapi.document()["paths"].items():
        for method in methods:
            assert f"`{method.upper()} {path}`" in page, (method, path)


def test_its_schemas_are_sound() -> None:
    """By the rules of JSON Schema, every reference leads somewhere, and every name is used once."""
    document = openapi.document()
    components = document["components"]
    for name, schema in components["schemas"].items():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})
        jsonschema_rs.validator_for({**schema, "components": components}), name
    operations = [operation for methods in document["paths"].values() for operation in methods.values()]
    references = [parameter["$ref"] for each in operations for parameter in each["parameters"] if "$ref" in parameter]
    assert {name.rpartition("/")[2] for name in references} == set(components["parameters"])
    names = [operation["operationId"] for operation in operations]
    assert len(names) == len(set(names))


async def test_it_needs_a_key_that_may_read(relay: Any) -> None:
    """As everything that tells what there is."""
    answer = await relay.api.get("/openapi.json")
    assert (answer.status_code, answer.json()) == (200, openapi.document())
    async with httpx.AsyncClient(base_url=relay.settings.listen_url, trust_env=False) as stranger:
        assert (await stranger.get("/openapi.json")).status_code == 401


async def test_it_says_which_routes_need_a_key(relay: Any) -> None:
    """Every operation with a security asks for it, no other does."""
    document = openapi.document()
    async with httpx.AsyncClient(base_url=relay.settings.listen_url, trust_env=False) as stranger:
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                answer = await stranger.request(method.upper(), path.replace("{path}", "x"))
                wants_key = "www-authenticate" in answer.headers
                assert wants_key == bool(operation["security"]), (method, path, answer.status_code)


def test_the_schema_of_a_storyboard_takes_what_the_docs_show() -> None:
    """The samples pass; an unknown word, a shot without prompt and a group in its place do not."""
    schemas = openapi.document()["components"]
    whole = jsonschema_rs.validator_for({**schemas["schemas"]["Storyboard"], "components": schemas})
    for sample in sorted((DOCS / "samples").glob("*.yaml")):
        whole.validate(YAML(typ="safe", pure=True).load(sample))
    sound = {"model": "m", "shots": [{"prompt": "a", "seed": 7, "gate": "approve"}], "defaults": {"duration": 5}}
    assert whole.is_valid(sound)
    for wrong in (
        {**sound, "modle": "m"},
        {**sound, "scenes": [{"shots": [{"prompt": "a"}]}]},
        {**sound, "shots": [{"id": "s1"}]},
        {**sound, "shots": [{"prompt": "a", "takes": 9}]},
        {**sound, "defaults": {"callback_url": "https://example.com"}},
        {**sound, "budget": 3},
    ):
        assert not whole.is_valid(wrong), wrong


def operations_and_statuses(*, but: set[int]) -> set[tuple[str, int]]:
    """Every operation with each status that the document names, *but* those."""
    return {
        (operation["operationId"], int(status))
        for methods in openapi.document()["paths"].values()
        for operation in methods.values()
        for status in operation["responses"]
        if int(status) not in but
    }


@pytest.fixture
def drive(relay: Any, api_document: Any) -> Callable[..., Any]:
    """``await drive("GET", "/v1/runs", 200)``: asks, and holds the answer against the document."""
    api_document.answers.clear()

    async def ask(method: str, path: str, code: int, **more: Any) -> httpx.Response:
        answer: httpx.Response = await relay.api.request(method, path, **more)
        assert answer.status_code == code, (method, path, answer.status_code, answer.text[:300])
        api_document.check(answer)
        return answer

    return ask


async def test_every_answer_that_it_names_is_given_as_it_says(
    drive: Any,
    api_document: Any,
    relay: Any,
    redis: Any,
    board: Any,
    render: Any,
    finish: Any,
    take_address: Any,
    monkeypatch: Any,
) -> None:
    """Each operation with each status that a client can bring about: type, headers, every field of the body."""
    await _the_door(drive, relay, monkeypatch)
    await _callbacks(drive, relay, take_address)
    await _runs(drive, api_document, board, finish)
    await _decisions(drive, relay, board, render, finish)
    await _amendments(drive, board)
    await _files(drive, relay)
    await _notifications(drive, board)
    await _ids(drive, relay, redis)
    for method, path in (("PATCH", "/v1/runs"), ("PUT", "/webhook/x"), ("GET", "/nothing"), ("GET", "/v1/runs/")):
        api_document.check(await relay.api.request(method, path))

    # With a verifier, and at the door.
    elsewhere = {("receiveCallback", 401), ("receiveCallback", 429), ("releaseCallback", 200)}
    elsewhere |= {("lookAtCallbackAddress", 429)}
    elsewhere |= {("readMedia", 307)}  # test_media_in_storage.py.
    assert (
        operations_and_statuses(but={408, 431, 500, 503}) - api_document.answers - elsewhere == set()
    )  # 503: test_without_redis.py.


async def _the_door(drive: Any, relay: Any, monkeypatch: Any) -> None:
    """What every route refuses that has a key or a body."""
    own = {"Origin": relay.settings.listen_url}
    key = relay.api.headers.pop("Authorization")
    session = (await drive("POST", "/login", 303, data={"key": key.split()[1]}, headers=own)).cookies
    relay.api.cookies.clear()
    monkeypatch.setattr("framerelay.receiver.door.keys.FREE_GUESSES", 0)
    wrong = {"Authorization": "Bearer wrong"}
    for path, methods in openapi.document()["paths"].items():
        place = path.replace("{token}", relay.tokens.mint(HookAddress(hook="mine")))
        for method, operation in methods.items():
            statuses = set(operation["responses"])
            if operation["security"]:
                await drive(method, place, 401)
                monkeypatch.setattr("framerelay.receiver.door.keys.WAITING_MAX", 0)
                await drive(method, place, 429, headers=wrong)
            if "403" in statuses:
                relay.api.cookies.update(session)
                await drive(method, place, 403, headers={"Origin": "https://evil.example"})
                relay.api.cookies.clear()
            if "422" in statuses:
                await drive(method, place, 422, params={"x": "y"}, headers={"Authorization": key, **own})
            if "415" in statuses:
                await drive(method, place, 415, content=b"x", headers={"Authorization": key, **own, **PACKED})
            if "413" in statuses:
                much = b"x" * (30_000_001 if path == "/v1/files" else 1_048_577)
                await drive(method, place, 413, content=much, headers={"Authorization": key, **own})
    await drive("POST", "/login", 429, data={"key": "wrong"}, headers=own)
    monkeypatch.setattr("framerelay.receiver.door.keys.FREE_GUESSES", 1000)  # It would be held back for seconds.
    await drive("POST", "/login", 401, data={"key": "wrong"}, headers=own)
    await drive("POST", "/logout", 303, headers=own)
    relay.api.headers["Authorization"] = key
    for path in ("/livez", "/readyz", "/openapi.json", "/metrics"):
        await drive("GET", path, 200)
        await drive("HEAD", path, 200)


async def _callbacks(drive: Any, relay: Any, take_address: Any) -> None:
    body = {"id": "job_1", "status": "succeeded"}
    for _ in range(2):
        await drive("POST", take_address(), 200, json=body)
    await drive("POST", take_address(), 400, content=b"[" * 9999)
    await drive("POST", "/webhook/x", 404, json=body)
    for method in ("GET", "HEAD"):
        await drive(method, take_address(), 200)
        await drive(method, "/webhook/x", 404)
    await drive("POST", "/webhook/" + relay.tokens.mint(HookAddress(hook="mine")), 200, json=body)
    first, *others = (await drive("GET", "/v1/callbacks", 200)).json()["data"]
    await drive("GET", "/v1/callbacks", 200, params={"limit": 1, "after": first["id"]})
    await drive("GET", "/v1/callbacks", 422, params={"limit": "all"})
    replay = f"/v1/callbacks/{first['id']}/replay"
    await drive("POST", replay, 200)
    await drive("POST", replay, 200, json={"spend": True})
    await drive("POST", replay, 422, json={"spend": "yes"})
    await drive("POST", "/v1/callbacks/cb_gone/replay", 404)
    await drive("POST", f"/v1/callbacks/{first['id']}/release", 409)
    await drive("POST", "/v1/callbacks/cb_gone/release", 404)
    await drive("POST", "/v1/callbacks/release", 200)
    (stranger,) = [each for each in others if each["outcome"] == "refused"]
    await drive("POST", f"/v1/callbacks/{stranger['id']}/replay", 409)


async def _runs(drive: Any, api_document: Any, board: Any, finish: Any) -> None:
    key = {"Idempotency-Key": "k"}
    response = await drive("POST", "/v1/runs", 201, json=board, headers=key)
    place = response.headers["Location"]
    text = b"model: m\nshots: [{prompt: a}]\n"
    await drive("POST", "/v1/runs", 201, content=text, headers={"Content-Type": "application/yaml"})
    await drive("POST", "/v1/runs", 422, json={"shots": [{}], "modle": "m"})
    await drive("POST", "/v1/plan", 200, json=board)
    await drive("POST", "/v1/plan", 422, json={"shots": [{}]})
    await drive("GET", "/v1/runs", 200, params={"limit": 1})
    await drive("GET", "/v1/runs", 422, params={"status": "done"})
    await drive("GET", place, 200)
    await drive("GET", "/v1/runs", 404, params={"after": GONE})
    await drive("GET", f"/v1/runs/{GONE}", 404)
    await drive("DELETE", place, 409)
    await drive("DELETE", f"/v1/runs/{GONE}", 404)
    await drive("POST", f"{place}/cancel", 200)
    stream = await drive("GET", f"{place}/events", 200)
    lines = stream.text.splitlines()
    for line in lines:
        if line.startswith("data: "):
            api_document.fits("Event", json.loads(line.removeprefix("data: ")))
    last = [line.removeprefix("id: ") for line in lines if line.startswith("id: ")][-1]
    await drive("GET", f"{place}/events", 204, headers={"Last-Event-ID": last})
    await drive("GET", f"{place}/events", 422, params={"after": "x"})
    await drive("GET", f"/v1/runs/{GONE}/events", 404)
    await drive("DELETE", place, 200)
    await drive("POST", "/v1/runs", 409, json=board, headers=key)
    await drive("GET", f"/v1/runs/{await finish()}", 200)


async def _decisions(drive: Any, relay: Any, board: Any, render: Any, finish: Any) -> None:
    run = (await drive("POST", "/v1/runs", 201, json={**board, "shots": BRANCHES})).json()["id"]
    place, nowhere = f"/v1/runs/{run}", f"/v1/runs/{GONE}"
    await render(run, "s1")
    adopted_body = {"job_id": "job_9", "run": run, "shot": "s2"}
    for path, body in (
        ("cancel", {}),
        ("resume", {}),
        ("promote", {}),
        ("shots/s1/approve", {}),
        ("shots/s1/pick", {"take": 1}),
        ("shots/s1/retake", {"seed": 1}),
    ):
        await drive("POST", f"{nowhere}/{path}", 404, json=body)
        await drive("POST", f"{place}/{path}", 422, content=b"[]")
        await drive("POST", f"{place}/{path}", 409, json={**body, "revision": 0})
    await drive("POST", "/v1/jobs/adopt", 404, json={**adopted_body, "run": GONE})
    await drive("POST", "/v1/jobs/adopt", 422, json={**adopted_body, "job_id": 9})
    await drive("POST", "/v1/jobs/adopt", 409, json={**adopted_body, "shot": "s1"})
    await drive("POST", "/v1/jobs/adopt", 200, json=adopted_body)
    await drive("POST", f"{place}/shots/s3/approve", 200)
    await drive("POST", f"{place}/shots/s1/pick", 409, json={"take": 1})
    await drive("POST", f"{place}/shots/s1/pick", 404, json={"take": 7})
    small = {**board, "pass": "draft", "shots": [{"id": "s1", "prompt": "x"}]}
    draft = (await drive("POST", "/v1/runs", 201, json=small)).json()["id"]
    await render(draft, "s1")
    await drive("POST", f"/v1/runs/{draft}/promote", 200, json={"dry_run": True})
    await drive("POST", f"/v1/runs/{draft}/promote", 201)
    retake = f"/v1/runs/{await finish()}/shots/s1/retake"
    await drive("POST", retake, 200, json={"dry_run": True})
    await drive("POST", retake, 422, json={"dry_run": 1})
    await drive("POST", retake, 200, json={"prompt": "b", "seed": -1})
    await drive("POST", retake.replace("/retake", "/pick"), 200, json={"take": 1})
    await drive("POST", f"{place}/resume", 409)
    await record(
        relay.store, run, events.PreparationFailed(shot_id="s3", problem=Problem(code="c", message="m"), until=None)
    )
    failed_run = (await drive("GET", place, 200)).json()
    assert failed_run["shots"][2]["error"]["family"] == "unknown"
    await drive("POST", f"{place}/resume", 200)
    await drive("POST", f"{place}/cancel", 200)


async def _amendments(drive: Any, board: Any) -> None:
    place = f"/v1/runs/{(await drive('POST', '/v1/runs', 201, json=board)).json()['id']}"
    other = {**board, "shots": [*board["shots"], {"id": "s3", "prompt": "a door"}]}
    for accepts in ("application/yaml", "application/json"):
        await drive("GET", f"{place}/storyboard", 200, headers={"Accept": accepts})
    await drive("POST", f"{place}/amend", 200, json=other, params={"dry_run": "true"})
    await drive("POST", f"{place}/amend", 422, json={"shots": [{}]})
    await drive("POST", f"{place}/amend", 200, json=other)
    await drive("POST", f"{place}/amend", 409, json=other)
    await drive("GET", f"/v1/runs/{GONE}/storyboard", 404)
    await drive("POST", f"/v1/runs/{GONE}/amend", 404, json=other)


async def _files(drive: Any, relay: Any) -> None:
    name = (await drive("POST", "/v1/files", 201, content=PICTURE)).json()["name"].removeprefix("file:")
    await drive("POST", "/v1/files", 422, content=b"no picture")
    await drive("POST", "/v1/invitations", 201)
    for byte_range, status in (("bytes=0-9", 206), ("bytes=0-1,5-9", 206), ("bytes=9999-", 416), ("x", 400)):
        await drive("GET", f"/media/{name}", status, headers={"Range": byte_range})
    await drive("GET", f"/media/{name}", 200)
    await drive("HEAD", f"/media/{name}", 200)
    await drive("GET", "/media/given/none.png", 404)


async def _notifications(drive: Any, board: Any) -> None:
    shots = [{"id": "s1", "prompt": "a", "gate": "approve"}]
    told_board = {**board, "shots": shots, "notify_url": "https://hooks.example.com/framerelay"}
    run = (await drive("POST", "/v1/runs", 201, json=told_board)).json()["id"]
    (first,) = (await drive("GET", "/v1/notifications", 200, params={"run": run, "limit": 1})).json()["data"]
    assert (first["run"], first["host"], first["deliveries"]) == (run, "hooks.example.com", [])
    await drive("GET", "/v1/notifications", 422, params={"limit": "all"})
    await drive("POST", f"/v1/notifications/{first['id']}/replay", 200)
    await drive("POST", "/v1/notifications/ntf_gone/replay", 404)


async def _ids(drive: Any, relay: Any, redis: Any) -> None:
    """What several ids begin with."""
    await redis.zadd(RUNS_BY_ID, {"run_twina": 0, "run_twinb": 0})
    await redis.zadd(NOTIFICATIONS, {"ntf_twina": 0, "ntf_twinb": 0})
    await drive("GET", "/v1/runs/run_twin", 409)
    await drive("GET", "/v1/runs/run_twin/storyboard", 409)
    await drive("GET", "/v1/runs/run_twin/events", 409)
    await drive("GET", "/v1/notifications", 409, params={"run": "run_twin"})
    await drive("POST", "/v1/notifications/ntf_twin/replay", 409)
