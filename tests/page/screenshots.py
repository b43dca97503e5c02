"""
`make screenshots`: the manual's pictures, taken of the running program: docs/pictures/, and in Chinese its zh/.

It is written as a test, for the sake of the fixtures, and named so that `make test-e2e` leaves it alone.
"""

import io
import subprocess
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.async_api import Locator, Page

from framerelay.languages.catalogs import messages_of
from framerelay.languages.reader import CHINESE, ENGLISH

pytestmark = pytest.mark.anyio

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
INTO = {ENGLISH: PICTURES, CHINESE: PICTURES / "zh"}
BYTES_MAX = 200_000
MOVING_BYTES_MAX = 1_500_000
EVERY_MS, FILM_FPS, FASTER, LAST_MS = 400, 5, 2, 3000
LOAD = "it => new Promise(go => { it.onloadeddata = () => go(it.duration); it.preload = 'auto'; it.load() })"
SEEK = """(it, at) => new Promise(go => {
  it.controls = false;
  it.onseeked = () => requestAnimationFrame(go);
  it.currentTime = at;
})"""
MODEL = {"version": 1, "model": "seedance-1.5-pro-1080p", "defaults": {"resolution": "480p", "seed": 12345}}
# What is to be seen, by language and shot.
PROMPTS = {
    ENGLISH: {
        "arrival": "A sports car drives through a street of neon signs, in the rain",
        "wheel": "The camera closes in on the driver; lamps glide over the windscreen",
        "brake": "The car stops; its lights shiver in a puddle",
        "above": "The same street from a roof, steam rising between the signs",
        "leap": "The camera falls towards the street",
        "pier": "A pier in the first light, gulls above it",
        "boat": "A boat comes out of the mist",
    },
    CHINESE: {
        "arrival": "雨夜，跑车驶过霓虹灯牌林立的街道",
        "wheel": "镜头推近驾驶座，路灯的光从挡风玻璃上掠过",
        "brake": "跑车停下，尾灯在积水里颤动",
        "above": "从楼顶俯看同一条街，灯牌之间升起水汽",
        "leap": "镜头向街面坠落",
        "pier": "第一缕晨光里的码头，海鸥在上空盘旋",
        "boat": "一条小船从雾中驶出",
    },
}
RAIN, CHASE, HARBOUR = "霓虹雨夜", "霓虹雨夜，第二版", {ENGLISH: "Harbor at dawn", CHINESE: "港口黎明"}
NIGHT = {ENGLISH: "Neon rain", CHINESE: RAIN}
CHANGED = {ENGLISH: ("shiver in a puddle", "go out"), CHINESE: ("在积水里颤动", "熄灭")}


def rain(language: str, *, title: str = RAIN, gates: bool = True) -> dict[str, Any]:
    """Two scenes; *gates*: the last shot waits for a person."""
    scenes = {"street": ("arrival", "wheel", "brake"), "roof": ("above", "leap")}
    scenes_told = [{"id": scene, "shots": [shot(language, each) for each in ids]} for scene, ids in scenes.items()]
    if gates:
        scenes_told[-1]["shots"][-1]["gate"] = "approve"  # type: ignore[index]
    return {**MODEL, "title": title, "budget": {"jobs": 12}, "scenes": scenes_told}


def harbour(language: str) -> dict[str, Any]:
    """Two shots, of which the second has two takes to pick from."""
    shots = [shot(language, "pier"), {**shot(language, "boat"), "takes": 2}]
    return {**MODEL, "title": HARBOUR[language], "budget": {"jobs": 4}, "shots": shots}


def shot(language: str, shot_id: str) -> dict[str, Any]:
    return {"id": shot_id, "prompt": PROMPTS[language][shot_id]}


@pytest.fixture(autouse=True)
def font() -> None:
    """A picture of boxes instead of signs is worse than an old one."""
    fonts = subprocess.run(["fc-list", ":lang=zh"], capture_output=True, text=True, check=False).stdout
    if not fonts:
        pytest.fail("no font for Chinese here: apt-get install fonts-noto-cjk")


@pytest.mark.parametrize("language", INTO)
async def test_the_pictures_are_taken(
    start_provider: Any, start_relay: Any, visit: Any, wait_until: Any, language: str
) -> None:
    """A list, a run while it runs, an approval, a seam, a shot, a storyboard, a phone, and a film in the dark."""
    into, locale = INTO[language], {"locale": {ENGLISH: "en-US", CHINESE: "zh-CN"}[language]}
    options = {"scale": 0.6, "seconds_per_clip": 3.0, "queue_s": 0.3, "job_s": 4.0}

    def in_language(text: str) -> str:
        return text if language == ENGLISH else messages_of(language).gettext(text)

    async with start_provider(options=options) as provider, start_relay(provider.url) as relay:
        dawn, night = await relay.run(harbour(language)), await relay.run(rain(language))
        await relay.wait_for_end(dawn, within_s=180)
        await relay.wait_for_end(night, within_s=180)
        async with visit(relay, **locale) as person:
            waiting = await wait_for_pictures(await person.open(f"/runs/{night}"))
            await keep(waiting.locator("#approve-leap"), into / "approve.png")
        await relay.api.post(f"/v1/runs/{night}/shots/leap/approve")
        run_json = await relay.wait_for_end(night, within_s=180)
        assert run_json["status"] == "succeeded", run_json["error"]
        chase = await relay.run(rain(language, title=CHASE, gates=False))

        async def is_under_way() -> bool:
            shots = {shot["id"]: shot for shot in (await relay.view(chase))["shots"]}
            has_seam = shots["wheel"]["takes"] and shots["wheel"]["takes"][0]["seam"]
            return bool(has_seam) and shots["brake"]["status"] == "generating"

        await wait_until(is_under_way, "two shots and their seam are done, and the next one generates", within_s=60)
        async with visit(relay, device_scale_factor=1.5, **locale) as person:
            await keep(await wait_for_pictures(await person.open(f"/runs/{chase}")), into / "run.png", whole=True)
        async with visit(relay, device_scale_factor=1.5, viewport={"width": 1280, "height": 480}, **locale) as person:
            await keep(await wait_for_pictures(await person.open("/")), into / "list.png")
        async with visit(relay, device_scale_factor=1.2, viewport={"width": 1280, "height": 720}, **locale) as person:
            film = await wait_for_pictures(await person.open(f"/new?from={dawn}"))
            await film.get_by_role("button", name=in_language("Shot by shot")).click()
            await film.get_by_label(in_language("What is to be seen")).first.wait_for()
            await keep(film, into / "new.png")
        async with visit(relay, device_scale_factor=1, **locale) as person:
            film = await wait_for_pictures(await person.open(f"/runs/{night}"))
            await film.get_by_role("link", name="wheel", exact=True).click()
            await film.get_by_role("heading", name=in_language("Shot %(shot)s") % {"shot": "wheel"}).wait_for()
            await keep(await wait_for_pictures(film), into / "panel.png")
            film = await person.open(f"/runs/{night}/storyboard")
            board = film.get_by_label(in_language("Storyboard as YAML"))
            await board.fill((await board.input_value()).replace(*CHANGED[language]))
            await film.get_by_role("button", name=in_language("Apply")).wait_for()
            await keep(film, into / "storyboard.png")
        async with visit(relay, viewport={"width": 1000, "height": 800}, **locale) as person:
            film = await wait_for_pictures(await person.open(f"/runs/{night}"))
            await film.locator(".shot > .seam").first.click()
            frames = film.locator("#compare img")
            await frames.last.evaluate("it => it.decode()")
            await keep(film.locator("#compare"), into / "compare.png")
        async with visit(relay, device_scale_factor=1.5, color_scheme="dark", **locale) as person:
            await keep(await wait_for_pictures(await person.open(f"/runs/{night}")), into / "dark.png")
        async with visit(relay, device_scale_factor=1.5, viewport={"width": 390, "height": 844}, **locale) as person:
            await keep(await wait_for_pictures(await person.open(f"/runs/{dawn}")), into / "phone.png")
        await relay.api.post(f"/v1/runs/{chase}/cancel")


@pytest.mark.parametrize("language", INTO)
async def test_a_film_grows(start_provider: Any, start_relay: Any, visit: Any, language: str) -> None:
    """What README begins with: a run from its first shot to its film, which plays then, as a moving picture."""
    options = {"scale": 0.6, "seconds_per_clip": 3.0, "queue_s": 0.2, "job_s": 1.5}
    street = [shot(language, each) for each in ("arrival", "wheel", "brake", "leap")]
    frames: list[tuple[Image.Image, int]] = []
    view = {"viewport": {"width": 1000, "height": 690}, "locale": {ENGLISH: "en-US", CHINESE: "zh-CN"}[language]}
    async with start_provider(options=options) as provider, start_relay(provider.url) as relay:
        run_id = await relay.run({**MODEL, "title": NIGHT[language], "budget": {"jobs": 6}, "shots": street})
        async with visit(relay, **view) as person:
            page = await person.open(f"/runs/{run_id}")
            film = page.locator("#film")
            while True:
                await page.wait_for_timeout(EVERY_MS)
                if await film.count():
                    break
                frames.append((await screenshot_of(page), EVERY_MS))
            for moment in range(int(await film.evaluate(LOAD) * FILM_FPS / FASTER)):
                await film.evaluate(SEEK, moment * FASTER / FILM_FPS)
                frames.append((await screenshot_of(page), 1000 // FILM_FPS))
    frames[-1] = (frames[-1][0], LAST_MS)
    save_moving(frames, INTO[language] / "film.webp")


async def screenshot_of(page: Page) -> Image.Image:
    return Image.open(io.BytesIO(await page.screenshot())).convert("RGB")


def save_moving(frames: list[tuple[Image.Image, int]], path: Path) -> None:
    """One picture after the other, each for its milliseconds; those that are the same are one."""
    pictures, lasts = [frames[0][0]], [0]
    for each, ms in frames:
        if each.tobytes() != pictures[-1].tobytes():
            pictures.append(each)
            lasts.append(0)
        lasts[-1] += ms
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=lasts, loop=0, quality=60, method=4)
    assert path.stat().st_size < MOVING_BYTES_MAX, path


async def wait_for_pictures(page: Page) -> Page:
    """*page* with every picture in place, those included that load only when they are scrolled to."""
    await page.evaluate(
        "Promise.all([...document.images].map(each => { each.loading = 'eager'; return each.decode().catch(() => 0) }))"
    )
    if await page.locator("video").count():
        await page.wait_for_timeout(2000)  # Until no player says any more that it loads.
    return page


async def keep(what: Page | Locator, path: Path, *, whole: bool = False) -> None:
    """Into *path*, in 256 colors: as sharp, and a quarter of the size. *whole*: what is below, too."""
    path.parent.mkdir(exist_ok=True)
    screenshot = await (what.screenshot(full_page=whole) if isinstance(what, Page) else what.screenshot())
    picture = Image.open(io.BytesIO(screenshot)).convert("RGB")
    picture.quantize(256, kmeans=2, dither=Image.Dither.FLOYDSTEINBERG).save(path, optimize=True)
    assert path.stat().st_size < BYTES_MAX, path
