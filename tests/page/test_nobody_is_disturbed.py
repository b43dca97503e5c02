"""The run goes on under one's hands: what is typed, what plays and where one is stay as they are."""

import asyncio
from typing import Any

import pytest
from playwright.async_api import Route, expect

pytestmark = pytest.mark.anyio

MODEL = {"model": "seedance-1.5-pro-1080p"}
LONG = "Averyveryverylongwordwithoutanyblank" * 8
TWO_GATES: dict[str, Any] = {
    **MODEL,
    "title": LONG,
    "labels": {"project": LONG[:60]},
    "scenes": [
        {"id": "one", "shots": [{"id": "a", "prompt": "a car", "gate": "approve"}]},
        {"id": "two", "shots": [{"id": "b", "prompt": "a street"}, {"id": "c", "prompt": "rain", "gate": "approve"}]},
    ],
}


async def test_what_is_typed_stays_while_the_run_goes_on(relay: Any, visit: Any) -> None:
    """Somebody else approves; my words, my caret and my button are as they were, and what I send then counts."""
    run_id = await relay.run(TWO_GATES)
    await relay.wait_for_end(run_id)
    async with visit(relay) as person:
        page = await person.open(f"/runs/{run_id}")
        box = page.get_by_label("Prompt of a", exact=True)
        await box.fill("a red car <b>&amp;</b> 雨")
        await box.evaluate("it => it.setSelectionRange(2, 5)")
        await relay.api.post(f"/v1/runs/{run_id}/shots/c/approve")
        await expect(page.locator("#shot-c.is-done")).to_be_visible()
        assert await box.evaluate("it => [it === document.activeElement, it.selectionStart, it.selectionEnd]") == [
            True,
            2,
            5,
        ]
        await expect(box).to_have_value("a red car <b>&amp;</b> 雨")
        await page.get_by_role("button", name="Approve a: spend 1 job").click()
        await expect(page.get_by_role("link", name="Download it")).to_be_visible()

    assert (await relay.view(run_id))["shots"][0]["prompt"] == "a red car <b>&amp;</b> 雨"


async def test_what_plays_goes_on_and_back_leads_back(relay: Any, visit: Any) -> None:
    """A clip in the side panel is not begun again by what happens elsewhere; a decision is no page to go back to."""
    run_id = await relay.run(TWO_GATES)
    await relay.wait_for_end(run_id)
    async with visit(relay) as person:
        page = await person.open("/")
        await page.goto(f"{person.url}/runs/{run_id}")
        await page.get_by_role("link", name="b", exact=True).click()
        clip = page.locator("#clip-b")
        await clip.evaluate(
            "async it => { it.muted = true; await it.play(); window.stopped = 0; window.clip = it;"
            " it.addEventListener('emptied', () => { window.stopped += 1 });"
            " it.addEventListener('pause', () => { window.stopped += !it.ended });"
            " it.addEventListener('ended', () => it.play()) }"
        )
        await page.get_by_role("button", name="Approve a: spend 1 job").click()
        await expect(page.locator("#shot-a.is-done")).to_be_visible()
        await relay.api.post(f"/v1/runs/{run_id}/shots/c/approve")
        await expect(page.get_by_role("link", name="Download it")).to_be_visible()
        assert await clip.evaluate("it => [it === window.clip, window.stopped]") == [True, 0]
        await expect(page.get_by_role("complementary", name="The shot")).to_be_visible()
        panel = page.get_by_role("complementary", name="The shot")
        await page.reload()
        await expect(panel.get_by_role("heading", name="Shot b")).to_be_visible()
        await page.go_back()
        await expect(panel).to_be_hidden()
        await page.go_forward()
        await expect(panel.get_by_role("heading", name="Shot b")).to_be_visible()
        await page.keyboard.press("j")
        await expect(panel.get_by_role("heading", name="Shot c")).to_be_visible()
        await panel.get_by_role("link", name="Retake …").click()
        await expect(panel.get_by_role("textbox", name="Prompt")).to_be_focused()
        await page.keyboard.press("Escape")
        await expect(panel).to_be_hidden()
        await expect(page).to_have_url(f"{person.url}/runs/{run_id}")
        await page.go_back()
        await expect(page.get_by_role("heading", level=1, name="Runs")).to_be_visible()


async def test_one_long_word_leaves_the_table_its_columns(relay: Any, visit: Any) -> None:
    """Titles are what people write; a line of the table stays a line or two, and no column is pushed out."""
    run_id = await relay.run(TWO_GATES)
    await relay.wait_for_end(run_id)
    async with visit(relay) as person:
        page = await person.open(f"/callbacks?run={run_id}")
        line = page.locator("tbody tr").first
        table, job = await page.locator(".scroll").bounding_box(), await line.locator("td").last.bounding_box()

        for path in ("/", f"/runs/{run_id}", f"/new?from={run_id}", f"/runs/{run_id}/storyboard"):
            await page.goto(person.url + path)
            assert await page.evaluate("document.scrollingElement.scrollWidth <= innerWidth"), path

    assert job["x"] + job["width"] <= table["x"] + table["width"] + 1
    assert job["height"] < 160


async def test_a_button_that_was_pressed_waits_for_its_answer(relay: Any, visit: Any) -> None:
    """On a slow line the page changes right away; nobody can press a second time."""
    run_id = await relay.run(TWO_GATES)
    await relay.wait_for_end(run_id)
    async with visit(relay) as person:
        page = await person.open(f"/runs/{run_id}")
        request_there, go_on = asyncio.Event(), asyncio.Event()

        async def slowly(route: Route) -> None:
            request_there.set()
            await go_on.wait()
            await route.continue_()

        await page.route("**/act", slowly)
        button = page.get_by_role("button", name="Approve a: spend 1 job")
        await button.click()
        await asyncio.wait_for(request_there.wait(), timeout=60)
        async with page.expect_response("**/strip"):
            await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        await relay.api.post(f"/v1/runs/{run_id}/shots/c/approve")
        await expect(page.locator("#shot-c.is-done")).to_be_visible()
        await expect(button).to_be_disabled()
        person.expects("status of 409")
        go_on.set()
        await expect(button).to_be_enabled()
