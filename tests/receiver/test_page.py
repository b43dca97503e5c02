"""The page: what a person sees and decides in a browser, without a script; the live part has tests of its own."""

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
from framerelay.receiver.page.views import FIELDS
from framerelay.runs import events
from framerelay.runs.events import Event
from framerelay.runs.model import Clip, FirstFrame, Frame, Problem, Take, TakeStatus
from framerelay.runs.standing import settled
from framerelay.store.progress import name_of, record
from framerelay.upstream.pictures import PictureForm
from tests.fixtures.relay import SECRET

pytestmark = pytest.mark.anyio

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
GONE = "run_" + "z" * 24
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&lt;"


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
        for wanted, stays in ((f"/runs/{run}", f"/runs/{run}"), ("//evil.example", "/")):
            wrong = await http.post("/login", data={"key": "wrong", "next": wanted})
            assert f'name="next" value="{stays}"' in wrong.text
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
    """Each vendored file has the hash that VENDORED.md says, and its licence beside it; there is no other."""
    folder = resources.files("framerelay.receiver.page") / "static" / "vendor"
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


async def test_a_person_decides_on_the_page(browser: Any, relay: Any, board: Any, render: Any) -> None:
    """Approve, retake with another prompt and seed, cancel: each leads back to the run, which has changed."""
    run = await relay.run({**board, "budget": {"jobs": 9}})
    await render(run, "s1")

    async def act(**form: Any) -> httpx.Response:
        revision = (await relay.shown(run))["revision"]
        answer: httpx.Response = await browser.post(f"/runs/{run}/act", data={"revision": revision, **form})
        assert (answer.status_code, answer.headers["Location"].partition("#")[0]) == (303, f"/runs/{run}"), answer.text
        return answer

    again = await act(action="retake", shot="s1", prompt="a red car,\r\nin rain", seed="7")
    assert again.headers["Location"].endswith("#shot-s1"), "its form stands in the strip"
    shot = (await relay.shown(run))["shots"][0]
    assert (shot["prompt"], shot["status"]) == ("a red car,\nin rain", "pending")
    await render(run, "s1", 2)
    approved = await act(action="approve", shot="s2")
    assert approved.headers["Location"].endswith("#next"), "where the next decision will stand, too"
    assert (await relay.shown(run))["shots"][1]["approved"]
    assert "Cancel the run" in (await browser.get(f"/runs/{run}")).text
    await act(action="cancel")
    assert (await relay.shown(run))["status"] == "cancelled"
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
    assert (await relay.shown(run))["shots"][0]["picked"] == 2


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
    assert ((await relay.shown(run))["shots"][0]["picked"], await undo(back), await undo(again)) == (1, [], ["2"])
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
    shown = re.findall(r'src="/media/([^"?]+)[^"]*" alt="s2 would begin with this frame"', page)
    assert shown == ["s1.1.last.png"]


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
    """One button leads to the jobs of all shots that waited for it; a shot behind a gate asks for itself."""
    shots = [{"id": name, "prompt": "a"} for name in ("s1", "s2", "s3")]
    run = await relay.run({**board, "budget": {"jobs": 9}, "shots": shots})
    for event in (
        events.Submitting(shot_id="s1", take=1, intent="i", seed=None, first_frame=None),
        events.SubmitRefused(shot_id="s1", take=1, problem=Problem(code="x", message="no")),
    ):
        assert (await record(relay.store, run, event)).changed
    assert f'href="/runs/{run}/shots/s1#retake"' in (await browser.get(f"/runs/{run}")).text
    page = (await browser.get(f"/runs/{run}/shots/s1")).text
    assert (await relay.shown(run))["status"] == "failed"
    assert "Spends 1 job of the 9 that are left. Then the run goes on, with 2 jobs more." in page


async def test_a_decision_about_an_older_state_is_refused_in_words(browser: Any, relay: Any, board: Any) -> None:
    """409 as the run as it stands now; so are decisions that are none, and fields that are no numbers."""
    run = await relay.run(board)
    for form, status, words in (
        ({"action": "cancel", "revision": "99"}, 409, "somebody acted in between"),
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
    assert (await relay.shown(run))["revision"] == 0


async def test_another_site_and_a_stranger_decide_nothing(browser: Any, relay: Any, board: Any) -> None:
    """The check of the origin is that of the API; without a session it is the form that asks for the key."""
    run = await relay.run(board)
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}):
        answer = await browser.post(f"/runs/{run}/act", data={"action": "cancel"}, headers=headers)
        assert (answer.status_code, "from another site" in answer.text) == (403, True)
    assert (await browser.post("/logout")).status_code == 303
    assert (await browser.post(f"/runs/{run}/act", data={"action": "cancel"})).status_code == 401
    assert (await relay.shown(run))["status"] == "running"


async def test_a_shot_has_its_history_with_callbacks_as_they_came(
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
    gone = await browser.get("/runs/run_gone")
    assert (gone.status_code, 'href="/">All runs' in gone.text, "/runs/run_gone" in gone.text) == (404, True, False)


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
    begun = FirstFrame(url=frame.path, source="upload", path=frame.path, take=1)
    full = replace(take, last_frame=frame, opening=frame, seam=1.25, first_frame=begun, job_ids=("job_1",))
    full = replace(full, rendered_at=9.0, usual_s=80.0)
    takes = tuple(replace(full, number=number) for number in (1, 2, 3))
    made = replace(run, shots=tuple(replace(shot, takes=takes, picked=1) for shot in run.shots), revision=1)
    assert await relay.store.save(settled(made), before=run, event={"event": "joined"}, steps=[], wake_at=None)
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
    asked = {name.removeprefix("cmdstat_"): count for name, count in calls.items() if count}
    figures = {"zcard": 7, "llen": 1, "zcount": 1}  # Beside the names of the pages, in one round trip.
    assert asked == {"exists": 1, "hget": 1, "info": 1, **figures}


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


async def test_what_becomes_stale_is_said_before_and_after(browser: Any, relay: Any, board: Any, render: Any) -> None:
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
    for levels, words, marked in (
        (1.25, "difference 1.2 of 255", False),
        (21.0, "difference 21.0 of 255", True),
        (None, "not measured", False),
    ):
        run = await relay.store.load(run_id)
        first, second = run.shots
        takes = (replace(second.takes[0], seam=levels, opening=opening),)
        changed = replace(run, shots=(first, replace(second, takes=takes)), revision=run.revision + 1)
        assert await relay.store.save(changed, before=run, event={"event": "x"}, steps=[], wake_at=None)
        page = (await browser.get(f"/runs/{run_id}")).text
        assert f'title="s1 → s2: {words}"' in page
        assert f'href="/media/{opening.path}" data-ends="/media/f" data-from="s1" data-to="s2"' in page
        assert ('class="seam jumps"' in page, "<b>21.0</b>" in page) == (marked, marked)
        shot = (await browser.get(f"/runs/{run_id}/shots/s2")).text
        assert words in shot
        assert 'src="/media/f?small" alt="s1 ends"' in shot
        assert f'src="/media/{opening.path}?small" alt="s2 begins"' in shot
        assert ("look at that seam" in page) == marked
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
    said = ("s1 → s2: difference 1.5" in page, "s2 → s3: difference 2.5" in page, page.count(": no longer fits"))
    assert said == (False, True, 1)


async def test_it_says_when_the_film_comes(browser: Any, relay: Any, board: Any, render: Any) -> None:
    """Where jobs of the kind were done before; not while a person has to say yes."""
    shots = [{"id": "s1", "prompt": "a"}, {"id": "s2", "prompt": "b"}]
    for gate, said in (({}, True), ({"gate": "approve"}, False)):
        run = await relay.run({**board, "shots": [shots[0], {**shots[1], **gate}]})
        submitting = events.Submitting(shot_id="s1", take=1, intent="i", seed=None, first_frame=None, usual_s=120.0)
        for event in (submitting, events.Submitted(shot_id="s1", take=1, job_id=f"job_{said}")):
            assert (await record(relay.store, run, event)).changed
        assert ("film in about 4 min" in (await browser.get(f"/runs/{run}")).text) == said


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
    revision = (await relay.shown(run))["revision"]
    for job_id, seen, status in (("job a", revision, 422), ("", revision, 422), ("job_a", revision - 1, 409)):
        form = {"action": "adopt", "shot": "s1", "job_id": job_id, "revision": seen}
        assert (await browser.post(f"/runs/{run}/act", data=form)).status_code == status, job_id
    form = {"action": "adopt", "shot": "s1", "job_id": " job_a ", "revision": revision}
    assert (await browser.post(f"/runs/{run}/act", data=form)).status_code == 303
    take = (await relay.shown(run))["shots"][0]["takes"][0]
    assert (take["job_id"], take["status"]) == ("job_a", "generating")
    assert "This job is s1" not in (await browser.get(f"/runs/{run}")).text


async def test_what_people_wrote_stands_in_its_own_direction_and_signs(browser: Any, relay: Any, board: Any) -> None:
    """Titles and prompts alone in their ``bdi``; Chinese, Japanese and Korean by the fonts of their own."""
    shots = [{"id": f"s{place}", "prompt": text} for place, text in enumerate(("夜の雨", "비 오는 밤", "ليلة ممطرة"))]
    run = await relay.run({**board, "title": "霓虹雨夜", "shots": shots})
    for path in ("/", f"/runs/{run}"):
        assert '<bdi lang="zh">霓虹雨夜</bdi>' in (await browser.get(path)).text
    page = (await browser.get(f"/runs/{run}")).text
    for words in ('<bdi lang="ja">夜の雨</bdi>', '<bdi lang="ko">비 오는 밤</bdi>', "<bdi>ليلة ممطرة</bdi>"):
        assert words in page, words


def test_every_event_has_words() -> None:
    """Nothing in a shot's history is told by its name in the code."""
    told = {name_of(each) for each in get_args(Event) if "shot_id" in each.__dataclass_fields__}
    assert told - history._WORDS.keys() == set()
