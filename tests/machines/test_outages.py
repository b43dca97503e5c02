"""Object storage that goes away in the middle of a film: it delays, and nothing is lost, or paid for twice."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from framerelay.media.fetch import fetch_clip
from framerelay.processors import film
from tests.machines.studio import OpenStudio

pytestmark = pytest.mark.anyio

CHAIN: dict[str, Any] = {
    "title": "Cut",
    "model": "vendor/any-model",
    "defaults": {"resolution": "480p", "duration": 5},
    "shots": [{"id": f"s{number}", "prompt": f"shot {number}"} for number in range(1, 6)],
}
SOON = 1.0


def files_of(run: dict[str, Any]) -> set[str]:
    """What the run shows of itself, as it is named in the storage."""
    takes = [take for shot in run["shots"] for take in shot["takes"]]
    files = [run["film"], *(take[each] for take in takes for each in ("video", "last_frame", "provider_frame"))]
    return {each["url"].rpartition("/media/")[2] for each in files if each}


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is put off is tried again within a second: how long an outage lasts is no business of the rules."""
    monkeypatch.setattr("framerelay.processors.waits.AGAIN_S_MAX", SOON)
    monkeypatch.setattr("framerelay.processors.keep.AGAIN_S_MAX", SOON)


@pytest.fixture
def downloads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Where each clip was fetched to, on whichever machine."""
    places: list[Path] = []

    async def fetch(url: str, into: Path, **about: Any) -> Any:
        places.append(into)
        return await fetch_clip(url, into, **about)

    monkeypatch.setattr("framerelay.processors.collect.fetch_clip", fetch)
    return places


@pytest.mark.slow
@pytest.mark.parametrize("cut_at", ["s1", "s3", "s5"])
async def test_an_outage_delays_the_film_and_is_reported(
    cut_at: str, open_studio: OpenStudio, wait_until: Any, hasty: None, downloads: list[Path]
) -> None:
    """Before the first frame, in the chain and before its last clip; two workers, and neither fails anything."""
    shots = [{**shot, "gate": "approve"} if shot["id"] == cut_at else shot for shot in CHAIN["shots"]]
    async with open_studio() as studio:
        relay, storage = studio.relay, studio.storage
        await studio.add_workers("b", "c")
        run_id = await relay.run({**CHAIN, "shots": shots})
        assert (await relay.wait_for_end(run_id))["status"] == "waiting"
        await asyncio.to_thread(storage.stop)
        try:
            await relay.api.post(f"/v1/runs/{run_id}/shots/{cut_at}/approve")

            async def says_so() -> bool:
                run = await relay.view(run_id)
                assert run["status"] == "running", run
                return "object storage" in str(run)

            await wait_until(says_so, "the run says that object storage is away")
            during = await relay.view(run_id)
        finally:
            storage.launch()
            await asyncio.to_thread(storage.wait_for_write)
        run = await relay.wait_for_end(run_id)
        journal = await studio.provider.journal()
        names = storage.names()

    assert len(downloads) == len(set(downloads)), "a clip that lies here came again each time that it was not kept"
    waiting = next(shot for shot in during["shots"] if shot["id"] == cut_at)
    assert waiting["status"] != "done"
    assert all(take["video"] is None for take in waiting["takes"]), "a clip is shown that is not kept"
    assert run["status"] == "succeeded", run
    assert (len(journal["jobs"]), len(journal["submits"])) == (5, 5)
    assert files_of(run) <= names


@pytest.mark.slow
async def test_an_outage_during_the_join_delays_it(
    open_studio: OpenStudio, wait_until: Any, hasty: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The film is there when it is kept, and not before; the history says what it waits for."""
    halt, go_on = asyncio.Event(), asyncio.Event()
    join_parts = film._join

    async def join_later(deps: Any, run: Any) -> Any:
        halt.set()
        await go_on.wait()
        return await join_parts(deps, run)

    monkeypatch.setattr(film, "_join", join_later)
    async with open_studio() as studio:
        relay, storage = studio.relay, studio.storage
        await studio.add_workers("b")
        run_id = await relay.run({**CHAIN, "shots": CHAIN["shots"][:2]})
        await halt.wait()
        await asyncio.to_thread(storage.stop)
        try:
            go_on.set()

            async def is_put_off() -> bool:
                return "join_failed" in str(await relay.store.history(run_id))

            await wait_until(is_put_off, "the join is put off")
            history = str(await relay.store.history(run_id))
            during = await relay.view(run_id)
        finally:
            storage.launch()
            await asyncio.to_thread(storage.wait_for_write)
        run = await relay.wait_for_end(run_id)
        names = storage.names()

    assert (during["status"], during["film"]) == ("running", None)
    assert "object storage" in history
    assert run["status"] == "succeeded", run
    assert files_of(run) <= names


async def test_a_removed_run_leaves_the_storage_with_everything(
    open_studio: OpenStudio,
) -> None:
    """But for pictures that people gave, and the id of the place."""
    async with open_studio() as studio:
        relay, storage = studio.relay, studio.storage
        await studio.add_workers("b")
        run = await relay.wait_for_end(await relay.run({**CHAIN, "shots": CHAIN["shots"][:2]}))
        other = await relay.wait_for_end(await relay.run({**CHAIN, "shots": CHAIN["shots"][:1]}))
        before = storage.names()
        answer = await relay.api.delete(f"/v1/runs/{run['id']}")
        after = storage.names()

    assert run["status"] == "succeeded", run
    assert answer.status_code == 200
    assert {name for name in before if name.startswith(run["id"])}
    assert after == {name for name in before if not name.startswith(run["id"])}
    assert any(name.startswith(other["id"]) for name in after)
