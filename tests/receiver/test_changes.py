"""``approve`` and ``retake`` with what changes of the shot, over HTTP and on the page."""

from typing import Any

import pytest

pytestmark = pytest.mark.anyio

THREE = [{"id": "s1", "prompt": "a"}, {"id": "s2", "prompt": "b"}, {"id": "s3", "prompt": "c", "from": "s1"}]


@pytest.fixture
async def film(relay: Any, board: Any, render: Any) -> str:
    """A run of three shots that are done, two of them made from the first."""
    run: str = await relay.run({**board, "budget": {"jobs": 9}, "shots": THREE})
    for name in ("s1", "s2", "s3"):
        await render(run, name)
    return run


async def test_an_approval_may_change_the_shot(relay: Any, board: Any, render: Any) -> None:
    """Prompt, seed and input fields are what its coming takes are made of; the history names them, not their values."""
    run = await relay.run(board)
    await render(run, "s1")
    body = {"prompt": "warmer", "seed": 40, "input": {"duration": 8, "ratio": "9:16"}}
    answer = await relay.api.post(f"/v1/runs/{run}/shots/s2/approve", json=body)
    assert answer.status_code == 200, answer.text
    shot = (await relay.store.load(run)).shot("s2")
    assert {name: shot.input[name] for name in ("prompt", "seed", "duration", "ratio")} == {
        "prompt": "warmer",
        "seed": 40,
        "duration": 8,
        "ratio": "9:16",
    }
    last = [line.fields for line in await relay.store.history(run)][-1]
    assert (last["event"], last["seed"], last["changed"]) == ("approved", 40, ["prompt", "duration", "ratio"])


@pytest.mark.parametrize(
    ("body", "param", "words"),
    [
        ({"input": {"durration": 8}}, "input.durration", 'did you mean "duration" or'),
        ({"input": {"duration": "8"}}, "input.duration", "write 8 without quotes"),
        ({"input": {"seed": 2**33}}, "input.seed", "from -1 to 4294967295"),
        ({"seed": 1, "input": {"seed": 2}}, "input.seed", "keep one of the two"),
        ({"input": {"prompt": " "}}, "input.prompt", "this text is empty"),
        ({"input": {"callback_url": "https://x.example"}}, "input.callback_url", "callback_url is ours"),
        ({"input": {"last_frame": "file:x.png"}}, "input.last_frame", "those of its storyboard"),
        ({"input": {"reference_images": ["./a.png"]}}, "input.reference_images[0]", "cannot be read from here"),
        ({"input": ["duration"]}, "input", "expected keys with values"),
        ({"following": 1}, "following", "not true or false"),
        ({"folowing": True}, "folowing", 'did you mean "following"?'),
    ],
)
async def test_what_is_wrong_is_refused_with_its_place(
    relay: Any, film: str, body: dict[str, Any], param: str, words: str
) -> None:
    """As in a storyboard, and nothing happens."""
    before = await relay.view(film)
    answer = await relay.api.post(f"/v1/runs/{film}/shots/s1/retake", json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], words in error["message"]) == (422, param, True), error
    assert await relay.view(film) == before


async def test_the_outlook_of_all_that_follows_and_what_it_does(relay: Any, film: str) -> None:
    """Jobs and shots beforehand; then they are marked, and count as to come."""
    place = f"/v1/runs/{film}/shots/s1/retake"
    outlook = (await relay.api.post(place, json={"following": True, "dry_run": True})).json()
    assert (outlook["jobs"], outlook["following"], outlook["stale"], outlook["budget_left"]) == (3, ["s2", "s3"], [], 6)
    assert outlook["would"] == "shot s1 is made again, and with it s2 and s3, for 3 jobs of the 6 left in the budget"
    alone = (await relay.api.post(place, json={"dry_run": True})).json()
    assert (alone["jobs"], alone["following"], alone["stale"]) == (1, [], ["s2", "s3"])
    run = (await relay.api.post(place, json={"following": True, "input": {"resolution": "720p"}})).json()
    assert [shot["following"] for shot in run["shots"]] == [False, True, True]
    assert run["submits_to_come"] == 3
    last = [line.fields for line in await relay.store.history(film)][-1]
    assert (last["event"], last["following"], last["changed"]) == ("retaken", True, ["resolution"])


async def test_the_page_offers_both(browser: Any, relay: Any, board: Any, render: Any, film: str) -> None:
    """A checkbox with what it names and spends; an approval whose prompt was left alone changes nothing."""
    page = (await browser.get(f"/runs/{film}/shots/s1")).text
    assert "also s2 and s3: 3 jobs of the 6 that are left in all" in page
    form = {"action": "retake", "shot": "s1", "prompt": "a", "seed": "", "following": "yes"}
    revision = str((await relay.view(film))["revision"])
    assert (await browser.post(f"/runs/{film}/act", data={**form, "revision": revision})).status_code == 303
    assert "made again when the new take of s1 is there" in (await browser.get(f"/runs/{film}")).text

    run = await relay.run(board)
    await render(run, "s1")
    shot = (await relay.store.load(run)).shot("s2")
    form = {"action": "approve", "shot": "s2", "prompt": shot.input["prompt"], "seed": "12"}
    revision = str((await relay.view(run))["revision"])
    assert (await browser.post(f"/runs/{run}/act", data={**form, "revision": revision})).status_code == 303
    after = (await relay.store.load(run)).shot("s2")
    assert (after.approved, after.input) == (True, {**shot.input, "seed": 12})
