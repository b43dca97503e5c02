"""The run API: start, read, list, decide; every answer in one shape, every mistake with its place."""

import asyncio
import threading
from typing import Any

import pytest

from framerelay.receiver import plan
from framerelay.runs import events
from framerelay.runs.model import Frame
from framerelay.store.progress import record
from framerelay.storyboards.storyboard import read_storyboard

pytestmark = pytest.mark.anyio

YAML_OF = """\
shots:
  - {{prompt: a car, id: s1}}
  - {{id: s2, prompt: closer, gate: approve}}
budget: {budget}
model: {model}
title: {title}
"""

PICTURE = b"\x89PNG\r\n\x1a\n" + b"p" * 100
YAML = """
title: 霓虹雨夜
model: m
defaults: {ratio: 16:9}
shots:
  - {id: s1, prompt: 跑车}
"""
FIVE_MISTAKES = """
title: x
modle: m
shots:
  - {id: s1, prompt: a, duration: long}
  - {id: s1, prompt: b}
  - {id: s3, prompt: c, from: nowhere}
  - {id: s4}
"""


async def test_a_storyboard_becomes_a_run(relay: Any, board: Any, queued_tasks: Any) -> None:
    """201 with the run and its place; the first shot's submit waits for a worker, the second for the first."""
    answer = await relay.api.post("/v1/runs", json=board)
    run = answer.json()

    assert answer.status_code == 201
    assert answer.headers["Location"] == f"/v1/runs/{run['id']}"
    assert (await relay.api.get(answer.headers["Location"])).json() == run
    assert (run["object"], run["title"], run["status"], run["budget"]) == (
        "run",
        "霓虹雨夜",
        "running",
        {"jobs": 3},
    )
    assert await queued_tasks() == [("submit", {"run": run["id"], "shot": "s1", "take": 1, "turn": 0})]


async def test_yaml_is_read_by_its_content_type(relay: Any) -> None:
    """All its usual names; ``16:9`` stays a text."""
    for kind in ("application/yaml", "text/yaml; charset=utf-8", "application/x-yaml", "Text/YAML"):
        answer = await relay.api.post("/v1/runs", content=YAML.encode(), headers={"Content-Type": kind})
        assert answer.status_code == 201, answer.text
        assert answer.json()["title"] == "霓虹雨夜"


async def test_every_mistake_is_listed_with_its_place_and_line(relay: Any) -> None:
    """422 once, instead of one mistake at a time."""
    headers = {"Content-Type": "application/yaml"}
    answer = await relay.api.post("/v1/runs", content=FIVE_MISTAKES.encode(), headers=headers)
    error = answer.json()["error"]

    assert (answer.status_code, error["code"]) == (422, "storyboard_invalid")
    places = {(mistake["place"], mistake["line"]) for mistake in error["mistakes"]}
    assert {("modle", 3), ("shots[0].duration", 5), ("shots[1].id", 6), ("shots[2].from", 7)} <= places
    assert len(error["mistakes"]) >= 5
    assert all(mistake["message"] for mistake in error["mistakes"])
    assert error["param"] == error["mistakes"][0]["place"]


async def test_what_is_no_storyboard_at_all_is_422(relay: Any, queued_tasks: Any) -> None:
    """Whatever it is; nothing was started."""
    for body in (b"", b"{", b"[]", b"null", b"\xff", b"[" * 50_000, b'"x"', b'{"shots": 3}'):
        for kind in ("application/json", "application/yaml"):
            answer = await relay.api.post("/v1/runs", content=body, headers={"Content-Type": kind})
            assert (answer.status_code, answer.json()["error"]["code"]) == (422, "storyboard_invalid"), body[:20]
    assert await queued_tasks() == []


async def test_a_path_of_the_senders_computer_is_refused_with_the_way_out(relay: Any, board: Any) -> None:
    """The receiver opens no path that a request names; the message says how to give the picture instead."""
    for path in ("./refs/a.png", "/etc/passwd", "../../x.png", "C:\\x.png"):
        shots = [{"id": "s1", "prompt": "a", "first_frame": path}]
        answer = await relay.api.post("/v1/runs", json={**board, "shots": shots})
        assert answer.status_code == 422, path
        (mistake,) = answer.json()["error"]["mistakes"]
        assert mistake["place"] == "shots[0].first_frame"
        assert "POST them to /v1/files" in mistake["message"], mistake


async def test_the_same_idempotency_key_is_the_same_run(relay: Any, board: Any, queued_tasks: Any) -> None:
    """Twenty at once, and one later: one run, one submit."""
    headers = {"Idempotency-Key": "order 42"}
    answers = await asyncio.gather(*(relay.api.post("/v1/runs", json=board, headers=headers) for _ in range(20)))
    answers.append(await relay.api.post("/v1/runs", json=board, headers=headers))
    other = await relay.api.post("/v1/runs", json=board, headers={"Idempotency-Key": "order 43"})

    assert {answer.status_code for answer in answers} == {201}
    (run_id,) = {answer.json()["id"] for answer in answers}
    assert other.json()["id"] != run_id
    assert [arguments["run"] for _, arguments in await queued_tasks()] == [run_id, other.json()["id"]]
    assert len((await relay.api.get("/v1/runs")).json()["data"]) == 2


async def test_an_idempotency_key_is_for_one_storyboard(relay: Any, board: Any, redis: Any) -> None:
    """Another one is 422 and starts nothing; the same one, however it is written or limited, is the same run."""
    headers = {"Idempotency-Key": "order 44"}
    first = await relay.api.post("/v1/runs", json=board, headers=headers)
    for change in ({"title": "other"}, {"model": "n"}, {"budget": {"jobs": 2}}, {"shots": board["shots"][:1]}):
        answer = await relay.api.post("/v1/runs", json={**board, **change}, headers=headers)
        error = answer.json()["error"]
        assert (answer.status_code, error["param"]) == (422, "Idempotency-Key"), change
        assert first.json()["id"] in error["message"]
    text = YAML_OF.format(**board).encode()
    same = [
        await relay.api.post("/v1/runs", content=text, headers={**headers, "Content-Type": "application/yaml"}),
        await relay.api.post("/v1/runs", json=board, headers={**headers, "Max-Jobs": "1"}),
    ]
    assert [(answer.status_code, answer.json()["id"]) for answer in same] == [(201, first.json()["id"])] * 2
    assert len((await relay.api.get("/v1/runs")).json()["data"]) == 1
    assert len(await redis.keys("{framerelay}:asked-plan:*")) == 1


async def test_a_key_of_an_older_version_still_names_its_run(relay: Any, board: Any, redis: Any) -> None:
    """No plan was kept with it, so nothing can be compared."""
    run_id = await relay.run(board)
    await redis.set("{framerelay}:asked:order 45", run_id, ex=60)
    for _ in range(2):
        answer = await relay.api.post("/v1/runs", json=board, headers={"Idempotency-Key": "order 45"})
        assert (answer.status_code, answer.json()["id"]) == (201, run_id)


async def test_a_malformed_idempotency_key_is_422(relay: Any, board: Any) -> None:
    """Too long or not to be printed."""
    for key in ("k" * 201, "a\tb"):
        answer = await relay.api.post("/v1/runs", json=board, headers={"Idempotency-Key": key})
        assert (answer.status_code, answer.json()["error"]["param"]) == (422, "Idempotency-Key")


async def test_runs_are_listed_newest_first_page_by_page(relay: Any, board: Any) -> None:
    """``next`` leads through all of them, each once, and is null at the end; ``status`` chooses."""
    ids = [await relay.run(board) for _ in range(5)]
    for run_id in ids[1:3]:
        await relay.api.post(f"/v1/runs/{run_id}/cancel")

    async def pages(**query: Any) -> list[list[str]]:
        pages: list[list[str]] = []
        after: dict[str, str] = {}
        for _ in range(10):
            page = (await relay.api.get("/v1/runs", params={**query, **after})).json()
            assert page["object"] == "list"
            pages.append([run["id"] for run in page["data"]])
            if page["next"] is None:
                return pages
            after = {"after": page["next"]}
        raise AssertionError("it goes round and round")

    assert await pages(limit=2) == [ids[:2:-1], ids[2:0:-1], ids[:1]]
    assert await pages(limit=5) == [ids[::-1]]
    assert await pages(status="cancelled", limit=1) == [[ids[2]], [ids[1]]]
    assert await pages(status="succeeded") == [[]]


async def test_a_page_that_cannot_be_is_422_with_its_name(relay: Any) -> None:
    """Signs, letters, other scripts' digits, and thousands of digits."""
    for path in ("/v1/runs", "/v1/callbacks"):
        for limit in ("0", "-1", "201", "x", "", "1.5", "²", "٣", "9" * 5000, "1 "):
            answer = await relay.api.get(path, params={"limit": limit})
            assert (answer.status_code, answer.json()["error"]["param"]) == (422, "limit"), limit[:10]
    answer = await relay.api.get("/v1/runs", params={"status": "done"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (422, "status")


async def test_cancelling_twice_says_that_it_was_cancelled_already(relay: Any, board: Any) -> None:
    """Nothing is submitted any more; a decision that changes nothing is 409, and nothing happens."""
    run_id = await relay.run(board)
    first, second = [(await relay.api.post(f"/v1/runs/{run_id}/cancel")) for _ in range(2)]

    assert (first.status_code, second.status_code) == (200, 409)
    assert first.json()["status"] == "cancelled"
    assert second.json()["error"]["message"] == "the run was cancelled already"
    assert await relay.view(run_id) == first.json()


async def test_a_finished_run_cannot_be_cancelled(relay: Any, finish: Any) -> None:
    """409: it has its film."""
    answer = await relay.api.post(f"/v1/runs/{await finish()}/cancel")

    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "conflict")


async def test_a_gated_shot_waits_for_its_approval(relay: Any, board: Any, render: Any, queued_tasks: Any) -> None:
    """Approved once it is queued; approving again changes nothing, and says so."""
    run_id = await relay.run(board)
    await render(run_id, "s1")
    assert (await relay.view(run_id))["error"]["code"] == "approval_needed"

    first, second = [(await relay.api.post(f"/v1/runs/{run_id}/shots/s2/approve")) for _ in range(2)]

    assert (first.status_code, second.status_code) == (200, 409)
    assert first.json()["shots"][1]["approved"] is True
    assert second.json()["error"]["message"] == "shot s2 is approved already"
    assert (await relay.view(run_id))["revision"] == first.json()["revision"]
    assert ("submit", {"run": run_id, "shot": "s2", "take": 1, "turn": 0}) in await queued_tasks()


async def test_a_shot_without_a_gate_cannot_be_approved(relay: Any, board: Any) -> None:
    """Who approves it has mistaken the shot; a 200 would let them wait for what does not come."""
    run_id = await relay.run(board)
    before = await relay.view(run_id)

    answer = await relay.api.post(f"/v1/runs/{run_id}/shots/s1/approve")

    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "conflict")
    assert answer.json()["error"]["message"] == "shot s1 waits for no approval: it has no gate in the storyboard"
    assert await relay.view(run_id) == before


async def test_a_person_picks_a_take(relay: Any, board: Any, render: Any) -> None:
    """One that is done; saying it twice is 409, a take that is not there is 404, no number is 422."""
    run_id = await relay.run({**board, "shots": [{"id": "s1", "prompt": "a", "takes": 2}]})
    await render(run_id, "s1", 1)
    await render(run_id, "s1", 2)
    assert (await relay.view(run_id))["error"]["code"] == "pick_needed"
    pick = f"/v1/runs/{run_id}/shots/s1/pick"

    for body in ({}, {"take": "1"}, {"take": True}, {"take": None}, {"take": 1.0}):
        answer = await relay.api.post(pick, json=body)
        assert (answer.status_code, answer.json()["error"]["param"]) == (422, "take"), body
    assert (await relay.api.post(pick, json={"take": 3})).status_code == 404
    response = await relay.api.post(pick, json={"take": 2})
    again = await relay.api.post(pick, json={"take": 2})

    assert (response.status_code, again.status_code) == (200, 409)
    assert again.json()["error"]["message"] == "take 2 of shot s1 is picked already"
    assert response.json()["shots"][0]["picked"] == 2
    assert response.json()["shots"][0]["status"] == "done"


async def test_a_decision_about_an_older_revision_is_409(relay: Any, board: Any) -> None:
    """The person looked at something that is no longer so; nothing changes. The right revision passes."""
    run_id = await relay.run(board)
    run = await relay.view(run_id)

    for place, body in (("shots/s2/approve", {}), ("shots/s1/pick", {"take": 1}), ("cancel", {})):
        stale = {**body, "revision": run["revision"] - 1}
        answer = await relay.api.post(f"/v1/runs/{run_id}/{place}", json=stale)
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "conflict"), place
    assert await relay.view(run_id) == run

    answer = await relay.api.post(f"/v1/runs/{run_id}/shots/s2/approve", json={"revision": run["revision"]})
    assert answer.status_code == 200


async def test_a_first_frame_that_arrives_makes_no_decision_stale(relay: Any, board: Any, render: Any) -> None:
    """It is taken after the hand-off, just when a person is asked; a decision made in between is one, though."""
    run_id = await relay.run(board)
    await render(run_id, "s1")
    revision = (await relay.view(run_id))["revision"]
    opening = Frame(path="run_x/s1.1.first.png", sha256="0" * 64, width=1280, height=720)
    await record(relay.store, run_id, events.OpeningTaken(shot_id="s1", take=1, opening=opening, seam=None))
    assert (await relay.view(run_id))["revision"] == revision + 1

    answer = await relay.api.post(f"/v1/runs/{run_id}/shots/s2/approve", json={"revision": revision})
    late = await relay.api.post(f"/v1/runs/{run_id}/cancel", json={"revision": revision + 1})
    ahead = await relay.api.post(f"/v1/runs/{run_id}/cancel", json={"revision": revision + 9})

    assert [each.status_code for each in (answer, late, ahead)] == [200, 409, 409]


async def test_only_a_run_that_has_ended_is_removed(relay: Any, board: Any) -> None:
    """409 while it goes on; afterwards it is gone, and the key that made it does not make it again."""
    key = {"Idempotency-Key": "k"}
    run_id = (await relay.api.post("/v1/runs", json=board, headers=key)).json()["id"]
    early = await relay.api.delete(f"/v1/runs/{run_id}")
    await relay.api.post(f"/v1/runs/{run_id}/cancel")
    response, again = [await relay.api.delete(f"/v1/runs/{run_id}") for _ in range(2)]
    repeated_response = await relay.api.post("/v1/runs", json=board, headers=key)

    assert (early.status_code, early.json()["error"]["code"]) == (409, "conflict")
    assert (response.status_code, response.json()) == (200, {"id": run_id, "object": "run", "removed": True})
    assert again.status_code == 404
    assert (repeated_response.status_code, repeated_response.json()["error"]["code"]) == (409, "conflict")


async def test_a_decision_that_cannot_be_read_is_422(relay: Any, board: Any) -> None:
    """A revision that is no whole number, or a body that is no object."""
    run_id = await relay.run(board)
    for revision in ("1", True, 1.5, []):
        answer = await relay.api.post(f"/v1/runs/{run_id}/cancel", json={"revision": revision})
        assert (answer.status_code, answer.json()["error"]["param"]) == (422, "revision"), revision
    for body in (b"{", b"[]", b"[" * 50_000, b"\xff"):
        answer = await relay.api.post(f"/v1/runs/{run_id}/cancel", content=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "request_invalid"), body[:9]
    assert (await relay.view(run_id))["status"] == "running"


async def test_a_decision_about_nothing_is_404(relay: Any, board: Any) -> None:
    """No such shot, no such run."""
    run_id = await relay.run(board)
    nowhere = "run_" + "z" * 24
    for path in (
        f"{run_id}/shots/s9/approve",
        f"{run_id}/shots/s9/pick",
        f"{nowhere}/cancel",
        f"{nowhere}/shots/s1/approve",
    ):
        body = {"take": 1} if path.endswith("pick") else {}
        answer = await relay.api.post(f"/v1/runs/{path}", json=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found"), path


async def test_a_long_storyboard_keeps_no_callback_waiting(
    relay: Any, take_address: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Reading much YAML takes more than a second of work, even to find it wrong; callbacks are answered in that time.

    Here it does not end before they are: on a loop that waits for it, none would be.
    """
    began, answer = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def read(*arguments: Any, **options: Any) -> Any:
        loop.call_soon_threadsafe(began.set)
        try:
            return read_storyboard(*arguments, **options)
        finally:
            held.append(answer.wait(60))

    held: list[bool] = []
    monkeypatch.setattr(plan, "read_storyboard", read)
    more = "".join(f", m{number}: {number}" for number in range(60))
    shots = "".join(
        f"  - {{id: s{number}, prompt: a car in the rain, from: cut, extra: {{x: 0{more}}}}}\n" for number in range(499)
    )
    board = f"model: m\nshots:\n{shots}".encode()
    headers = {"Content-Type": "application/yaml"}

    starting = asyncio.create_task(relay.api.post("/v1/runs", content=board, headers=headers))
    await began.wait()
    for take in range(3):
        assert (await relay.api.post(take_address("s1", take), json={"id": "job_1"})).status_code == 200
    answer.set()

    assert (await starting).status_code == 422
    assert held == [True], "it ended while callbacks were answered"


async def test_a_picture_is_kept_under_the_name_of_its_content(relay: Any, board: Any) -> None:
    """The same bytes, the same name; a storyboard can name it and anybody with the key can see it."""
    first, second = [(await relay.api.post("/v1/files", content=PICTURE)) for _ in range(2)]

    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert first.json()["bytes"] == len(PICTURE)
    name = first.json()["name"].removeprefix("file:")
    assert (await relay.api.get(f"/media/{name}")).content == PICTURE
    await relay.run({**board, "shots": [{"id": "s1", "prompt": "a", "first_frame": first.json()["name"]}]})


async def test_what_is_no_picture_or_too_large_is_refused(relay: Any) -> None:
    """422 by its first bytes, 413 by its length."""
    for content in (b"", b"hello", b"<svg/>", b"\x00" * 100):
        answer = await relay.api.post("/v1/files", content=content)
        assert (answer.status_code, answer.json()["error"]["param"]) == (422, "file"), content[:9]
    answer = await relay.api.post("/v1/files", content=PICTURE + b"\0" * 30_000_000)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")


async def test_a_disk_that_cannot_be_written_is_503_with_its_reason(relay: Any) -> None:
    """Waiting or tidying up helps; nothing half-written is left."""
    (relay.settings.data_dir / "media").mkdir(parents=True)
    (relay.settings.data_dir / "media" / "given").write_text("in the way")
    answer = await relay.api.post("/v1/files", content=PICTURE)

    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "storage_failed")
    assert "disk" in answer.json()["error"]["message"]
