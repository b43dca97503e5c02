"""A key that was put right counts at once: processes that run read it again, and nothing changes in the middle."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from arq.connections import ArqRedis
from starlette.datastructures import Secret

from framerelay.cli import serve
from framerelay.config.env_file import SettingInvalid
from framerelay.config.keys import Keys
from framerelay.config.live import LiveSettings
from framerelay.config.marks import marks_of
from framerelay.config.settings import Settings
from framerelay.store.processes import PROCESSES, processes

pytestmark = pytest.mark.anyio

KEY, WRONG = "sk-sandbox", "sk-wrong-0123456789"
OPEN = Secret("fr_test")
BOARD = {"model": "m", "budget": {"jobs": 3}, "shots": [{"id": "s1", "prompt": "a car"}]}
WaitUntil = Callable[..., Awaitable[None]]


@dataclass(slots=True)
class EnvFile:
    """What the processes read: a person corrects it while they run."""

    key: str = WRONG
    fault: str | None = None
    readings: int = 0

    def read(self, settings: Settings) -> Settings:
        self.readings += 1
        if self.fault:
            raise SettingInvalid(self.fault)
        return replace(settings, upstream_key=Secret(self.key))


@pytest.fixture
def env_file() -> EnvFile:
    """With a wrong key."""
    return EnvFile()


@pytest.fixture
def start(start_relay: Any, env_file: EnvFile) -> Any:
    """``async with start(provider.url) as relay``: a receiver and a worker that began with the wrong key."""

    def begin(url: str, **more: Any) -> Any:
        settings = {"upstream_key": Secret(WRONG), "api_key": (OPEN,), "read": env_file.read}
        return start_relay(url, **{**settings, **more})

    return begin


async def refused_run(relay: Any) -> str:
    """The id of a run that waits, since the provider does not know the key."""
    run_id = str(await relay.run(BOARD))
    run = await relay.wait_for_end(run_id)
    assert (run["status"], run["error"]["family"], run["spent"]["jobs"]) == ("waiting", "account", 0), run
    return run_id


async def submits_taken(provider: Any) -> int:
    """How many submits the provider did not refuse."""
    return sum(each["answer"] == 200 for each in (await provider.journal())["submits"])


async def test_resume_goes_on_with_the_corrected_key(start_provider: Any, start: Any, env_file: EnvFile) -> None:
    """No restart; one that was corrected wrongly is refused again, and nothing was paid for by trying."""
    async with start_provider() as provider, start(provider.url) as relay:
        run_id = await refused_run(relay)
        env_file.key = "sk-wrong-again-0123"
        assert (await relay.api.post(f"/v1/runs/{run_id}/resume")).status_code == 200
        assert (await relay.wait_for_end(run_id))["status"] == "waiting"

        env_file.key = KEY
        await relay.api.post(f"/v1/runs/{run_id}/resume")
        run = await relay.wait_for_end(run_id)
        assert (run["status"], run["spent"]["jobs"], await submits_taken(provider)) == ("succeeded", 1, 1)


async def test_a_run_that_is_started_after_the_correction_needs_no_resume(
    start_provider: Any, start: Any, env_file: EnvFile
) -> None:
    """A submit that is refused for its key has it read again, and goes out again if it is another one."""
    env_file.key = KEY
    async with start_provider() as provider, start(provider.url) as relay:
        run = await relay.wait_for_end(await relay.run(BOARD))
        assert (run["status"], run["spent"]["jobs"]) == ("succeeded", 1)
        assert await submits_taken(provider) == 1


async def test_a_file_that_cannot_be_read_leaves_everything_as_it_was(
    start_provider: Any, start: Any, env_file: EnvFile
) -> None:
    """Half a correction must not stop what goes on."""
    async with start_provider() as provider, start(provider.url, upstream_key=Secret(KEY)) as relay:
        for env_file.fault, env_file.key in (("cannot read .env", KEY), (None, "two words"), (None, "")):
            run_id = await relay.run({**BOARD, "shots": [{"id": "s1", "prompt": "a", "gate": "approve"}]})
            await relay.api.post(f"/v1/runs/{run_id}/resume")
            await relay.api.post(f"/v1/runs/{run_id}/shots/s1/approve")
            assert (await relay.wait_for_end(run_id))["status"] == "succeeded"
        assert env_file.readings


@pytest.fixture
def elsewhere(redis_url: str, lent_decoders: Any, env_file: EnvFile) -> Any:
    """``async with elsewhere(relay) as live``: a worker with settings of its own, as on another machine."""

    @asynccontextmanager
    async def work(relay: Any) -> AsyncIterator[LiveSettings]:
        keys = Keys(api_key=OPEN, secret=Secret("only for tests"), new_api_key=False)
        live = LiveSettings(relay.settings, keys, read=lambda: env_file.read(relay.settings))
        with lent_decoders():
            running = serve.running_worker(relay.settings, keys, redis_url, live)
            async with running:
                yield live

    return work


async def test_a_worker_elsewhere_reads_its_own_before_it_begins_what_was_resumed(
    start_provider: Any, start_relay: Any, elsewhere: Any, env_file: EnvFile
) -> None:
    """The receiver cannot reach it, and need not: it sees with its next claim that keys are to be read again."""
    async with (
        start_provider() as provider,
        start_relay(provider.url, worker=False, upstream_key=Secret(WRONG), api_key=(OPEN,)) as relay,
        elsewhere(relay),
    ):
        run_id = await refused_run(relay)
        env_file.key, before = KEY, env_file.readings
        await relay.api.post(f"/v1/runs/{run_id}/resume")
        assert (await relay.wait_for_end(run_id))["status"] == "succeeded"
        assert env_file.readings > before
        assert await submits_taken(provider) == 1


@dataclass(slots=True)
class SlowProvider:
    """Answers when it is told to go on; every POST is a job that never ends."""

    url: str = ""
    requests: list[bytes] = field(default_factory=list)
    ends: int = 0
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.requests.append(await reader.read(65536))
        await self.go_on.wait()
        body = b'{"id": "job_1", "status": "queued"}'
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        self.ends += await reader.read() == b""
        writer.close()


async def test_a_submit_under_way_keeps_its_key_and_the_next_has_the_new_one(
    start_relay: Any, elsewhere: Any, env_file: EnvFile, wait_until: WaitUntil
) -> None:
    """Its client is closed when its last task has ended, not before; the answer to what was paid for is heard."""
    slow = SlowProvider()
    server = await asyncio.start_server(slow.serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with (
        start_relay(url, worker=False, upstream_key=Secret(WRONG), api_key=(OPEN,)) as relay,
        elsewhere(relay) as live,
    ):
        run_id = await relay.run(BOARD)
        await wait_until(lambda: slow.requests, "the POST is under way")
        env_file.key = KEY
        await live.read_again()
        assert slow.ends == 0
        second = await relay.run(BOARD)
        await wait_until(lambda: len(slow.requests) > 1, "the next one leaves")
        slow.go_on.set()

        async def both_are_known() -> bool:
            runs = [await relay.view(each) for each in (run_id, second)]
            return all(take["job_id"] for run in runs for take in run["shots"][0]["takes"])

        await wait_until(both_are_known, "both were answered")
    assert [WRONG.encode() in slow.requests[0], KEY.encode() in slow.requests[1]] == [True, True]
    server.close()


async def test_reports_of_processes_change_with_their_keys_and_show_no_key(
    start_provider: Any, start: Any, env_file: EnvFile, redis: ArqRedis, wait_until: WaitUntil, presence: None
) -> None:
    """Receiver and worker each, as long as they run; by marks that can only be made with the secret."""
    async with start_provider() as provider, start(provider.url) as relay:
        secret = Secret("only for tests")

        async def marked(key: str) -> bool:
            marks = marks_of(replace(relay.settings, upstream_key=Secret(key)), secret)
            processes_there = await processes(redis)
            return sorted(each.part for each in processes_there if each.marks == marks) == ["receiver", "worker"]

        await wait_until(lambda: marked(WRONG), "both have said so")
        run_id = await refused_run(relay)
        env_file.key = KEY
        await relay.api.post(f"/v1/runs/{run_id}/resume")
        await wait_until(lambda: marked(KEY), "both have the new one")
        assert await redis.ttl(PROCESSES) > 0
    assert await processes(redis) == [], "they have said good-bye"


def test_marks_reveal_nothing_without_the_secret() -> None:
    """Not the key, not a hash of it that could be looked up; another secret makes other marks of the same."""
    settings = Settings(upstream_key=Secret(KEY), trusted_hosts=frozenset({"b", "a"}))
    one, same, other = (marks_of(settings, Secret(text)) for text in ("one", "one", "other"))

    assert one == same
    assert all(one[variable] != other[variable] for variable in one)
    marks = marks_of(replace(settings, upstream_key=Secret("sk-2")), Secret("one"))
    assert [variable for variable in one if one[variable] != marks[variable]] == ["FRAMERELAY_UPSTREAM_KEY"]
    assert len(set(one.values())) == len(one), "equal values of two settings look different"
    assert "FRAMERELAY_PORT" not in one
