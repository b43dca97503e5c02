"""A person works on the page: begins a film in words or shot by shot, finds what needs them, reads callbacks."""

import io
from typing import Any

import pytest
from PIL import Image
from playwright.async_api import Page, expect

pytestmark = pytest.mark.anyio

BOARD = """\
title: Rain
model: seedance-1.5-pro-1080p
defaults: {watermark: true}
shots:
  - {id: one, prompt: A car, first_frame: ./refs/street.png}
  - {id: two, prompt: Closer}
"""
GATED = {
    "model": "seedance-1.5-pro-1080p",
    "title": "a pause",
    "shots": [{"id": "s1", "prompt": "a car"}, {"id": "s2", "prompt": "closer", "gate": "approve"}],
}
DROP = """([name, text]) => {
  const data = new DataTransfer();
  data.items.add(new File([text], name));
  document.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
}"""


def street() -> dict[str, Any]:
    """A picture, as a file that somebody chooses."""
    content = io.BytesIO()
    Image.new("RGB", (640, 360), (30, 60, 90)).save(content, "PNG")
    return {"name": "street.png", "mimeType": "image/png", "buffer": content.getvalue()}


def start_button(page: Page) -> Any:
    return page.get_by_role("button", name="Start: spend")


async def test_a_storyboard_and_its_picture_are_dropped_and_started(relay: Any, visit: Any, picture: Any) -> None:
    """Its mistakes come with their lines while somebody types; then the plan, what is missing, and the run."""
    async with visit(relay) as person:
        page = await person.open("/new")
        await page.evaluate(DROP, ["film.yaml", BOARD.replace("Closer", "Closer, frm: cut")])
        await expect(page.get_by_role("link", name="line 6")).to_be_visible()
        await page.get_by_role("button", name="Storyboard as text").click()
        text = page.get_by_label("Storyboard (YAML or JSON)")
        await text.fill(BOARD)
        await expect(page.get_by_text("missing: drop it on this page")).to_be_visible()
        await expect(start_button(page)).to_be_disabled()
        await page.locator("#pick").set_input_files([street()])
        await expect(page.get_by_text("1 thing to look at")).to_be_visible()
        await expect(start_button(page)).to_be_enabled()
        await picture(page, "new-film")
        await start_button(page).click()
        await expect(page.get_by_role("heading", level=1, name="Rain")).to_be_visible()
        run = await relay.store.load(page.url.rpartition("/")[2])

    assert run.shots[0].first_frame.startswith("file:given/")
    assert run.budget_jobs == 2


async def test_a_film_is_written_shot_by_shot(relay: Any, visit: Any, axe: Any, picture: Any) -> None:
    """Added, moved, removed; with a picture of its own; what it says is the storyboard, and nothing of that is lost."""
    async with visit(relay) as person:
        page = await person.open("/new")
        await page.get_by_label("Title").fill("Harbor: at dawn")
        await page.get_by_label("Model").fill("seedance-1.5-pro-1080p")
        await page.get_by_label("Aspect ratio").fill("16:9")
        prompts = page.get_by_label("What is to be seen")
        for number, prompt in enumerate(("A pier", "yes", "# a boat\nin the mist")):
            if number:
                await page.get_by_role("button", name="Add a shot").click()
            await prompts.nth(number).fill(prompt)
        await page.get_by_role("button", name="Move it up").nth(2).click()
        await page.get_by_role("button", name="Remove it").nth(0).click()
        await page.get_by_label("ask me first").nth(1).check()
        await page.get_by_label("Begins with").nth(1).select_option("a picture")
        await page.locator("[data-file]").nth(1).set_input_files(street())
        await page.get_by_label("Seconds").nth(2).fill("8")
        await expect(start_button(page)).to_be_enabled()
        await expect(page.locator(".pictures .good")).to_be_visible()
        assert await axe(page) == []
        await picture(page, "new-film-shots")
        await start_button(page).click()
        await expect(page.get_by_role("heading", level=1, name="Harbor: at dawn")).to_be_visible()
        run = await relay.store.load(page.url.rpartition("/")[2])
        await page.goto(f"{person.url}/new?from={run.id}")
        await page.get_by_role("button", name="Shot by shot").click()
        await expect(page.get_by_label("Title")).to_have_value("Harbor: at dawn")
        await expect(prompts.first).to_have_value("# a boat\nin the mist")
        await expect(page.get_by_label("Begins with").nth(1)).to_have_value("picture")

    first, second = run.shots
    assert (first.input["prompt"], first.input["ratio"], first.gated) == ("# a boat\nin the mist", "16:9", False)
    assert (second.input["prompt"], second.input["duration"], second.gated, second.source) == ("yes", 8, True, None)
    assert second.first_frame.startswith("file:given/")


async def test_what_was_typed_outlives_a_session_that_has_ended(relay: Any, visit: Any) -> None:
    """It is shown where somebody types, and after the log-in it can be restored."""
    async with visit(relay) as person:
        person.expects("status of 401")
        page = await person.open("/new?from=")
        await page.get_by_role("button", name="Storyboard as text").click()
        text = page.get_by_label("Storyboard (YAML or JSON)")
        await text.fill("title: kept\n")
        await expect(page.get_by_text("to correct")).to_be_visible()
        await person.context.clear_cookies()
        await text.press_sequentially("model: m")
        await expect(page.get_by_role("alert").filter(has_text="logged out")).to_be_visible()
        await person.log_in()
        await page.goto(f"{person.url}/new")
        await page.get_by_role("button", name="Bring it back").click()

        await expect(text).to_have_value("title: kept\nmodel: m")


async def test_without_a_script_it_is_a_text_and_a_button(relay: Any, visit: Any) -> None:
    """Show the plan, then Start."""
    async with visit(relay, java_script_enabled=False) as person:
        page = await person.open("/new")
        await page.get_by_label("Storyboard (YAML or JSON)").fill("title: plain\nmodel: m\nshots: [{prompt: a}]\n")
        await page.get_by_role("button", name="Show the plan").click()
        await start_button(page).click()

        await expect(page.get_by_role("heading", level=1, name="plain")).to_be_visible()


async def test_the_tab_says_that_somebody_is_waited_for(relay: Any, visit: Any) -> None:
    """Without a reload: the run moves to the top, its number into the title."""
    for run in (await relay.api.get("/v1/runs", params={"needs": "person"})).json()["data"]:  # Of other tests.
        await relay.api.post(f"/v1/runs/{run['id']}/cancel")
    async with visit(relay) as person:
        page = await person.open("/", hurried=True)
        await expect(page).to_have_title("Runs · FrameRelay")
        await relay.run(GATED)
        await expect(page).to_have_title("(1) Runs · FrameRelay")
        needs = page.get_by_role("region", name="Needs you (1)")
        await expect(needs.get_by_text("Shot s2 starts when you approve.")).to_be_visible()
        await page.keyboard.press("j")
        await page.keyboard.press("Enter")

        await expect(page.get_by_role("heading", level=1, name="a pause")).to_be_visible()


async def test_a_callback_opens_at_the_side(relay: Any, visit: Any, axe: Any, picture: Any) -> None:
    """Its JSON can be copied, the next one comes with j, Escape leads back to the line where one was."""
    run_id = await relay.run({**GATED, "title": "told"})
    await relay.wait_for_end(run_id)
    async with visit(relay, permissions=["clipboard-read", "clipboard-write"]) as person:
        page = await person.open(f"/callbacks?run={run_id}")
        rows = page.locator("tbody tr")
        await rows.first.locator("a.go").click()
        side = page.get_by_role("dialog", name="One callback")
        await expect(side.get_by_text("succeeded", exact=True)).to_be_visible()
        assert await axe(page) == []
        await picture(page, "callback-at-the-side", whole=False)
        await side.get_by_role("button", name="Copy").click()
        await expect(side.get_by_role("button", name="Copied")).to_be_visible()
        text = await page.evaluate("navigator.clipboard.readText()")
        await page.keyboard.press("j")
        await expect(rows.nth(1)).to_have_class("is-open")
        await expect(side.get_by_text("succeeded", exact=True)).to_have_count(0)
        await page.keyboard.press("Escape")
        await expect(side).to_be_hidden()
        await expect(rows.nth(1).locator("a.go")).to_be_focused()

    assert '\n  "id": "job_' in text
