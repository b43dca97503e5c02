"""What the page shows of a shot: its history, its frames, its seams, and whether it still fits."""

import re
from dataclasses import replace
from typing import Any, get_args

import pytest

from framerelay.runs import events
from framerelay.runs.model import Frame, Problem
from framerelay.store.progress import record
from framerelay.upstream.pictures import PictureForm
from tests.receiver.hostile_text import HOSTILE

pytestmark = pytest.mark.anyio


async def test_a_shot_has_its_history_with_callbacks_in_order(
    browser: Any, relay: Any, board: Any, render: Any, take_address: Any
) -> None:
    """Events in words and the raw bodies, in order; what is hostile is text, what opens anything is gone."""
    run = await relay.run(board)
    await render(run, "s1")
    body = {"id": "job_s1_1", "status": "succeeded", "note": HOSTILE, "url": "https://v.example.com/v.mp4?sig=opens"}
    assert (await relay.api.post(take_address("s1", run_id=run), json=body)).status_code == 200
    other = take_address("s2", run_id=run)
    assert (await relay.api.post(other, json={"id": "job_other", "status": "running"})).status_code == 200
    page = (await browser.get(f"/runs/{run}/shots/s1")).text
    for words in ("Take 1 is submitted", "Take 1 is rendered", "A callback came", "&lt;script&gt;", "job_s1_1"):
        assert words in page, words
    for words in ("<script>alert", "sig=opens", "job_other"):
        assert words not in page, words
    assert page.index("is submitted") < page.index("A callback came")
    assert 'data-every="5" data-shot="s1"' in page
    assert 'src="/media/f?small" alt="Take 1 ends"' in page
    nowhere = await browser.get(f"/runs/{run}/shots/s9")
    assert (nowhere.status_code, f'href="/runs/{run}"' in nowhere.text) == (404, True)
    response = await browser.get("/runs/run_gone")
    assert (response.status_code, 'href="/">All runs' in response.text, "/runs/run_gone" in response.text) == (
        404,
        True,
        False,
    )


@pytest.mark.parametrize("source", get_args(PictureForm))
async def test_a_frame_is_shown_however_it_was_handed_on(
    source: str, browser: Any, relay: Any, board: Any, render: Any
) -> None:
    """A run has its page, in whichever form last frames go to the provider."""
    run = await relay.run({**board, "shots": [{"id": "s1", "prompt": "a"}, {"id": "s2", "prompt": "b"}]})
    await render(run, "s1")
    await render(run, "s2", begun_from=1, source=source)
    assert (await browser.get(f"/runs/{run}")).status_code == 200


async def test_a_shot_of_another_provider_says_who_makes_it(browser: Any, relay: Any, board: Any) -> None:
    """The head names the model of the run; a shot names its own where that is another one."""
    shots = [{"id": "s1", "prompt": "a"}, {"id": "s2", "prompt": "b", "provider": "fal", "model": "fal-model-x"}]
    run = await relay.run({**board, "shots": shots})
    page = (await browser.get(f"/runs/{run}")).text
    assert re.findall(r'<p class="hint"> · (?:<[^>]+>)*([^<]+ · [^<]+)<', page) == ["fal · fal-model-x"]


async def test_what_becomes_stale_is_shown_before_and_after(browser: Any, relay: Any, board: Any, render: Any) -> None:
    """The retake of a shot that others were made from names them; then they are shown as stale."""
    shots = [{"id": "s1", "prompt": "a"}, {"id": "s2", "prompt": "b"}]
    run = await relay.run({**board, "budget": {"jobs": 9}, "shots": shots})
    await render(run, "s1")
    await render(run, "s2", begun_from=1)
    page = (await browser.get(f"/runs/{run}/shots/s1")).text
    assert "Spends 1 job of the 7 that are left." in page
    assert "Made from the old take, and stale until retaken as well: s2." in page
    assert "Stale:" not in page
    form = {"action": "retake", "shot": "s1", "seed": "5"}
    assert (await browser.post(f"/runs/{run}/act", data=form)).status_code == 303
    page = (await browser.get(f"/runs/{run}")).text
    assert page.count("Stale: what it begins with is no longer where s1 ends") == 1


async def test_a_seam_is_two_frames_and_a_figure(browser: Any, relay: Any, board: Any, render: Any) -> None:
    """It speaks where it jumps or is between other frames by now; on the page of its shot it always does."""
    shots = [{"id": "s1", "prompt": "a"}, {"id": "s2", "prompt": "b"}]
    run_id = await relay.run({**board, "budget": {"jobs": 9}, "shots": shots})
    await render(run_id, "s1")
    assert 'id="seam-s2"' not in (await browser.get(f"/runs/{run_id}")).text
    await render(run_id, "s2", begun_from=1)
    opening = Frame(path=f"{run_id}/s2.1.first.png", sha256="0" * 64, width=1280, height=720)
    for levels, words, is_marked in (
        (1.25, "difference 1.2 of 255", False),
        (21.0, "difference 21.0 of 255", True),
        (None, "not measured", False),
    ):
        run = await relay.store.load(run_id)
        first, second = run.shots
        takes = (replace(second.takes[0], seam=levels, opening=opening),)
        film = replace(run, shots=(first, replace(second, takes=takes)), revision=run.revision + 1)
        assert await relay.store.save(film, before=run, event={"event": "x"}, steps=[], wake_at=None)
        page = (await browser.get(f"/runs/{run_id}")).text
        assert f'title="s1 → s2: {words}"' in page
        assert f'href="/media/{opening.path}" data-ends="/media/f" data-from="s1" data-to="s2"' in page
        assert ('class="seam jumps"' in page, "<b>21.0</b>" in page) == (is_marked, is_marked)
        shot = (await browser.get(f"/runs/{run_id}/shots/s2")).text
        assert words in shot
        assert 'src="/media/f?small" alt="s1 ends"' in shot
        assert f'src="/media/{opening.path}?small" alt="s2 begins"' in shot
        assert ("look at that seam" in page) == is_marked
        assert "no callback arrived" in (await browser.get("/")).text
    await browser.post(f"/runs/{run_id}/act", data={"action": "retake", "shot": "s1", "seed": "5"})
    assert "no longer fits" in (await browser.get(f"/runs/{run_id}")).text


async def test_a_shot_made_from_a_stale_one_fits_it_still(browser: Any, relay: Any, board: Any, render: Any) -> None:
    """Its seam is measured as before, and what has to be retaken first is named: alone it would fix nothing."""
    shots = [{"id": f"s{number}", "prompt": "a"} for number in (1, 2, 3)]
    run_id = await relay.run({**board, "budget": {"jobs": 9}, "shots": shots})
    await render(run_id, "s1")
    for shot_id, levels in (("s2", 1.5), ("s3", 2.5)):
        await render(run_id, shot_id, begun_from=1)
        opening = Frame(path=f"{run_id}/{shot_id}.1.first.png", sha256="0" * 64, width=1280, height=720)
        await record(relay.store, run_id, events.OpeningTaken(shot_id=shot_id, take=1, opening=opening, seam=levels))
    await browser.post(f"/runs/{run_id}/act", data={"action": "retake", "shot": "s1", "seed": "5"})
    page = (await browser.get(f"/runs/{run_id}")).text
    assert (page.count("Stale:"), page.count("Stale, since s2 is: first retake that, then this one.")) == (1, 1)
    seams = ("s1 → s2: difference 1.5" in page, "s2 → s3: difference 2.5" in page, page.count(": no longer fits"))
    assert seams == (False, True, 1)


async def test_a_job_that_nobody_knew_of_is_named_on_the_page(browser: Any, relay: Any, board: Any) -> None:
    """Where the shot is held, and on its own page; by the revision that was seen, and no words for an id."""
    run = await relay.run(board)
    problem = Problem(code="outcome_unknown", message="nobody knows")
    for event in (
        events.Submitting(shot_id="s1", take=1, intent="i", seed=None, first_frame=None),
        events.SubmitLost(shot_id="s1", take=1, problem=problem),
    ):
        assert (await record(relay.store, run, event)).changed
    page = (await browser.get(f"/runs/{run}")).text
    assert "Nobody knows if shot s1 is made at the provider" in page
    assert "This job is s1" in page
    assert "Without it the shot is given up in 47 h 59, and made again inside the budget." in page
    assert "This job is s1" in (await browser.get(f"/runs/{run}/shots/s1")).text
    revision = (await relay.view(run))["revision"]
    for job_id, seen_revision, status in (("job a", revision, 422), ("", revision, 422), ("job_a", revision - 1, 409)):
        form = {"action": "adopt", "shot": "s1", "job_id": job_id, "revision": seen_revision}
        assert (await browser.post(f"/runs/{run}/act", data=form)).status_code == status, job_id
    form = {"action": "adopt", "shot": "s1", "job_id": " job_a ", "revision": revision}
    assert (await browser.post(f"/runs/{run}/act", data=form)).status_code == 303
    take = (await relay.view(run))["shots"][0]["takes"][0]
    assert (take["job_id"], take["status"]) == ("job_a", "generating")
    assert "This job is s1" not in (await browser.get(f"/runs/{run}")).text
