"""
`make screenshots`: the manual's pictures, taken of the running program, into docs/pictures/.

It is written as a test, for the sake of the fixtures, and named so that `make test` leaves it alone.
"""

import io
import subprocess
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.async_api import Locator, Page

pytestmark = pytest.mark.anyio

INTO = Path(__file__).parents[2] / "docs" / "pictures"
BYTES_MAX = 200_000
MODEL = {"version": 1, "model": "seedance-1.5-pro-1080p", "defaults": {"resolution": "480p", "seed": 12345}}
RAIN: dict[str, Any] = {
    **MODEL,
    "title": "霓虹雨夜",
    "budget": {"jobs": 12},
    "scenes": [
        {
            "id": "street",
            "shots": [
                {"id": "arrival", "prompt": "A sports car drives through a street of neon signs, in the rain"},
                {"id": "wheel", "prompt": "The camera closes in on the driver; lamps glide over the windscreen"},
                {"id": "brake", "prompt": "The car stops; its lights shiver in a puddle"},
            ],
        },
        {
            "id": "roof",
            "shots": [
                {"id": "above", "prompt": "The same street from a roof, steam rising between the signs"},
                {"id": "leap", "prompt": "The camera falls towards the street", "gate": "approve"},
            ],
        },
    ],
}
HARBOUR = {
    **MODEL,
    "title": "Harbour at dawn",
    "budget": {"jobs": 4},
    "shots": [
        {"id": "pier", "prompt": "A pier in the first light, gulls above it"},
        {"id": "boat", "prompt": "A boat comes out of the mist", "takes": 2},
    ],
}
CHASE: dict[str, Any] = {
    **RAIN,
    "title": "霓虹雨夜，第二版",
    "scenes": [
        {**scene, "shots": [{name: shot[name] for name in ("id", "prompt")} for shot in scene["shots"]]}
        for scene in RAIN["scenes"]
    ],
}


@pytest.fixture(autouse=True)
def font() -> None:
    """A picture of boxes instead of signs is worse than an old one."""
    found = subprocess.run(["fc-list", ":lang=zh"], capture_output=True, text=True, check=False).stdout
    if not found:
        pytest.fail("no font for Chinese here: apt-get install fonts-noto-cjk")


async def test_the_pictures_are_taken(start_provider: Any, start_relay: Any, visit: Any, wait_until: Any) -> None:
    """A list, a run while it runs, an approval, a seam, a shot, a storyboard, a phone, and a film in the dark."""
    options = {"scale": 0.6, "seconds_per_clip": 3.0, "queue_s": 0.3, "job_s": 4.0}
    async with start_provider(options=options) as provider, start_relay(provider.url) as relay:
        harbour, rain = await relay.run(HARBOUR), await relay.run(RAIN)
        await relay.ended(harbour, within_s=180)
        await relay.ended(rain, within_s=180)
        async with visit(relay) as person:
            waiting = await shown(await person.open(f"/runs/{rain}"))
            await keep(waiting.locator("#approve-leap"), "approve")
        await relay.api.post(f"/v1/runs/{rain}/shots/leap/approve")
        done = await relay.ended(rain, within_s=180)
        assert done["status"] == "succeeded", done["error"]
        chase = await relay.run(CHASE)

        async def is_under_way() -> bool:
            shots = {shot["id"]: shot for shot in (await relay.shown(chase))["shots"]}
            has_seam = shots["wheel"]["takes"] and shots["wheel"]["takes"][0]["seam"]
            return bool(has_seam) and shots["brake"]["status"] == "generating"

        await wait_until(is_under_way, "two shots and their seam are done, and the next one generates", within_s=60)
        async with visit(relay, device_scale_factor=1.5) as person:
            await keep(await shown(await person.open(f"/runs/{chase}")), "run", whole=True)
        async with visit(relay, device_scale_factor=1.5, viewport={"width": 1280, "height": 340}) as person:
            await keep(await shown(await person.open("/")), "list")
        async with visit(relay, device_scale_factor=1) as person:
            film = await shown(await person.open(f"/runs/{rain}"))
            await film.get_by_role("link", name="wheel", exact=True).click()
            await film.get_by_role("heading", name="Shot wheel").wait_for()
            await keep(await shown(film), "panel")
            film = await person.open(f"/runs/{rain}/storyboard")
            board = film.get_by_label("Storyboard as YAML")
            await board.fill((await board.input_value()).replace("shiver in a puddle", "go out"))
            await film.get_by_role("button", name="Apply").wait_for()
            await keep(film, "storyboard")
        async with visit(relay, viewport={"width": 1000, "height": 800}) as person:
            film = await shown(await person.open(f"/runs/{rain}"))
            await film.locator(".shot > .seam").first.click()
            frames = film.locator("#compare img")
            await frames.last.evaluate("it => it.decode()")
            await keep(film.locator("#compare"), "compare")
        async with visit(relay, device_scale_factor=1.5, color_scheme="dark") as person:
            await keep(await shown(await person.open(f"/runs/{rain}")), "dark")
        async with visit(relay, device_scale_factor=1.5, viewport={"width": 390, "height": 844}) as person:
            await keep(await shown(await person.open(f"/runs/{harbour}")), "phone")
        await relay.api.post(f"/v1/runs/{chase}/cancel")


async def shown(page: Page) -> Page:
    """*page* with every picture in place, those included that load only when they are scrolled to."""
    await page.evaluate(
        "Promise.all([...document.images].map(each => { each.loading = 'eager'; return each.decode().catch(() => 0) }))"
    )
    if await page.locator("video").count():
        await page.wait_for_timeout(2000)  # Until no player says any more that it loads.
    return page


async def keep(what: Page | Locator, name: str, *, whole: bool = False) -> None:
    """Into `INTO`, in 256 colors: as sharp, and a quarter of the size. *whole*: what is below, too."""
    INTO.mkdir(exist_ok=True)
    taken = await (what.screenshot(full_page=whole) if isinstance(what, Page) else what.screenshot())
    picture = Image.open(io.BytesIO(taken)).convert("RGB")
    picture.quantize(256, kmeans=2, dither=Image.Dither.FLOYDSTEINBERG).save(INTO / f"{name}.png", optimize=True)
    assert (INTO / f"{name}.png").stat().st_size < BYTES_MAX, name
