"""The tour, where one machine does not see a file that another one has: it is looked for before anything fails."""

from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from framerelay.processors import waits
from framerelay.store import processes
from framerelay.store.files import MediaFiles
from tests.fixtures.relay import StartProvider, StartRelay

pytestmark = pytest.mark.anyio

BOARD: dict[str, Any] = {
    "title": "elsewhere",
    "model": "seedance-1.5-pro-1080p",
    "shots": [{"id": "s1", "prompt": "a car"}, {"id": "s2", "prompt": "closer", "gate": "approve"}],
}


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch, presence: None) -> None:
    """The checks follow each other at once; their number stays the same."""
    monkeypatch.setattr(waits, "AGAIN_S_MAX", 0.05)


async def start_both(stack: AsyncExitStack, start_provider: StartProvider, start_relay: StartRelay) -> tuple[Any, Any]:
    """A provider, and a receiver with a worker that says that it is there."""
    provider = await stack.enter_async_context(start_provider())
    relay = await stack.enter_async_context(start_relay(provider.url))
    return provider, relay


async def test_a_frame_that_one_worker_does_not_see_is_handed_on_when_it_shows(
    start_provider: StartProvider,
    start_relay: StartRelay,
    hasty: None,
    wait_until: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As on a network disk that shows a new file late: nothing fails, and one job is made for the shot."""

    async def another_runs(_: Any) -> bool:
        return True

    monkeypatch.setattr("framerelay.processors.deps.has_other_workers", another_runs)
    looks = 0
    existing = MediaFiles.existing

    async with AsyncExitStack() as stack:
        provider, relay = await start_both(stack, start_provider, start_relay)
        held_run = await relay.wait_for_end(await relay.run(BOARD))

        def shows_late(self: MediaFiles, path: str) -> Path:
            nonlocal looks
            if looks < 4 and path.endswith(("s1.1.last.png", "s1.1.mp4")):
                looks += path.endswith("s1.1.mp4")
                return existing(self, f"{path.partition('/')[0]}/not-yet.png")
            return existing(self, path)

        monkeypatch.setattr(MediaFiles, "existing", shows_late)
        await relay.api.post(f"/v1/runs/{held_run['id']}/shots/s2/approve")
        run = await relay.wait_for_end(held_run["id"])
        journal = await provider.journal()

    assert looks == 4
    assert run["status"] == "succeeded", run["error"]
    assert len(journal["submits"]) == 2


@pytest.mark.parametrize("company", [True, False])
async def test_a_file_that_nobody_sees_fails_the_run_after_all_have_looked(
    company: bool,
    start_provider: StartProvider,
    start_relay: StartRelay,
    hasty: None,
    redis: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Alone, it is known at once; with another worker it is looked for a few times, and not for ever."""

    async def another_runs(_: Any) -> bool:
        return company

    monkeypatch.setattr("framerelay.processors.deps.has_other_workers", another_runs)
    async with AsyncExitStack() as stack:
        _, relay = await start_both(stack, start_provider, start_relay)
        held_run = await relay.wait_for_end(await relay.run(BOARD))
        folder = relay.settings.data_dir / "media" / held_run["id"]
        (folder / "s1.1.last.png").unlink()
        (folder / "s1.1.mp4").unlink()
        await relay.api.post(f"/v1/runs/{held_run['id']}/shots/s2/approve")
        run = await relay.wait_for_end(held_run["id"])
        looks = [key async for key in redis.scan_iter(match="{framerelay}:used:looked-for:*")]

    assert (run["status"], run["error"]["code"]) == ("failed", "not_found")
    assert "the last frame of shot s1, take 1 is gone" in run["error"]["message"]
    assert len(looks) == (6 if company else 0)


async def test_a_worker_that_says_that_it_is_there_is_company_for_another_one(
    start_provider: StartProvider, start_relay: StartRelay, hasty: None, redis: Any, wait_until: Any
) -> None:
    """By what each writes into Redis; a receiver does not count, and a worker is not its own company."""
    async with AsyncExitStack() as stack:
        await start_both(stack, start_provider, start_relay)

        async def parts() -> dict[str, processes.Process]:
            return {each.part: each for each in await processes.processes(redis)}

        async def is_there() -> bool:
            return "worker" in await parts()

        await wait_until(is_there, "the worker says that it is there")
        alone = await processes.has_other_workers(redis)
        company = {}
        for part, ours in sorted((await parts()).items()):
            await processes.Presence(redis, partial(replace, ours, host="another-machine")).announce()
            company[part] = await processes.has_other_workers(redis)

    assert alone is False
    assert company == {"receiver": False, "worker": True}
