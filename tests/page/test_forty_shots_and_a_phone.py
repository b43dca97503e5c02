"""What annoyed somebody who worked on long films, on a phone, or with the keyboard alone."""

from typing import Any

import pytest
from playwright.async_api import Page, expect

pytestmark = pytest.mark.anyio

MODEL = {"model": "seedance-1.5-pro-1080p"}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
SAID = "The camera closes in on the driver; lamps glide over the windscreen, and the wipers go"
FORTY: dict[str, Any] = {
    **MODEL,
    "title": "forty shots",
    "defaults": {"seed": 12345},
    "budget": {"jobs": 60},
    "shots": [{"id": f"s{number}", "prompt": SAID} for number in range(1, 41)],
}
FORTY["shots"][1]["gate"] = "approve"
PLACE = "it => { const box = it.getBoundingClientRect(); return [box.left, box.top, box.right, box.bottom] }"
IS_WHOLE = "it => it.scrollWidth <= it.clientWidth && it.scrollHeight <= it.clientHeight + 1"


@pytest.fixture(scope="module")
async def forty(relay: Any) -> str:
    """A run of forty shots that waits for the approval of its second one."""
    run_id = str(await relay.run(FORTY))
    await relay.wait_for_end(run_id)
    return run_id


async def focus(page: Page) -> str:
    return str(await page.evaluate("document.activeElement.getAttribute('href') || document.activeElement.id"))


async def test_forty_frames_are_one_stop_on_the_way_to_the_decision(relay: Any, forty: str, visit: Any) -> None:
    """Tab goes past the overview in one step; in it the arrows lead to each frame, and what happens moves nobody."""
    async with visit(relay) as person:
        page = await person.open(f"/runs/{forty}")
        await page.locator("#run-menu summary").focus()
        await page.keyboard.press("Tab")
        assert await focus(page) == "#shot-s1"
        await page.keyboard.press("ArrowRight")
        assert await focus(page) == "#shot-s2"
        await page.keyboard.press("End")
        assert await focus(page) == "#shot-s40"
        await page.keyboard.press("ArrowUp")
        above = await focus(page)
        await page.keyboard.press("ArrowDown")
        assert (above, await focus(page)) != ("#shot-s40", above)
        assert await focus(page) == "#shot-s40"
        await page.evaluate("refresh()")
        stops = page.locator("#overview a:not([tabindex='-1'])")
        await expect(stops).to_have_count(1)
        assert await focus(page) == "#shot-s40"
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.closest('#approve-s2') !== null")
        await page.keyboard.press("j")
        await expect(stops).to_have_count(1)


async def test_without_a_script_each_frame_can_be_reached(relay: Any, forty: str, visit: Any) -> None:
    async with visit(relay, java_script_enabled=False) as person:
        page = await person.open(f"/runs/{forty}")
        await expect(page.locator("#overview a:not([tabindex])")).to_have_count(40)


async def test_menus_and_places_are_in_sight_on_a_phone(relay: Any, forty: str, visit: Any) -> None:
    """The menu that sorts, the name of the page that is shown, and before the log-in the name of the program."""
    async with visit(relay, **PHONE) as person:
        page = await person.open("/")
        await page.locator(".menu.sort summary").click()
        left, _, right, _ = await page.locator(".menu.sort ul").evaluate(PLACE)
        assert left >= 0
        assert right <= 390
        for path in ("/new", "/health"):
            page = await person.open(path)
            left, _, right, _ = await page.locator(".top nav [aria-current]").evaluate(PLACE)
            assert left >= 0, path
            assert right <= 390, path
    async with visit(relay, logged_in=False, **PHONE) as person:
        person.expects("status of 401")
        page = await person.open("/")
        await expect(page.locator(".mark .word")).to_be_visible()


async def test_a_card_says_all_it_has_to_say_on_a_phone(relay: Any, visit: Any) -> None:
    """What has to be done with a shot, and what it cost, are not cut; its prompt gives way."""
    run_id = await relay.run({**FORTY, "title": "a phone", "shots": [{"id": f"s{n}", "prompt": SAID} for n in (1, 2)]})
    await relay.wait_for_end(run_id)
    await relay.api.post(f"/v1/runs/{run_id}/shots/s1/retake")
    await relay.wait_for_end(run_id)
    async with visit(relay, **PHONE) as person:
        page = await person.open(f"/runs/{run_id}")
        card = page.locator("#shot-s2.is-stale")
        await expect(card.locator(".words")).to_contain_text("A retake fixes it.")
        text, words = await card.locator(".text").evaluate(PLACE), await card.locator(".words").evaluate(PLACE)
        assert words[3] <= text[3] + 1
        assert await card.locator(".hint").evaluate(IS_WHOLE)
        await expect(card.locator(".hint")).to_contain_text("1 job spent")
        page = await person.open(f"/runs/{run_id}/storyboard")
        assert await page.get_by_label("Storyboard as YAML").evaluate("it => it.scrollWidth <= it.clientWidth")


async def test_a_lost_connection_hides_nothing_on_a_phone(relay: Any, forty: str, visit: Any) -> None:
    """Title, figures and what is next can be read and pressed while it is shown."""
    async with visit(relay, **PHONE) as person:
        person.expects("net::ERR_FAILED")
        page = await person.open(f"/runs/{forty}")
        await page.route("**/strip", lambda route: route.abort())
        await page.evaluate("refresh()")
        notice = page.locator("#lost")
        await expect(notice).to_be_visible()
        _, top, _, bottom = await notice.evaluate(PLACE)
        head = await page.locator("#state").evaluate(PLACE)
        assert top >= head[3]
        assert bottom <= 844


@pytest.mark.parametrize(("path", "what"), [("/new", ".write"), ("/callbacks", "thead th:nth-child(2)")])
async def test_a_script_moves_nothing_when_it_loads(relay: Any, forty: str, visit: Any, path: str, what: str) -> None:
    """What is there before it runs is there afterwards: its buttons and the shorter times have their room."""
    places = []
    for has_script in (False, True):
        async with visit(relay, java_script_enabled=has_script) as person:
            page = await person.open(path)
            if has_script and path == "/new":
                await page.get_by_role("button", name="Shot by shot").wait_for()
            left, top, _, _ = await page.locator(what).evaluate(PLACE)
            places.append((round(left), round(top)))

    assert places[0] == places[1]
