"""`POST /v1/runs/{run}/promote`: the final of a draft, over HTTP."""

from typing import Any

import pytest

pytestmark = pytest.mark.anyio

TWO = [{"id": "s1", "prompt": "a", "seed": 7}, {"id": "s2", "prompt": "b", "gate": "approve"}]


@pytest.fixture
async def draft(relay: Any, board: Any) -> str:
    """A draft of two shots, of which nothing is made."""
    defaults = {"resolution": "1080p", "duration": 10}
    document = {**board, "labels": {"project": "rain"}, "defaults": defaults, "shots": TWO}
    run: str = await relay.run({**document, "pass": {"draft": {"duration": 4}}})
    return run


@pytest.fixture
async def draft_id(relay: Any, render: Any, draft: str) -> str:
    """The same, with both shots done."""
    await render(draft, "s1")
    await relay.api.post(f"/v1/runs/{draft}/shots/s2/approve", json={"prompt": "b, warmer"})
    await render(draft, "s2")
    return draft


async def test_a_draft_is_small_and_says_so(relay: Any, draft: str) -> None:
    """In its JSON, and in what would be sent."""
    shot = (await relay.store.load(draft)).shot("s1")
    assert (await relay.view(draft))["pass"] == "draft"
    assert (shot.input["resolution"], shot.input["duration"]) == ("480p", 4)
    early = await relay.api.post(f"/v1/runs/{draft}/promote")
    assert (early.status_code, "shot s1 of the draft is not settled" in early.json()["error"]["message"]) == (409, True)


async def test_an_outlook_first_and_then_a_run_of_its_own(relay: Any, draft_id: str) -> None:
    """As large as the storyboard says, of the draft's prompts and seeds, with nothing spent by the outlook."""
    place = f"/v1/runs/{draft_id}/promote"
    outlook = (await relay.api.post(place, json={"dry_run": True})).json()
    assert (outlook["jobs"], outlook["stale"], outlook["budget_left"]) == (2, [], 3)
    assert "is made, a run of its own, for 2 jobs; s2 waits for your approval first" in outlook["would"]
    assert len((await relay.api.get("/v1/runs")).json()["data"]) == 1

    answer = await relay.api.post(place, json={"budget": {"jobs": 2}})
    final = answer.json()
    assert (answer.status_code, answer.headers["Location"]) == (201, f"/v1/runs/{final['id']}")
    assert (final["pass"], final["promoted_from"], final["labels"]) == ("final", draft_id, {"project": "rain"})
    assert (final["budget"]["jobs"], final["spent"]["jobs"], final["submits_to_come"]) == (2, 0, 2)
    one, two = (await relay.store.load(final["id"])).shots
    assert (one.input["resolution"], one.input["duration"], one.input["seed"]) == ("1080p", 10, 7)
    assert (two.input["prompt"], two.gated, two.approved, two.takes) == ("b, warmer", True, False, ())


async def test_the_same_takes_are_promoted_once_and_others_again(relay: Any, render: Any, draft_id: str) -> None:
    """A doubled request, or one with another limit, pays for nothing twice."""
    place = f"/v1/runs/{draft_id}/promote"
    first = (await relay.api.post(place)).json()
    for body in ({}, {"budget": {"jobs": 9}}):
        again = await relay.api.post(place, json=body)
        assert (again.status_code, again.json()["id"]) == (201, first["id"])
    await relay.api.post(f"/v1/runs/{draft_id}/shots/s2/retake", json={"prompt": "c"})
    await render(draft_id, "s2", take=2)
    other = (await relay.api.post(place)).json()
    assert other["id"] != first["id"]


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"dry_run": 1}, 422, "not true or false"),
        ({"budget": {"jobs": 0}}, 422, "from 1 to"),
        ({"budget": {"money": 5}}, 422, "no price is known for"),
        ({"revision": 1}, 409, "somebody acted in the meantime"),
        ({"prompt": "x"}, 422, "unknown field"),
    ],
)
async def test_what_cannot_be_is_refused(
    relay: Any, draft_id: str, body: dict[str, Any], status: int, words: str
) -> None:
    """And no run is made."""
    answer = await relay.api.post(f"/v1/runs/{draft_id}/promote", json=body)
    assert (answer.status_code, words in answer.text) == (status, True), answer.text
    assert len((await relay.api.get("/v1/runs")).json()["data"]) == 1


async def test_a_final_is_not_promoted(relay: Any, finish: Any) -> None:
    """It is no draft."""
    answer = await relay.api.post(f"/v1/runs/{await finish()}/promote")
    assert (answer.status_code, "is not a draft" in answer.json()["error"]["message"]) == (409, True)


async def test_the_page_says_what_it_spends_and_goes_on_to_the_final(relay: Any, browser: Any, draft_id: str) -> None:
    """A button where the draft is settled; the final says of which draft it is."""
    page = (await browser.get(f"/runs/{draft_id}")).text
    assert "Make the final" in page
    assert "a run of its own, for 2 jobs" in page
    stale = await browser.post(f"/runs/{draft_id}/act", data={"action": "promote", "revision": "1"})
    assert stale.status_code == 409
    revision = str((await relay.view(draft_id))["revision"])
    answer = await browser.post(f"/runs/{draft_id}/act", data={"action": "promote", "revision": revision})
    final = answer.headers["Location"].removeprefix("/runs/")
    assert (answer.status_code, (await relay.view(final))["promoted_from"]) == (303, draft_id)
    page = (await browser.get(f"/runs/{final}")).text
    assert f'final of <a href="/runs/{draft_id}">a draft</a>' in page
    assert "Make the final" not in page
    assert '<span class="hint">draft</span>' in (await browser.get("/")).text


async def test_a_draft_that_is_not_settled_has_no_button_and_is_refused(relay: Any, browser: Any, draft: str) -> None:
    """The form is sent all the same."""
    assert "Make the final" not in (await browser.get(f"/runs/{draft}")).text
    revision = str((await relay.view(draft))["revision"])
    answer = await browser.post(f"/runs/{draft}/act", data={"action": "promote", "revision": revision})
    assert answer.status_code == 409
