"""Runs that ended leave by age, a few each turn."""

import os
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import framerelay.media.download
from framerelay.processors import retention
from framerelay.store.files import MediaFiles, hold, is_held
from framerelay.store.folder_store import FolderStore

pytestmark = pytest.mark.anyio

BOARD = {"title": "t", "model": "m", "shots": [{"id": "s1", "prompt": "雨夜"}]}
GATED = {"title": "t", "model": "m", "shots": [{"id": "s1", "prompt": "雨夜", "gate": "approve"}]}


async def test_an_old_run_is_removed_with_its_files_and_a_waiting_one_stays(
    start_provider: Any, start_relay: Any, wait_until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the whole program: the worker's own clock removes what has ended longer ago than the setting says."""
    monkeypatch.setattr(retention, "EVERY_S", 0.05)
    async with start_provider() as provider, start_relay(provider.url, runs_keep_s=600.0) as relay:
        run_id = (await relay.api.post("/v1/runs", json=BOARD)).json()["id"]
        waits = (await relay.api.post("/v1/runs", json=GATED)).json()["id"]

        async def look(run_id: str) -> Any:
            return await relay.api.get(f"/v1/runs/{run_id}")

        async def is_done() -> bool:
            return bool((await look(run_id)).json()["status"] == "succeeded")

        await wait_until(is_done, "the run has succeeded")
        folder = relay.settings.data_dir / "media" / run_id
        assert (folder / "film.mp4").is_file()
        assert await relay.store.ended_before(time.time() - 600, at_most=9) == []

        monkeypatch.setattr(retention, "time", SimpleNamespace(time=lambda: time.time() + 700))

        async def is_gone() -> bool:
            return (await look(run_id)).status_code == 404 and not folder.exists()

        await wait_until(is_gone, "the run and its folder are gone")
        assert (await look(waits)).json()["id"] == waits


async def test_without_the_setting_nothing_is_removed_and_with_it_a_few_each_turn(
    start_provider: Any, start_relay: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For ever is the default; a backlog is worked off in small turns, the oldest first."""
    monkeypatch.setattr(retention, "AT_ONCE", 2)
    async with start_provider() as provider, start_relay(provider.url, worker=False) as relay:
        ids = [(await relay.api.post("/v1/runs", json=BOARD)).json()["id"] for _ in range(3)]
        for run_id in ids:
            await relay.api.post(f"/v1/runs/{run_id}/cancel")
        deps: Any = SimpleNamespace(
            settings=relay.settings, store=relay.store, media=FolderStore(MediaFiles(relay.settings.data_dir))
        )
        later = time.time() + 10**8

        await retention.remove_old_runs(deps, later)
        assert len(await relay.store.runs(limit=9)) == 3

        deps.settings = replace(relay.settings, runs_keep_s=60.0)
        await retention.remove_old_runs(deps, time.time())
        assert len(await relay.store.runs(limit=9)) == 3

        await retention.remove_old_runs(deps, later)
        assert [run.id for run in await relay.store.runs(limit=9)] == ids[2:]


async def test_a_run_that_was_resumed_and_ended_again_stays(
    start_relay: Any, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its time begins again, though it was on the list of those whose time was over."""
    async with start_relay("http://127.0.0.1:9", worker=False, runs_keep_s=600.0) as relay:
        run_id = (await relay.api.post("/v1/runs", json=BOARD)).json()["id"]
        await relay.api.post(f"/v1/runs/{run_id}/cancel")

        async def list_one(_: float, *, at_most: int) -> list[str]:
            return [run_id][:at_most]

        monkeypatch.setattr(relay.store, "ended_before", list_one)
        deps: Any = SimpleNamespace(
            settings=relay.settings, store=relay.store, media=FolderStore(MediaFiles(relay.settings.data_dir))
        )
        await retention.remove_old_runs(deps, time.time())
        assert (await relay.view(run_id))["status"] == "cancelled"
        await retention.remove_old_runs(deps, time.time() + 700)
        assert (await relay.api.get(f"/v1/runs/{run_id}")).status_code == 404


async def test_files_that_come_back_after_the_removal_are_removed_again(start_provider: Any, start_relay: Any) -> None:
    """A download that was under way makes the folder again; a removal cut short by a crash left it."""
    async with start_provider() as provider, start_relay(provider.url, worker=False) as relay:
        run_id = (await relay.api.post("/v1/runs", json=BOARD)).json()["id"]
        await relay.api.post(f"/v1/runs/{run_id}/cancel")
        answer = await relay.api.delete(f"/v1/runs/{run_id}")
        files = MediaFiles(relay.settings.data_dir)
        clip = files.place(files.clip(run_id, "s1", 1))
        clip.write_bytes(b"late")
        deps: Any = SimpleNamespace(settings=relay.settings, store=relay.store, files=files, media=FolderStore(files))

        await retention.remove_old_runs(deps, time.time())
        assert clip.exists()
        await retention.remove_old_runs(deps, time.time() + relay.settings.download_timeout_s + 1)

        assert answer.json() == {"id": run_id, "object": "run", "removed": True}
        assert not clip.parent.exists()
        assert await relay.store.removed_before(4e9, at_most=9) == []


async def test_what_a_worker_that_was_killed_left_is_gone_while_others_live(
    start_relay: Any, wait_until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not at the next start alone: within minutes of the kill, by whichever worker; what is written now stays."""
    monkeypatch.setattr(retention, "EVERY_S", 0.05)
    async with start_relay("http://127.0.0.1:9") as relay:
        folder = relay.settings.data_dir / "media" / ("run_" + "a" * 24)
        folder.mkdir(parents=True)
        draft_left, coming, draft_held = [folder / f".s1.{take}.mp4.0a1b2c3d.part" for take in (1, 2, 3)]
        with draft_held.open("wb") as file:
            hold(file)
            for draft in (draft_left, coming, draft_held):
                draft.write_bytes(b"half")
            for draft in (draft_left, draft_held):
                os.utime(draft, (time.time() - retention.UNFINISHED_S - 1,) * 2)
            await wait_until(lambda: not draft_left.exists(), "it is gone")
            assert [draft.exists() for draft in (coming, draft_held)] == [True, True]


async def test_a_clip_and_a_film_are_held_while_they_come(
    start_provider: Any, start_relay: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the real worker; when all is done nothing is left of it."""
    held: list[bool] = []

    def publish(temporary: Path, into: Path, go: Any = framerelay.media.download.publish) -> None:
        held.append(is_held(temporary))
        go(temporary, into)

    monkeypatch.setattr(framerelay.media.download, "publish", publish)
    async with start_provider() as provider, start_relay(provider.url) as relay:
        run_id = (await relay.api.post("/v1/runs", json=BOARD)).json()["id"]
        assert (await relay.wait_for_end(run_id))["status"] == "succeeded"
        folder = relay.settings.data_dir / "media" / run_id
        assert {path.name for path in folder.glob(".*")} == set()

    assert held == [True]
