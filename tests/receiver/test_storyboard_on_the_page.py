"""The storyboard of a run on the page, without a script: read, looked ahead, given back."""

import re
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
  - {id: s2, prompt: closer}
"""
LONGER = FILM + "  - {id: s3, prompt: 雨夜}\n"


@pytest.fixture
async def film(relay: Any) -> str:
    """A run of FILM."""
    return str((await relay.api.post("/v1/runs", content=FILM, headers=YAML)).json()["id"])


@pytest.fixture
def post(browser: Any, film: str) -> Any:
    """``await post(text, **fields)``: the answer, and the hidden fields that the next post has to bring back."""

    async def ask(text: str, **fields: str) -> Any:
        crlf = text.replace("\n", "\r\n")  # As every browser sends it.
        answer = await browser.post(f"/runs/{film}/storyboard", data={"text": crlf, **fields})
        return answer, dict(re.findall(r'name="(revision|seen)" value="([^"]*)"', answer.text))

    return ask


async def test_it_is_read_as_it_was_written_and_given_back(browser: Any, relay: Any, film: str, post: Any) -> None:
    """Comments and all; what it would do is shown first, with what it spends on the button."""
    page = (await browser.get(f"/runs/{film}/storyboard")).text
    assert "# The film of the rain." in page
    assert 'value="apply"' not in page
    look, fields = await post(LONGER, action="look")
    assert look.status_code == 200
    assert "added" in look.text
    assert "<code>s3</code>" in look.text
    assert "Apply: spend 3 jobs</button>" in look.text
    assert len((await relay.view(film))["shots"]) == 2
    answer, _ = await post(LONGER, action="apply", **fields)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/runs/{film}")
    assert [shot["prompt"] for shot in (await relay.view(film))["shots"]] == ["a car", "closer", "雨夜"]
    assert (await relay.api.get(f"/v1/runs/{film}/storyboard")).text == LONGER


async def test_only_what_was_looked_at_is_done(relay: Any, film: str, post: Any) -> None:
    """Not another text, and not to another run than was seen; what was typed stays, and says what it would do now."""
    _, fields = await post(LONGER, action="look")
    other, _ = await post(LONGER.replace("closer", "nearer"), action="apply", **fields)
    assert (other.status_code, "look at that first" in other.text, "nearer" in other.text) == (409, True, True)
    assert (await relay.api.post(f"/v1/runs/{film}/cancel")).status_code == 200
    late, again = await post(LONGER, action="apply", **fields)
    assert (late.status_code, "somebody changed the run in the meantime" in late.text.lower()) == (409, True)
    assert again["revision"] != fields["revision"]
    assert f"revision {fields['revision']}" not in late.text
    assert len((await relay.view(film))["shots"]) == 2


async def test_mistakes_are_shown_next_to_it(film: str, post: Any, relay: Any) -> None:
    """Each with its line; so does that nothing would change."""
    wrong, _ = await post(FILM.replace("prompt: closer", "promt: closer"), action="look")
    assert (wrong.status_code, 'data-line="7"' in wrong.text) == (200, True)
    assert "did you mean &#34;prompt&#34;" in wrong.text
    same, fields = await post(FILM, action="look")
    assert (fields["seen"], 'value="apply"' in same.text) == ("", False)
    empty, _ = await post("", action="apply", seen="", revision="0")
    assert empty.status_code == 409
    unknown, _ = await post(FILM, action="look", shot="s1")
    assert unknown.status_code == 422
    assert (await relay.view(film))["revision"] == 0
