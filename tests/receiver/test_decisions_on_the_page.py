"""What a person decides on the page, without a script: what it says before, and what it refuses."""

import re
from typing import Any

import httpx
import pytest

from framerelay.receiver.page.views import FIELDS
from framerelay.runs import events
from framerelay.runs.model import FirstFrame, Problem
from framerelay.store.progress import record

pytestmark = pytest.mark.anyio


async def test_a_person_decides_on_the_page(browser: Any, relay: Any, board: Any, render: Any) -> None:
    """Approve, retake with another prompt and seed, cancel: each leads back to the run, which has changed."""
    run = await relay.run({**board, "budget": {"jobs": 9}})
    await render(run, "s1")

    async def act(**form: Any) -> httpx.Response:
        revision = (await relay.view(run))["revision"]
        answer: httpx.Response = await browser.post(f"/runs/{run}/act", data={"revision": revision, **form})
        assert (answer.status_code, answer.headers["Location"].partition("#")[0]) == (303, f"/runs/{run}"), answer.text
        return answer

    again = await act(action="retake", shot="s1", prompt="a red car,\r\nin rain", seed="7")
    assert again.headers["Location"].endswith("#shot-s1"), "its form is in the strip"
    shot = (await relay.view(run))["shots"][0]
    assert (shot["prompt"], shot["status"]) == ("a red car,\nin rain", "pending")
    await render(run, "s1", 2)
    response = await act(action="approve", shot="s2")
    assert response.headers["Location"].endswith("#next"), "where the next decision will stand, too"
    assert (await relay.view(run))["shots"][1]["approved"]
    assert "Cancel the run" in (await browser.get(f"/runs/{run}")).text
    await act(action="cancel")
    assert (await relay.view(run))["status"] == "cancelled"
    page = (await browser.get(f"/runs/{run}")).text
    assert "not made yet" not in page
    assert "It was cancelled; nothing more is submitted." in page
    assert 'value="cancel"' not in page


async def test_a_take_is_picked_on_the_page(browser: Any, relay: Any, board: Any, render: Any) -> None:
    """Each take that is done can be looked at and picked; the page says what goes on from it."""
    run = await relay.run({**board, "shots": [{"id": "s1", "prompt": "a", "takes": 2}, {"id": "s2", "prompt": "b"}]})
    await render(run, "s1", 1)
    await render(run, "s1", 2)
    page = (await browser.get(f"/runs/{run}")).text
    assert "s1 waits for you to pick a take." in page
    assert "Pick a take of s1; s2 begins with its last frame" in page
    assert 'Pick take 2<span class="unseen"> of s1</span>' in page
    answer = await browser.post(f"/runs/{run}/act", data={"action": "pick", "shot": "s1", "take": "2"})
    assert answer.status_code == 303
    assert (await relay.view(run))["shots"][0]["picked"] == 2


async def test_a_pick_is_taken_back_until_something_was_spent_on_it(
    browser: Any, relay: Any, board: Any, render: Any
) -> None:
    """
    The first pick leads on and has no way back; the next ones are free. Before, during and after the submit from it.
    """
    shots = [{"id": "s1", "prompt": "a", "takes": 2}, {"id": "s2", "prompt": "b", "gate": "approve"}]
    run = await relay.run({**board, "shots": shots})
    for take in (1, 2):
        await render(run, "s1", take, ends=f"s1.{take}.last.png")

    async def pick(take: int) -> str:
        answer = await browser.post(f"/runs/{run}/act", data={"action": "pick", "shot": "s1", "take": str(take)})
        return str(answer.headers["Location"])

    async def undo(address: str) -> list[str]:
        page = (await browser.get(address.partition("#")[0])).text
        return re.findall(r'id="undo".*?name="take" value="(\d)"', page, re.S)

    first = await pick(1)
    assert (first, await undo(first)) == (f"/runs/{run}#next", [])
    shot = (await browser.get(f"/runs/{run}/shots/s1")).text
    assert (shot.count('class="other"'), "Pick take 2 instead" in shot) == (1, True)
    back = await pick(2)
    assert (back, await undo(back)) == (f"/runs/{run}?undo=1&shot=s1#next", ["1"])
    assert await undo(back.replace(f"{run}?", f"{run}/strip?")) == ["1"]
    assert f'data-src="/runs/{run}/strip?undo=1&amp;shot=s1"' in (await browser.get(back.partition("#")[0])).text
    undoing = {"action": "pick", "shot": "s1", "take": "1", "picked": "2", "undo": "yes"}
    early = await browser.post(f"/runs/{run}/act", data={**undoing, "picked": "1"})
    assert (early.status_code, "Take 2 of s1 was picked already" in early.text) == (409, True)
    again = (await browser.post(f"/runs/{run}/act", data=undoing)).headers["Location"]
    assert ((await relay.view(run))["shots"][0]["picked"], await undo(back), await undo(again)) == (1, [], ["2"])
    await browser.post(f"/runs/{run}/act", data={"action": "approve", "shot": "s2"})
    assert await undo(again) == ["2"], "nothing is submitted yet"
    handed_on = FirstFrame(url="https://u.example.com/f.png", source="upload", path="f", take=1)
    submitting = events.Submitting(shot_id="s2", take=1, intent="i", seed=1, first_frame=handed_on)
    assert (await record(relay.store, run, submitting)).changed
    assert await undo(again) == [], "it is being submitted"
    assert (await record(relay.store, run, events.Submitted(shot_id="s2", take=1, job_id="job_1"))).changed
    assert await undo(again) == [], "it was paid for"
    late = await browser.post(f"/runs/{run}/act", data={**undoing, "take": "2", "picked": "1"})
    assert (late.status_code, "This pick cannot be taken back" in late.text) == (409, True)
    for odd in ("?undo=9&shot=s1", "?undo=x&shot=s1", "?undo=2&shot=s9", "?undo=2"):
        assert await undo(f"/runs/{run}{odd}") == []
    assert (await browser.get(f"/runs/{run}?undone=1")).status_code == 422


async def test_another_pick_says_what_is_stale_then(browser: Any, relay: Any, board: Any, render: Any) -> None:
    """And none is offered where it would be refused."""
    shots = [{"id": "s1", "prompt": "a", "takes": 2, "pick": "first"}, {"id": "s2", "prompt": "b"}]
    run = await relay.run({**board, "shots": shots})
    await render(run, "s1", 1, ends="s1.1.last.png")
    assert 'class="other"' not in (await browser.get(f"/runs/{run}/shots/s1")).text
    await render(run, "s1", 2, ends="s1.2.last.png")
    await render(run, "s2", 1, begun_from=1)
    shot = (await browser.get(f"/runs/{run}/shots/s1")).text
    assert "Spends nothing. Then stale until retaken: s2." in shot


async def test_an_approval_shows_the_frame_of_the_take_that_was_picked(
    browser: Any, relay: Any, board: Any, render: Any
) -> None:
    """Who says yes looks at what is handed on, not at the end of the take that was made last."""
    shots = [{"id": "s1", "prompt": "a", "takes": 2}, {"id": "s2", "prompt": "b", "gate": "approve"}]
    run = await relay.run({**board, "shots": shots})
    for take in (1, 2):
        await render(run, "s1", take, ends=f"s1.{take}.last.png")
    await browser.post(f"/runs/{run}/act", data={"action": "pick", "shot": "s1", "take": "1"})
    page = (await browser.get(f"/runs/{run}")).text
    frames = re.findall(r'src="/media/([^"?]+)[^"]*" alt="s2 would begin with this frame"', page)
    assert frames == ["s1.1.last.png"]


async def test_a_retake_says_what_it_spends_and_why_it_is_not_possible(
    browser: Any, relay: Any, board: Any, render: Any, finish: Any
) -> None:
    """Before anything is spent: jobs of what is left, or the reason in words."""
    spare = await finish()
    assert "Spends 1 job of the 2 that are left." in (await browser.get(f"/runs/{spare}/shots/s1")).text
    run = await relay.run({**board, "budget": {"jobs": 1}, "shots": board["shots"][:1]})
    await render(run, "s1")
    page = (await browser.get(f"/runs/{run}/shots/s1")).text
    assert "Not possible now: the budget of 1 job is spent." in page
    assert 'value="retake"' not in page


async def test_a_retake_of_what_stopped_the_run_says_what_follows(browser: Any, relay: Any, board: Any) -> None:
    """One button leads to the jobs of all shots that waited for it; a shot with a gate asks for itself."""
    shots = [{"id": name, "prompt": "a"} for name in ("s1", "s2", "s3")]
    run = await relay.run({**board, "budget": {"jobs": 9}, "shots": shots})
    for event in (
        events.Submitting(shot_id="s1", take=1, intent="i", seed=None, first_frame=None),
        events.SubmitRefused(shot_id="s1", take=1, problem=Problem(code="x", message="no")),
    ):
        assert (await record(relay.store, run, event)).changed
    assert f'href="/runs/{run}/shots/s1#retake"' in (await browser.get(f"/runs/{run}")).text
    page = (await browser.get(f"/runs/{run}/shots/s1")).text
    assert (await relay.view(run))["status"] == "failed"
    assert "Spends 1 job of the 9 that are left. Then the run goes on, with 2 jobs more." in page


async def test_a_decision_about_an_older_state_is_refused_with_a_sentence(browser: Any, relay: Any, board: Any) -> None:
    """409 with the run as it stands now; the same for unknown decisions, and for fields that are not numbers."""
    run = await relay.run(board)
    for form, status, words in (
        ({"action": "cancel", "revision": "99"}, 409, "somebody acted in the meantime"),
        ({"action": "approve", "shot": "s9"}, 404, "no shot s9"),
        ({"action": "pick", "shot": "s1", "take": "5"}, 404, "no take 5"),
        ({"action": "retake", "shot": "s1", "prompt": "x"}, 409, "a retake is for one that is done or failed"),
        ({"action": "retake", "shot": "s1", "seed": "-2"}, 422, "seed is not a whole number"),
        ({"action": "retake", "shot": "s1", "seed": "x" * 99}, 422, "seed is not a whole number"),
        ({"action": "approve", "shot": "s1", "prompt": "x"}, 409, "waits for no approval"),
        ({"action": "approve", "shot": "s1", "take": "2"}, 422, "unknown field &#34;take&#34;"),
        ({"action": "retake", "shot": "s1", "sed": "2"}, 422, "did you mean &#34;seed&#34;"),
        ({f"x{number}": "" for number in range(21)}, 422, "more than 20 fields"),
        ({"action": "resume"}, 409, "nothing to resume"),
        ({"action": "dance"}, 422, "no such decision"),
        ({}, 422, "no such decision"),
    ):
        answer = await browser.post(f"/runs/{run}/act", data=form)
        assert (answer.status_code, words in answer.text.lower()) == (status, True), (form, answer.text)
        assert answer.headers["Content-Type"].startswith("text/html")
        is_no_form_of_ours = status == 404 or bool(form.keys() - FIELDS)
        assert is_no_form_of_ours or ('id="told" role="alert"' in answer.text and 'id="shot-s2"' in answer.text)
        assert "revision 99" not in answer.text
    assert (await relay.view(run))["revision"] == 0


async def test_another_site_and_a_stranger_decide_nothing(browser: Any, relay: Any, board: Any) -> None:
    """The check of the origin is that of the API; without a session it is the form that asks for the key."""
    run = await relay.run(board)
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}):
        answer = await browser.post(f"/runs/{run}/act", data={"action": "cancel"}, headers=headers)
        assert (answer.status_code, "from another site" in answer.text) == (403, True)
    assert (await browser.post("/logout")).status_code == 303
    assert (await browser.post(f"/runs/{run}/act", data={"action": "cancel"})).status_code == 401
    assert (await relay.view(run))["status"] == "running"
