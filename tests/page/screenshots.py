"""
`make screenshots`: the manual's pictures, taken of the running program, into docs/pictures/.

It is written as a test, for the sake of the fixtures, and named so that `make test` leaves it alone.
"""

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.async_api import Locator, Page

pytestmark = pytest.mark.anyio

INTO = Path(__file__).parents[2] / "docs" / "pictures"
BYTES_MAX = 200_000
MODEL = {"version": 1, "model": "seedance-1.5-pro-1080p", "defaults": {"resolution": "480p", "seed": 12345}}
RAIN = {
    **MODEL,
    "title": "Neon rain",
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
CHASE = {**RAIN, "title": "The chase"}


async def test_the_pictures_are_taken(start_provider: Any, start_relay: Any, visit: Any, wait_until: Any) -> None:
    """A list, a run while it runs, a seam, a phone, and a film in the dark."""
    options = {"scale": 0.75, "seconds_per_clip": 3.0, "queue_s": 0.3, "job_s": 3.0}
    async with start_provider(options=options) as provider, start_relay(provider.url) as relay:
        waiting = await relay.run(HARBOUR)
        await relay.ended(waiting, within_s=120)
        rain = await relay.run(RAIN)
        await relay.ended(rain, within_s=180)
        await relay.api.post(f"/v1/runs/{rain}/shots/leap/approve")
        done = await relay.ended(rain, within_s=180)
        assert done["status"] == "succeeded", done["error"]
        chase = await relay.run(CHASE)

        async def is_under_way() -> bool:
            shots = {shot["id"]: shot["status"] for shot in (await relay.shown(chase))["shots"]}
            return shots["arrival"] == "done" and shots["wheel"] == "generating"

        await wait_until(is_under_way, "one shot is done and the next one generates", within_s=60)
        async with visit(relay, device_scale_factor=1.5) as person:
            await keep(await shown(await person.open(f"/runs/{chase}")), "run")
            await keep(await shown(await person.open("/")), "list")
            film = await shown(await person.open(f"/runs/{rain}"))
            await keep(film, "film")
        async with visit(relay, device_scale_factor=1.5, color_scheme="dark") as person:
            await keep(await shown(await person.open(f"/runs/{rain}")), "dark")
        async with visit(relay, device_scale_factor=2, viewport={"width": 390, "height": 844}) as person:
            await keep(await shown(await person.open(f"/runs/{waiting}")), "phone")
        await relay.api.post(f"/v1/runs/{chase}/cancel")


async def shown(page: Page) -> Page:
    """*page*, with every picture and the first frame of every clip in place."""
    await page.wait_for_load_state("load")
    await page.evaluate("Promise.all([...document.images].map(each => each.decode().catch(() => 0)))")
    return page


async def keep(what: Page | Locator, name: str) -> None:
    """Into `INTO`, in 256 colours: as sharp, and a quarter of the size."""
    INTO.mkdir(exist_ok=True)
    picture = Image.open(io.BytesIO(await what.screenshot())).convert("RGB")
    picture.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.FLOYDSTEINBERG).save(
        INTO / f"{name}.png", optimize=True
    )
    assert (INTO / f"{name}.png").stat().st_size < BYTES_MAX, name
