"""`GET /v1/runs` and the page: by labels, words, and what needs a person."""

from typing import Any

import pytest

pytestmark = pytest.mark.anyio


@pytest.fixture
async def three(relay: Any, board: Any) -> dict[str, str]:
    """A run that goes on, one that asks for an approval, and one without labels, which is newest."""
    free = [{"id": "s1", "prompt": "a"}]
    shots = [{"id": "s1", "prompt": "a", "gate": "approve"}]
    plain = {key: value for key, value in board.items() if key != "budget"}
    return {
        "on": await relay.run({**plain, "shots": free, "labels": {"project": "rain", "episode": "12"}}),
        "asks": await relay.run({**plain, "title": "Train, 2nd cut", "shots": shots, "labels": {"project": "rain"}}),
        "bare": await relay.run({**plain, "title": "Rain again", "shots": free}),
    }


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"label": "project:rain"}, ["asks", "on"]),
        ({"label": ["project:rain", "episode:12"]}, ["on"]),
        ({"q": "rain"}, ["bare", "asks", "on"]),
        ({"q": "2ND trai"}, ["asks"]),
        ({"q": "雨夜"}, ["on"]),
        ({"needs": "person"}, ["asks"]),
        ({"needs": "person", "label": "episode:12"}, []),
        ({"status": "running", "q": "rain"}, ["bare", "on"]),
        ({"needs": "", "q": "", "status": ""}, ["bare", "asks", "on"]),
    ],
)
async def test_the_api_and_the_page_find_the_same(
    relay: Any, browser: Any, three: dict[str, str], query: dict[str, Any], names: list[str]
) -> None:
    """All that is asked for holds, newest first."""
    runs = (await relay.api.get("/v1/runs", params=query)).json()["data"]
    assert [run["id"] for run in runs] == [three[name] for name in names]
    page = (await browser.get("/", params=query)).text
    assert [f'id="{run_id}"' in page for run_id in three.values()] == [name in names for name in three]


async def test_labels_are_shown_and_pages_keep_what_was_asked(
    relay: Any, browser: Any, three: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the JSON, on the page, and behind *Older runs*."""
    assert (await relay.view(three["on"]))["labels"] == {"project": "rain", "episode": "12"}
    assert (await relay.view(three["bare"]))["labels"] == {}
    first = (await relay.api.get("/v1/runs", params={"label": "project:rain", "limit": 1})).json()
    assert first["next"] == three["asks"]
    second = await relay.api.get("/v1/runs", params={"label": "project:rain", "limit": 1, "after": first["next"]})
    assert [run["id"] for run in second.json()["data"]] == [three["on"]]
    monkeypatch.setattr("framerelay.receiver.page.listing.RUNS_A_PAGE", 1)
    page = (await browser.get("/", params={"label": "project:rain", "q": "rain & co"})).text
    assert "There is no such run." in page
    page = (await browser.get("/", params={"label": "project:rain", "q": "rain"})).text
    assert f'href="/?q=rain&amp;label=project%3Arain&amp;after={three["asks"]}"' in page
    assert "project: rain" in page


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"label": "project"}, '"project" is not a label: write name:value'),
        ({"label": ["project:rain"] * 17}, "16 labels at most"),
        ({"label": "a b:c"}, "is not a label"),
        ({"q": "…!"}, "no word in it"),
        ({"q": "a" * 201}, "more than 200 characters"),
        ({"needs": "people"}, "needs is not person"),
        ({"labels": "project:rain"}, 'did you mean "label"'),
    ],
)
async def test_what_cannot_be_asked_is_refused(relay: Any, browser: Any, query: dict[str, Any], words: str) -> None:
    """422 with the parameter; the page says it in words."""
    answer = await relay.api.get("/v1/runs", params=query)
    assert (answer.status_code, words in answer.json()["error"]["message"]) == (422, True), answer.text
    assert (await browser.get("/", params=query)).status_code == 422


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ({"a b": "c"}, "cannot be a name"),
        ({"episode": 12}, 'put it in quotes, "12"'),
        ({"project": "x" * 81}, "1 to 80 characters in one line"),
        ({"project": "a\nb"}, "1 to 80 characters in one line"),
        ({f"l{number}": "x" for number in range(17)}, "a run can have 16"),
        (["rain"], "expected keys with values"),
    ],
)
async def test_labels_that_cannot_be_are_mistakes_of_the_storyboard(
    relay: Any, board: Any, labels: object, words: str
) -> None:
    """With their place; nothing is started."""
    answer = await relay.api.post("/v1/runs", json={**board, "labels": labels})
    (mistake,) = answer.json()["error"]["mistakes"]
    assert (answer.status_code, mistake["place"].startswith("labels"), words in mistake["message"]) == (422, True, True)


async def test_the_page_after_a_removed_run_is_not_the_end(relay: Any, three: dict[str, str]) -> None:
    """A client that walks through all of them must not miss what follows; the last page is a page all the same."""
    await relay.api.post(f"/v1/runs/{three['asks']}/cancel")
    first = (await relay.api.get("/v1/runs", params={"limit": 2})).json()
    assert first["next"] == three["asks"]
    assert (await relay.api.delete(f"/v1/runs/{three['asks']}")).status_code == 200
    response = await relay.api.get("/v1/runs", params={"after": first["next"]})
    assert (response.status_code, response.json()["error"]["message"]) == (404, f"there is no run {three['asks']}")
    last = await relay.api.get("/v1/runs", params={"after": three["on"]})
    assert (last.status_code, last.json()["data"]) == (200, [])
