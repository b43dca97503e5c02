"""The port of a worker: who watches it learns whether it goes round, can do its work, and what it does."""

import asyncio
import re
import shutil
import subprocess
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.datastructures import Secret

from framerelay.cli import serve
from framerelay.cli.http import listening_on
from framerelay.config.keys import Keys
from framerelay.config.settings import Settings
from framerelay.processors.worker import RelayWorker
from framerelay.store.disk import Disk

pytestmark = pytest.mark.anyio

KEYS = Keys(api_key=Secret("fr_test"), secret=Secret("only for tests"), new_api_key=False)
WaitUntil = Callable[..., Awaitable[None]]


@pytest.fixture
def answering(tmp_path: Path, redis_url: str, lent_decoders: Any) -> Any:
    """``async with answering() as http``: a worker alone, and a client of its port; *tasks* as on the command."""

    @asynccontextmanager
    async def work(tasks: str = "all") -> AsyncIterator[httpx.AsyncClient]:
        settings = Settings(
            upstream_url="http://127.0.0.1:9", upstream_key=Secret("sk-none-of-yours"), data_dir=tmp_path / "data"
        )
        with listening_on("127.0.0.1", 0) as listener, lent_decoders():
            alone = serve.SeparateWorker(listener=listener, tasks=tasks)
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            async with (
                serve.running_worker(settings, KEYS, redis_url, alone=alone),
                httpx.AsyncClient(base_url=url, trust_env=False, timeout=60) as http,
            ):
                yield http

    return work


async def test_a_worker_that_is_well_says_so(answering: Any) -> None:
    """It goes round, Redis and disk take what they are given, its decoders are there; no key is asked for."""
    async with answering() as http:
        answers = {path: await http.get(path) for path in ("/livez", "/readyz", "/metrics")}

    assert {path: answer.status_code for path, answer in answers.items()} == dict.fromkeys(answers, 200)
    assert answers["/readyz"].json() == {"status": "ok"}
    assert "framerelay_worker_places 20" in answers["/metrics"].text.splitlines()
    assert 'framerelay_worker_places_busy{tasks="heavy"} 0' in answers["/metrics"].text.splitlines()
    assert "framerelay_queue " not in answers["/metrics"].text, "what is in Redis is told once, by the receiver"


async def test_a_worker_that_does_not_look_for_tasks_is_not_alive(
    answering: Any, monkeypatch: pytest.MonkeyPatch, wait_until: WaitUntil
) -> None:
    """Its loop answers, and yet nothing is done: the supervisor restarts it."""
    async with answering() as http:
        monkeypatch.setattr(RelayWorker, "still_s", lambda _: 31.0)  # Half a minute is too long for a test.
        answer = await http.get("/livez")

    assert answer.status_code == 503
    assert answer.json()["error"]["message"] == "the worker has not looked for tasks for 31 s: start it again"


async def test_the_time_since_it_looked_grows_when_it_hangs(
    answering: Any, monkeypatch: pytest.MonkeyPatch, wait_until: WaitUntil
) -> None:
    """A claim that never ends, whatever it hangs in, is what `/livez` counts from."""
    hangs, go_on = asyncio.Event(), asyncio.Event()

    async def hanging(_: RelayWorker) -> float:
        hangs.set()
        await go_on.wait()
        return 0.0

    async def still_s(http: httpx.AsyncClient) -> float:
        match = re.search("^framerelay_worker_still_seconds (.*)$", (await http.get("/metrics")).text, re.MULTILINE)
        assert match
        return float(match[1])

    async with answering() as http:
        monkeypatch.setattr(RelayWorker, "_start_due", hanging)
        await hangs.wait()
        before = await still_s(http)

        async def has_grown() -> bool:
            return await still_s(http) > before + 0.2

        await wait_until(has_grown, "nobody has looked since")
        go_on.set()


async def test_an_event_loop_that_hangs_does_not_answer(answering: Any) -> None:
    """A probe waits in vain for as long as something blocks the loop, and has its answer when nothing does."""
    go_on, go_on_again = threading.Event(), threading.Event()

    def probe(url: str) -> int:
        status = httpx.get(f"{url}/livez", timeout=60, trust_env=False).status_code
        go_on_again.set()
        return status

    async with answering() as http:
        probing = asyncio.create_task(asyncio.to_thread(probe, str(http.base_url).rstrip("/")))
        await asyncio.sleep(0)

        def block() -> None:
            threading.Timer(1.0, go_on.set).start()
            go_on.wait()
            assert not go_on_again.is_set()

        block()  # The thread asks during this; only this loop could answer it.
        assert await probing == 200


async def test_what_a_worker_cannot_do_without_is_named(
    answering: Any, monkeypatch: pytest.MonkeyPatch, redis: Any, tmp_path: Path
) -> None:
    """A disk that takes nothing, decoders that do not start, Redis that refuses: each in words, with 503."""
    async with answering() as http:
        shutil.rmtree(tmp_path / "data", ignore_errors=True)
        (tmp_path / "data").write_text("a file where the folder should be", encoding="utf-8")
        no_disk = await http.get("/readyz")
        (tmp_path / "data").unlink()
        monkeypatch.setattr("framerelay.media.decoder.has_child", lambda _: False)  # They are lent by other tests.
        no_decoder = await http.get("/readyz")
        await redis.config_set("maxmemory", 1)
        no_redis = await http.get("/readyz")
        await redis.config_set("maxmemory", 0)
        monkeypatch.undo()
        well = await http.get("/readyz")

    assert [each.status_code for each in (no_disk, no_decoder, no_redis, well)] == [503, 503, 503, 200]
    assert no_disk.json()["error"]["message"].startswith("our disk: ")
    assert no_decoder.json()["error"]["message"] == "a decoder process cannot be started: see the log"
    assert "memory" in no_redis.json()["error"]["message"]
    assert no_disk.headers["retry-after"] == "2"


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool here (Debian: prometheus)")
async def test_prometheus_reads_what_a_worker_says(answering: Any) -> None:
    """Its own check of names and kinds finds nothing."""
    async with answering() as http:
        text = (await http.get("/metrics")).text

    process = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
    assert (process.returncode, process.stderr) == (0, "")


async def test_a_disk_that_hangs_holds_one_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often somebody asks; it is asked again when it has answered."""
    questions, go_on = list[int](), threading.Event()

    def hanging(disk: Disk) -> int:
        questions.append(1)
        go_on.wait()
        return 5

    hanging.__name__ = "_look"
    monkeypatch.setattr(Disk, "_look", hanging)
    monkeypatch.setattr("framerelay.store.disk.LOOK_WITHIN_S", 0.01)
    disk = Disk(tmp_path)
    assert [await disk.free_bytes() for _ in range(3)] == [None, None, None]
    monkeypatch.setattr("framerelay.store.disk.LOOK_WITHIN_S", 60)
    go_on.set()
    assert (await disk.free_bytes(), len(questions)) == (5, 1)
    disk.close()
