"""A person decides on the page: go on, once more, that one, stop; with the mouse, with the keyboard, in two tabs."""

import asyncio
from functools import partial
from typing import Any

import pytest
from playwright.async_api import Locator, Page, Route, expect

from framerelay.sandbox import Faults

pytestmark = pytest.mark.anyio

MODEL = {"model": "seedance-1.5-pro-1080p"}
GATED: dict[str, Any] = {
    **MODEL,
    "title": "a pause",
    "budget": {"jobs": 4},
    "shots": [{"id": "s1", "prompt": "a car"}, {"id": "s2", "prompt": "closer", "gate": "approve"}],
}
TWO = [{"id": "s1", "prompt": "a car"}, {"id": "s2", "prompt": "closer"}]
TAKES = {
    **MODEL,
    "title": "two tries",
    "shots": [{"id": "s1", "prompt": "a car", "takes": 2}, {"id": "s2", "prompt": "x"}],
}


async def waiting(relay: Any, board: dict[str, Any]) -> str:
    """The id of a run that waits for a person."""
    run_id = str(await relay.run(board))
    assert (await relay.wait_for_end(run_id))["status"] == "waiting"
    return run_id


async def has_film(page: Page) -> None:
    await expect(page.get_by_role("link", name="Download it")).to_be_visible(timeout=120_000)


async def test_a_shot_is_approved(relay: Any, visit: Any, picture: Any) -> None:
    """The button says what it costs; pressed, the run goes on to its film."""
    run_id = await waiting(relay, GATED)
    async with visit(relay) as person:
        page = await person.open(f"/runs/{run_id}")
        await picture(page, "run-waiting")
        await expect(page.get_by_text("of the 3 that are left", exact=True)).to_be_visible()
        await page.get_by_role("button", name="Approve s2: spend 1 job").click()
        await has_film(page)
        assert await page.evaluate("document.activeElement.id") == "next-h"
        await expect(page.locator("#next-h")).to_have_text("How the run stands")


async def test_what_has_the_focus_is_no_older_than_the_rest(relay: Any, visit: Any) -> None:
    """Somebody else decides while the heading of a scene has the focus: it counts the new shot as well."""
    run_id = await waiting(relay, GATED)
    async with visit(relay) as person:
        page = await person.open(f"/runs/{run_id}")
        head = page.locator("#scene-1 summary")
        await expect(head).to_contain_text("1 of 2 shots")
        await head.focus()
        await relay.api.post(f"/v1/runs/{run_id}/shots/s2/approve")
        await has_film(page)
        await expect(head).to_be_focused()
        await expect(head).to_contain_text("2 of 2 shots")


async def test_an_answer_that_was_overtaken_changes_nothing(relay: Any, visit: Any) -> None:
    """The page was asked for before a decision and comes after it: what was decided is not asked for again."""
    run_id = await waiting(relay, GATED)
    async with visit(relay) as person:
        page = await person.open(f"/runs/{run_id}")
        button = page.get_by_role("button", name="Approve s2: spend 1 job")
        request_there, go_on = asyncio.Event(), asyncio.Event()

        async def late(route: Route) -> None:
            answer = await route.fetch()
            request_there.set()
            await go_on.wait()
            await route.fulfill(response=answer)

        await page.route("**/strip", late, times=1)
        await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        await asyncio.wait_for(request_there.wait(), timeout=60)
        await button.click()
        await expect(button).to_be_hidden()
        await page.evaluate(
            "new MutationObserver(() => { window.cameBack ||= !!document.getElementById('approve-s2') })"
            ".observe(document.body, { childList: true, subtree: true })"
        )
        go_on.set()
        await has_film(page)
        assert not await page.evaluate("window.cameBack")


async def test_a_run_that_had_ended_is_followed_again(relay: Any, visit: Any, wait_until: Any) -> None:
    """Its stream of events is over; a retake by somebody else is seen all the same, up to the new film."""
    run_id = await relay.run({**MODEL, "title": "at rest", "shots": TWO})
    await relay.wait_for_end(run_id)
    async with visit(relay) as person:
        page = await person.open(f"/runs/{run_id}", hurried=True)
        film = page.locator("#film")
        before = await film.get_attribute("src")
        await wait_until(partial(page.evaluate, "stream === null && patience === null"), "the stream of events is over")
        await relay.api.post(f"/v1/runs/{run_id}/shots/s2/retake")
        await relay.wait_for_end(run_id)
        await expect(page.locator("#shot-s2").get_by_text("2 takes")).to_be_visible()
        await expect(page.locator("#state")).to_have_attribute("data-live", "no")
        assert await film.get_attribute("src") != before


async def test_a_take_is_picked(relay: Any, visit: Any, picture: Any) -> None:
    """Both takes stand side by side; the run goes on from the one that is picked."""
    run_id = await waiting(relay, TAKES)
    async with visit(relay) as person:
        page = await person.open(f"/runs/{run_id}")
        await picture(page, "run-pick")
        await page.get_by_role("button", name="Pick take 2").click()
        await has_film(page)

    assert (await relay.view(run_id))["shots"][0]["picked"] == 2


async def test_another_take_is_picked_and_that_is_undone(relay: Any, visit: Any, picture: Any, axe: Any) -> None:
    """The old take comes back into the film from the shot's panel, for nothing; one click takes that back."""
    run_id = await relay.run({**MODEL, "title": "to and fro", "budget": {"jobs": 4}, "shots": TWO})
    await relay.wait_for_end(run_id)
    await relay.api.post(f"/v1/runs/{run_id}/shots/s2/retake")
    await relay.wait_for_end(run_id)
    amount = (await relay.view(run_id))["spent"]
    async with visit(relay) as person:
        page = await person.open(f"/runs/{run_id}")
        await page.get_by_role("link", name="s2", exact=True).click()
        await page.get_by_role("button", name="Pick take 1 instead").click()
        await expect(page.get_by_text("Take 1 of s2 is picked.")).to_be_visible()
        await picture(page, "run-undo", whole=False)
        assert await axe(page) == []
        await expect(page.get_by_role("button", name="Pick take 2 instead")).to_be_visible()
        await relay.wait_for_end(run_id)
        await page.get_by_role("button", name="Undo: pick take 2 again").click()
        await expect(page.get_by_text("Take 2 of s2 is picked.")).to_be_visible()
        await page.locator("#undo").get_by_role("link", name="Close").click()
        await expect(page.locator("#undo")).to_have_count(0)
        await has_film(page)

    now = await relay.wait_for_end(run_id)
    assert (now["shots"][1]["picked"], now["film"]["takes"], now["spent"]) == (2, {"s1": 1, "s2": 2}, amount)


async def test_a_change_of_the_storyboard_that_cost_nothing_is_undone(relay: Any, visit: Any) -> None:
    """What it was before is looked at first; nothing is spent on the way there or back."""
    run_id = await relay.run({**MODEL, "title": "there and back", "budget": {"jobs": 4}, "shots": TWO})
    amount = (await relay.wait_for_end(run_id))["spent"]
    async with visit(relay) as person:
        page = await person.open(f"/runs/{run_id}/storyboard")
        board = page.get_by_label("Storyboard as YAML")
        before = await board.input_value()
        await board.fill(before.replace("there and back", "another title"))
        await page.get_by_role("button", name="Apply: spend nothing").click()
        await expect(page.get_by_role("heading", level=1, name="another title")).to_be_visible()
        await page.get_by_role("button", name="Undo …").click()
        await expect(board).to_have_value(before)
        await page.get_by_role("button", name="Apply: spend nothing").click()
        await expect(page.get_by_role("heading", level=1, name="there and back")).to_be_visible()
        await expect(page.locator("#undo-storyboard")).to_be_hidden()

    assert ((await relay.wait_for_end(run_id))["title"], (await relay.view(run_id))["spent"]) == (
        "there and back",
        amount,
    )


async def test_a_shot_is_made_once_more_with_another_prompt(relay: Any, visit: Any, picture: Any) -> None:
    """It says first what is spent and what no longer fits; then there is a take with the new prompt, and a new film."""
    run_id = await relay.run({**MODEL, "title": "once more", "budget": {"jobs": 4}, "shots": TWO})
    before = await relay.wait_for_end(run_id)
    async with visit(relay) as person:
        page = await person.open(f"/runs/{run_id}")
        await page.get_by_role("link", name="s1", exact=True).click()
        panel = page.get_by_role("complementary", name="The shot")
        await panel.get_by_role("textbox", name="Prompt").fill("a car in the snow")
        await expect(panel.get_by_text("Spends 1 job of the 2 that are left.")).to_be_visible()
        stale = panel.get_by_text("stale until retaken as well: s2")
        await expect(stale).to_be_visible()
        whole = panel.get_by_role("checkbox", name="And all that follows")
        await whole.check()
        await expect(panel.get_by_role("button", name="Retake s1: spend 2 jobs")).to_be_visible()
        await expect(stale).to_be_hidden()
        await whole.uncheck()
        await picture(page, "run-retake")
        await panel.get_by_role("button", name="Retake s1: spend 1 job").click()
        await expect(page.get_by_text("s1 is made again.")).to_be_visible()
        await expect(page.get_by_text("Stale: what it begins with is no longer where s1 ends.")).to_be_visible()
        await has_film(page)
        await expect(page.get_by_text("a car in the snow").first).to_be_visible()
        await picture(page, "run-stale")

    run = await relay.wait_for_end(run_id)
    assert before["status"] == run["status"] == "succeeded"
    assert (run["shots"][0]["prompt"], len(run["shots"][0]["takes"])) == ("a car in the snow", 2)
    assert run["spent"]["jobs"] == 3


async def test_a_run_is_cancelled(relay: Any, visit: Any, picture: Any) -> None:
    """It asks once more before what was paid for is given up."""
    run_id = await waiting(relay, GATED)
    async with visit(relay) as person:
        page = await person.open(f"/runs/{run_id}")
        await page.locator("#run-menu summary").click()
        await page.get_by_role("link", name="Cancel the run …").click()
        await page.get_by_role("button", name="Cancel the run").click()
        await expect(page.get_by_text("cancelled").first).to_be_visible()
        await picture(page, "run-cancelled")

    assert (await relay.view(run_id))["status"] == "cancelled"


async def test_a_job_that_was_lost_is_brought_in(
    start_provider: Any, start_relay: Any, visit: Any, picture: Any
) -> None:
    """Its submit was answered with an error and no callback came; a person finds it in the provider's own list."""
    faults = Faults(accept_then_500=1, lose=1)
    async with (
        start_provider(options={"faults": faults}) as provider,
        start_relay(provider.url) as relay,
        visit(relay) as person,
    ):
        run_id = await waiting(relay, {**MODEL, "title": "lost", "shots": TWO[:1]})
        page = await person.open(f"/runs/{run_id}")
        await expect(page.get_by_text("Nobody knows if shot s1 is made")).to_be_visible()
        await picture(page, "run-lost")
        (job,) = (await provider.journal())["jobs"]
        await page.get_by_label("Id of the job of s1").fill(job["id"])
        await page.get_by_role("button", name="This job is s1").click()
        await has_film(page)
        run = await relay.view(run_id)

    assert (run["shots"][0]["takes"][0]["job_id"], run["spent"]["jobs"]) == (job["id"], 1)


async def test_the_second_of_two_tabs_is_told_that_it_is_too_late(relay: Any, visit: Any) -> None:
    """Both show the same question; the first one's answer counts, the second is told so on the spot."""
    run_id = await waiting(relay, TAKES)
    async with visit(relay) as person:
        person.expects("status of 409")
        first, second = await person.open(f"/runs/{run_id}"), await person.open(f"/runs/{run_id}")
        await second.evaluate("window.stop(); window.seenFirst = true")
        await second.route("**/strip", lambda route: route.abort())
        person.expects("net::ERR_FAILED")
        await first.get_by_role("button", name="Pick take 2").click()
        await has_film(first)
        await second.get_by_role("button", name="Pick take 1").click()
        alert = second.get_by_role("alert")
        await expect(alert).to_have_text("Take 2 of s1 was picked already, by somebody else or in another tab.")
        assert await second.evaluate("window.seenFirst"), "it is another page"
        await expect(second.get_by_role("button", name="Pick take 1")).to_be_hidden()
        await has_film(second)

    assert (await relay.view(run_id))["shots"][0]["picked"] == 2


async def test_everything_is_done_with_the_keyboard_alone(relay: Any, visit: Any) -> None:
    """Log in, open a run, approve: by Tab and Enter, and one always sees where one is."""
    await waiting(relay, {**GATED, "title": "by hand"})
    async with visit(relay, logged_in=False) as person:
        person.expects("status of 401")
        page = await person.open("/")
        await tab_to(page.get_by_label("key"))
        await page.keyboard.type("fr_test")
        await page.keyboard.press("Enter")
        await tab_to(page.get_by_role("link", name="by hand"))
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", level=1, name="by hand")).to_be_visible()
        await tab_to(page.get_by_role("button", name="Approve s2"))
        await page.keyboard.press("Enter")
        await has_film(page)


async def tab_to(target: Locator) -> None:
    """Press Tab until *target* has the focus; whatever has it on the way shows that."""
    await target.wait_for()
    for _ in range(60):
        if await target.evaluate("it => it === document.activeElement"):
            return
        await target.page.keyboard.press("Tab")
        unseen = await target.page.evaluate(
            "(() => { const it = document.activeElement, style = getComputedStyle(it);"
            " return it !== document.body && style.outlineStyle === 'none' && style.boxShadow === 'none'"
            " ? it.outerHTML : null })()"
        )
        assert unseen is None, f"nobody sees that this has the focus: {unseen}"
    pytest.fail(f"60 times Tab did not lead to {target}")
