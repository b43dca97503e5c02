"""The page: who sees it, what a person sees in a browser without a script; the live part has tests of its own."""

import hashlib
import re
from dataclasses import replace
from importlib import resources
from typing import Any, get_args

import httpx
import pytest

from framerelay.api.access import COOKIE
from framerelay.receiver.door.sessions import Sessions
from framerelay.receiver.page import history
from framerelay.runs import events
from framerelay.runs.events import Event
from framerelay.runs.model import Clip, FirstFrame, Frame, Take, TakeStatus
from framerelay.runs.standing import settle
from framerelay.store.progress import name_of, record
from tests.fixtures.relay import SECRET
from tests.receiver.hostile_text import HOSTILE

pytestmark = pytest.mark.anyio
HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
GONE = "run_" + "z" * 24


async def test_a_stranger_sees_the_form_and_then_the_requested_page(relay: Any, board: Any) -> None:
    """401 with a form; a wrong key gets a sentence; the right one leads on, but never away from here."""
    url = relay.settings.listen_url
    run = await relay.run(board)
    async with httpx.AsyncClient(base_url=url, headers={**HTML, "Origin": url}, trust_env=False) as http:
        form = await http.get(f"/runs/{run}")
        assert (form.status_code, run in form.text) == (401, True)
        assert board["title"] not in form.text
        assert f'name="next" value="/runs/{run}"' in form.text
        wrong = await http.post("/login", data={"key": "wrong"})
        assert wrong.status_code == 401
        assert "This receiver does not accept that key" in wrong.text
        assert "set-cookie" not in wrong.headers
        for target, stays in ((f"/runs/{run}", f"/runs/{run}"), ("//evil.example", "/")):
            wrong = await http.post("/login", data={"key": "wrong", "next": target})
            assert f'name="next" value="{stays}"' in wrong.text
        key = relay.api.headers["Authorization"].split()[1]
        for target, leads_to in (
            (f"/runs/{run}", f"/runs/{run}"),
            ("//evil.example", "/"),
            ("https://evil.example/", "/"),
            ("/runs/../x", "/"),
            ("/\\evil.example", "/"),
        ):
            right = await http.post("/login", data={"key": key, "next": target})
            assert (right.status_code, right.headers["Location"]) == (303, leads_to)


async def test_the_list_shows_the_state_of_each_run(browser: Any, relay: Any, board: Any, finish: Any) -> None:
    """Newest first, by status if asked, in pages of twenty."""
    film = await finish()
    ids = [await relay.run({**board, "title": f"film {number}"}) for number in range(21)]
    first = (await browser.get("/")).text
    assert re.findall(r'href="/runs/(\w+)"', first) == ids[:0:-1]
    assert "0 of 2 shots" in first
    older = re.findall(r'rel="next" href="([^"]+)"', first)
    second = (await browser.get(older[0].replace("&amp;", "&"))).text
    assert re.findall(r'href="/runs/(\w+)"', second) == [ids[0], film]
    only = (await browser.get("/?status=succeeded")).text
    assert re.findall(r'href="/runs/(\w+)"', only) == [film]
    assert "1 of 1 shot" in only
    assert "There is no failed run." in (await browser.get("/?status=failed")).text


async def test_a_run_is_a_strip_with_what_happens_next(browser: Any, relay: Any, board: Any, render: Any) -> None:
    """State in words, frames, seams, money; what is waited for, with a form that decides it."""
    run = await relay.run(board)
    await render(run, "s1")
    page = (await browser.get(f"/runs/{run}")).text
    for words in (
        board["title"],
        "<b>1</b> of 2 shots",
        "1 of 3 jobs spent",
        "s2 starts when you approve.",
        "Approve s2: spend 1 job</button>",
        "of the 2 that are left",
        "waits for your approval",
        "5.04 s, 1280x720",
        'class="is-waiting" title="s2: waiting"',
        'src="/media/f?small" alt="s1, last frame"',
        f'href="/runs/{run}/shots/s1"',
    ):
        assert words in page, words
    strip = (await browser.get(f"/runs/{run}/strip")).text
    assert 'id="shot-s2"' in strip
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
        page, read = await browser.get(path), await relay.api.get(path)
        assert (page.status_code, read.status_code) == (404, 404)
        assert "There is no" in page.text
        assert read.json()["error"]["code"] == "not_found"


async def test_files_of_the_page_are_kept_by_what_they_hold(relay: Any) -> None:
    """For everybody and for ever, by an address that changes with them; nothing else can be asked for."""
    async with httpx.AsyncClient(base_url=relay.settings.listen_url, headers=HTML, trust_env=False) as http:
        form = (await http.get("/login")).text
        paths = re.findall(r'(?:src|href)="(/static/[^"]+)"', form)
        assert len(paths) >= 2
        for address in paths:
            answer = await http.get(address)
            assert answer.status_code == 200
            assert "immutable" in answer.headers["Cache-Control"]
        assert (await http.get("/static/page.css?v=old")).headers["Cache-Control"] == "no-cache"
        for path in ("x.css", "../views.py", "%2e%2e/views.py", "vendor", "vendor/VENDORED.md", ""):
            assert (await http.get(f"/static/{path}")).status_code == 404, path


def test_what_is_not_ours_is_as_it_was_published() -> None:
    """Each vendored file has the hash that VENDORED.md says, and its licence beside it; there is no other."""
    folder = resources.files("framerelay.receiver.page") / "static" / "vendor"
    rows = [line.split("|")[1:6] for line in (folder / "VENDORED.md").read_text("utf-8").splitlines() if "|" in line][
        2:
    ]
    entries = {name.strip(): (digest.strip(), version.strip()) for name, _, version, digest, _ in rows}
    there = {each.name: each.read_bytes() for each in folder.iterdir() if each.name != "VENDORED.md"}
    assert {name: hashlib.sha256(content).hexdigest() for name, content in there.items()} == {
        name: digest for name, (digest, _) in entries.items()
    }
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for _, version in entries.values())
    assert all("sha512-" in row[4] or "the same" in row[4] for row in rows)
    assert {name.replace(".min.js", ".LICENSE") for name in entries if name.endswith(".js")} <= entries.keys()


async def test_the_callbacks_are_in_figures(
    browser: Any, relay: Any, finish: Any, take_address: Any, wait_until: Any
) -> None:
    """Received, found by polling, refused; and a sentence when none arrives where they should."""
    assert "Nothing yet." in (await browser.get("/callbacks")).text
    run = await finish()
    await relay.api.post(
        take_address("s1", run_id=run), json={"id": "job_s1_1", "status": "succeeded", "note": HOSTILE}
    )
    await relay.api.post("/webhook/x", json={"id": "stranger"})

    async def is_kept() -> bool:
        return "stranger" in (await relay.api.get("/v1/callbacks")).text

    await wait_until(is_kept, "the refused callback is kept, which happens behind its answer")
    page = (await browser.get("/callbacks")).text
    figures = dict(re.findall(r"<dt>([^<]+)</dt><dd>(\d+)</dd>", page))
    assert [figures[name] for name in ("received", "found by polling", "refused")] == ["1", "1", "1"]
    assert [figures[name] for name in ("in quarantine", "conflicts")] == ["0", "0"]
    assert "seems not to reach" in page
    assert f'href="/runs/{run}/shots/s1"' in page
    assert "<script>alert" not in page
    assert "No callback came" in (await browser.get(f"/runs/{run}")).text


@pytest.mark.parametrize("count", [100, 500])
async def test_a_run_of_many_shots_is_a_light_page(
    count: int, browser: Any, relay: Any, board: Any, redis: Any
) -> None:
    """
    Three takes each, and five times as many as well: below 300 KB, and three round trips to Redis, for session, run and
    the pages' figures, however much there is to show.
    """
    shots = [{"id": f"s{number}", "prompt": f"镜头横移，车灯划过 {number} " * 9, "takes": 3} for number in range(count)]
    run_id = await relay.run({**board, "budget": {"jobs": 4 * count}, "shots": shots})
    run = await relay.store.load(run_id)
    frame = Frame(path=f"{run_id}/s1.1.last.png", sha256="0" * 64, width=1280, height=720)
    clip = Clip(path=f"{run_id}/s1.1.mp4", sha256="0" * 64, bytes=9, width=1280, height=720, duration_s=5, frames=121)
    take = Take(number=1, status=TakeStatus.DONE, intent="i", submitted_at=1.0, due_at=1.0, seed=12345, video=clip)
    first_frame_given = FirstFrame(url=frame.path, source="upload", path=frame.path, take=1)
    full = replace(take, last_frame=frame, opening=frame, seam=1.25, first_frame=first_frame_given, job_ids=("job_1",))
    full = replace(full, rendered_at=9.0, usual_s=80.0)
    takes = tuple(replace(full, number=number) for number in (1, 2, 3))
    film = replace(run, shots=tuple(replace(shot, takes=takes, picked=1) for shot in run.shots), revision=1)
    assert await relay.store.save(settle(film), before=run, event={"event": "joined"}, steps=[], wake_at=None)
    await browser.get(f"/runs/{run_id}")
    before = await redis.info("commandstats")
    page = await browser.get(f"/runs/{run_id}")
    after = await redis.info("commandstats")
    overview = page.text[page.text.index('id="overview"') : page.text.index("</nav>", page.text.index('id="overview"'))]
    assert (page.text.count('class="shot '), overview.count('href="#shot-s')) == (count, count)
    assert page.text.count('class="seam"') == (99 if count == 100 else 0), "of so many only those that jump"
    assert len(page.content) < 300_000
    assert f'href="/runs/{run_id}/shots/s7"' in page.text
    assert "<textarea" not in page.text
    assert 'Retake s7: <span class="alone">spend 1 job' in (await browser.get(f"/runs/{run_id}/shots/s7")).text
    calls = {name: after[name]["calls"] - before.get(name, {"calls": 0})["calls"] for name in after}
    calls_to_redis = {name.removeprefix("cmdstat_"): count for name, count in calls.items() if count}
    figures = {"zcard": 7, "llen": 1, "zcount": 1}  # Beside the names of the pages, in one round trip.
    assert calls_to_redis == {"exists": 1, "hget": 1, "info": 1, **figures}


async def test_an_invitation_lets_in_once(relay: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session for the first who comes; later the form, with words; not by HEAD, not changed, not after its time."""
    sessions = Sessions(SECRET, secure=False)
    word = sessions.invite()
    async with httpx.AsyncClient(base_url=relay.settings.listen_url, headers=HTML, trust_env=False) as http:
        assert "set-cookie" not in (await http.head("/login", params={"once": word})).headers
        first = await http.get("/login", params={"once": word})
        assert (first.status_code, first.headers["Location"]) == (303, "/")
        assert (await http.get("/")).status_code == 200
        assert (await http.get("/login", params={"once": word})).status_code == 303
        http.cookies.clear()
        until, name, mac = sessions.invite().split(".")
        monkeypatch.setattr("framerelay.receiver.door.sessions.INVITED_S", -1)
        old = sessions.invite()
        cookie = first.headers["set-cookie"].partition("=")[2].partition(";")[0]
        for wrong in (word, old, f"{int(until) + 1}.{name}.{mac}", f"{until}.{name}x.{mac}", "x", "..", cookie):
            answer = await http.get("/login", params={"once": wrong})
            assert (answer.status_code, "used already" in answer.text) == (401, True), wrong
            assert "set-cookie" not in answer.headers
        http.cookies.set(COOKIE, sessions.invite())
        assert (await http.get("/")).status_code == 401


async def test_it_says_when_the_film_will_be_ready(browser: Any, relay: Any, board: Any, render: Any) -> None:
    """Where jobs of the kind were done before; not while a person has to say yes."""
    shots = [{"id": "s1", "prompt": "a"}, {"id": "s2", "prompt": "b"}]
    for gate, has_forecast in (({}, True), ({"gate": "approve"}, False)):
        run = await relay.run({**board, "shots": [shots[0], {**shots[1], **gate}]})
        submitting = events.Submitting(shot_id="s1", take=1, intent="i", seed=None, first_frame=None, usual_s=120.0)
        for event in (submitting, events.Submitted(shot_id="s1", take=1, job_id=f"job_{has_forecast}")):
            assert (await record(relay.store, run, event)).changed
        assert ("film in about 4 min" in (await browser.get(f"/runs/{run}")).text) == has_forecast


async def test_text_of_people_keeps_its_own_direction_and_signs(browser: Any, relay: Any, board: Any) -> None:
    """Titles and prompts alone in their ``bdi``; Chinese, Japanese and Korean by the fonts of their own."""
    shots = [{"id": f"s{place}", "prompt": text} for place, text in enumerate(("夜の雨", "비 오는 밤", "ليلة ممطرة"))]
    run = await relay.run({**board, "title": "霓虹雨夜", "shots": shots})
    for path in ("/", f"/runs/{run}"):
        assert '<bdi lang="zh">霓虹雨夜</bdi>' in (await browser.get(path)).text
    page = (await browser.get(f"/runs/{run}")).text
    for words in ('<bdi lang="ja">夜の雨</bdi>', '<bdi lang="ko">비 오는 밤</bdi>', "<bdi>ليلة ممطرة</bdi>"):
        assert words in page, words


def test_every_event_has_words() -> None:
    """Nothing in a shot's history is shown by its name in the code."""
    names = {name_of(each) for each in get_args(Event) if "shot_id" in each.__dataclass_fields__}
    assert names - history._WORDS.keys() == set()
