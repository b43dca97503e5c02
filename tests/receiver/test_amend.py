"""Another storyboard for a run, over HTTP: what it would do, that it is done, and what is given back."""

import asyncio
from typing import Any

import pytest

pytestmark = pytest.mark.anyio

YAML = {"Content-Type": "application/yaml"}
FILM = """\
# The film of the rain.
title: rain
model: m
budget: {jobs: 9}
shots:
  - {id: s1, prompt: a car}   # It must be red.
  - id: s2
    prompt: closer
  - {id: s3, prompt: the key}
"""


@pytest.fixture
def film(relay: Any) -> Any:
    """``await film()``: the id of a new run of FILM."""

    async def happen(text: str = FILM) -> str:
        answer = await relay.api.post("/v1/runs", content=text, headers=YAML)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    return happen


@pytest.fixture
def amend(relay: Any) -> Any:
    """``await amend(run_id, text, dry_run="true")``: the answer."""

    async def ask(run_id: str, text: str, **query: Any) -> Any:
        return await relay.api.post(f"/v1/runs/{run_id}/amend", content=text, headers=YAML, params=query)

    return ask


async def test_a_storyboard_is_given_back_as_it_was_given(relay: Any, film: Any) -> None:
    """Every comment where it was; as JSON the same values; and it starts another run of the same shots."""
    run_id = await film()
    response = await relay.api.get(f"/v1/runs/{run_id}/storyboard")
    as_json = await relay.api.get(f"/v1/runs/{run_id}/storyboard", headers={"Accept": "application/json"})

    assert (response.status_code, response.headers["Content-Type"].partition(";")[0]) == (200, "application/yaml")
    assert response.text == FILM
    assert as_json.json()["shots"][1] == {"id": "s2", "prompt": "closer"}
    for again in (await film(response.text), await relay.run(as_json.json())):
        one, other = await relay.view(run_id), await relay.view(again)
        assert [(shot["id"], shot["prompt"]) for shot in one["shots"]] == [
            (shot["id"], shot["prompt"]) for shot in other["shots"]
        ]


async def test_later_decisions_are_in_the_storyboard(relay: Any, film: Any, render: Any) -> None:
    """A prompt that a retake changed is written in its place, and the comments around it stay."""
    run_id = await film()
    await render(run_id, "s1")
    answer = await relay.api.post(f"/v1/runs/{run_id}/shots/s1/retake", json={"prompt": "a red car: fast"})
    assert answer.status_code == 200, answer.text
    text = (await relay.api.get(f"/v1/runs/{run_id}/storyboard")).text

    assert text == FILM.replace("prompt: a car}", 'prompt: "a red car: fast"}')


async def test_a_dry_run_says_what_would_happen_and_does_nothing(
    relay: Any, film: Any, render: Any, amend: Any, queued_tasks: Any
) -> None:
    """Each shot in one list; jobs, cost and a sentence; the run stays as it is."""
    run_id = await film()
    for shot_id, begun_from in (("s1", None), ("s2", 1), ("s3", 1)):
        await render(run_id, shot_id, begun_from=begun_from)
    before, tasks = await relay.view(run_id), await queued_tasks()
    other = FILM.replace("closer", "much closer") + "  - {id: s4, prompt: a door, from: cut}\n"
    answer = await amend(run_id, other, dry_run="true")

    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "object": "outlook",
        "keep": ["s1"],
        "change": ["s2"],
        "add": ["s4"],
        "drop": [],
        "stale": ["s3"],
        "jobs": 3,
        "cost": None,
        "would": "s2 is made as it is written now; s3 is made again, from another frame; s4 is added; "
        "3 jobs of the 6 left in the budget to the end of the film",
    }
    assert await relay.view(run_id) == before
    assert await queued_tasks() == tasks


async def test_an_amendment_does_what_the_outlook_said(relay: Any, film: Any, render: Any, amend: Any) -> None:
    """Bound to the revision that was looked at; the text with its comments is that of the run then."""
    run_id = await film()
    await render(run_id, "s1")
    revision = (await relay.view(run_id))["revision"]
    other = FILM.replace("closer", "much closer").replace("  - {id: s3, prompt: the key}\n", "")
    foretold = (await amend(run_id, other, dry_run="true", revision=revision)).json()
    answer = await amend(run_id, other, revision=revision)
    late = await amend(run_id, FILM, revision=revision)
    again = await amend(run_id, other)

    run = answer.json()
    assert answer.status_code == 200, answer.text
    assert (foretold["change"], foretold["drop"], foretold["jobs"]) == (["s2"], ["s3"], 1)
    assert [(shot["id"], shot["prompt"]) for shot in run["shots"]] == [("s1", "a car"), ("s2", "much closer")]
    assert [shot["id"] for shot in run["dropped"]] == ["s3"]
    assert run["submits_to_come"] == foretold["jobs"]
    assert (late.status_code, late.json()["error"]["code"]) == (409, "conflict")
    assert (again.status_code, again.json()["error"]["message"]) == (
        409,
        "the run is what this storyboard says already",
    )
    assert (await relay.api.get(f"/v1/runs/{run_id}/storyboard")).text == other


async def test_of_two_amendments_of_the_same_revision_one_is_refused(relay: Any, film: Any, amend: Any) -> None:
    """Both looked at the same revision: one gets the run as they want it, the other is told to look again."""
    run_id = await film()
    revision = (await relay.view(run_id))["revision"]
    texts = [FILM.replace("closer", word) for word in ("near", "nearer")]
    answers = await asyncio.gather(*(amend(run_id, text, revision=revision) for text in texts))

    assert sorted(answer.status_code for answer in answers) == [200, 409]
    text = next(text for text, answer in zip(texts, answers, strict=True) if answer.status_code == 200)
    assert (await relay.api.get(f"/v1/runs/{run_id}/storyboard")).text == text


async def test_ids_that_moved_are_found_again_wherever_a_person_names_a_shot(
    relay: Any, film: Any, render: Any, amend: Any
) -> None:
    """A shot before the others, and all ids count on: decisions, events, links and the film go by the new ones."""
    shots = ["{prompt: a car, from: cut}", "{prompt: closer, from: cut, takes: 2}"]
    head = "title: rain\nmodel: m\nshots:\n"
    run_id = await film(head + "".join(f"  - {each}\n" for each in shots))
    await render(run_id, "s2", 1)
    await render(run_id, "s2", 2)
    answer = await amend(run_id, head + "".join(f"  - {each}\n" for each in ("{prompt: a door}", *shots)))
    response = await relay.api.post(f"/v1/runs/{run_id}/shots/s3/pick", json={"take": 2})
    gone_response = await relay.api.post(f"/v1/runs/{run_id}/shots/s2-2/pick", json={"take": 2})
    none = await relay.api.post(f"/v1/runs/{run_id}/shots/s2/pick", json={"take": 2})

    assert [shot["id"] for shot in answer.json()["shots"]] == ["s1", "s2", "s3"]
    assert [len(shot["takes"]) for shot in answer.json()["shots"]] == [0, 0, 2]
    assert response.json()["shots"][2]["picked"] == 2
    assert (gone_response.status_code, none.status_code) == (404, 404)
    assert [each.fields.get("shot") for each in await relay.store.history(run_id)][-1] == "s3"


async def test_the_limit_of_the_payer_holds_for_an_amendment(relay: Any, film: Any, amend: Any) -> None:
    """Max-Jobs takes precedence over the written budget; a budget that is left out is reported as gone."""
    run_id = await film()
    longer = FILM + "  - {id: s4, prompt: a door}\n"
    outlook = (await amend(run_id, longer.replace("budget: {jobs: 9}\n", ""), dry_run="true")).json()["would"]
    answer = await relay.api.post(f"/v1/runs/{run_id}/amend", content=longer, headers={**YAML, "Max-Jobs": "2"})

    assert outlook.endswith("; there is no budget any more")
    assert answer.json()["budget"]["jobs"] == 2


@pytest.mark.parametrize(
    ("query", "param"),
    [({"dry_run": "yes"}, "dry_run"), ({"revision": "new"}, "revision"), ({"dryrun": "true"}, "dryrun")],
)
async def test_what_cannot_be_read_changes_nothing(amend: Any, film: Any, relay: Any, query: Any, param: str) -> None:
    """A dry run that is misspelled must not become a real one."""
    run_id = await film()
    before = await relay.view(run_id)
    answer = await amend(run_id, FILM.replace("closer", "near"), **query)
    bad = await amend(run_id, FILM.replace("prompt: closer", "promt: closer"))

    assert (answer.status_code, answer.json()["error"]["param"]) == (422, param)
    assert (bad.status_code, bad.json()["error"]["mistakes"][0]["line"]) == (422, 8)
    assert await relay.view(run_id) == before


async def test_a_cancelled_run_cannot_be_amended(relay: Any, film: Any, amend: Any) -> None:
    """Its storyboard can still be read, and started again."""
    run_id = await film()
    await relay.api.post(f"/v1/runs/{run_id}/cancel")
    answer = await amend(run_id, FILM.replace("closer", "near"))

    assert (answer.status_code, answer.json()["error"]["message"]) == (409, "the run was cancelled; start it again")
    assert (await relay.api.get(f"/v1/runs/{run_id}/storyboard")).text == FILM


async def test_the_page_links_to_the_storyboard_and_shows_what_left_the_film(
    relay: Any, film: Any, render: Any, amend: Any
) -> None:
    """What was paid for can still be played there."""
    run_id = await film()
    await render(run_id, "s1")
    await amend(run_id, FILM.replace("  - {id: s1, prompt: a car}   # It must be red.\n", ""))
    page = (await relay.api.get(f"/runs/{run_id}", headers={"Accept": "text/html"})).text

    assert f'href="/v1/runs/{run_id}/storyboard"' in page
    assert "Out of the film" in page
    assert 'aria-label="Play s1, which is out of the film, take 1"' in page
