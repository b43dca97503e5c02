"""The JSON of a run: the names and types that users rely on, as the contract shows them."""

import re
from typing import Any

import pytest

from framerelay.runs import events
from framerelay.runs.model import Frame
from framerelay.store.progress import record

pytestmark = pytest.mark.anyio

RUN_KEYS = {
    "id": str,
    "object": str,
    "title": str,
    "status": str,
    "revision": int,
    "created": int,
    "budget": dict,
    "spent": dict,
    "shots": list,
    "film": (dict, type(None)),
    "error": (dict, type(None)),
}
SHOT_KEYS = {"id": str, "scene": str, "from": str, "status": str, "takes": list}
TAKE_KEYS = {
    "number": int,
    "status": str,
    "job_id": (str, type(None)),
    "seed": (int, type(None)),
    "error": (dict, type(None)),
    "video": (dict, type(None)),
    "first_frame": (dict, type(None)),
    "last_frame": (dict, type(None)),
}
VIDEO_KEYS = {"url": str, "sha256": str, "bytes": int, "width": int, "height": int, "duration_s": float}
FRAME_KEYS = {"url": str, "width": int, "height": int}
FILM_KEYS = {"url": str, "bytes": int, "duration_s": float}
STATUSES = {
    "run": {"running", "waiting", "succeeded", "failed", "cancelled"},
    "shot": {"pending", "submitting", "generating", "collecting", "done", "waiting", "failed", "cancelled"},
    "take": {"submitting", "generating", "collecting", "done", "failed", "expired", "cancelled", "unsure"},
}


def check(value: Any, keys: dict[str, Any]) -> None:
    """Every key is there, with its type (and True is no number)."""
    for key, kind in keys.items():
        assert key in value, key
        assert isinstance(value[key], kind), (key, value[key])
        assert not isinstance(value[key], bool), key


def check_run(run: Any) -> None:
    """The whole shape."""
    check(run, RUN_KEYS)
    assert run["object"] == "run"
    assert re.fullmatch(r"run_[a-z0-9]{20,}", run["id"])
    assert run["status"] in STATUSES["run"]
    assert type(run["spent"]["jobs"]) is int
    for shot in run["shots"]:
        check(shot, SHOT_KEYS)
        assert type(shot["stale"]) is bool
        assert shot["status"] in STATUSES["shot"]
        for take in shot["takes"]:
            check(take, TAKE_KEYS)
            assert take["status"] in STATUSES["take"]


async def test_a_new_run_has_the_shape_of_the_contract(relay: Any, board: Any) -> None:
    """What is not there yet is null, not missing."""
    run_id = await relay.run({**board, "shots": [*board["shots"], {"id": "s3", "prompt": "x", "from": "s1"}]})
    run = await relay.view(run_id)

    check_run(run)
    assert [(shot["id"], shot["scene"], shot["from"]) for shot in run["shots"]] == [
        ("s1", "main", "continue"),
        ("s2", "main", "continue"),
        ("s3", "main", "s1"),
    ]
    assert (run["budget"], run["spent"]) == ({"jobs": 3}, {"jobs": 0})
    assert (run["film"], run["error"]) == (None, None)


async def test_a_shot_says_whether_a_person_picks_its_take(relay: Any, board: Any) -> None:
    """``first`` as in the storyboard; null where a person does, or where there is nothing to pick."""
    takes = [{"takes": 2, "pick": "first"}, {"takes": 2}, {}]
    shots = [{"id": f"s{number}", "prompt": "x", **more} for number, more in enumerate(takes)]
    run = await relay.view(await relay.run({**board, "budget": {"jobs": 9}, "shots": shots}))
    assert [shot["pick"] for shot in run["shots"]] == ["first", None, None]


async def test_a_finished_run_has_the_shape_of_the_contract(start_provider: Any, start_relay: Any, board: Any) -> None:
    """Every address in it can be fetched and is what it says."""
    shots = [{"id": "s1", "prompt": "a", "seed": 7}, {"id": "s2", "prompt": "b"}]
    async with start_provider() as provider, start_relay(provider.url) as relay:
        run = await relay.wait_for_end(await relay.run({**board, "shots": shots}))
        check_run(run)
        assert run["status"] == "succeeded", run["error"]
        assert run["spent"] == {"jobs": 2}
        check(run["film"], FILM_KEYS)
        assert len((await relay.api.get(run["film"]["url"])).content) == run["film"]["bytes"]
        for shot in run["shots"]:
            (take,) = shot["takes"]
            assert (shot["status"], take["status"], take["number"]) == ("done", "done", 1)
            assert take["job_id"].startswith("job_")
            check(take["video"], VIDEO_KEYS)
            check(take["last_frame"], FRAME_KEYS)
            assert re.fullmatch("[0-9a-f]{64}", take["video"]["sha256"])
            assert len((await relay.api.get(take["video"]["url"])).content) == take["video"]["bytes"]
            assert (await relay.api.get(take["last_frame"]["url"])).headers["Content-Type"] == "image/png"
            assert take["last_frame"]["width"] == take["video"]["width"]
            check(take["opening"], FRAME_KEYS)
            assert (await relay.api.get(take["opening"]["url"])).headers["Content-Type"] == "image/png"
        first, second = (shot["takes"][0] for shot in run["shots"])
        assert (first["seed"], first["first_frame"]) == (7, None)
        check(second["first_frame"], {"url": str, "source": str})
        assert second["first_frame"]["source"] in {"given", "provider", "upload", "serve"}
        assert (await relay.api.get(f"/v1/runs/{run['id']}")).json() == run
        assert (await relay.api.get("/v1/runs")).json()["data"] == [run]


async def test_a_problem_has_a_code_and_words(relay: Any, board: Any, render: Any) -> None:
    """In the run, where a person looks first."""
    run_id = await relay.run(board)
    await render(run_id, "s1")
    run = await relay.view(run_id)

    check_run(run)
    assert run["status"] == "waiting"
    check(run["error"], {"code": str, "message": str})
    assert run["error"]["message"].startswith("shot s2:")


async def test_a_seam_that_jumps_is_a_warning(relay: Any, board: Any, render: Any) -> None:
    """Beyond what encoding does; a seam that fits is a figure alone, and one that nobody measured is null."""
    run_id = await relay.run({**board, "shots": [{"id": name, "prompt": name} for name in ("s1", "s2", "s3")]})
    opening = Frame(path="run_x/s.1.first.png", sha256="0" * 64, width=1280, height=720)
    for name, seam in (("s1", None), ("s2", 8.0), ("s3", 23.14)):
        await render(run_id, name)
        await record(relay.store, run_id, events.OpeningTaken(shot_id=name, take=1, opening=opening, seam=seam))
    run = await relay.view(run_id)

    seams = [shot["takes"][0]["seam"] for shot in run["shots"]]
    assert seams == [None, {"difference": 8.0}, {"difference": 23.14}]
    (warning,) = [each for each in run["warnings"] if each["code"] == "seam_jumps"]
    assert warning["message"].startswith("shot s3 opens 23.1 of 255 levels away from the frame that it was given")


async def test_an_odd_clip_is_a_warning_and_has_its_notes(relay: Any, board: Any, render: Any) -> None:
    """In HDR, or interlaced; of a note that a later version wrote only the note itself is shown."""
    run_id = await relay.run({**board, "shots": [{"id": name, "prompt": name} for name in ("s1", "s2", "s3")]})
    for name, notes in (("s1", ()), ("s2", ("hdr_pq", "interlaced")), ("s3", ("sung",))):
        await render(run_id, name, notes=notes)
    run = await relay.view(run_id)

    check_run(run)
    assert [shot["takes"][0]["video"]["notes"] for shot in run["shots"]] == [[], ["hdr_pq", "interlaced"], ["sung"]]
    hdr, second = [each for each in run["warnings"] if each["code"].startswith("clip_")]
    assert hdr["code"] == "clip_hdr"
    assert hdr["message"].startswith("the clip of shot s2 is HDR (PQ): its last frame was handed on in SDR")
    assert second["code"] == "clip_interlaced"
    assert second["message"].startswith("the clip of shot s2 is interlaced")
