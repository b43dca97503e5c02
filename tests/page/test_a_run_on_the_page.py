"""A person watches a run: it changes by itself, plays, and finds its way back after a break."""

import re
import threading
from contextlib import AsyncExitStack
from typing import Any

import pytest
from playwright.async_api import Page, expect

pytestmark = pytest.mark.anyio

MODEL = {"model": "seedance-1.5-pro-1080p"}
CHAIN: dict[str, Any] = {
    **MODEL,
    "title": "a chase",
    "shots": [{"id": "s1", "prompt": "a car"}, {"id": "s2", "prompt": "closer"}],
}
GATED = {**CHAIN, "title": "a pause", "shots": [CHAIN["shots"][0], {**CHAIN["shots"][1], "gate": "approve"}]}
HEIGHTS = "all => all.map(each => each.offsetHeight)"
WIDTH = "it => it.naturalWidth"
IS_DRAWN = "it => it.complete && it.naturalWidth > 0"
AS_PICTURE = {"Accept": "image/avif,image/webp,image/*,*/*;q=0.8", "Accept-Language": "zh-CN"}
HOSTILE = '<img src=x onerror="document.title=1"></script><script>document.title=2</script>{{7*7}}&lt;b&gt;"\'`\u202e'


@pytest.fixture(scope="module")
async def film(relay: Any) -> str:
    """A run that has its film, and that nobody changes."""
    run_id = str(await relay.run(CHAIN))
    await relay.wait_for_end(run_id)
    return run_id


async def test_a_run_goes_from_its_start_to_its_film_before_ones_eyes(
    start_provider: Any, start_relay: Any, visit: Any, picture: Any
) -> None:
    """Nobody reloads: states, frames, clips and the film come as they are made, and each clip can be played."""
    gate = threading.Event()
    async with (
        start_provider(until=gate) as provider,
        start_relay(provider.url) as relay,
        visit(relay) as person,
    ):
        first, second = CHAIN["shots"]
        run_id = await relay.run({**CHAIN, "shots": [{**first, "gate": "approve"}, second]})
        page = await person.open(f"/runs/{run_id}")
        await page.evaluate("window.seenFirst = true")
        await expect(page.get_by_text("waits for the last frame of s1")).to_be_visible()
        await relay.api.post(f"/v1/runs/{run_id}/shots/s1/approve")
        await expect(page.get_by_text("generating").first).to_be_visible()
        heights = await page.locator(".shot, .bar, .overview").evaluate_all("all => all.map(each => each.offsetHeight)")
        await picture(page, "run-generating")
        gate.set()
        await expect(page.get_by_role("link", name="Download it")).to_be_visible(timeout=120_000)
        await picture(page, "run-film")

        assert await page.evaluate("window.seenFirst"), "it was loaded again"
        now = await page.locator(".shot, .bar, .overview").evaluate_all("all => all.map(each => each.offsetHeight)")
        assert now == heights, "frames, words and figures have their room from the start"
        assert (await relay.view(run_id))["status"] == "succeeded"


async def test_clips_and_film_play(relay: Any, visit: Any, wait_until: Any) -> None:
    """One clip; what there is so far, clip after clip; and the film, once that is there."""
    third = {"id": "s3", "prompt": "it stops", "gate": "approve"}
    run_id = await relay.run({**CHAIN, "shots": [*CHAIN["shots"], third]})
    await relay.wait_for_end(run_id)
    async with visit(relay) as person:
        page = await person.open(f"/runs/{run_id}")
        video, film = page.locator("#player"), page.locator("#film")

        async def plays(what: Any = video) -> bool:
            return float(await what.evaluate("it => it.currentTime")) > 0.1

        await page.get_by_role("link", name="Play s1", exact=True).click()
        await wait_until(plays, "the clip plays")
        await page.locator("#run-menu summary").click()
        await page.get_by_role("link", name="Play so far").click()
        await expect(page.get_by_text("So far: s1, 1 of 2")).to_be_visible()
        await expect(page.get_by_text("So far: s2, 2 of 2")).to_be_visible()
        await wait_until(plays, "the second clip follows the first")
        await relay.api.post(f"/v1/runs/{run_id}/shots/s3/approve")
        await page.get_by_role("link", name="Play the film").click()
        await wait_until(lambda: plays(film), "the film plays, at the top of its run")

        assert await film.evaluate("it => it.error") is None
        assert await video.evaluate("it => it.paused"), "one at a time"


async def test_the_frames_of_a_seam_are_laid_over_each_other(
    relay: Any, film: str, visit: Any, picture: Any, axe: Any, wait_until: Any
) -> None:
    """By the keyboard: Enter opens them, whole; the arrows wipe from one to the other; Escape leads back."""
    async with visit(relay) as person:
        page = await person.open(f"/runs/{film}")
        seam = page.locator("#seam-s2")
        await seam.press("Enter")
        dialog = page.get_by_role("dialog", name="s1 → s2")
        await expect(dialog.get_by_role("img", name="s2 begins")).to_be_visible()
        await expect(dialog).to_contain_text("difference")
        conditions = (
            "[...document.querySelectorAll('#compare img')].map(e => e.complete && !!e.naturalWidth && e.currentSrc)"
        )

        async def are_shown() -> bool:
            return bool(await page.evaluate(f"{conditions}.every(Boolean)"))

        await wait_until(are_shown, "both frames are there")
        sources = await page.evaluate(conditions)
        slider = dialog.get_by_role("slider")
        await expect(slider).to_be_focused()
        await slider.press("ArrowLeft")
        position = await dialog.locator(".wipe").evaluate("it => it.style.getPropertyValue('--wipe')")
        await dialog.get_by_role("checkbox").check()
        await picture(page, "seam", whole=False)
        violations = await axe(page)
        await page.keyboard.press("Escape")
        await expect(dialog).to_be_hidden()
        await expect(seam).to_be_focused()

    assert position == "49%"
    assert [source.partition("/media/")[2].partition(".")[2] for source in sources] == ["1.last.png", "1.first.png"]
    assert violations == []


async def test_a_shot_tells_its_history(relay: Any, film: str, visit: Any) -> None:
    """From submit to clip, with the callback as it was received."""
    async with visit(relay) as person:
        page = await person.open(f"/runs/{film}")
        await page.get_by_role("link", name="s1", exact=True).click()
        await expect(page.get_by_role("heading", level=1, name="Shot s1")).to_be_visible()
        await page.get_by_text("What happened").click()
        await page.get_by_text("As it was received").last.click()
        body = await page.locator("pre:visible").inner_text()

    run = await relay.view(film)
    assert run["shots"][0]["takes"][0]["job_id"] in body
    assert '"succeeded"' in body


async def test_callbacks_appear_as_they_arrive(relay: Any, film: str, visit: Any) -> None:
    """Nobody reloads, and a body that somebody has opened to read it stays open."""
    async with visit(relay) as person:
        page = await person.open("/callbacks", hurried=True)
        await page.evaluate("window.seenFirst = true")
        job = (await relay.view(film))["shots"][1]["takes"][0]["job_id"]
        await page.locator("tr", has_text=job).last.locator("a.go").click()
        read = page.get_by_role("dialog", name="One callback")
        await relay.run({**CHAIN, "title": "while one looks"})
        await expect(page.get_by_role("link", name="while one looks: s2, take 1").first).to_be_visible()

        await expect(read.locator("pre")).to_contain_text(job)
        assert await page.evaluate("window.seenFirst"), "it was loaded again"


async def test_a_page_that_lost_its_events_finds_back(relay: Any, home: Any, relay_in: Any, visit: Any) -> None:
    """The receiver goes away while the run goes on, and comes back: the page shows how things stand, unasked."""
    run_id = await relay.run(GATED)
    await relay.wait_for_end(run_id)
    async with AsyncExitStack() as stack:
        async with relay_in(*home, "http://127.0.0.1:9", worker=False) as another:
            person = await stack.enter_async_context(visit(another))
            page = await person.open(f"/runs/{run_id}", hurried=True)
            await page.evaluate("window.seenFirst = true")
            await expect(page.get_by_role("button", name="Approve")).to_be_visible()
            person.expects("net::ERR_", "Failed to load resource")
        await relay.api.post(f"/v1/runs/{run_id}/shots/s2/approve")
        await relay.wait_for_end(run_id)
        port = another.settings.port
        await stack.enter_async_context(relay_in(*home, "http://127.0.0.1:9", worker=False, port=port))
        await expect(page.get_by_role("link", name="Download it")).to_be_visible(timeout=120_000)

        assert await page.evaluate("window.seenFirst"), "it was loaded again"


async def test_hostile_words_are_shown_and_do_nothing(relay: Any, visit: Any, picture: Any) -> None:
    """Title, prompt and names come from storyboards, which other people write."""
    board = {**MODEL, "title": HOSTILE, "shots": [{"id": "s1", "prompt": HOSTILE, "gate": "approve"}]}
    run_id = await relay.run(board)
    await relay.wait_for_end(run_id)
    async with visit(relay) as person:
        page = await person.open(f"/runs/{run_id}")
        title = await page.get_by_role("heading", level=1).inner_text()
        await picture(page, "hostile")
        await expect(page.locator("img[src='x']")).to_have_count(0)
        assert await page.title() not in ("1", "2")
        await page.goto(f"{person.url}/")
        await expect(page.locator("img[src='x']")).to_have_count(0)
        assert await page.title() not in ("1", "2")

    assert title.startswith('<img src=x onerror="document.title=1"></script><script>')
    assert "{{7*7}}&lt;b&gt;" in title


async def test_ten_tabs_do_not_starve_each_other(relay: Any, visit: Any) -> None:
    """A browser keeps six connections to a host; a tab that nobody sees gives its own back, and catches up later."""
    run_id = await relay.run(GATED)
    await relay.wait_for_end(run_id)
    async with visit(relay) as person:
        for _ in range(10):
            page = await person.open(f"/runs/{run_id}")
            await expect(page.get_by_role("button", name="Approve s2")).to_be_visible()
            await turn(page, "hidden")
        await relay.api.post(f"/v1/runs/{run_id}/shots/s2/approve")
        await relay.wait_for_end(run_id)
        await turn(page, "visible")

        await expect(page.get_by_role("link", name="Play the film")).to_be_visible()


async def turn(page: Page, state: str) -> None:
    """Headless tabs are all in sight; this one says otherwise."""
    await page.evaluate(
        "state => { for (const [name, value] of [['hidden', state === 'hidden'], ['visibilityState', state]])"
        " Object.defineProperty(document, name, { value, configurable: true });"
        " document.dispatchEvent(new Event('visibilitychange')); }",
        state,
    )


async def test_a_missing_picture_is_replaced_by_words(relay: Any, visit: Any, picture: Any, wait_until: Any) -> None:
    """
    In its own room, with a script and without, in the reader's language; what can be made again comes in by itself.
    """
    run_id = await relay.run(CHAIN)
    run = await relay.wait_for_end(run_id)
    folder = relay.settings.data_dir / "media" / run_id
    async with visit(relay) as before:
        page = await before.open(f"/runs/{run_id}")
        heights = await page.locator("img, video, .shot").evaluate_all(HEIGHTS)
    for file in folder.iterdir():
        if file.name.startswith("s2."):
            file.unlink()
    (folder / run["film"]["url"].rpartition("/")[2]).unlink()
    async with visit(relay, java_script_enabled=False, locale="zh-CN") as reader:
        reader.expects("404")
        page = await reader.open(f"/runs/{run_id}")
        frame = page.locator("#shot-s2 .pair img").last
        await expect(frame).to_be_visible()
        answer = await reader.context.request.get(f"{reader.url}{await frame.get_attribute('src')}", headers=AS_PICTURE)
        text = await answer.text()
        clip = await page.request.get(f"{reader.url}/media/{run_id}/s2.1.mp4", headers={"Accept": "text/html"})
        await picture(page, "gone-without-a-script")
    async with visit(relay) as person:
        person.expects("404")
        page = await person.open(f"/runs/{run_id}")
        film, frame = page.locator("#film"), page.locator("#shot-s2 .pair img").last
        await expect(film).to_have_attribute("poster", re.compile(r"\.mp4$"))
        await page.evaluate("refresh()")  # As anything that happens does: what comes knows nothing of it.
        await expect(film).to_have_attribute("poster", re.compile(r"\.mp4$"))
        await expect(frame).to_have_js_property("complete", True)
        assert await frame.evaluate(IS_DRAWN)
        now = await page.locator("img, video, .shot").evaluate_all(HEIGHTS)
        await picture(page, "gone")

    assert now == heights, "nothing jumps"
    assert (answer.status, answer.headers["content-type"]) == (404, "image/svg+xml")
    assert "文件不在了" in text
    assert (clip.status, clip.headers["content-type"]) == (404, "text/html; charset=utf-8")


async def test_a_picture_that_is_made_again_appears(relay: Any, visit: Any) -> None:
    """As after `FRAMERELAY_FRAMES_KEEP_S`; nobody reloads."""
    run_id = await relay.run(CHAIN)
    await relay.wait_for_end(run_id)
    folder = relay.settings.data_dir / "media" / run_id
    async with visit(relay) as before:
        page = await before.open(f"/runs/{run_id}")
        frame = page.locator("#shot-s1 .pair img").last
        await page.wait_for_function(IS_DRAWN, arg=await frame.element_handle())
        width = await frame.evaluate(WIDTH)
    for file in folder.iterdir():
        if ".last." in file.name or ".first." in file.name:
            file.unlink()
    async with visit(relay) as person:
        person.expects("503")
        page = await person.open(f"/runs/{run_id}", hurried=True)
        frame = page.locator("#shot-s1 .pair img").last
        await page.wait_for_function(f"it => it.complete && ({WIDTH})(it) == {width}", arg=await frame.element_handle())

    assert [each for each in person.problems if "503" in each], "it was gone at first"
