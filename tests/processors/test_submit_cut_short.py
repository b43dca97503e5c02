"""A worker that is stopped in the middle of a submit: a person sees at once what is true of the take."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.datastructures import Secret

from framerelay.cli import serve
from framerelay.config.keys import Keys
from framerelay.processors import submit as submit_module
from framerelay.runs import events
from framerelay.store.runs import Store

pytestmark = pytest.mark.anyio

BOARD = {"model": "m", "budget": {"jobs": 1}, "shots": [{"id": "s1", "prompt": "a car"}]}
PIXEL = (
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\2\0\0\0\x90wS\xde"
    b"\0\0\0\x0cIDATx\x9cc\xf8\xcf\xc0\0\0\3\1\1\0\xc9\xfe\x92\xef\0\0\0\0IEND\xaeB`\x82"
)


@dataclass(slots=True)
class SlowProvider:
    """Takes what it is sent and answers nothing until it is told to go on; then every POST is a job."""

    url: str = ""
    requests: list[bytes] = field(default_factory=list)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.requests.append(await reader.read(65536))
            await self.go_on.wait()
            body = b'{"id": "job_1", "status": "queued"}'
            writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()


@pytest.fixture
async def provider() -> AsyncIterator[SlowProvider]:
    slow = SlowProvider()
    server = await asyncio.start_server(slow.serve, "127.0.0.1", 0)
    slow.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield slow
    slow.go_on.set()
    server.close()


@pytest.fixture(autouse=True)
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """A deploy that is in a hurry."""
    monkeypatch.setattr(serve, "GRACE_S", 0.1)


Working = Callable[[Any], AbstractAsyncContextManager[None]]
WaitUntil = Callable[..., Awaitable[None]]


@pytest.fixture
def working(redis_url: str, lent_decoders: Any) -> Working:
    """``async with working(relay)``: a worker beside it."""

    @asynccontextmanager
    async def work(relay: Any) -> AsyncIterator[None]:
        keys = Keys(api_key=Secret("fr_test"), secret=Secret("only for tests"), new_api_key=False)
        async with AsyncExitStack() as stack:
            with lent_decoders():
                await stack.enter_async_context(serve.running_worker(relay.settings, keys, redis_url))
            yield

    return work


async def test_a_post_that_was_under_way_is_held_at_once(
    start_relay: Any, provider: SlowProvider, working: Working, wait_until: WaitUntil
) -> None:
    """Nobody knows what became of it, and nobody waits a minute and a half to be told; it is not posted again."""
    async with start_relay(provider.url, worker=False) as relay:
        run_id = await relay.run(BOARD)
        async with working(relay):
            await wait_until(lambda: provider.requests, "the POST is under way")
        run = await relay.view(run_id)
        provider.go_on.set()
        async with working(relay):
            await asyncio.sleep(0.5)  # Time for a second POST, which must not come.

    (take,) = run["shots"][0]["takes"]
    assert (run["status"], take["status"], take["error"]["code"]) == ("waiting", "unsure", "outcome_unknown")
    assert "stopped while the submit was under way" in run["error"]["message"]
    assert len(provider.requests) == 1


@pytest.fixture
def full_server() -> Iterator[str]:
    """A provider to which no connection is ever made: its queue is full, and the kernel drops what arrives."""
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


async def test_a_post_that_never_left_holds_nothing(
    start_relay: Any, full_server: str, working: Working, wait_until: WaitUntil
) -> None:
    """The intent was saved, but not one byte of the POST was written: nothing can have been paid."""
    async with start_relay(full_server, worker=False) as relay:
        run_id = await relay.run(BOARD)

        async def is_connecting() -> bool:
            return bool((await relay.view(run_id))["shots"][0]["takes"])

        async with working(relay):
            await wait_until(is_connecting, "the intent is saved")
        run = await relay.view(run_id)

    assert (run["status"], run["spent"]["jobs"], run["shots"][0]["takes"]) == ("running", 0, [])
    assert run["shots"][0]["held_by"]["code"] == "stopped"


async def test_a_submit_whose_inputs_were_being_prepared_holds_nothing(
    start_relay: Any, provider: SlowProvider, working: Working, wait_until: WaitUntil
) -> None:
    """An upload costs nothing and is made again."""
    async with start_relay(provider.url, worker=False, handoff="upload") as relay:
        name = (await relay.api.post("/v1/files", content=PIXEL)).json()["name"]
        run_id = await relay.run({**BOARD, "shots": [{**BOARD["shots"][0], "first_frame": name}]})  # type: ignore[index,dict-item]
        async with working(relay):
            await wait_until(lambda: provider.requests, "the upload is under way")
        run = await relay.view(run_id)

    assert provider.requests[0].startswith(b"POST /v1/files/upload")
    assert (run["status"], run["spent"]["jobs"], run["shots"][0]["takes"]) == ("running", 0, [])


def cut_off(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Set as soon as a submit was cancelled; its last word has a minute."""
    cut, in_time = asyncio.Event(), submit_module._in_time

    async def tell(telling: Awaitable[object], **options: Any) -> None:
        cut.set()
        await in_time(telling, **options)

    monkeypatch.setattr(submit_module, "_in_time", tell)
    monkeypatch.setattr(submit_module, "LAST_WORD_S", 60.0)
    return cut


def slow_to_tell(monkeypatch: pytest.MonkeyPatch, kind: type[events.Event]) -> asyncio.Event:
    """Redis takes its time with the answer to an event of that kind; set as soon as it has been told of one."""
    tells, record, cut = asyncio.Event(), submit_module.record, cut_off(monkeypatch)

    async def slowly(store: Store, run_id: str, event: events.Event, **options: Any) -> Any:
        outcome = await record(store, run_id, event, **options)
        if isinstance(event, kind):
            tells.set()
            await cut.wait()
        return outcome

    monkeypatch.setattr(submit_module, "record", slowly)
    return tells


async def test_an_intent_whose_saving_was_cut_short_is_taken_back_and_the_next_worker_submits(
    start_relay: Any, provider: SlowProvider, working: Working, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was saved and no POST followed: the budget of one job is still whole."""
    tells = slow_to_tell(monkeypatch, events.Submitting)
    provider.go_on.set()
    async with start_relay(provider.url, worker=False) as relay:
        run_id = await relay.run(BOARD)
        async with working(relay):
            await wait_until(tells.is_set, "the intent is saved")
        cut_short = await relay.view(run_id)
        requests = list(provider.requests)
        async with working(relay):
            await wait_until(lambda: provider.requests, "the next worker submits")

    assert (cut_short["status"], cut_short["shots"][0]["takes"], requests) == ("running", [], [])


async def test_an_answer_whose_recording_was_cut_short_is_recorded(
    start_relay: Any, provider: SlowProvider, working: Working, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The id of a job that was paid for is not let go of."""
    is_answered_event, record, cut = asyncio.Event(), submit_module.record, cut_off(monkeypatch)

    async def late(store: Store, run_id: str, event: events.Event, **options: Any) -> Any:
        if isinstance(event, events.Submitted):
            is_answered_event.set()
            await cut.wait()
        return await record(store, run_id, event, **options)

    monkeypatch.setattr(submit_module, "record", late)
    provider.go_on.set()
    async with start_relay(provider.url, worker=False) as relay:
        run_id = await relay.run(BOARD)
        async with working(relay):
            await wait_until(is_answered_event.is_set, "the answer has come")
        run = await relay.view(run_id)

    assert [(take["status"], take["job_id"]) for take in run["shots"][0]["takes"]] == [("generating", "job_1")]


async def test_a_stop_that_redis_does_not_hear_of_ends_nevertheless(
    start_relay: Any, provider: SlowProvider, working: Working, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last word is bounded; time will tell instead."""
    monkeypatch.setattr(submit_module, "LAST_WORD_S", 0.05)
    record = submit_module.record

    async def never(store: Store, run_id: str, event: events.Event, **options: Any) -> Any:
        if isinstance(event, events.SubmitLost):
            await asyncio.sleep(600)
        return await record(store, run_id, event, **options)

    monkeypatch.setattr(submit_module, "record", never)
    async with start_relay(provider.url, worker=False) as relay:
        run_id = await relay.run(BOARD)
        async with asyncio.timeout(60), working(relay):
            await wait_until(lambda: provider.requests, "the POST is under way")
        run = await relay.view(run_id)
        provider.go_on.set()

    assert [take["status"] for take in run["shots"][0]["takes"]] == ["submitting"]
