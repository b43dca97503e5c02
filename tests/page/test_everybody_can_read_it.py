"""Looks: light and dark, desk and phone, with a screen reader, and long."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.async_api import expect

from framerelay.runs import events
from framerelay.runs.model import Clip, Frame
from framerelay.store.progress import record

pytestmark = pytest.mark.anyio

MODEL = {"model": "seedance-1.5-pro-1080p"}
FILM = {**MODEL, "title": "three shots", "shots": [{"id": f"s{n}", "prompt": f"shot {n}"} for n in (1, 2, 3)]}
WAITS = {
    **MODEL,
    "title": "waits for a person",
    "scenes": [
        {"id": "gate", "shots": [{"id": "a1", "prompt": "one"}, {"id": "a2", "prompt": "two", "gate": "approve"}]},
        {"id": "choice", "shots": [{"id": "b1", "prompt": "three", "takes": 2}]},
    ],
}
SHOTS = 100
PAGE_BYTES_MAX = 300_000
UNFOLD = "document.querySelectorAll('details').forEach(each => each.open = true)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """A receiver with runs in three states, which nobody changes."""

    relay: Any
    pages: dict[str, str]


@pytest.fixture(scope="module")
async def looks(home: Any, provider_in: Any, relay_in: Any) -> AsyncIterator[Looks]:
    """One run that has its film, one that waits for a person, one that goes on for an hour."""
    folder, redis = home
    async with provider_in(folder / "quick") as quick, relay_in(folder, redis, quick.url) as relay:
        film, waits = await relay.run(FILM), await relay.run(WAITS)
        assert (await relay.wait_for_end(film))["status"] == "succeeded"
        assert (await relay.wait_for_end(waits))["status"] == "waiting"
    slowly = {"job_s": 3600.0}
    async with provider_in(folder / "slow", options=slowly) as slow, relay_in(folder, redis, slow.url) as relay:
        running = await relay.run({**FILM, "title": "goes on"})
        while (await relay.view(running))["shots"][0]["status"] != "generating":
            assert (await relay.view(running))["status"] == "running"
        pages = {
            "list": "/",
            "done": f"/runs/{film}",
            "waiting": f"/runs/{waits}",
            "running": f"/runs/{running}",
            "shot": f"/runs/{film}/shots/s2",
            "storyboard": f"/runs/{waits}/storyboard",
            "callbacks": "/callbacks",
            "callback": "/callbacks/last",
            "notifications": "/notifications",
            "providers": "/providers",
            "health": "/health",
            "again": f"/new?from={waits}",
        }
        yield Looks(relay=relay, pages=pages)


async def test_axe_finds_nothing_wrong(looks: Looks, visit: Any, axe: Any, picture: Any) -> None:
    """Names, order, landmarks, and contrast in both colors: on every page, unfolded."""
    violations = []
    async with visit(looks.relay) as person, visit(looks.relay, logged_in=False) as stranger:
        for name, path in {**looks.pages, "login": "/login"}.items():
            page = await (stranger if name == "login" else person).open(path)
            await picture(page, f"{name}-light")
            await page.evaluate(UNFOLD)
            violations += [f"{name}: {each}" for each in await axe(page)]
            await page.emulate_media(color_scheme="dark")
            await picture(page, f"{name}-dark", whole=False)
            violations += [f"{name}, dark: {each}" for each in await axe(page, "color-contrast")]
            await page.close()

    assert violations == []


async def test_a_phone_needs_no_sideways_scrolling(looks: Looks, visit: Any, picture: Any) -> None:
    """390 pixels; the strip itself may be moved, the page may not; what is pressed is as large as a finger."""
    async with visit(looks.relay, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True) as person:
        for name, path in looks.pages.items():
            page = await person.open(path)
            await picture(page, f"{name}-phone")
            await page.evaluate(UNFOLD)
            width = await page.evaluate("document.scrollingElement.scrollWidth")
            assert width <= 390, name
            small = await page.evaluate(
                "[...document.querySelectorAll('button, summary')].filter(e => e.checkVisibility()"
                " && e.getBoundingClientRect().height < 24).map(e => e.outerHTML)"
            )
            assert small == [], name
            await page.close()


async def test_a_run_of_a_hundred_shots_is_shown_whole(start_relay: Any, visit: Any, picture: Any) -> None:
    """All of them, each with its takes; the page is small before its pictures, which come as they are scrolled to."""
    async with start_relay("http://127.0.0.1:9", worker=False) as relay:
        shots = [{"id": f"shot{n}", "prompt": f"{n}: a car drives through the rain" * 4} for n in range(SHOTS)]
        run_id = await relay.run({**MODEL, "title": "a long one", "shots": shots})
        for number in range(SHOTS):
            await make(relay.store, run_id, f"shot{number}")
        async with visit(relay) as person:
            person.expects("status of 404")  # The pictures were never made.
            answer = await person.context.request.get(f"{person.url}/runs/{run_id}")
            size = len(await answer.body())
            page = await person.open(f"/runs/{run_id}")
            await expect(page.get_by_text(f"shot{SHOTS - 1}").first).to_be_attached()
            text = await page.locator("body").inner_text()
            await picture(page, "hundred", whole=False)

    assert size < PAGE_BYTES_MAX
    assert [n for n in range(SHOTS) if f"shot{n}" not in text] == []


async def make(store: Any, run_id: str, shot_id: str) -> None:
    """What a worker would record about a take, from submit to a clip on our disk."""
    clip = Clip(path="c", sha256="0" * 64, bytes=9, width=1280, height=720, duration_s=5.04, frames=121)
    frame = Frame(path="f", sha256="0" * 64, width=1280, height=720)
    name: dict[str, Any] = {"shot_id": shot_id, "take": 1}
    for event in (
        events.Submitting(**name, intent="i", seed=None, first_frame=None),
        events.Submitted(**name, job_id=f"job_{shot_id}"),
        events.Rendered(**name, job_ids=(), video_url="https://v.example.com/v.mp4"),
        events.Collected(**name, video=clip, last_frame=frame),
    ):
        assert (await record(store, run_id, event)).changed, event
