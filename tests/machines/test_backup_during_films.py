"""A backup that is taken while films are made, and restored where they go on: nothing is paid twice or lost."""

import shutil
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from framerelay.store.closed import RedisClosed
from framerelay.store.embedded import EmbeddedRedis
from tests.machines.backups import brought_to_an_end, enter, enter_if_open, film_that_waits, is_approved, run_command
from tests.machines.servers import free_port, running
from tests.machines.test_a_lossy_fail_over import board, has_jobs, jobs_of_takes

pytestmark = pytest.mark.anyio

WaitUntil = Callable[..., Awaitable[None]]


@pytest.mark.slow
async def test_a_backup_that_is_taken_while_films_are_made_is_restored_elsewhere(
    start_provider: Any, relay_in: Any, tmp_path: Path, wait_until: WaitUntil, soon_asked: dict[str, Any]
) -> None:
    """More was submitted since; it is held, and nothing is paid twice. A film that was done is there."""
    async with start_provider(options={"job_s": 1.0}) as provider:
        async with (
            EmbeddedRedis(tmp_path / "data" / "redis") as server,
            relay_in(tmp_path, server.url, provider.url, **soon_asked) as relay,
        ):
            await enter(server.url)
            run = await relay.wait_for_end(await relay.run(board(0, 1)))
            run_id = await film_that_waits(relay, wait_until)
            backup = await run_command("backup", tmp_path / "copy", data_dir=tmp_path / "data")
            await wait_until(partial(is_approved, relay, run_id), "its second shot may be submitted")
            await wait_until(lambda: has_jobs(provider, 3), "another is submitted, of which the copy is not told")
        before = await jobs_of_takes(relay, provider)
        copy = shutil.copytree(tmp_path / "data" / "media" / run["id"], tmp_path / "taken")
        for name in ("s1.1.mp4", "s1.1.last.png"):
            (tmp_path / "data" / "media" / run["id"] / name).unlink()
        poor = await run_command("backup", tmp_path / "poor", data_dir=tmp_path / "data")

        new = tmp_path / "new"
        result = await run_command("restore", tmp_path / "copy", data_dir=new / "data")
        async with (
            EmbeddedRedis(new / "data" / "redis") as server,
            relay_in(new, server.url, provider.url, **soon_asked) as relay,
        ):
            await wait_until(partial(is_approved, relay, run_id), "it is approved anew")
            end = await brought_to_an_end(relay, provider, run_id, wait_until)
            after = await jobs_of_takes(relay, provider)
            films = [(await relay.api.get(run["film"]["url"])).is_success for run in (end, await relay.view(run["id"]))]

    assert (backup.code, backup.json["runs"], backup.json["missing"]) == (0, 2, [])
    assert poor.json["missing"] == [f"media/{run['id']}/s1.1.mp4"]  # The frame can be made again.
    assert (copy / "s1.1.mp4").read_bytes() == (tmp_path / "copy" / "media" / run["id"] / "s1.1.mp4").read_bytes()
    assert (result.code, result.json["held_runs"]) == (0, 1)
    assert films == [True, True]
    assert after == before
    assert set(after.values()) == {1}


@pytest.mark.slow
async def test_from_the_embedded_redis_to_ones_own_nothing_is_held_and_all_is_paid_once(
    start_provider: Any, relay_in: Any, tmp_path: Path, wait_until: WaitUntil
) -> None:
    """`backup --move` and `restore`: the run that was under way goes on. A second restore of it holds what it finds."""
    data, settings = tmp_path / "data", {"port": free_port(), "lookup_after_s": 0.5}
    async with start_provider(options={"job_s": 0.5}) as provider:
        async with (
            EmbeddedRedis(data / "redis") as server,
            relay_in(tmp_path, server.url, provider.url, **settings) as relay,
        ):
            await enter(server.url)
            run_id = await relay.run(board(1, 3))
            await wait_until(lambda: has_jobs(provider, 1), "its first shot is submitted")
        result = await run_command("backup", tmp_path / "copy", "--no-media", "--move", data_dir=data)
        async with EmbeddedRedis(data / "redis") as server:
            with pytest.raises(RedisClosed, match="was moved"):
                await enter_if_open(server.url)
        with running(tmp_path / "own", "--appendonly", "yes") as own:
            restored_result = await run_command("restore", tmp_path / "copy", data_dir=data, redis_url=own.url)
            async with relay_in(tmp_path, own.url, provider.url, **settings) as relay:
                end = await relay.wait_for_end(run_id)
                jobs = await jobs_of_takes(relay, provider)
        again = await run_command("restore", tmp_path / "copy", data_dir=tmp_path / "second" / "data")

    assert (result.code, result.json["moved"], restored_result.code, restored_result.json["held_runs"]) == (
        0,
        True,
        0,
        0,
    )
    assert end["status"] == "succeeded"
    assert sorted(jobs.values()) == [1, 1, 1]
    assert (again.code, again.json["held_runs"]) == (0, 1)
