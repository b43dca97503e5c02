"""`framerelay backup` and `framerelay restore` as tests type them, and a backup to try them on."""

import asyncio
import json
import subprocess
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from click.testing import CliRunner

import framerelay.cli.main  # noqa: F401  (all commands)
from framerelay.cli.options import cli
from framerelay.store import schema
from framerelay.store.client import connect, disconnect
from framerelay.store.closed import require_open
from tests.fixtures.relay import SECRET
from tests.machines.test_a_lossy_fail_over import board

WaitUntil = Callable[..., Awaitable[None]]
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a command ended with."""

    code: int
    json: dict[str, Any]
    error: str


async def run_command(*words: str | Path, data_dir: Path, redis_url: str | None = None, **settings: str) -> Result:
    """A command, as a process of its own."""
    environment = {
        "PATH": "/usr/bin:/bin",
        "FRAMERELAY_DATA_DIR": str(data_dir),
        "FRAMERELAY_SECRET": SECRET,
        **settings,
    }
    if redis_url:
        environment["FRAMERELAY_REDIS_URL"] = redis_url
    process = await asyncio.create_subprocess_exec(
        str(ROOT / ".venv/bin/framerelay"),
        *map(str, words),
        "--json",
        env=environment,
        cwd=ROOT / "tests",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, error = await process.communicate()
    return Result(code=process.returncode or 0, json=json.loads(out or b"{}"), error=error.decode())


async def enter(url: str) -> None:
    """As a program of this version leaves word of itself."""
    redis = connect(url)
    await schema.enter(redis)
    await disconnect(redis)


async def enter_if_open(url: str) -> None:
    """As a program starts there. Raises: RedisClosed."""
    redis = connect(url)
    try:
        await require_open(redis)
    finally:
        await disconnect(redis)


def breaking(call: Any, when: str) -> Any:
    """*call*, broken off before or after it has done what it does."""

    async def fail(*arguments: Any, **options: Any) -> Any:
        if when == "after":
            await call(*arguments, **options)
        raise KeyboardInterrupt

    def fail_here(*arguments: Any, **options: Any) -> Any:
        if when == "after":
            call(*arguments, **options)
        raise OSError(5, "broken off")

    return fail if asyncio.iscoroutinefunction(call) else fail_here


async def in_thread(*words: str | Path) -> Any:
    """A command, in this process, so that what it does can be broken off."""
    return await asyncio.to_thread(CliRunner().invoke, cli, [*map(str, words), "--json"])


async def backup_of(relay: Any, redis_url: str, into: Path) -> Path:
    """A backup of one run that has begun, and a picture."""
    await relay.run(board(1, 1))
    await enter(redis_url)
    picture = relay.settings.data_dir / "media" / "given" / "a.png"
    picture.parent.mkdir(parents=True, exist_ok=True)
    picture.write_bytes(b"a picture")
    result = await run_command("backup", into, data_dir=relay.settings.data_dir, redis_url=redis_url)
    assert result.code == 0, result.error
    return into


async def film_that_waits(relay: Any, wait_until: WaitUntil) -> str:
    """A run whose first shot is submitted, and whose second waits for a person, however long a command takes."""
    film = board(1, 2)
    film["shots"][1]["gate"] = "approve"
    run_id: str = await relay.run(film)
    await wait_until(partial(is_begun, relay, run_id), "its first shot is submitted")
    return run_id


async def is_begun(relay: Any, run_id: str) -> bool:
    """Whether its first shot is submitted, and has a job."""
    takes = (await relay.view(run_id))["shots"][0]["takes"]
    return bool(takes and takes[0]["job_id"])


async def is_approved(relay: Any, run_id: str) -> bool:
    """Whether its second shot may be submitted now."""
    return bool((await relay.api.post(f"/v1/runs/{run_id}/shots/s2/approve", json={})).is_success)


async def brought_to_an_end(relay: Any, provider: Any, run_id: str, wait_until: WaitUntil) -> dict[str, Any]:
    """By a person who looks at the provider's list where a take is held; whatever is there is adopted."""

    async def rests() -> bool:
        run = await relay.view(run_id)
        return run["status"] == "succeeded" or (run["error"] or {}).get("code") == "nothing_heard"

    await wait_until(rests, "it is done, or a person is asked")
    if (await relay.view(run_id))["status"] != "succeeded":
        for job in (await provider.journal())["jobs"]:
            address = relay.tokens.read(job["input"]["callback_url"].rpartition("/")[2], now=0)
            if (address.run_id, address.shot_id) == (run_id, "s2"):
                body = {"run": run_id, "shot": "s2", "job_id": job["id"]}
                assert (await relay.api.post("/v1/jobs/adopt", json=body)).is_success
                break
        else:
            assert (await relay.api.post(f"/v1/runs/{run_id}/shots/s2/retake", json={})).is_success

    async def is_done() -> bool:
        return bool((await relay.view(run_id))["status"] == "succeeded")

    await wait_until(is_done, "its film is there")
    run: dict[str, Any] = await relay.view(run_id)
    return run
