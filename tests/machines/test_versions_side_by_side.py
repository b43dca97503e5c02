"""
Programs of several versions on one Redis: who is too old ends with a sentence; what is too new for one is left alone.

Earlier versions come out of the repository's history.
"""

import asyncio
import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from arq.connections import ArqRedis
from arq.worker import func
from httpx import AsyncClient

from framerelay.processors.worker import RelayWorker
from framerelay.runs.tokens import Tokens
from framerelay.store import schema
from framerelay.store.client import RelayRedis, connect, disconnect
from framerelay.store.runs import Store
from framerelay.store.schema import SCHEMA, SCHEMA_KEY, SchemaTooNew
from framerelay.store.tasks import QUEUE, Task
from tests.fixtures.relay import KEY
from tests.machines.servers import Forwarder, free_port
from tests.machines.test_a_lossy_fail_over import board

pytestmark = pytest.mark.anyio

WaitUntil = Callable[..., Awaitable[None]]
ROOT = Path(__file__).parents[2]
# Programs of 7c5f016 look at no schema; those of 7adf7e9 have schema 2. Both kept everything under keys without a tag.
BEFORE = {"7c5f016": "from cli.main import main; main()", "7adf7e9": "from framerelay.cli.main import main; main()"}
OURS = "from framerelay.cli.main import main; main()"
BESIDE = "fcc91f7"  # Schema 3: it has a key for each callback.
API_KEY = "an-api-key-for-two-versions-of-it-123456"
SECRET_OF_ALL = "a-secret-for-two-versions-of-it-12345678"


@pytest.fixture(scope="module", params=BEFORE)
def version_before(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """Its name, and a Python that has it."""
    return request.param, python_with(request.param, tmp_path_factory.mktemp("before"))


def python_with(version: str, folder: Path) -> Path:
    """One that has the folders of *version*, which stood at the top of the repository, and our packages."""
    words = ["git", "-C", str(ROOT), "archive", version]
    archive = subprocess.run(words, capture_output=True, check=False)
    if archive.returncode:
        pytest.skip(f"{version} is not in the history here (a shallow clone, or none)")
    with tarfile.open(fileobj=BytesIO(archive.stdout)) as file:
        file.extractall(folder / "tree", filter="data")
    (folder / "house").mkdir()
    (folder / "house" / "framerelay").symlink_to(folder / "tree")
    venv.create(folder / "venv", symlinks=True)
    (site,) = (folder / "venv").glob("lib/*/site-packages")
    # Its decoder's process reads no PYTHONPATH.
    (site / "before.pth").write_text(f"{folder / 'house'}\n{folder / 'tree'}\n{sysconfig.get_path('purelib')}\n")
    return folder / "venv" / "bin" / "python"


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """What its programs have in common: one Redis, one data folder, one public address."""

    folder: Path
    environment: dict[str, str]

    @contextmanager
    def program(self, python: Path | str, code: str, *words: str, port: int = 0) -> Iterator["Program"]:
        """One that runs as long as the block, unless it ends by itself."""
        log = self.folder / f"{'-'.join(words)}-{port}-{len(list(self.folder.glob('*.log')))}.log"
        with log.open("wb") as output:
            environment = {**self.environment, "FRAMERELAY_PORT": str(port)}
            command = [str(python), "-c", code, *words]
            process = subprocess.Popen(command, cwd=self.folder, env=environment, stdout=output, stderr=output)
        try:
            yield Program(log=log, process=process)
        finally:
            process.terminate()
            process.wait()


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One that was started."""

    log: Path
    process: subprocess.Popen[bytes]

    def has_said(self, words: str) -> bool:
        return words in self.log.read_text()


@pytest.fixture
def install(redis_url: str, tmp_path: Path) -> Callable[..., Installation]:
    """``install(provider.url, public_url)``."""

    def make(provider_url: str, public_url: str) -> Installation:
        folder = tmp_path / "installation"
        folder.mkdir()
        environment = {
            "PATH": os.environ["PATH"],
            "FRAMERELAY_REDIS_URL": redis_url,
            "FRAMERELAY_DATA_DIR": str(folder / "data"),
            "FRAMERELAY_UPSTREAM_URL": provider_url,
            "FRAMERELAY_UPSTREAM_KEY": KEY,
            "FRAMERELAY_SECRET": SECRET_OF_ALL,
            "FRAMERELAY_API_KEY": API_KEY,
            "FRAMERELAY_PUBLIC_URL": public_url,
            "FRAMERELAY_TRUSTED_HOSTS": "127.0.0.1",
            "FRAMERELAY_LOOKUP_AFTER_S": "30",
        }
        return Installation(folder=folder, environment=environment)

    return make


@pytest.mark.slow
async def test_this_version_takes_over_from_the_one_before_while_that_runs(
    version_before: tuple[str, Path],
    start_provider: Any,
    install: Callable[..., Installation],
    wait_until: WaitUntil,
) -> None:
    """
    Its runs go on and succeed, and nothing is paid twice; its worker takes nothing more.

    Callbacks still come to its receiver. That of schema 2 ends; one without a schema stays, and spools what it gets.
    """
    name, python = version_before
    ends_by_itself = name != "7c5f016"
    code, ports = BEFORE[name], [free_port(), free_port()]
    async with (
        start_provider(options={"job_s": 1.0}) as provider,
        Forwarder(ports[0]) as door,
        AsyncClient(headers={"authorization": f"Bearer {API_KEY}"}, timeout=60) as http,
    ):
        home = install(provider.url, f"http://127.0.0.1:{door.port}")
        old, new = (f"http://127.0.0.1:{port}" for port in ports)
        with (
            home.program(python, code, "receiver", port=ports[0]) as receiver,
            home.program(python, code, "worker") as worker,
        ):
            await wait_until(
                lambda: worker.has_said("worker_ready") and receiver.has_said("receiver_ready"), "both run"
            )
            boards = [board(number, 4) for number in range(3)]
            boards[0]["shots"][3]["gate"] = "approve"  # However fast the rest is: this comes after the others are gone.
            runs = [(await http.post(f"{old}/v1/runs", json=each)).json()["id"] for each in boards]

            async def are_submitted() -> bool:
                return len((await provider.journal())["jobs"]) >= 5

            await wait_until(are_submitted, "films are under way")
            with (
                home.program(sys.executable, OURS, "receiver", port=ports[1]) as newer,
                home.program(sys.executable, OURS, "worker") as helper,
            ):
                await wait_until(lambda: newer.has_said("receiver_ready"), "this version is there")
                if ends_by_itself:
                    door.move_to(ports[1])  # As a proxy does, when the one does not answer any more.
                    await wait_until(lambda: worker.process.poll() is not None, "the worker of before ends")
                    await wait_until(lambda: receiver.process.poll() is not None, "so does its receiver")

                async def is_approved() -> bool:
                    return (await http.post(f"{new}/v1/runs/{runs[0]}/shots/s4/approve", json={})).is_success

                await wait_until(is_approved, "what waits for a person is there, and goes on")

                async def have_ended() -> bool:
                    statuses = [(await http.get(f"{new}/v1/runs/{run_id}")).json()["status"] for run_id in runs]
                    return not {"running", "waiting"} & set(statuses)

                await wait_until(have_ended, "all films are there")
                ends = [(await http.get(f"{new}/v1/runs/{run_id}")).json() for run_id in runs]
                runs_listed = (await http.get(f"{new}/v1/runs")).json()["data"]
                response = None if ends_by_itself else await http.post(f"{old}/v1/runs", json=board(9, 1))
                journal = await provider.journal()
                with home.program(python, code, "worker") as again:
                    way_back = "WRONGTYPE" if not ends_by_itself else "this is an older one (schema 2)"
                    await wait_until(lambda: again.has_said(way_back), "there is no way back")
                words = newer.log.read_text() + helper.log.read_text()

    assert [run["status"] for run in ends] == ["succeeded"] * 3, ends
    assert {run["id"] for run in runs_listed} == set(runs)
    addresses = [job["input"]["callback_url"] for job in journal["jobs"]]
    takes = [Tokens(SECRET_OF_ALL).read(each.rpartition("/")[2], now=0) for each in addresses]
    assert len(set(takes)) == len(takes) == 12
    if ends_by_itself:
        assert (worker.process.returncode, receiver.process.returncode) == (1, 1)
        assert worker.has_said("this is an older one (schema 2) that cannot read it")
    else:
        assert worker.has_said("WRONGTYPE")
        assert response is not None
        assert response.status_code == 503
        assert receiver.has_said('"spooled"'), receiver.log.read_text()
    assert "keys_moved" in words


@pytest.mark.slow
async def test_the_version_before_works_beside_this_one(
    start_provider: Any, install: Callable[..., Installation], wait_until: WaitUntil, tmp_path: Path
) -> None:
    """Each one's worker handles what the other's receiver kept; all films are there, and no take is paid for twice."""
    python, ports = python_with(BESIDE, tmp_path), [free_port(), free_port()]
    async with (
        start_provider(options={"job_s": 0.5}) as provider,
        Forwarder(ports[0]) as door,
        AsyncClient(headers={"authorization": f"Bearer {API_KEY}"}, timeout=60) as http,
    ):
        home = install(provider.url, f"http://127.0.0.1:{door.port}")
        old, new = (f"http://127.0.0.1:{port}" for port in ports)
        with (
            home.program(python, OURS, "receiver", port=ports[0]) as receiver,
            home.program(python, OURS, "worker") as worker,
            home.program(sys.executable, OURS, "receiver", port=ports[1]) as newer,
            home.program(sys.executable, OURS, "worker") as helper,
        ):
            programs = {
                receiver: "receiver_ready",
                newer: "receiver_ready",
                worker: "worker_ready",
                helper: "worker_ready",
            }
            await wait_until(lambda: all(each.has_said(word) for each, word in programs.items()), "all four run")
            runs = [(await http.post(f"{old}/v1/runs", json=board(number, 4))).json()["id"] for number in range(3)]

            async def have_come(number: int, at: str) -> bool:
                return len((await http.get(f"{at}/v1/callbacks?limit=200")).json()["data"]) >= number

            await wait_until(lambda: have_come(4, old), "the receiver of before has kept some")
            door.move_to(ports[1])

            async def have_ended() -> bool:
                statuses = [(await http.get(f"{new}/v1/runs/{run_id}")).json()["status"] for run_id in runs]
                return "running" not in statuses

            await wait_until(have_ended, "all films are there")
            ends = [(await http.get(f"{new}/v1/runs/{run_id}")).json()["status"] for run_id in runs]
            callbacks = (await http.get(f"{new}/v1/callbacks?limit=200")).json()["data"]
            seen_by_old = (await http.get(f"{old}/v1/callbacks?limit=200")).json()["data"]
            journal = await provider.journal()
            running = [each.process.poll() for each in programs]

    assert ends == ["succeeded"] * 3
    assert running == [None] * 4
    takes = [job["input"]["callback_url"].rpartition("/")[2] for job in journal["jobs"]]
    assert len({Tokens(SECRET_OF_ALL).read(each, now=0) for each in takes}) == len(takes) == 12
    # What this version accepted is only shown here.
    assert 4 <= len(seen_by_old) < len(callbacks)
    assert {each["id"] for each in seen_by_old} < {each["id"] for each in callbacks}


@asynccontextmanager
async def working(redis_url: str, functions: dict[str, Callable[..., Awaitable[None]]]) -> AsyncIterator[Any]:
    """A worker that has only these, in a task that ends with it."""
    redis, listening = connect(redis_url), connect(redis_url)
    tasks = [func(work, name=name) for name, work in functions.items()]  # type: ignore[arg-type]
    worker = RelayWorker(tasks, redis=redis, listening=listening, tasks_max=5)
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
    calls: list[str] = []

    async def work(_: dict[str, Any]) -> None:
        calls.append("work")

    async with working(redis_url, {"work": work}) as running:
        await redis.hset(SCHEMA_KEY, mapping={"readable_from": SCHEMA + 1, "version": "9.8"})
        await _enqueue(redis_url, Task(id="t", function="work", arguments={}))
        sentence = r"written by FrameRelay 9\.8 .* start that version or a later one"
        with pytest.raises(SchemaTooNew, match=sentence):
            async with asyncio.timeout(60):
                await running

    assert calls == []
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


async def _enqueue(redis_url: str, task: Task) -> None:
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
        name: str(value) for name, value in {**newer, "keys": "tagged"}.items()
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

        await wait_until(is_put_back, "it is in the queue again")
        record = await redis.get("{framerelay}:arq:job:t")

    assert record is not None
    await redis.delete("{framerelay}:arq:job:t", "{framerelay}:arq:retry:t")
    await redis.zrem(QUEUE, "t")
