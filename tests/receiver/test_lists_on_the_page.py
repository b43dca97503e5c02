"""Lists of the page: what needs somebody first, what is filtered, and what can be done from there."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from starlette.datastructures import Secret

from framerelay.store.inbox import Callback, Inbox
from framerelay.store.processes import Presence, this_process
from tests.fixtures.relay import SECRET

pytestmark = pytest.mark.anyio

GATED = [{"id": "s1", "prompt": "a", "gate": "approve"}]


def ids(page: str) -> list[str]:
    """The runs of a list, from the top."""
    return re.findall(r'<li class="row-card" id="(\w+)"', page)


async def test_the_one_of_sixty_that_waits_is_first(browser: Any, relay: Any, board: Any) -> None:
    """Counted, in the tab's title as well, once, and out of the order of time; found so on every page of the page."""
    asks = await relay.run({**board, "title": "asks", "shots": GATED})
    others = [await relay.run({**board, "title": f"film {number}"}) for number in range(60)]
    newest = await relay.run({**board, "title": "asks, too", "shots": GATED})
    first = (await browser.get("/")).text
    assert ids(first) == [newest, asks, *others[:-21:-1]]
    assert "<title>(2) Runs · FrameRelay</title>" in first
    assert "Needs you (2)" in first
    assert "Shot s1 starts when you approve." in first
    assert re.search(r'needs you <span class="n">2</span>', first)
    assert re.search(r'running <span class="n">60</span>', first)
    assert 'class="count">2<' in (await browser.get("/callbacks")).text
    pages, page = ids(first), first
    while older := re.findall(r'rel="next" href="([^"]+)"', page):
        page = (await browser.get(older[0].replace("&amp;", "&"))).text
        pages += ids(page)
    assert set(pages) == {newest, asks, *others}, "none is lost between the pages"


async def test_lists_are_sorted_as_asked(browser: Any, relay: Any, board: Any) -> None:
    """By title, or by what was changed last; an order that does not exist is refused with a message."""
    runs = {title: await relay.run({**board, "title": title}) for title in ("b", "C", "a")}
    assert ids((await browser.get("/?sort=title")).text) == [runs["a"], runs["b"], runs["C"]]
    await relay.api.post(f"/v1/runs/{runs['b']}/cancel")
    assert ids((await browser.get("/?sort=changed")).text)[0] == runs["b"]
    wrong = await browser.get("/?sort=price")
    assert (wrong.status_code, "Sort is not one of" in wrong.text) == (422, True)


async def test_a_run_is_removed_once_it_has_ended_and_was_confirmed(
    browser: Any, relay: Any, board: Any, finish: Any
) -> None:
    """One that goes on stays; somebody who looked at another state is told so; then it is gone."""
    goes_on, film = await relay.run(board), await finish()
    page = (await browser.get("/")).text
    assert (f'action="/runs/{film}/remove"' in page, f'action="/runs/{goes_on}/remove"' in page) == (True, False)
    assert "There is no way back." in page
    response = await browser.post(f"/runs/{goes_on}/remove", data={})
    assert (response.status_code, "cancel it first" in response.text) == (409, True)
    revision = (await relay.view(film))["revision"]
    assert (await browser.post(f"/runs/{film}/remove", data={"revision": str(revision - 1)})).status_code == 409
    gone_response = await browser.post(f"/runs/{film}/remove", data={"revision": str(revision)})
    assert (gone_response.status_code, gone_response.headers["Location"]) == (303, "/")
    assert ids((await browser.get("/")).text) == [goes_on]


async def test_callbacks_are_filtered(
    browser: Any, relay: Any, board: Any, take_address: Any, hook_address: Any
) -> None:
    """By outcome, by run, by time; the rest of more than a page follows by a link, under the same filter."""
    run = await relay.run(board)
    for number in range(3):
        await relay.api.post(take_address("s1", run_id=run), json={"id": f"job_{number}", "status": "running"})
    for number in range(52):
        await relay.api.post(hook_address, json={"id": f"other_{number}", "status": "running"})
    await relay.api.post(hook_address, content=b"no json")

    async def jobs(query: str) -> list[str]:
        return re.findall(r"<code>((?:job|other)_\d+)</code>", (await browser.get(f"/callbacks?{query}")).text)

    assert await jobs(f"run={run}") == ["job_2", "job_1", "job_0"]
    assert await jobs(f"run={run}&outcome=late") == []
    assert len(await jobs("hours=1")) == 49, "fifty a page, one of them without a job"
    older = re.findall(
        r'rel="next" href="/callbacks\?([^"]+)"', (await browser.get("/callbacks?outcome=accepted")).text
    )
    assert await jobs(older[0].replace("&amp;", "&")) == ["other_1", "other_0", "job_2", "job_1", "job_0"]
    assert (await browser.get("/callbacks?outcome=unreadable")).text.count("<tr id=") == 1
    assert "No such callback." in (await browser.get("/callbacks?run=run_nobody")).text
    assert (await browser.get("/callbacks?hours=2")).status_code == 422


async def test_a_callback_is_shown_and_processed_once_more(
    browser: Any, relay: Any, board: Any, take_address: Any, recent_callbacks: Any, queued_tasks: Any
) -> None:
    """Its JSON in lines, without what opens anything; first it says what a replay would do."""
    run = await relay.run(board)
    body = {"id": "job_1", "status": "running", "url": "https://v.example.com/v.mp4?sig=opens", "note": "<script>"}
    await relay.api.post(take_address("s1", run_id=run), json=body)
    (callback,) = await recent_callbacks()
    page = (await browser.get(f"/callbacks/{callback['id']}")).text
    assert "\n  &#34;id&#34;: &#34;job_1&#34;,\n" in page
    assert ("sig=opens" in page, "<script>" in page) == (False, False)
    assert "A replay would do nothing: take 1 of shot s1" in page
    place = f"/callbacks/{callback['id']}/act"
    assert (await browser.post(place, data={"action": "forget"})).status_code == 422
    tasks = len(await queued_tasks())
    answer = await browser.post(place, data={"action": "replay"})
    newest = (await recent_callbacks())[0]
    assert (newest["outcome"], newest["replay_of"]) == ("replay", callback["id"])
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/callbacks/{newest['id']}")
    assert len(await queued_tasks()) == tasks + 1
    assert (await browser.get("/callbacks/cb_nobody")).status_code == 404


async def test_what_is_in_quarantine_is_counted_and_released(
    browser: Any, relay: Any, redis: Any, recent_callbacks: Any
) -> None:
    """One, or all; here nothing has to be proved, so what is held goes the way of every callback."""
    inbox = Inbox(redis, keep_s=60.0)
    for number in range(3):
        await inbox.hold(quarantined_callback(number))
    page = (await browser.get("/callbacks?outcome=quarantined")).text
    assert (page.count("<tr id="), 'class="count">3<' in page, "Verify all of them again" in page) == (3, True, True)
    answer = await browser.post("/callbacks/cb_0/act", data={"action": "release"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/callbacks/cb_0")
    assert (await browser.post("/callbacks/release", data={})).status_code == 303
    assert {each["id"]: each["outcome"] for each in await recent_callbacks()} == dict.fromkeys(
        ("cb_0", "cb_1", "cb_2"), "accepted"
    )
    again = await browser.post("/callbacks/cb_0/act", data={"action": "release"})
    assert (again.status_code, "not in quarantine" in again.text) == (409, True)


def quarantined_callback(number: int) -> Callback:
    body = json.dumps({"id": f"job_{number}", "status": "succeeded"}).encode()
    return Callback(
        id=f"cb_{number}", received_at=1e9 + number, outcome="quarantined", body=body, hook="mine", held=True
    )


async def test_notifications_are_listed_and_sent_again(browser: Any, relay: Any, board: Any, redis: Any) -> None:
    """What was told to whom, by run and state; of the address the host alone."""
    document = {**board, "title": "told", "shots": GATED, "notify_url": "https://hooks.example.com/secret-path"}
    run = await relay.run(document)
    assert "No notifications yet" not in (page := (await browser.get("/notifications")).text)
    assert ("run.waiting" in page, "hooks.example.com" in page, "secret-path" in page) == (True, True, False)
    (notification,) = (await relay.api.get("/v1/notifications")).json()["data"]
    assert notification["id"] in (await browser.get(f"/notifications?run={run}&state=waiting")).text
    assert "No such notification." in (await browser.get("/notifications?state=delivered")).text
    answer = await browser.post(f"/notifications/{notification['id']}/replay", data={})
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/notifications#{notification['id']}")
    assert (await browser.post("/notifications/ntf_nobody/replay", data={})).status_code == 404


async def test_providers_say_which_key_they_have_and_never_the_key(
    browser: Any, relay: Any, board: Any, redis: Any
) -> None:
    """The variable, what each can do, its last trouble."""
    page = (await browser.get("/providers")).text
    assert ('id="provider-jobs"' in page, "FRAMERELAY_UPSTREAM_KEY" in page) == (True, True)
    assert str(relay.settings.upstream_key) not in page
    assert "KLING_API_KEY" in page, "those without a key say what to set"


async def test_health_says_what_is_missing(browser: Any, relay: Any, redis: Any) -> None:
    """A worker that runs; that has another public URL, and no key; that does not run at all."""
    none = (await browser.get("/health")).text
    assert ("No worker runs" in none, "<dt>callbacks are</dt><dd>all kept</dd>" in none) == (True, True)
    other = replace(relay.settings, public_url="https://other.example")
    worker = this_process("worker", other, Secret(SECRET), keyed=[])
    await Presence(redis, lambda: worker).announce()
    one = (await browser.get("/health")).text
    assert ("All is well" in one, worker.host in one) == (True, True)
    assert "has another FRAMERELAY_PUBLIC_URL than this receiver" in one
    assert "0 of 1 workers say that they have it" in (await browser.get("/providers")).text


async def test_an_unknown_address_is_a_page_for_people(browser: Any, relay: Any) -> None:
    """For programs, and where callbacks come, it stays JSON."""
    page = await browser.get("/nowhere")
    assert (page.status_code, "Not found" in page.text, page.headers["content-type"][:9]) == (404, True, "text/html")
    for path in ("/webhook/wrong", "/v1/nowhere"):
        assert (await browser.get(path)).headers["content-type"] == "application/json"
    assert (await relay.api.get("/nowhere")).json()["error"]["code"] == "not_found"
