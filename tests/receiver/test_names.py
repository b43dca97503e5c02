"""What a request names and nobody knows is refused, whatever the route; what the docs name is not."""

from typing import Any

import httpx
import pytest

from framerelay.api import openapi
from framerelay.api.operation import FORM
from framerelay.receiver.app import pages

pytestmark = pytest.mark.anyio

OPERATIONS = [
    (method.upper(), path, operation)
    for path, methods in openapi.document()["paths"].items()
    for method, operation in methods.items()
]
OTHERS_CHOOSE = {"receiveCallback", "lookAtCallbackAddress"}  # Providers add to the address and body what they like.


def closed() -> list[tuple[str, str, str]]:
    """Each operation with fields, and the content type in which it takes them."""
    operations = []
    for method, path, operation in OPERATIONS:
        content = operation.get("requestBody", {}).get("content", {})
        for kind, body in content.items():
            if body["schema"].get("type") != "string" and operation["operationId"] not in OTHERS_CHOOSE:
                operations.append((method, path, kind))
    return operations


async def ask(relay: Any, method: str, path: str, **more: Any) -> httpx.Response:
    """With a key, from our own page."""
    answer: httpx.Response = await relay.api.request(
        method, path, headers={"Origin": relay.settings.listen_url, **more.pop("headers", {})}, **more
    )
    return answer


@pytest.mark.parametrize(
    ("method", "path", "operation"), OPERATIONS, ids=[f"{each[0]} {each[1]}" for each in OPERATIONS]
)
async def test_an_unknown_parameter_is_refused(relay: Any, method: str, path: str, operation: dict[str, Any]) -> None:
    """Of every operation that there is: 422 with its name, before anything is looked for."""
    answer = await ask(relay, method, path, params={"updated_after": "2026"})
    if operation["operationId"] in OTHERS_CHOOSE:
        assert answer.status_code == 404  # Of the address.
        return
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (422, "request_invalid", "updated_after")
    assert 'unknown parameter "updated_after"' in error["message"]
    if method == "GET":
        head = await ask(relay, "HEAD", path, params={"updated_after": "2026"})
        assert head.status_code == 422


@pytest.mark.parametrize(("method", "path", "kind"), closed(), ids=[" ".join(each) for each in closed()])
async def test_an_unknown_field_is_refused(relay: Any, method: str, path: str, kind: str) -> None:
    """Of every body that has fields."""
    content = b"updated_after=1" if kind == FORM[0] else b'{"updated_after": 1}'
    answer = await ask(relay, method, path, content=content, headers={"Content-Type": kind})
    error = answer.json()["error"]

    assert answer.status_code == 422
    if error["code"] == "storyboard_invalid":
        assert "updated_after" in {mistake["place"] for mistake in error["mistakes"]}
    else:
        assert (error["code"], error["param"]) == ("request_invalid", "updated_after")
        assert 'unknown field "updated_after"' in error["message"]


async def test_every_operation_that_changes_something_says_which_fields_it_has() -> None:
    """One that takes none says so, too; so a program that is made from the document cannot send any other."""
    for method, path, operation in OPERATIONS:
        if method == "GET" or operation["operationId"] in OTHERS_CHOOSE:
            continue
        for kind, body in operation["requestBody"]["content"].items():
            schema = body["schema"]
            schema = (
                openapi.document()["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
                if "$ref" in schema
                else schema
            )
            assert schema.get("additionalProperties") is False or schema["type"] == "string", (method, path, kind)


async def test_the_nearest_name_is_suggested(relay: Any, board: Any, finish: Any) -> None:
    """Where one is near; else all that there are, if they are few. Nothing is spent on anything else."""
    run = await finish()
    place, gated_run = f"/v1/runs/{run}/shots/s1", await relay.run(board)
    before = [await relay.view(each) for each in (run, gated_run)]
    for path, body, words in (
        (f"{place}/retake", {"promt": "x"}, 'unknown field "promt" (did you mean "prompt"?)'),
        (f"{place}/retake", {"duration": 8}, 'unknown field "duration"; known here: prompt, seed, input, following'),
        (f"{place}/retake", {"Prompt": "x", "dry_run": True}, 'did you mean "prompt"?'),
        (
            f"/v1/runs/{gated_run}/shots/s2/approve",
            {"take": 1},
            'unknown field "take"; known here: prompt, seed, input',
        ),
        (f"/v1/runs/{gated_run}/cancel", {"revison": 0}, 'did you mean "revision"?'),
        (f"/v1/runs/{gated_run}/resume", {"budgte": {"jobs": 9}}, 'did you mean "budget"?'),
        (f"/v1/runs/{gated_run}/shots/s1/pick", {"takes": 1}, 'did you mean "take"?'),
        ("/v1/jobs/adopt", {"jobid": "job_1"}, 'did you mean "job_id"?'),
        ("/v1/callbacks/cb_x/replay", {"spent": True}, 'did you mean "spend"?'),
        ("/v1/callbacks/cb_x/release", {"spend": True}, 'unknown field "spend"; no field is known here'),
        ("/v1/notifications/ntf_x/replay", {"\u202e" * 300: 1}, "unknown field"),
    ):
        answer = await relay.api.post(path, json=body)
        error = answer.json()["error"]
        assert (answer.status_code, words in error["message"]) == (422, True), error
        assert len(error["message"]) < 300
        assert "\u202e" not in error["param"] + error["message"]
    assert [await relay.view(each) for each in (run, gated_run)] == before


async def test_a_repeated_parameter_is_refused(relay: Any, board: Any) -> None:
    """Nobody knows which of the two was meant: a dry run that is not one would spend. Labels are a list."""
    run = await relay.run(board)
    before = await relay.view(run)
    path = f"/v1/runs/{run}/amend?dry_run=true&dry_run=false"
    answer = await relay.api.post(path, json={**board, "shots": [{"id": "s9", "prompt": "another"}]})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (422, "request_invalid", "dry_run")
    assert error["message"] == "dry_run is in the query more than once: keep one of them"
    assert await relay.view(run) == before
    for query in ("limit=1&limit=2", "status=running&status=failed", "q=rain&q=sun", "after=&after="):
        assert (await relay.api.get(f"/v1/runs?{query}")).status_code == 422, query
    assert (await relay.api.get("/v1/runs?label=a:b&label=c:d")).status_code == 200


async def test_what_the_docs_name_is_taken(relay: Any, finish: Any) -> None:
    """Parameters in any order, with nothing after the question mark, with an empty value."""
    run = await finish()
    for path in (
        "/v1/runs?",
        "/v1/runs?limit=1&status=running",
        "/v1/callbacks?after=x&limit=3",
        f"/v1/notifications?run={run}&limit=3",
        f"/v1/runs/{run}/events?after=0",
        "/metrics",
    ):
        assert (await relay.api.get(path)).status_code == 200, path
    for body in (b"", b" \r\n", b"\xef\xbb\xbf", b'\xef\xbb\xbf{"dry_run": true}'):
        answer = await relay.api.post(f"/v1/runs/{run}/shots/s1/retake", content=body or b'{"dry_run": true}')
        assert answer.status_code in (200, 409), body


async def test_the_pages_refuse_with_a_sentence(relay: Any, board: Any) -> None:
    """An address of the page with an unknown parameter: a page that says so, and which ones there are."""
    run = await relay.run(board)
    for route in pages():
        if "GET" not in (route.methods or set()):
            continue
        path = (
            route.path.format(run=run, shot="s1", callback="cb_1", **{"file:path": "page.css"})
            if ":" not in route.path
            else "/static/page.css"
        )
        answer = await ask(relay, "GET", path, params={"stauts": "running"}, headers={"Accept": "text/html"})
        assert (answer.status_code, "unknown parameter" in answer.text.lower()) == (422, True), path
    assert (await ask(relay, "GET", "/?status=running", headers={"Accept": "text/html"})).status_code == 200


@pytest.fixture(autouse=True)
def sessions_are_not_begun(relay: Any) -> Any:
    """A cookie that one test got is not for the next."""
    yield
    relay.api.cookies.clear()
