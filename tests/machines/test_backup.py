"""
A backup of Redis and files, taken while films are made, and restored after more was submitted: nothing is paid twice.

As `docs/backup.md` has it: Redis first, then the files; back in the other order, and `--after-restore`.
"""

import asyncio
import shutil
import subprocess
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from framerelay.cli.http import listening_on, serving
from framerelay.cli.serve import mark_runs_restored
from framerelay.runs.tokens import TakeAddress
from framerelay.sandbox.clip import ClipOrder, render_clip
from tests.machines.backups import brought_to_an_end, is_begun
from tests.machines.servers import Server, free_port, running
from tests.machines.test_a_lossy_fail_over import board, has_jobs, jobs_of_takes

pytestmark = pytest.mark.anyio

WaitUntil = Callable[..., Awaitable[None]]
ROOT = Path(__file__).parents[2]
RUNS = 3


@contextmanager
def restored(dump: Path, folder: Path) -> Iterator[Server]:
    """A server with what *dump* holds. With its append-only file on from the start it would begin empty."""
    folder.mkdir()
    shutil.copy(dump, folder / "dump.rdb")
    with running(folder, "--appendonly", "no") as server:
        server.ask("CONFIG", "SET", "appendonly", "yes")
        server.wait_until("persistence", aof_enabled=1, aof_rewrite_in_progress=0, aof_rewrite_scheduled=0)
        yield server


@pytest.mark.slow
async def test_after_a_restore_nothing_that_was_submitted_since_is_paid_for_again(
    start_provider: Any, relay_in: Any, tmp_path: Path, wait_until: WaitUntil, soon_asked: dict[str, Any]
) -> None:
    """What a callback names goes on by itself; about the rest a person is asked, who looks at the provider's list."""
    async with start_provider(options={"job_s": 1.0}) as provider:
        with running(tmp_path / "before", "--appendonly", "yes") as server:
            async with relay_in(tmp_path, server.url, provider.url, **soon_asked) as relay:
                run = await relay.wait_for_end(await relay.run(board(RUNS, 1)))
                runs = [await relay.run(board(number, 2)) for number in range(RUNS)]
                for run_id in runs:
                    await wait_until(partial(is_begun, relay, run_id), "the first shot of each run is submitted")
                server.ask("SAVE")
                dump = Path(shutil.copy(tmp_path / "before" / "dump.rdb", tmp_path / "copy.rdb"))
                shutil.copytree(tmp_path / "data", tmp_path / "copy-of-data")
                await wait_until(
                    lambda: has_jobs(provider, 1 + RUNS + 2), "more is submitted, of which the copy is not told"
                )
        shutil.rmtree(tmp_path / "data")
        shutil.copytree(tmp_path / "copy-of-data", tmp_path / "data")
        before = await jobs_of_takes(relay, provider)

        with restored(dump, tmp_path / "after") as server:
            await mark_runs_restored(server.url)
            async with relay_in(tmp_path, server.url, provider.url, **soon_asked) as relay:

                async def are_held() -> bool:
                    takes = [(await relay.view(run_id))["shots"][1]["takes"] for run_id in runs]
                    return all(each and each[0]["status"] in ("unsure", "done") for each in takes)

                await wait_until(are_held, "the second shot of each run is held")
                assert await jobs_of_takes(relay, provider) == before
                ends = [await brought_to_an_end(relay, provider, run_id, wait_until) for run_id in runs]
                after = await jobs_of_takes(relay, provider)
                film = await relay.api.get((await relay.view(run["id"]))["film"]["url"])

    assert film.is_success
    assert [run["status"] for run in ends] == ["succeeded"] * RUNS
    assert {take: number for take, number in after.items() if number > 1} == {}
    assert len(after) == 1 + 2 * RUNS


PROFILE = """
profile: 1
id: mine
title: A gateway whose list shows where it calls back
base: https://mine.example.com
create: {post: /jobs, body: {prompt: "{prompt}", hook: "{callback_url}"}, id: id}
get: {get: "/jobs/{id}"}
read: {id: id, status: status, states: {busy: running, done: succeeded, bad: failed}, clip: url}
callback: {on: create}
recover: {reference: none, list: {get: "/jobs?page={page}", items: jobs, reference: hook}}
"""


class Listing:
    """Makes each job at once, and lists them with the addresses that they call."""

    def __init__(self, clip: Path) -> None:
        self.clip, self.url, self.hooks = clip, "", list[str]()

    def app(self) -> Starlette:
        """Over HTTP."""
        return Starlette(
            routes=[
                Route("/jobs", self._create, methods=["POST"]),
                Route("/jobs", self._list),
                Route("/jobs/{id:int}", lambda request: JSONResponse(self._job(request.path_params["id"]))),
                Route("/clip.mp4", lambda _: FileResponse(self.clip)),
            ]
        )

    async def _create(self, request: Request) -> Response:
        self.hooks.append((await request.json())["hook"])
        return JSONResponse(self._job(len(self.hooks) - 1))

    async def _list(self, request: Request) -> Response:
        places = range(len(self.hooks)) if request.query_params["page"] == "1" else ()
        return JSONResponse({"jobs": [self._job(place) for place in places]})

    def _job(self, place: int) -> dict[str, Any]:
        return {"id": str(place), "status": "done", "url": f"{self.url}/clip.mp4", "hook": self.hooks[place]}


@asynccontextmanager
async def listing(folder: Path) -> AsyncIterator[Listing]:
    """It is the provider ``mine`` of the settings file."""
    order = ClipOrder(number=1, prompt="a car", seed=1, width=160, height=96, frames=6, bframes=0)
    render_clip(order, folder / "clip.mp4", last_frame_into=None, stop=threading.Event())
    provider = Listing(folder / "clip.mp4")
    with listening_on("127.0.0.1", 0) as listener:
        provider.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        (folder / "mine.yaml").write_text(PROFILE)
        mine = f"{{profile: ./mine.yaml, url: '{provider.url}', key_env: MINE_KEY}}"
        (folder / "framerelay.yaml").write_text(f"providers: {{mine: {mine}}}")
        async with serving(provider.app(), listener):
            yield provider


async def test_a_provider_whose_list_shows_addresses_is_asked_and_nothing_is_held(
    relay_in: Any, redis_url: str, tmp_path: Path, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first shot was submitted after the copy was taken, under another intent; the second one never was."""
    monkeypatch.setenv("MINE_KEY", "sk-mine-mine-mine")
    settings = {"port": free_port(), "lookup_after_s": 0.2}
    async with listing(tmp_path) as provider:
        async with relay_in(tmp_path, redis_url, "http://127.0.0.1:9", worker=False, **settings) as relay:
            run_id = await relay.run({"provider": "mine", **board(1, 2)})
            await mark_runs_restored(redis_url)
            address = TakeAddress(run_id=run_id, shot_id="s1", take=1, ends_at=2_000_000_000, provider="mine")
            provider.hooks.append(f"{relay.settings.reachable_url}/webhook/{relay.tokens.mint(address)}")
        async with relay_in(tmp_path, redis_url, "http://127.0.0.1:9", **settings) as relay:
            run = await relay.wait_for_end(run_id)
            addresses = [relay.tokens.read(hook.rpartition("/")[2], now=0) for hook in provider.hooks]

    assert run["status"] == "succeeded"
    assert [(each.shot_id, each.take) for each in addresses] == [("s1", 1), ("s2", 1)]


async def test_the_option_marks_runs_before_anything_is_submitted(
    start_relay: Any, redis_url: str, tmp_path: Path
) -> None:
    """`framerelay worker --after-restore`, as it is typed."""
    async with start_relay("http://127.0.0.1:9", worker=False) as relay:
        run_id = await relay.run(board(1, 1))
        words = [str(ROOT / ".venv/bin/framerelay"), "worker", "--after-restore"]
        environment = {
            "PATH": "/usr/bin:/bin",
            "FRAMERELAY_REDIS_URL": redis_url,
            "FRAMERELAY_DATA_DIR": str(tmp_path / "other"),
            "FRAMERELAY_UPSTREAM_URL": "http://127.0.0.1:9",
            "FRAMERELAY_UPSTREAM_KEY": "sk-nobody",
        }
        process = await asyncio.create_subprocess_exec(*words, env=environment, cwd=tmp_path, stderr=subprocess.PIPE)
        assert process.stderr is not None
        try:
            async with asyncio.timeout(120):
                while b"runs_restored" not in (line := await process.stderr.readline()):
                    assert line, "it ended"
        finally:
            process.terminate()
            await process.wait()
        run = await relay.store.load(run_id)

    assert run.restored is not None
