"""
Programs of several versions on one Redis: who is too old ends with a sentence; what is too new for one is left alone.

The version before is that of the last landed commit, out of the repository's history.
"""

import asyncio
import os
import subprocess
import sysconfig
import tarfile
import venv
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from arq.connections import ArqRedis
from arq.worker import func

from framerelay.processors.worker import RelayWorker
from framerelay.store import schema
from framerelay.store.client import RelayRedis, connect, disconnect
from framerelay.store.runs import Store
from framerelay.store.schema import SCHEMA, SCHEMA_KEY, SchemaTooNew
from framerelay.store.tasks import QUEUE, Task
from tests.conftest import KEY, SECRET
from tests.machines.test_a_lossy_fail_over import board, jobs_of_takes

pytestmark = pytest.mark.anyio

WaitUntil = Callable[..., Awaitable[None]]
ROOT = Path(__file__).parents[2]
BEFORE = "7c5f016"  # Of 2026-11-29; programs of then look at no schema.


@pytest.fixture(scope="module")
def version_before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has its folders, which stood at the top of the repository, and the packages of this one."""
    words = ["git", "-C", str(ROOT), "archive", BEFORE]
    archive = subprocess.run(words, capture_output=True, check=False)
    if archive.returncode:
        pytest.skip(f"{BEFORE} is not in the history here (a shallow clone, or none)")
    folder = tmp_path_factory.mktemp("before")
    with tarfile.open(fileobj=BytesIO(archive.stdout)) as file:
        file.extractall(folder / "tree", filter="data")
    venv.create(folder / "venv", symlinks=True)
    (site,) = (folder / "venv").glob("lib/*/site-packages")
    # Its decoder's process reads no PYTHONPATH.
    (site / "before.pth").write_text(f"{folder / 'tree'}\n{sysconfig.get_path('purelib')}\n")
    return folder / "venv" / "bin" / "python"


@contextmanager
def worker_before(python: Path, redis_url: str, provider_url: str, public_url: str, data: Path) -> Iterator[Path]:
    """A worker of that version beside ours; its log."""
    environment = {
        "PATH": os.environ["PATH"],
        "FRAMERELAY_REDIS_URL": redis_url,
        "FRAMERELAY_DATA_DIR": str(data),
        "FRAMERELAY_UPSTREAM_URL": provider_url,
        "FRAMERELAY_UPSTREAM_KEY": KEY,
        "FRAMERELAY_SECRET": SECRET,
        "FRAMERELAY_PUBLIC_URL": public_url,
        "FRAMERELAY_TRUSTED_HOSTS": "127.0.0.1",
        "FRAMERELAY_LOOKUP_AFTER_S": "3",
    }
    log = data.parent / "before.log"
    command = [str(python), "-c", "from cli.main import main; main()", "worker"]
    data.mkdir(exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=data, env=environment, stdout=output, stderr=output)
    try:
        yield log
    finally:
        process.terminate()
        process.wait()


@pytest.mark.slow
async def test_a_worker_of_the_version_before_works_beside_this_one(
    version_before: Path, start_provider: Any, start_relay: Any, redis_url: str, tmp_path: Path, wait_until: WaitUntil
) -> None:
    """
    Runs for the jobs API, as that version knows them: all succeed, and nothing is paid twice.

    It gives up look-ups that callbacks asked for, whose arguments it does not know; these jobs are found by looking.
    """
    async with start_provider() as provider, start_relay(provider.url, lookup_after_s=3.0) as relay:
        public = relay.settings.reachable_url
        with worker_before(version_before, redis_url, provider.url, public, relay.settings.data_dir) as log:
            await wait_until(lambda: "worker_ready" in log.read_text(), "the worker of then is there")
            runs = [await relay.run(board(number, 3)) for number in range(4)]
            ends = [await relay.ended(run_id) for run_id in runs]
            jobs = await jobs_of_takes(relay, provider)
            lines = log.read_text()

    assert [run["status"] for run in ends] == ["succeeded"] * len(runs)
    assert set(jobs.values()) == {1}
    assert len(jobs) == 3 * len(runs)
    assert '"outcome": "submitted"' in lines, "it submitted nothing, so nothing was tried"


@asynccontextmanager
async def working(redis_url: str, functions: dict[str, Callable[..., Awaitable[None]]]) -> AsyncIterator[Any]:
    """A worker that has only these, in a task that ends with it."""
    redis, listening = connect(redis_url), connect(redis_url)
    known = [func(work, name=name) for name, work in functions.items()]  # type: ignore[arg-type]
    worker = RelayWorker(known, redis=redis, listening=listening, tasks_max=5)
    running = asyncio.create_task(worker.main())
    try:
        yield running
    finally:
        await worker.stop(grace_s=1.0)
        await asyncio.wait([running])
        await disconnect(redis)
        await disconnect(listening)


async def test_a_worker_that_is_too_old_takes_nothing_and_ends_with_a_sentence(redis: ArqRedis, redis_url: str) -> None:
    """While it runs: somebody newer has started since, whose runs it could not read."""
    done: list[str] = []

    async def work(_: dict[str, Any]) -> None:
        done.append("work")

    async with working(redis_url, {"work": work}) as running:
        await redis.hset(SCHEMA_KEY, mapping={"readable_from": SCHEMA + 1, "version": "9.8"})
        await _queued(redis_url, Task(id="t", function="work", arguments={}))
        sentence = r"written by FrameRelay 9\.8 .* start that version or a later one"
        with pytest.raises(SchemaTooNew, match=sentence):
            async with asyncio.timeout(60):
                await running

    assert done == []
    assert await redis.zcard(QUEUE) == 1


async def test_the_command_ends_with_that_sentence(redis: ArqRedis, redis_url: str, tmp_path: Path) -> None:
    """Before it has made or taken anything."""
    await redis.hset(SCHEMA_KEY, mapping={"readable_from": SCHEMA + 1, "version": "9.8"})
    environment = {
        "PATH": os.environ["PATH"],
        "FRAMERELAY_REDIS_URL": redis_url,
        "FRAMERELAY_DATA_DIR": str(tmp_path / "data"),
        "FRAMERELAY_UPSTREAM_URL": "http://127.0.0.1:9",
        "FRAMERELAY_UPSTREAM_KEY": KEY,
    }
    for part in ("worker", "receiver"):
        command = [str(ROOT / ".venv/bin/framerelay"), part]
        process = await asyncio.create_subprocess_exec(
            *command, env={**environment, "FRAMERELAY_PORT": "0"}, cwd=tmp_path, stderr=subprocess.PIPE
        )
        _, words = await process.communicate()
        assert process.returncode == 1
        assert b"was written by FrameRelay 9.8" in words


async def _queued(redis_url: str, task: Task) -> None:
    client = connect(redis_url)
    await Store(client).enqueue([task])
    await disconnect(client)


@pytest.fixture
async def client(redis_url: str, redis: ArqRedis) -> AsyncIterator[RelayRedis]:
    client = connect(redis_url)
    yield client
    await disconnect(client)


async def test_a_program_that_is_too_old_does_not_start(client: RelayRedis) -> None:
    """And leaves the schema as it is; a receiver that runs sees it, too."""
    await schema.enter(client)
    assert await client.hgetall(SCHEMA_KEY) == {
        b"written_by": str(SCHEMA).encode(),
        b"readable_from": str(schema.READABLE_FROM).encode(),
        b"version": b"0.1.0",
        b"keys": b"tagged",
    }
    newer = {"written_by": SCHEMA + 3, "readable_from": SCHEMA + 1, "version": "9.8"}
    await client.hset(SCHEMA_KEY, mapping=newer)

    with pytest.raises(SchemaTooNew):
        await schema.enter(client)
    with pytest.raises(SchemaTooNew):
        async with asyncio.timeout(60):
            await schema.watch(client)
    assert {name.decode(): value.decode() for name, value in (await client.hgetall(SCHEMA_KEY)).items()} == {
        name: str(value) for name, value in newer.items()
    }


async def test_a_newer_program_that_can_be_read_lets_this_one_go_on(client: RelayRedis) -> None:
    """It has a higher number of its own, and says that older ones may stay."""
    await client.hset(SCHEMA_KEY, mapping={"written_by": SCHEMA + 3, "readable_from": SCHEMA, "version": "9.8"})
    await schema.enter(client)

    assert (await client.hget(SCHEMA_KEY, "written_by")) == str(SCHEMA + 3).encode()


@pytest.mark.parametrize(
    ("function", "arguments"), [("unheard", {"run": "r"}), ("look_up", {"run": "r", "shot": "s", "take": 1, "new": 1})]
)
async def test_a_task_that_is_too_new_is_left_to_others_and_counts_as_no_try(
    function: str, arguments: dict[str, Any], start_relay: Any, redis: ArqRedis, wait_until: WaitUntil
) -> None:
    """arq throws away what it has no function for; an argument more was a try that failed, until it was given up."""
    async with start_relay("http://127.0.0.1:9") as relay:
        await relay.store.enqueue([Task(id="t", function=function, arguments=arguments)])

        async def is_put_back() -> bool:
            score, tries = await redis.zscore(QUEUE, "t"), await redis.get("{framerelay}:arq:retry:t")
            return score is not None and tries == b"0"

        await wait_until(is_put_back, "it lies in the queue again")
        kept = await redis.get("{framerelay}:arq:job:t")

    assert kept is not None
    await redis.delete("{framerelay}:arq:job:t", "{framerelay}:arq:retry:t")
    await redis.zrem(QUEUE, "t")
