"""A film is begun on the page: its plan is shown, and exactly that is started. Without a script; that has its tests."""

import re
from html import unescape
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.anyio

TEXT = """\
title: 雨夜 & "rain" <b>
model: seedance-1.5-pro-1080p
labels: {project: rain}
shots:
  - {id: s1, prompt: a car}
  - {id: s2, prompt: closer, takes: 2}  # a comment of mine
"""
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360f8cf50"
    "0f0003860180bd2fd4cc0000000049454e44ae426082"
)


def hidden_value(page: str, name: str) -> str:
    """The value of a field that nobody sees."""
    (value,) = re.findall(rf'name="{name}"[^>]*? value="([^"]*)"', page)
    return unescape(value)


def typed(page: str) -> str:
    """What is in the text."""
    (text,) = re.findall(r'<textarea id="storyboard"[^>]*>\n(.*?)</textarea>', page, re.S)
    return unescape(text)


async def fields_of_plan(browser: httpx.AsyncClient, text: str, **fields: str) -> dict[str, str]:
    """The fields of a page that shows the plan of *text*, as a browser would send them with Start."""
    page = await browser.post("/new", data={"storyboard": text, "action": "plan", **fields})
    assert (page.status_code, typed(page.text)) == (200, text), page.text
    names = ("nonce", "files", "plan", "max_jobs")
    return {"storyboard": text, "action": "start", **{name: hidden_value(page.text, name) for name in names}}


async def test_what_is_pasted_is_planned_and_then_started(browser: Any, relay: Any) -> None:
    """The plan is that of the API; pressed twice, Start makes one run, with the job limit of the plan."""
    fields = await fields_of_plan(browser, TEXT)
    api = await relay.api.post("/v1/plan", content=TEXT.encode(), headers={"Content-Type": "application/yaml"})
    assert (fields["plan"], fields["max_jobs"]) == (api.json()["id"], "3")
    assert (await relay.api.get("/v1/runs")).json()["data"] == [], "to show a plan starts nothing"
    answers = [await browser.post("/new", data={**fields, "max_jobs": "2"}) for _ in range(2)]
    places = {answer.headers.get("Location") for answer in answers}
    (run,) = (await relay.api.get("/v1/runs")).json()["data"]
    assert ([answer.status_code for answer in answers], places) == ([303, 303], {f"/runs/{run['id']}"})
    assert (run["budget"]["jobs"], run["labels"]) == (2, {"project": "rain"})
    again = await browser.get("/new", params={"from": run["id"]})
    assert "# a comment of mine" in typed(again.text), "as it was written"
    assert f'href="/new?from={run["id"]}"' in (await browser.get("/")).text


async def test_mistakes_are_shown_with_their_lines_and_nothing_typed_is_lost(browser: Any) -> None:
    """Next to the text, which is unchanged; there is nothing to press."""
    bad = TEXT.replace("prompt: closer", "promt: closer")
    page = (await browser.post("/new", data={"storyboard": bad, "action": "start", "plan": "plan_x"})).text
    assert typed(page) == bad
    assert 'data-line="6">line 6</a>' in page
    assert "did you mean" in page
    assert 'value="start"' not in page


async def test_another_text_than_was_planned_is_not_started(browser: Any, relay: Any) -> None:
    """409 on the page where one is, with what was typed, and the plan of that."""
    fields = await fields_of_plan(browser, TEXT)
    text = TEXT.replace("takes: 2", "takes: 8")
    page = await browser.post("/new", data={**fields, "storyboard": text})
    assert (page.status_code, typed(page.text)) == (409, text)
    assert 'role="alert"' in page.text
    assert hidden_value(page.text, "plan") != fields["plan"]
    wrong = await browser.post("/new", data={**fields, "max_jobs": "many"})
    assert (wrong.status_code, typed(wrong.text)) == (422, TEXT)
    assert (await relay.api.get("/v1/runs")).json()["data"] == []


async def test_pictures_are_found_by_their_names(browser: Any, relay: Any) -> None:
    """Without one there is no start; with it the run begins with it, and its storyboard says so."""
    text = "model: m\nshots:\n  - {prompt: a, first_frame: ./refs/street.png}\n"
    page = (await browser.post("/new/plan", data={"storyboard": text})).text
    assert "missing: drop it on this page" in page
    assert re.search(r'value="start" disabled', page)
    sneaky = await browser.post(
        "/new", data={"storyboard": text, "action": "start", "plan": hidden_value(page, "plan")}
    )
    assert (sneaky.status_code, typed(sneaky.text)) == (200, text)
    name = (await browser.post("/v1/files", content=PNG)).json()["name"]
    fields = await fields_of_plan(browser, text, files=f'{{"street.png": "{name}", "x": "file:../../etc/passwd"}}')
    assert "etc" not in fields["files"]
    place = (await browser.post("/new", data=fields)).headers["Location"]
    run = await relay.store.load(place.rpartition("/")[2])
    assert run.shots[0].first_frame == name
    assert name in (await relay.api.get(f"/v1{place}/storyboard")).text


async def test_a_reader_or_another_site_starts_nothing(browser: Any, relay: Any) -> None:
    """403, whatever the form says."""
    fields = await fields_of_plan(browser, TEXT)
    elsewhere = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    evil = await browser.post("/new", data=fields, headers=elsewhere)
    assert evil.status_code == 403
    assert (await relay.api.get("/v1/runs")).json()["data"] == []
    async with httpx.AsyncClient(base_url=relay.settings.listen_url, headers={"Accept": "text/html"}) as stranger:
        assert [(await stranger.post(path, data=fields)).status_code for path in ("/new", "/new/plan")] == [401, 401]


async def test_a_storyboard_as_long_as_the_api_takes_is_taken(browser: Any) -> None:
    """A form writes each Chinese letter in nine signs."""
    shots = "".join(f"  - {{id: s{number}, prompt: {'雨' * 350}}}\n" for number in range(450))
    fields = await fields_of_plan(browser, f"model: m\nshots:\n{shots}")
    assert fields["max_jobs"] == "450"
