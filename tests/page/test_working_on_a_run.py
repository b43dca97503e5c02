"""A run is worked on: by the keyboard, in the side panel, on one screen, and without a script as well."""

import re
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.page.test_everybody_can_read_it import make

pytestmark = pytest.mark.anyio

MODEL = {"model": "seedance-1.5-pro-1080p"}
GATED: dict[str, Any] = {
    **MODEL,
    "title": "by keys",
    "budget": {"jobs": 4},
    "shots": [{"id": "s1", "prompt": "a car"}, {"id": "s2", "prompt": "closer", "gate": "approve"}],
}
FOCUS = "document.activeElement.closest('.shot')?.id || document.activeElement.name || document.activeElement.id"


@pytest.fixture(scope="module")
async def gated_run(relay: Any) -> str:
    """A run that waits for a yes to its second shot."""
    run_id = str(await relay.run(GATED))
    assert (await relay.wait_for_end(run_id))["status"] == "waiting"
    return run_id


async def focus(page: Page) -> str:
    """The shot or the field that has it."""
    return str(await page.evaluate(FOCUS))


async def test_keys_lead_through_a_run_and_no_key_spends(relay: Any, gated_run: str, visit: Any, axe: Any) -> None:
    """j and k from shot to shot, Enter opens it, r and a lead to their buttons, Escape back; the palette jumps."""
    async with visit(relay) as person:
        page = await person.open(f"/runs/{gated_run}")
        panel = page.get_by_role("complementary", name="The shot")
        await expect(page).to_have_title("● by keys · FrameRelay")
        focuses = []
        for key in "jjjkj":
            await page.keyboard.press(key)
            focuses.append(await focus(page))
        assert focuses == ["shot-s1", "shot-s2", "shot-s2", "shot-s1", "shot-s2"]
        await page.keyboard.press("k")
        await page.keyboard.press("Enter")
        await expect(panel.get_by_role("heading", name="Shot s1")).to_be_visible()
        await page.keyboard.press("j")
        await expect(panel.get_by_role("heading", name="Shot s2")).to_be_visible()
        await page.keyboard.press("k")
        await expect(panel.get_by_role("heading", name="Shot s1")).to_be_visible()
        await page.keyboard.press("r")
        await expect(panel.get_by_role("textbox", name="Prompt")).to_be_focused()
        await page.keyboard.type("j")
        await expect(panel.get_by_role("textbox", name="Prompt")).to_have_value(re.compile("j"))
        violations = await axe(page)
        await page.keyboard.press("Escape")
        await expect(panel).to_be_hidden()
        assert await focus(page) == "shot-s1"
        await page.keyboard.press("a")
        await expect(page.get_by_role("button", name="Approve s2: spend 1 job")).to_be_focused()
        await page.get_by_role("link", name="s1: done").focus()
        await page.keyboard.press("ArrowRight")
        await expect(page.get_by_role("link", name="s2: waiting")).to_be_focused()
        await page.keyboard.press("?")
        await expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
        await page.keyboard.press("Escape")
        await page.keyboard.press("Control+k")
        await page.keyboard.type("s2")
        await expect(page.get_by_role("option", name="s2 Shot")).to_have_attribute("aria-selected", "true")
        violations += await axe(page)
        await page.keyboard.press("Enter")
        assert await focus(page) == "shot-s2"
        await page.keyboard.press("Control+k")
        await page.keyboard.type("by ke")
        await page.get_by_role("option", name="by keys Run").click()
        await expect(page).to_have_url(re.compile(gated_run))

    assert violations == []
    assert (await relay.view(gated_run))["spent"]["jobs"] == 1


async def test_without_a_script_all_is_decided_by_forms(relay: Any, visit: Any) -> None:
    """A shot is a page; what came too late is a line on the run; a storyboard says what it would do, then does it."""
    run_id = await relay.run(GATED)
    await relay.wait_for_end(run_id)
    async with visit(relay, java_script_enabled=False) as person:
        person.expects("status of 409")
        page, late = await person.open(f"/runs/{run_id}"), await person.open(f"/runs/{run_id}")
        await page.get_by_role("link", name="s1", exact=True).click()
        await expect(page.get_by_role("button", name="Retake s1: spend 1 job")).to_be_visible()
        await expect(page.locator("time").first).to_have_text(re.compile(r"\d\d:\d\d:\d\d UTC"))
        await page.go_back()
        await page.get_by_role("button", name="Approve s2").click()
        await late.get_by_role("button", name="Approve s2").click()
        alert = late.get_by_role("alert")
        await expect(alert).to_have_text("s2 was approved already, by somebody else or in another tab.")
        await expect(late.get_by_role("heading", level=1, name="by keys")).to_be_visible()
        await relay.wait_for_end(run_id)
        await page.goto(f"{person.url}/runs/{run_id}/storyboard")
        box = page.get_by_label("Storyboard as YAML")
        await box.fill((await box.input_value()).replace("closer", "nearer"))
        await page.get_by_role("button", name="Show what would happen").click()
        await page.get_by_role("button", name="Apply: spend 1 job").click()
        await expect(page.get_by_role("heading", level=1, name="by keys", exact=True)).to_be_visible()

    run = await relay.wait_for_end(run_id)
    assert (run["shots"][1]["prompt"], run["status"]) == ("nearer", "waiting"), "its gate asks again"


async def test_a_storyboard_says_what_it_would_do_while_it_is_typed(gated_run: str, relay: Any, visit: Any) -> None:
    """Nothing is pressed for it; a mistake leads to its line."""
    async with visit(relay) as person:
        page = await person.open(f"/runs/{gated_run}/storyboard")
        box = page.get_by_label("Storyboard as YAML")
        text = await box.input_value()
        await box.fill(text.replace("closer", "nearer"))
        await expect(page.get_by_role("button", name="Apply: spend 1 job")).to_be_visible()
        await box.fill(text.replace("prompt: closer", "promt: closer"))
        await page.get_by_role("link", name="line ").first.click()
        marked_text = await box.evaluate("it => it.value.slice(it.selectionStart, it.selectionEnd)")
        await expect(page.get_by_role("button", name="Apply")).to_be_hidden()

    assert "promt" in marked_text or "s2" in marked_text


async def test_forty_shots_are_seen_at_once_and_times_are_the_readers(
    start_relay: Any, visit: Any, picture: Any
) -> None:
    """All of them on one screen of a desk, on two of a phone; scenes that are done are folded; a click unfolds them."""
    async with start_relay("http://127.0.0.1:9", worker=False) as relay:
        scenes = [
            {"id": f"scene{s}", "shots": [{"id": f"s{s}-{n}", "prompt": "in the rain"} for n in range(10)]}
            for s in range(4)
        ]
        run_id = await relay.run({**MODEL, "title": "forty", "scenes": scenes})
        for number in range(10):
            await make(relay.store, run_id, f"s0-{number}")
        sizes: dict[str, dict[str, Any]] = {
            "desk": {},
            "phone": {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True},
        }
        for name, options in sizes.items():
            async with visit(relay, timezone_id="Asia/Shanghai", **options) as person:
                person.expects("status of 404")  # The pictures were never made.
                page = await person.open(f"/runs/{run_id}")
                await picture(page, f"forty-{name}", whole=False)
                cells = page.get_by_role("navigation", name="Shots").get_by_role("link")
                await expect(cells).to_have_count(40)
                box = await cells.last.bounding_box()
                assert box["y"] + box["height"] <= (800 if name == "desk" else 2 * 844)
                first = page.locator("#shot-s0-0")
                await expect(first).to_be_hidden()
                await cells.first.click()
                await expect(first).to_be_in_viewport()
                at = await page.locator("footer time").get_attribute("datetime")
                text = await page.locator("footer time").inner_text()
                hours = (int(at[11:13]) + 8) % 24
                assert f"{hours % 12 or 12:02}:{at[14:16]}" in text
