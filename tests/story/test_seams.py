"""The first frame of each clip, and how its seam fits: for people to see, and never in the way of the next submit."""

import asyncio
import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import structlog
from PIL import Image

import framerelay.processors.collect
import framerelay.processors.opening
from framerelay.media.child.images import difference
from framerelay.media.decoder import Decoder
from framerelay.runs.errors import DecoderFailed
from framerelay.runs.model import Take

pytestmark = pytest.mark.anyio
THREE = {
    "model": "seedance-1.5-pro-720p",
    "shots": [{"id": "s1", "prompt": "a"}, {"id": "s2", "prompt": "b"}, {"id": "s3", "prompt": "c", "from": "cut"}],
}


async def history(relay: Any, run_id: str) -> list[tuple[str, str]]:
    """What happened to which shot, in order."""
    text = (await relay.api.get(f"/v1/runs/{run_id}/events")).text
    lines = [json.loads(line.removeprefix("data: ")) for line in text.splitlines() if line.startswith("data: ")]
    return [(line["event"], line.get("shot", "")) for line in lines]


async def has_all_openings(relay: Any, run_id: str) -> bool:
    """Each take of each shot."""
    run = await relay.view(run_id)
    return all(take["opening"] for shot in run["shots"] for take in shot["takes"])


def file_of(relay: Any, frame: Any) -> Path:
    """Where a frame of a run is."""
    return Path(relay.settings.data_dir) / "media" / str(frame["url"]).partition("/media/")[2]


async def test_each_clip_shows_what_it_opens_with_and_how_it_fits(start_provider: Any, start_relay: Any) -> None:
    """
    The seam is that between the frame that was handed on and the opening; a cut has none.

    No submit waits for it: it is taken when that has left, or, where no shot waits, before the run ends.
    """
    async with start_provider() as provider, start_relay(provider.url) as relay:
        with structlog.testing.capture_logs() as lines:
            run = await relay.wait_for_end(await relay.run(THREE))
        steps = await history(relay, run["id"])
        first, second, third = (shot["takes"][0] for shot in run["shots"])
        levels = difference(file_of(relay, first["last_frame"]), file_of(relay, second["opening"]))
        with Image.open(file_of(relay, third["opening"])) as opening:
            size = opening.size
        small = await relay.api.get(f"{second['last_frame']['url']}?small")
        whole = await relay.api.get(second["last_frame"]["url"])

    assert (first["seam"], third["seam"]) == (None, None)
    assert second["seam"] == {"difference": round(levels or 99, 1)}
    assert second["seam"]["difference"] < 4
    assert (small.headers["Content-Type"], whole.headers["Content-Type"]) == ("image/jpeg", "image/png")
    assert len(small.content) < len(whole.content) / 3
    assert size == (third["video"]["width"], third["video"]["height"])
    assert not [warning for warning in run["warnings"] if warning["code"] == "seam_jumps"]
    measurements = [line for line in lines if line["event"] == "seam_measured"]
    assert [line["levels"] for line in measurements] == [second["seam"]["difference"]]
    assert steps.index(("submitted", "s2")) < steps.index(("opening_taken", "s1"))
    assert steps.index(("opening_taken", "s2")) < steps.index(("collected", "s2"))
    assert steps[-1] == ("joined", "")
    assert steps.count(("opening_taken", "s1")) == 1
    assert steps.index(("opening_taken", "s3")) < steps.index(("collected", "s3"))


async def test_the_frame_that_the_provider_gave_is_the_one_that_is_compared(
    start_provider: Any, start_relay: Any
) -> None:
    """What was handed on is its picture, not ours; it is kept beside ours."""
    board = {**THREE, "defaults": {"return_last_frame": True}, "shots": THREE["shots"][:2]}
    async with start_provider() as provider, start_relay(provider.url) as relay:
        run = await relay.wait_for_end(await relay.run(board))
        first, second = (shot["takes"][0] for shot in run["shots"])
        levels = difference(file_of(relay, first["provider_frame"]), file_of(relay, second["opening"]))

    assert second["first_frame"]["source"] == "provider"
    assert second["seam"] == {"difference": round(levels or 99, 1)}


@pytest.mark.parametrize("gate", [None, "approve"])
async def test_a_clip_that_is_quicker_than_the_one_before_waits_for_its_frame(
    start_provider: Any, start_relay: Any, wait_until: Any, monkeypatch: Any, gate: str | None
) -> None:
    """With the provider's frame the second shot begins early; its seam is measured when that frame is ours, too."""
    fetch = framerelay.processors.collect._provider_frame
    quicker = asyncio.Event()

    async def slowly(deps: Any, run_id: str, shot_id: str, take: Take) -> Any:
        if shot_id == "s1":
            await quicker.wait()
        return await fetch(deps, run_id, shot_id, take)

    monkeypatch.setattr(framerelay.processors.collect, "_provider_frame", slowly)
    third = [{"id": "s3", "prompt": "x", "gate": "approve"}] if gate else []
    board = {**THREE, "defaults": {"return_last_frame": True}, "shots": [*THREE["shots"][:2], *third]}
    async with start_provider() as provider, start_relay(provider.url) as relay:
        run_id = await relay.run(board)

        async def shot(number: int) -> Any:
            return (await relay.view(run_id))["shots"][number]

        async def is_there() -> bool:
            return bool((await shot(1))["status"] == "done")

        async def is_measured() -> bool:
            return bool((await shot(1))["takes"][0]["seam"])

        await wait_until(is_there, "the second clip is there")
        assert (await shot(0))["status"] == "collecting"
        assert (await shot(1))["takes"][0]["opening"] is None
        quicker.set()
        await wait_until(is_measured, "the seam is measured, long before there is a film")


async def test_a_clip_whose_opening_cannot_be_taken_is_a_shot_like_any_other(
    start_provider: Any, start_relay: Any, monkeypatch: Any
) -> None:
    """The film is made; the opening is null, and the log says why."""

    async def fails(*_: Any, **__: Any) -> None:
        raise DecoderFailed("it died")

    monkeypatch.setattr(Decoder, "open", fails)
    async with start_provider() as provider, start_relay(provider.url) as relay:
        with structlog.testing.capture_logs() as lines:
            run = await relay.wait_for_end(await relay.run({**THREE, "shots": THREE["shots"][:2]}))

    assert run["status"] == "succeeded", run["error"]
    assert [shot["takes"][0]["opening"] for shot in run["shots"]] == [None, None]
    assert {line["reason"] for line in lines if line["event"] == "opening_missing"} == {"it died"}


async def test_a_submit_needs_no_place_that_the_opening_before_it_holds(start_provider: Any, start_relay: Any) -> None:
    """One task at a time: whatever waits for the submit would keep it waiting."""
    async with start_provider() as provider, start_relay(provider.url, tasks_max=1) as relay:
        run = await relay.wait_for_end(await relay.run({**THREE, "shots": THREE["shots"][:2]}))
        steps = await history(relay, run["id"])

    assert ("opening_taken", "s1") not in steps[: steps.index(("submitted", "s2"))]


async def test_a_run_that_has_its_film_does_not_change_any_more(
    start_provider: Any, start_relay: Any, monkeypatch: Any
) -> None:
    """However long the task for an opening had to rest: what is left is taken before the film is made."""
    monkeypatch.setattr(framerelay.processors.opening, "BEHIND_SUBMITS_S", 60.0)
    async with start_provider() as provider, start_relay(provider.url) as relay:
        run = await relay.wait_for_end(await relay.run(THREE))

    assert all(shot["takes"][0]["opening"] for shot in run["shots"])


@pytest.mark.parametrize(
    ("where", "what"),
    [(framerelay.processors.collect, "take_opening_later"), (framerelay.processors.opening, "keep_opening")],
)
async def test_a_worker_that_dies_before_the_opening_leaves_it_to_the_next(
    start_provider: Any, start_relay: Any, wait_until: Any, monkeypatch: Any, where: Any, what: str
) -> None:
    """Its task is run again, after a rest: the clip is not fetched a second time, the opening is taken."""
    rest, does = 1, getattr(where, what)

    async def dies_once(*arguments: Any, **more: Any) -> None:
        nonlocal rest
        rest -= 1
        if rest == 0:
            raise RuntimeError("killed, say")
        await does(*arguments, **more)

    monkeypatch.setattr(where, what, dies_once)
    async with start_provider() as provider, start_relay(provider.url) as relay:
        run_id = await relay.run({**THREE, "shots": THREE["shots"][:2]})
        await relay.wait_for_end(run_id)
        await wait_until(partial(has_all_openings, relay, run_id), "both shots have their openings")
        steps = await history(relay, run_id)

    assert steps.count(("collected", "s1")) == 1
