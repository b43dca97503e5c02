"""What the receiver's tests share: a provider that must never be called, and a receiver without a worker."""

import asyncio
import io
import logging
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis as redis_sync
import structlog
from arq.connections import ArqRedis
from starlette.datastructures import Secret

from framerelay.cli.serve import running_receiver
from framerelay.config.keys import Keys
from framerelay.config.logs import configure_logging
from framerelay.config.settings import Settings
from framerelay.runs import events
from framerelay.runs.model import Clip, Film, FirstFrame, Frame
from framerelay.runs.tokens import HookAddress, TakeAddress, Tokens
from framerelay.store.client import connect, disconnect
from framerelay.store.embedded import find_server
from framerelay.store.progress import record
from framerelay.store.runs import Store
from framerelay.store.tasks import QUEUE, unpack
from tests.waiting import stand_still, wait_for

RUN = "run_" + "a" * 24
API_KEY, SECRET = "fr_0123456789abcdefABCDEF", "only for tests"
BOARD = {
    "title": "霓虹雨夜",
    "model": "seedance-1.5-pro-1080p",
    "budget": {"jobs": 3},
    "shots": [{"id": "s1", "prompt": "a car"}, {"id": "s2", "prompt": "closer", "gate": "approve"}],
}


@pytest.fixture
def board() -> dict[str, Any]:
    """Two chained shots; the second waits for a person."""
    return dict(BOARD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """A receiver that runs in this test, without a worker, and a client with the API key."""

    settings: Settings
    store: Store
    tokens: Tokens
    api: httpx.AsyncClient

    async def run(self, storyboard: dict[str, Any]) -> str:
        """Start a run; returns its id."""
        response = await self.api.post("/v1/runs", json=storyboard)
        assert response.status_code == 201, response.text
        return str(response.json()["id"])

    async def view(self, run_id: str) -> dict[str, Any]:
        """The run as the API shows it."""
        run: dict[str, Any] = (await self.api.get(f"/v1/runs/{run_id}")).json()
        return run


@pytest.fixture(scope="module")
async def silent_provider() -> AsyncIterator[tuple[str, list[Any]]]:
    """The URL of a provider and the list of those who connected to it."""
    callers: list[Any] = []

    def called(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        callers.append(writer.get_extra_info("peername"))
        writer.close()

    server = await asyncio.start_server(called, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", callers
    server.close()


@pytest.fixture
def nobody_calls(silent_provider: tuple[str, list[Any]]) -> Iterator[str]:
    """The URL of a provider that fails the test when anybody as much as connects to it."""
    url, callers = silent_provider
    callers.clear()
    yield url
    assert callers == [], "the receiver called the provider"


@pytest.fixture(scope="module")
async def shared_receiver(
    redis_server: str,
    silent_provider: tuple[str, list[Any]],
    tmp_path_factory: pytest.TempPathFactory,
    api_document: Any,
) -> AsyncIterator[Receiver]:
    """
    One receiver for the tests of a file: starting and ending it takes longer than most of them. Whatever it answers
    them must be as ``/openapi.json`` says.
    """
    async with AsyncExitStack() as stack:
        # asyncio sends without delay only where the protocol was named; otherwise each answer takes 40 ms.
        listener = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP))
        listener.bind(("127.0.0.1", 0))
        listener.listen(100)
        settings = Settings(
            upstream_url=silent_provider[0],
            upstream_key=Secret("an upstream key of no usual shape"),
            port=listener.getsockname()[1],
            data_dir=tmp_path_factory.mktemp("receiver") / "data",
        )
        keys = Keys(api_key=Secret(API_KEY), secret=Secret(SECRET), new_api_key=False)
        await stack.enter_async_context(running_receiver(settings, keys, redis_server, listener))
        redis = connect(redis_server)
        stack.push_async_callback(disconnect, redis)
        headers = {"Authorization": f"Bearer {API_KEY}"}
        api = httpx.AsyncClient(
            base_url=settings.listen_url,
            headers=headers,
            event_hooks={"response": [api_document.watch]},
            trust_env=False,
            timeout=120,
        )
        await stack.enter_async_context(api)
        yield Receiver(settings=settings, store=Store(redis), tokens=Tokens(SECRET), api=api)


@pytest.fixture
def relay(shared_receiver: Receiver, redis_url: str, nobody_calls: str) -> Receiver:
    """A receiver alone, its Redis and data folder empty; whatever the test does, it must not call the provider."""
    shutil.rmtree(shared_receiver.settings.data_dir, ignore_errors=True)
    return shared_receiver


@pytest.fixture
def take_address(relay: Any) -> Callable[..., str]:
    """``take_address("s1", 2)``: the path of the callbacks of one take."""

    def address(shot_id: str = "s1", take: int = 1, *, run_id: str = RUN) -> str:
        return "/webhook/" + relay.tokens.mint(TakeAddress(run_id=run_id, shot_id=shot_id, take=take))

    return address


@pytest.fixture
def hook_address(relay: Any) -> str:
    """The path of the callbacks of the hook ``mine``."""
    return "/webhook/" + str(relay.tokens.mint(HookAddress(hook="mine")))


@pytest.fixture
def queued_tasks(redis: ArqRedis) -> Callable[..., Any]:
    """``await queued()``: the tasks that wait for a worker, each as (function, arguments)."""

    async def ask() -> list[tuple[str, dict[str, Any]]]:
        tasks = [unpack(await redis.get(b"{framerelay}:arq:job:" + task)) for task in await redis.zrange(QUEUE, 0, -1)]
        return [(task["f"], task["k"]) for task in tasks]

    return ask


@pytest.fixture
def recent_callbacks(relay: Any) -> Callable[..., Any]:
    """``await kept()``: what ``GET /v1/callbacks`` lists."""

    async def ask() -> list[dict[str, Any]]:
        answer = await relay.api.get("/v1/callbacks", params={"limit": 200})
        assert answer.status_code == 200, answer.text
        data: list[dict[str, Any]] = answer.json()["data"]
        return data

    return ask


@pytest.fixture
def render(relay: Any) -> Callable[..., Any]:
    """
    ``await render(run, "s1", 1)``: what a worker would record about a take, from submit to a clip on our disk.

    *begun_from*: the take of the shot before whose last frame it begins with, handed on as *source* says. *ends*: the
    path of its own last frame. *notes*: what is odd about its clip.
    """
    usual = Clip(path="c", sha256="0" * 64, bytes=9, width=1280, height=720, duration_s=5.04, frames=121)

    async def happen(
        run_id: str,
        shot_id: str,
        take: int = 1,
        *,
        begun_from: int | None = None,
        source: str = "upload",
        ends: str = "f",
        notes: tuple[str, ...] = (),
    ) -> None:
        frame = Frame(path=ends, sha256="0" * 64, width=1280, height=720)
        first = begun_from and FirstFrame(url="https://u.example.com/f.png", source=source, path="f", take=begun_from)
        name: dict[str, Any] = {"shot_id": shot_id, "take": take}
        for event in (
            events.Submitting(**name, intent="i", seed=None, first_frame=first or None),
            events.Submitted(**name, job_id=f"job_{shot_id}_{take}"),
            events.Rendered(**name, job_ids=(), video_url="https://v.example.com/v.mp4"),
            events.Collected(**name, video=replace(usual, notes=notes), last_frame=frame),
        ):
            assert (await record(relay.store, run_id, event)).changed, event

    return happen


@pytest.fixture
def finish(relay: Any, render: Callable[..., Any], board: dict[str, Any]) -> Callable[..., Any]:
    """``await finish()``: the id of a run of one shot that has its film."""

    async def happen() -> str:
        run_id = str(await relay.run({**board, "shots": board["shots"][:1]}))
        await render(run_id, "s1")
        film = Film(path=f"{run_id}/film.mp4", bytes=9, duration_s=5.04, frames=121, copied=True, takes={"s1": 1})
        await record(relay.store, run_id, events.Joined(film=film, turn=0))
        return run_id

    return happen


@dataclass(slots=True)
class PrivateServer:
    """A Redis of the test's own, which it may stop, hang and start again."""

    folder: Path
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def url(self) -> str:
        return f"unix://{self.folder}/s"

    def start(self) -> None:
        command = [str(find_server()), "--port", "0", "--unixsocket", f"{self.folder}/s", "--dir", str(self.folder)]
        command += ["--save", "", "--appendonly", "yes"]
        # As Python ignores it, so does the server: a write past a limit on its files fails as on a full disk.
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, restore_signals=False)
        client = redis_sync.Redis.from_url(self.url)

        def is_up() -> bool:
            with suppress(redis_sync.ConnectionError):
                return bool(client.ping())
            return False

        wait_for(is_up, lambda: "the server did not start")
        client.close()

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            self.process.wait()
            self.process = None

    def hang(self) -> None:
        assert self.process is not None
        stand_still(self.process)

    def go_on(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)


@pytest.fixture
def private_server() -> Iterator[PrivateServer]:
    """Running; ended with the test whatever state it was left in."""
    server = PrivateServer(Path(tempfile.mkdtemp(prefix="fr-redis-")))
    server.start()
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(server.folder, ignore_errors=True)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch, gives_redis_up_soon: None) -> None:
    """What checks again and again whether Redis is back does so ten times as often, and each try ends sooner."""
    monkeypatch.setattr("framerelay.store.spool.DRAIN_EVERY_S", 0.1)
    monkeypatch.setattr("framerelay.receiver.readiness.HOLDS_S", 0.1)


@pytest.fixture
def log_stream(tmp_path: Path) -> Iterator[io.StringIO]:
    """Everything that this process logs at ``debug``, as a file would get it: one JSON object on each line."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    levels = {name: logging.getLogger(name).level for name in logging.root.manager.loggerDict}
    stream = io.StringIO()
    configure_logging(Settings(data_dir=tmp_path, log_level="debug"), stream=stream)
    yield stream
    structlog.reset_defaults()
    root.handlers = handlers
    root.setLevel(level)
    for name in logging.root.manager.loggerDict:
        logging.getLogger(name).setLevel(levels.get(name, logging.NOTSET))


@pytest.fixture
def no_spool(relay: Any) -> Path:
    """A file where the spool's folder should be: the disk cannot take a callback, either."""
    place: Path = relay.settings.data_dir / "spool"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(b"")
    return place


@pytest.fixture
async def browser(relay: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client that has logged in by the form, and sends what a browser sends."""
    url = relay.settings.listen_url
    headers = {"Accept": "text/html,application/xhtml+xml", "Origin": url, "Sec-Fetch-Site": "same-origin"}
    async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False, timeout=120) as http:
        key = relay.api.headers["Authorization"].split()[1]
        answer = await http.post("/login", data={"key": key})
        assert (answer.status_code, answer.headers["Location"]) == (303, "/")
        yield http
