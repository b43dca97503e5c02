"""The page: what a person sees and decides in a browser, without a script; the live part has tests of its own."""

import hashlib
import re
from collections.abc import AsyncIterator
from importlib import resources
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.anyio

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
GONE = "run_" + "z" * 24
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&lt;"


@pytest.fixture
async def browser(relay: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client that has logged in by the form, and sends what a browser sends."""
    url = relay.settings.listen_url
    headers = {**HTML, "Origin": url, "Sec-Fetch-Site": "same-origin"}
    async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False, timeout=30) as http:
        key = relay.api.headers["Authorization"].split()[1]
        answer = await http.post("/login", data={"key": key})
        assert (answer.status_code, answer.headers["Location"]) == (303, "/")
        yield http


async def test_a_stranger_sees_the_form_and_comes_to_where_they_wanted(relay: Any, board: Any) -> None:
    """401 with a form; a wrong key is told in words; the right one leads on, but never away from here."""
    url = relay.settings.listen_url
    run = await relay.run(board)
    async with httpx.AsyncClient(base_url=url, headers={**HTML, "Origin": url}, trust_env=False) as http:
        form = await http.get(f"/runs/{run}")
        assert (form.status_code, run in form.text) == (401, True)
        assert board["title"] not in form.text
        assert f'name="next" value="/runs/{run}"' in form.text
        wrong = await http.post("/login", data={"key": "wrong"})
        assert wrong.status_code == 401
        assert "no key of this receiver" in wrong.text
        assert "set-cookie" not in wrong.headers
        key = relay.api.headers["Authorization"].split()[1]
        for wanted, leads_to in (
            (f"/runs/{run}", f"/runs/{run}"),
            ("//evil.example", "/"),
            ("https://evil.example/", "/"),
            ("/runs/../x", "/"),
            ("/\\evil.example", "/"),
        ):
            right = await http.post("/login", data={"key": key, "next": wanted})
            assert (right.status_code, right.headers["Location"]) == (303, leads_to)


async def test_the_list_shows_how_each_run_stands(browser: Any, relay: Any, board: Any, finish: Any) -> None:
    """Newest first, by status if asked, in pages of twenty."""
    done = await finish()
    ids = [await relay.run({**board, "title": f"film {number}"}) for number in range(21)]
    first = (await browser.get("/")).text
    assert re.findall(r'href="/runs/(\w+)"', first) == ids[:0:-1]
    assert "0 of 2 shots" in first
    older = re.findall(r'rel="next" href="([^"]+)"', first)
    second = (await browser.get(older[0].replace("&amp;", "&"))).text
    assert re.findall(r'href="/runs/(\w+)"', second) == [ids[0], done]
    only = (await browser.get("/?status=succeeded")).text
    assert re.findall(r'href="/runs/(\w+)"', only) == [done]
    assert "1 of 1 shots" in only
    assert "none of this status" in (await browser.get("/?status=failed")).text


async def test_a_run_is_a_strip_with_what_happens_next(browser: Any, relay: Any, board: Any, render: Any) -> None:
    """State in words, frames, seams, money; what is waited for, with a form that decides it."""
    run = await relay.run(board)
    await render(run, "s1")
    page = (await browser.get(f"/runs/{run}")).text
    for words in (
        board["title"],
        "1 of 2 shots",
        "1 of 3 jobs spent",
        "s2 starts when you approve.",
        "Approve s2",
        "spends 1 job of the 2 that are left",
        "waits for your approval",
        "done: 5.04 s, 1280x720",
        'id="seam-s2"',
        'src="/media/f" alt="s1, last frame"',
        "Retake s1: spend 1 job",
    ):
        assert words in page, words
    strip = (await browser.get(f"/runs/{run}/strip")).text
    assert strip.strip() in page
    assert "<html" not in strip


async def test_every_page_allows_nothing_but_its_own_files(browser: Any, relay: Any, board: Any) -> None:
    """A strict policy; no script, style or handler within the page; nothing kept by caches."""
    run = await relay.run(board)
    for path in ("/", f"/runs/{run}", f"/runs/{run}/strip", "/login", f"/runs/{GONE}"):
        answer = await browser.get(path)
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
        assert "unsafe" not in policy
        assert answer.headers["Cache-Control"] == "no-store"
        assert not re.search(r"<script(?![^>]+src=)|<style|\sstyle=|\son\w+=|javascript:", answer.text), path


async def test_what_others_wrote_is_shown_as_text(browser: Any, relay: Any, board: Any) -> None:
    """Titles, prompts, models: whatever they hold, they are words on the page."""
    shots = [{**board["shots"][0], "prompt": HOSTILE}]
    run = await relay.run({**board, "title": HOSTILE, "model": HOSTILE[:60], "shots": shots})
    for path in ("/", f"/runs/{run}", f"/runs/{run}/strip"):
        page = (await browser.get(path)).text
        assert "&lt;script&gt;alert(1)" in page
        assert "<script>alert" not in page
        assert "<img src=x" not in page


async def test_what_went_wrong_is_a_page_for_people_and_json_for_programs(browser: Any, relay: Any) -> None:
    """The same address, by what is asked for."""
    for path in (f"/runs/{GONE}", "/runs/x", f"/runs/{GONE}/strip"):
        seen, read = await browser.get(path), await relay.api.get(path)
        assert (seen.status_code, read.status_code) == (404, 404)
        assert "There is no" in seen.text
        assert read.json()["error"]["code"] == "not_found"


async def test_files_of_the_page_are_kept_by_what_they_hold(relay: Any) -> None:
    """For everybody and for ever, by an address that changes with them; nothing else can be asked for."""
    async with httpx.AsyncClient(base_url=relay.settings.listen_url, headers=HTML, trust_env=False) as http:
        form = (await http.get("/login")).text
        found = re.findall(r'(?:src|href)="(/static/[^"]+)"', form)
        assert len(found) >= 2
        for address in found:
            answer = await http.get(address)
            assert answer.status_code == 200
            assert "immutable" in answer.headers["Cache-Control"]
        assert (await http.get("/static/page.css?v=old")).headers["Cache-Control"] == "no-cache"
        for path in ("x.css", "../views.py", "%2e%2e/views.py", "vendor", "vendor/VENDORED.md", ""):
            assert (await http.get(f"/static/{path}")).status_code == 404, path


def test_what_is_not_ours_is_as_it_was_published() -> None:
    """Each vendored file has the hash, package and version that VENDORED.md says; none is there that it does not name."""
    folder = resources.files("receiver.page") / "static" / "vendor"
    rows = [line.split("|")[1:6] for line in (folder / "VENDORED.md").read_text("utf-8").splitlines() if "|" in line][
        2:
    ]
    said = {name.strip(): (digest.strip(), version.strip()) for name, _, version, digest, _ in rows}
    there = {each.name: each.read_bytes() for each in folder.iterdir() if each.name != "VENDORED.md"}
    assert {name: hashlib.sha256(content).hexdigest() for name, content in there.items()} == {
        name: digest for name, (digest, _) in said.items()
    }
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for _, version in said.values())
    assert all("sha512-" in row[4] or "the same" in row[4] for row in rows)
    assert {name.replace(".min.js", ".LICENSE") for name in said if name.endswith(".js")} <= said.keys()
