"""
`make before-and-after`: what was worst to look at on the page of the first round, and the same run on today's page.

Each of docs/pictures/before-and-after/ is one file: on the left the page as it was, on the right as it is, on a desk
and on a phone. The left half is of code that is history, and stays as the file has it; the right half is taken again.
It is written as a test, like screenshots.py, and named so that `make test-e2e` leaves it alone.
"""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.async_api import Page, expect

pytestmark = pytest.mark.anyio

PICTURES = Path(__file__).parents[2] / "docs" / "pictures" / "before-and-after"
DESK, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
HEIGHT, GAP, BETWEEN = 560, 8, 40
SIDE = HEIGHT * 1280 // 800 + GAP + HEIGHT * 390 // 844
SHEET_ROW, SHEET_CELL = 13, (85, 184)
COLORS, BYTES_MAX = 64, 250_000
MODEL = {"version": 1, "model": "seedance-1.5-pro-1080p", "defaults": {"resolution": "480p", "seed": 12345}}
SAID = (
    "A sports car drives through a street of neon signs, in the rain",
    "镜头推近驾驶座，路灯的光从挡风玻璃上掠过，雨刷一下一下地摆",
    "The camera closes in on the driver; lamps glide over the windscreen",
    "跑车停下，尾灯在积水里颤动",
)
SHOTS = [{"id": f"s{number}", "prompt": SAID[number % len(SAID)]} for number in range(1, 41)]
CHASE = {**MODEL, "title": "霓虹雨夜", "budget": {"jobs": 8}, "shots": SHOTS[:3]}
EPISODE = {
    **MODEL,
    "title": "Episode 12",
    "budget": {"jobs": 48},
    "shots": [*SHOTS[:24], {**SHOTS[24], "gate": "approve"}, *SHOTS[25:]],
}
SLOW = {"scale": 0.4, "seconds_per_clip": 2.0, "queue_s": 0.1, "job_s": 6.0}
QUICK = {"scale": 0.4, "seconds_per_clip": 1.0, "queue_s": 0.05, "job_s": 0.1}


async def test_a_room_with_nothing_in_it_and_a_retake(
    start_provider: Any, start_relay: Any, visit: Any, wait_until: Any
) -> None:
    """The first visit; a retake while the film is joined; where a retake is asked for."""
    async with start_provider(options=SLOW) as provider, start_relay(provider.url) as relay:
        async with devices(visit, relay, logged_in=False) as (_, phone):
            await open_page(phone, relay, "/")
            async with visit(relay, viewport=DESK) as person:
                desk = await person.open("/")
                await wait_for_pictures(desk)
                await keep("10-empty-rooms", desk, phone)
        run_id = await relay.run(CHASE)
        while any(shot["status"] != "done" for shot in (await relay.view(run_id))["shots"]):
            await asyncio.sleep(0.02)

        async def is_made_again() -> bool:
            return bool((await relay.view(run_id))["shots"][0]["status"] == "generating")

        again = await relay.api.post(f"/v1/runs/{run_id}/shots/s1/retake")
        assert again.status_code == 200, again.text
        async with devices(visit, relay) as pages:
            await wait_until(is_made_again, "the take is under way")  # By then it once was a film of the old one.
            for page in pages:
                await open_page(page, relay, f"/runs/{run_id}")
            await keep("01-one-state", *pages)
            await relay.wait_for_end(run_id)
            for page in pages:
                await open_page(page, relay, f"/runs/{run_id}")
                await ask_for_a_retake(page)
            await keep("03-a-retake", *pages)


async def test_forty_shots(start_provider: Any, start_relay: Any, visit: Any) -> None:
    """The whole on a phone, the strip, a card, an approval, two tabs that decide, and what came in."""
    async with start_provider(options=QUICK) as provider, start_relay(provider.url) as relay:
        run_id = await relay.run(EPISODE)
        await relay.wait_for_end(run_id)
        async with devices(visit, relay) as (desk, phone):
            for page in (desk, phone):
                await open_page(page, relay, f"/runs/{run_id}")
            await asyncio.to_thread(save, "02-forty-shots", sheet(await screenshot_of(phone, full_page=True)))
            for page in (desk, phone):
                await open_page(page, relay, f"/runs/{run_id}")
            await keep("05-an-approval", desk, phone)
            for page in (desk, phone):
                await page.locator("#shot-s7").evaluate("it => it.scrollIntoView({block: 'center'})")
                await wait_for_pictures(page)
            await keep("04-the-strip", desk, phone)
            for page in (desk, phone):
                await page.locator("#shot-s24").evaluate("it => it.scrollIntoView({block: 'center'})")
                await wait_for_pictures(page)
            await keep("06-seams", desk, phone)
        async with devices(visit, relay, zoom=2) as (desk, phone):
            for page in (desk, phone):
                await open_page(page, relay, f"/runs/{run_id}")
                await page.locator("#shot-s25").evaluate("it => it.scrollIntoView({block: 'center'})")
                await wait_for_pictures(page)
            await keep("09-a-card", desk, phone)
        async with devices(visit, relay) as (desk, phone):
            for page in (desk, phone):
                await open_page(page, relay, f"/runs/{run_id}")
                await page.evaluate("window.stop()")
                await page.route("**/strip*", lambda route: route.abort())
            await relay.api.post(f"/v1/runs/{run_id}/shots/s25/approve")
            for page in (desk, phone):
                await page.get_by_role("button", name="Approve s25").click()
                await expect(page.get_by_role("alert")).to_be_visible()
                await page.unroute("**/strip*")
                await expect(page.locator("#lost")).to_be_hidden()
                await wait_for_pictures(page)
            await keep("08-two-tabs", desk, phone)
        await relay.wait_for_end(run_id)
        async with devices(visit, relay) as (desk, phone):
            for page in (desk, phone):
                await open_page(page, relay, "/callbacks")
                await read_a_callback(page)
            await keep("07-callbacks", desk, phone)


async def ask_for_a_retake(page: Page) -> None:
    await page.locator("#shot-s2 h3 a").first.press("r")
    await expect(page.get_by_role("heading", name="Shot s2")).to_be_visible()
    await wait_for_pictures(page)


async def read_a_callback(page: Page) -> None:
    await page.locator("tbody a.go").first.click()
    await expect(page.locator("#side-body pre").first).to_be_visible()


@asynccontextmanager
async def devices(visit: Any, relay: Any, *, zoom: float = 1, **options: Any) -> AsyncIterator[tuple[Page, Page]]:
    """A tab on a desk, and one on a phone; *zoom* for a closer view."""
    sizes = [{side: int(px / zoom) for side, px in size.items()} for size in (DESK, PHONE)]
    async with (
        visit(relay, viewport=sizes[0], device_scale_factor=zoom, **options) as at_desk,
        visit(relay, viewport=PHONE, **options) as at_phone,
    ):
        for person in (at_desk, at_phone):
            person.expects("status of 40[19]", "net::ERR_FAILED")
        yield await at_desk.context.new_page(), await at_phone.context.new_page()


async def open_page(page: Page, relay: Any, path: str) -> None:
    await page.goto(f"{relay.settings.listen_url}{path}")
    await wait_for_pictures(page)


async def wait_for_pictures(page: Page) -> None:
    """Until every picture is in its place, and nothing says any longer that it loads."""
    await page.evaluate(
        "Promise.all([...document.images].map(each => { each.loading = 'eager'; return each.decode().catch(() => 0) }))"
    )
    await page.wait_for_timeout(600)


async def screenshot_of(page: Page, **options: Any) -> Image.Image:
    return Image.open(io.BytesIO(await page.screenshot(**options))).convert("RGB")


async def keep(name: str, desk: Page, phone: Page) -> None:
    """Both beside each other, at one height."""
    shots = [await screenshot_of(desk), await screenshot_of(phone)]
    side = Image.new("RGB", (SIDE, HEIGHT), "white")
    at = 0
    for each in shots:
        small = each.resize((each.width * HEIGHT // each.height, HEIGHT), Image.Resampling.LANCZOS)
        side.paste(small, (at, 0))
        at += small.width + GAP
    await asyncio.to_thread(save, name, side)  # The receiver runs here, too, and is not to be held up.


def sheet(whole: Image.Image) -> Image.Image:
    """A page that is many screens long, screen beside screen."""
    side = Image.new("RGB", (SIDE, HEIGHT), "white")
    for number, top in enumerate(range(0, whole.height, PHONE["height"])):
        screen = whole.crop((0, top, PHONE["width"], min(top + PHONE["height"], whole.height)))
        small = screen.resize(
            (SHEET_CELL[0], max(1, screen.height * SHEET_CELL[0] // screen.width)), Image.Resampling.LANCZOS
        )
        side.paste(small, (number % SHEET_ROW * (SHEET_CELL[0] + 4), number // SHEET_ROW * (SHEET_CELL[1] + 4)))
    return side


def save(name: str, today: Image.Image) -> None:
    """*today* on the right of what the file of that name has on its left, bit by bit as it was."""
    path = PICTURES / f"{name}.webp"
    both = Image.new("RGB", (2 * SIDE + BETWEEN, HEIGHT), "white")
    both.paste(Image.open(path).convert("RGB").crop((0, 0, SIDE, HEIGHT)), (0, 0))
    both.paste(today.quantize(COLORS, kmeans=1, dither=Image.Dither.NONE).convert("RGB"), (SIDE + BETWEEN, 0))
    both.save(path, lossless=True, quality=100, method=6)
    assert path.stat().st_size < BYTES_MAX, path
