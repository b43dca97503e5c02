"""What all tests share: a real Redis, waiting with a deadline, and asyncio as the only event loop."""

import asyncio
import copy
import gc
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
    nullcontext,
    suppress,
)
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import certifi
import httpx
import jsonschema_rs
import pytest
import redis as redis_sync
import structlog
import uvicorn.server
from arq.connections import ArqRedis
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from redis.backoff import ExponentialBackoff
from starlette.datastructures import Secret

import framerelay.processors.worker
from framerelay.api import openapi
from framerelay.cli.http import listening_on, serving
from framerelay.cli.serve import running_receiver, running_worker
from framerelay.config.keys import Keys
from framerelay.config.live import LiveSettings
from framerelay.config.settings import Settings
from framerelay.media.decoder import Decoder
from framerelay.processors import deps
from framerelay.receiver.app import pages
from framerelay.runs.tokens import Tokens
from framerelay.sandbox import Faults, SandboxOptions, create_sandbox
from framerelay.sandbox.clip import ClipOrder, render_clip
from framerelay.store.client import connect, disconnect
from framerelay.store.embedded import find_server
from framerelay.store.processes import Presence
from framerelay.store.runs import Store

# Hypothesis has stopwatches of its own: 200 ms for an example, and a check of how fast examples are made.
hypothesis_settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("any machine")

WAIT_S = 90.0
KEY = "sk-sandbox"
API_KEY = "fr_test"
SECRET = "only for tests"


RAM_DISK = Path("/dev/shm")
RAM_DISK_BYTES_MIN = 2 << 30
PROCESSES_THAT_WAIT = 2


def pytest_configure() -> None:
    """
    All machines are alike: what they do with their disk, and how the tests were started, is no test's business.

    What is written lies in memory where there is room for it: a disk that others keep busy makes nobody wait.

    A sync then costs nothing, of which Redis makes one for each write.
    """
    with suppress(OSError):
        room = os.statvfs(RAM_DISK)
        if room.f_bavail * room.f_frsize >= RAM_DISK_BYTES_MIN and not room.f_flag & os.ST_NOEXEC:
            os.environ["TMPDIR"] = tempfile.tempdir = str(RAM_DISK)
    for number in (signal.SIGINT, signal.SIGHUP):  # `nohup make test &` has them ignored, and all that we start, too.
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number is signal.SIGINT else signal.SIG_DFL)


def pytest_xdist_auto_num_workers() -> int:
    """For ``-n auto``: more than there are cores, since a test waits as long as it works, for processes and servers."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores + PROCESSES_THAT_WAIT


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """
    The slow tests go first, since they mostly wait: others work meanwhile, and nobody waits for them in the end.

    pytest-xdist cuts the list into a piece for each process; each begins with its share of the slow ones.
    """
    pieces = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    slow = [item for item in items if item.get_closest_marker("slow")]
    others = iter([item for item in items if not item.get_closest_marker("slow")])
    rest = len(items)
    placed: list[pytest.Item] = []
    for number in range(pieces):
        first = slow[number::pieces]
        placed += [*first, *islice(others, max(0, rest // (pieces - number) - len(first)))]
        rest = len(items) - len(placed)
    items[:] = placed


def pytest_collection_finish() -> None:
    """What was loaded and collected stays: looking through it for garbage is a twentieth of all the work."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def same_share_of_the_cores() -> Iterator[None]:
    """No test leaves a priority of its own to the next: real time starved all others (tests/media/clipmaker.py)."""
    yield
    if (scheduler := _scheduler()) != SCHEDULER:
        os.sched_setscheduler(0, SCHEDULER, os.sched_param(0))
        pytest.fail(f"this process has another scheduler than at its start: {scheduler} instead of {SCHEDULER}")


def _scheduler() -> int:
    """Of this thread, where there is a choice: 0 for the usual one, 1 for SCHED_FIFO."""
    return os.sched_getscheduler(0) if hasattr(os, "sched_getscheduler") else 0


SCHEDULER: Final = _scheduler()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Tests marked ``anyio`` run on asyncio, as the programs do."""
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def _one_certificate_authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """
    Loading all of them takes each client 25 ms, and a thousand are opened; no test calls a public server.

    Where the machine names a file or folder of its own, that goes before certifi's: here, and in what a test starts.
    """
    end = "-----END CERTIFICATE-----\n"
    first = Path(certifi.where()).read_text(encoding="ascii").partition(end)[0]
    file = tmp_path_factory.mktemp("authorities") / "one.pem"
    file.write_text(first + end, encoding="ascii")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(certifi, "where", lambda: str(file))
        patch.setenv("SSL_CERT_FILE", str(file))
        patch.delenv("SSL_CERT_DIR", raising=False)
        yield


@pytest.fixture(scope="session", autouse=True)
def _sniffio_is_known_to_be_missing() -> Iterator[None]:
    """httpcore asks at each lock and connection whether it can be imported; no is cheap where it is written down."""
    with pytest.MonkeyPatch.context() as patch:
        if importlib.util.find_spec("sniffio") is None:
            patch.setitem(sys.modules, "sniffio", None)
        yield


@pytest.fixture(scope="session", autouse=True)
def _tracebacks_are_plain() -> Iterator[None]:
    """Where no test has set up logging, structlog has rich draw each in frames, with all variables: half a second."""
    renderer = structlog.get_config()["processors"][-1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(renderer, "exception_formatter", structlog.dev.plain_traceback)
        yield


@pytest.fixture(scope="session", autouse=True)
def _servers_end_at_once() -> Iterator[None]:
    """uvicorn looks ten times a second whether it is to end, and whether its connections have; hundreds are started."""

    async def glance(seconds: float) -> None:
        await asyncio.sleep(seconds / 40)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(uvicorn.server, "asyncio", SimpleNamespace(**{**vars(asyncio), "sleep": glance}))
        yield


_SPEAKING: Final = Presence.keep


async def _silent(_: Presence) -> None:
    await asyncio.Event().wait()


@pytest.fixture(scope="session", autouse=True)
def _nobody_says_that_it_is_there() -> Iterator[None]:
    """What receivers and workers write by the clock would be among the commands and keys that a test counts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Presence, "keep", _silent)
        yield


@pytest.fixture
def presence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Receivers and workers that start from now on say that they are there, as in production but more often."""
    monkeypatch.setattr(Presence, "keep", _SPEAKING)
    monkeypatch.setattr("framerelay.store.processes.EVERY_S", 0.05)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    """A real server for the whole test run, reached as an operator's own would be: by a ``redis://`` URL."""
    folder = Path(tempfile.mkdtemp(prefix="fr-redis-"))
    command = [str(find_server()), "--port", "0", "--unixsocket", f"{folder}/s", "--dir", str(folder)]
    process = subprocess.Popen([*command, "--save", "", "--appendonly", "yes"], stdout=subprocess.DEVNULL)
    url = f"unix://{folder}/s"
    try:
        _wait_for_pong(url)
        yield url
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for_pong(url: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while True:
        client = redis_sync.Redis.from_url(url)
        try:
            client.ping()
            return
        except redis_sync.ConnectionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        finally:
            client.close()


@pytest.fixture(scope="session")
def _emptier(redis_server: str) -> Iterator[redis_sync.Redis]:
    """One client for all tests: to make one takes longer than what it is for."""
    with redis_sync.Redis.from_url(redis_server) as client:
        yield client


@pytest.fixture
def redis_url(redis_server: str, _emptier: redis_sync.Redis) -> Iterator[str]:
    """The server, empty; what a test leaves there must have a lifetime, or somebody who takes it away."""
    _emptier.flushall()
    yield redis_server
    assert _ownerless(_emptier) == []


OWNED: Final = re.compile(
    # Bounded lists and what is listed once: each is trimmed, or emptied, by the scripts that fill it.
    r"\{framerelay\}:(callbacks|refused|quarantine|due|queue|wake|runs|runs-by-id|runs-removed|runs-ended"
    r"|runs:\w+|runs:(?:needs|label|word):.+"
    r"|files|frames-gone|notifications|notifications-due|notifications:run_\w+|pace:\w+|repaired|counts|schema|processes|worker)"
)
OF_A_RUN: Final = re.compile(r"(\{framerelay\}:run:run_\w+)(:\w+)?")


def _ownerless(redis: redis_sync.Redis) -> list[str]:
    """The keys of ours that would stay for ever: without a lifetime, in no bounded list and of no run that is kept."""
    names = [name.decode() for name in redis.scan_iter(match="{framerelay}:*", count=1000)]
    with redis.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.pttl(name)
        stays = [name for name, left_ms in zip(names, pipe.execute(), strict=True) if left_ms == -1]
    runs = {name for name in names if (of_run := OF_A_RUN.fullmatch(name)) and not of_run[2]}
    kept = {name for name in stays if (of_run := OF_A_RUN.fullmatch(name)) and of_run[1] in runs}
    return sorted(name for name in set(stays) - kept if not OWNED.fullmatch(name))


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[ArqRedis]:
    """A client of the empty server; on a machine that pauses it waits for longer than the product's."""
    client = connect(redis_url, timeout_s=WAIT_S)
    yield client
    await disconnect(client)


@pytest.fixture
def gives_redis_up_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients that are made from now on try a broken connection as often as in production, at a tenth of the pauses."""

    def pauses(*, cap: float, base: float) -> ExponentialBackoff:
        return ExponentialBackoff(cap=cap / 10, base=base / 10)

    monkeypatch.setattr("framerelay.store.client.ExponentialBackoff", pauses)


@pytest.fixture
def wait_until() -> Callable[..., Awaitable[None]]:
    """``await wait_until(condition, "what should be")``: asks until it holds; says what was awaited if not."""

    async def wait(condition: Callable[[], object], description: str, *, within_s: float = WAIT_S) -> None:
        deadline = time.monotonic() + within_s
        while True:
            held = condition()
            if isinstance(held, Awaitable):
                held = await held
            if held:
                return
            if time.monotonic() > deadline:
                pytest.fail(f"not within {within_s:.0f} s: {description}")
            await asyncio.sleep(0.01)

    return wait


@pytest.fixture
def ends() -> Callable[[], AbstractContextManager[None]]:
    """``with ends():`` what might go on for hours ends, be it on the slowest machine, within a minute and a half."""

    def too_long(*_: object) -> None:
        pytest.fail(f"no end within {WAIT_S:.0f} s")

    @contextmanager
    def watch() -> Iterator[None]:
        before = signal.signal(signal.SIGALRM, too_long)
        signal.setitimer(signal.ITIMER_REAL, WAIT_S)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    return watch


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A sandbox behind real HTTP."""

    url: str

    async def journal(self) -> dict[str, Any]:
        """What was asked of it: ``submits``, ``jobs``, ``jobs_per_callback_url``, ``repeated_keys``."""
        async with httpx.AsyncClient(trust_env=False) as http:
            answer: dict[str, Any] = (await http.get(f"{self.url}/sandbox/jobs")).json()
            return answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Relay:
    """A receiver and a worker that run in this test, and a client with the API key."""

    settings: Settings
    store: Store
    tokens: Tokens
    api: httpx.AsyncClient

    async def run(self, storyboard: dict[str, Any]) -> str:
        """Start a run; returns its id."""
        response = await self.api.post("/v1/runs", json=storyboard)
        assert response.status_code == 201, response.text
        run_id: str = response.json()["id"]
        return run_id

    async def shown(self, run_id: str) -> dict[str, Any]:
        """The run as the API shows it."""
        run: dict[str, Any] = (await self.api.get(f"/v1/runs/{run_id}")).json()
        return run

    async def ended(self, run_id: str, *, within_s: float = 180.0) -> dict[str, Any]:
        """The run when it is no longer running."""
        deadline = time.monotonic() + within_s
        while (run := await self.shown(run_id))["status"] == "running":
            if time.monotonic() > deadline:
                pytest.fail(f"still running after {within_s:.0f} s: {run}")
            await asyncio.sleep(0.05)
        return run


StartProvider = Callable[..., AbstractAsyncContextManager[Provider]]
StartRelay = Callable[..., AbstractAsyncContextManager[Relay]]


@pytest.fixture
def start_provider(tmp_path: Path, provider_in: StartProvider) -> StartProvider:
    """``async with start_provider(lose=0.2) as provider``: a quick sandbox with small clips; switches by name."""
    return partial(provider_in, tmp_path / "sandbox")


@pytest.fixture
def start_relay(tmp_path: Path, redis_url: str, relay_in: StartRelay) -> StartRelay:
    """
    ``async with start_relay(provider.url, handoff="serve") as relay``: settings by their field names.

    What it answers must be as ``/openapi.json`` says.
    """
    return partial(relay_in, tmp_path, redis_url)


@pytest.fixture(scope="session")
def render_once() -> Callable[..., None]:
    """What renders for the sandboxes of tests: the same order is the same bytes, be it of another test."""
    rendered: dict[tuple[object, ...], tuple[bytes, bytes | None]] = {}

    def render(order: ClipOrder, into: Path, *, last_frame_into: Path | None, stop: threading.Event) -> None:
        given = [None if each is None else (each.size, each.tobytes()) for each in (order.first, order.last)]
        key = (repr(replace(order, first=None, last=None)), *given, last_frame_into is None)
        if key not in rendered:
            render_clip(order, into, last_frame_into=last_frame_into, stop=stop)
            rendered[key] = into.read_bytes(), last_frame_into and last_frame_into.read_bytes()
            return
        clip, frame = rendered[key]
        if last_frame_into is not None and frame is not None:
            last_frame_into.write_bytes(frame)
        into.write_bytes(clip)

    return render


@pytest.fixture(scope="session")
def provider_in(render_once: Callable[..., None]) -> StartProvider:
    """
    ``provider_in(folder, …)``: as `start_provider`, for what several tests share.

    *until*: no clip is made before it is set, so that what is to be seen meanwhile is there as long as it takes.
    """

    @asynccontextmanager
    async def start(
        folder: Path, *, options: dict[str, Any] | None = None, until: threading.Event | None = None, **rates: Any
    ) -> AsyncIterator[Provider]:
        def render(order: ClipOrder, into: Path, *, last_frame_into: Path | None, stop: threading.Event) -> None:
            while until and not until.wait(0.05) and not stop.is_set():
                pass
            render_once(order, into, last_frame_into=last_frame_into, stop=stop)

        quick: dict[str, Any] = {"scale": 0.1, "seconds_per_clip": 0.25, "queue_s": 0.0, "job_s": 0.02}
        fixed: dict[str, Any] = {"key": KEY, "folder": folder, "faults": Faults(**rates)}
        chosen = SandboxOptions(**{**quick, **fixed, **(options or {})})
        with listening_on("127.0.0.1", 0) as listener, pytest.MonkeyPatch.context() as patch:
            patch.setattr("framerelay.sandbox.workshop.render_clip", render)
            async with serving(create_sandbox(chosen), listener):
                yield Provider(url=f"http://127.0.0.1:{listener.getsockname()[1]}")

    return start


@pytest.fixture(scope="session")
async def decoders() -> AsyncIterator[tuple[Decoder, Decoder]]:
    """Two for all tests: to load the libraries takes longer than most of what is decoded. They outlive a bad clip."""
    async with Decoder() as frames, Decoder() as films:
        yield frames, films


@pytest.fixture(scope="session")
def lent_decoders(decoders: tuple[Decoder, Decoder]) -> Callable[[], AbstractContextManager[None]]:
    """``with lent_decoders():`` a worker that starts meanwhile is lent those of all tests, and starts none."""

    @contextmanager
    def lend() -> Iterator[None]:
        ready = iter(decoders)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(deps, "Decoder", lambda: nullcontext(next(ready)))
            yield

    return lend


@pytest.fixture(scope="session")
def relay_in(documented: "Documented", lent_decoders: Callable[[], AbstractContextManager[None]]) -> StartRelay:
    """
    ``relay_in(folder, redis_url, provider.url, …)``: as `start_relay`, for what several tests share.

    *own_decoders*: started and ended with it, as in production. *read*: what is read again, from what it began with.
    """

    @asynccontextmanager
    async def start(
        folder: Path,
        redis_url: str,
        upstream_url: str,
        *,
        worker: bool = True,
        own_decoders: bool = False,
        port: int = 0,
        read: Callable[[Settings], Settings] | None = None,
        **chosen: Any,
    ) -> AsyncIterator[Relay]:
        async with AsyncExitStack() as stack:
            listener = stack.enter_context(listening_on("127.0.0.1", port))
            settings = replace(
                Settings(
                    upstream_url=upstream_url,
                    upstream_key=Secret(KEY),
                    port=listener.getsockname()[1],
                    data_dir=folder / "data",
                    config_file=folder / "framerelay.yaml",
                    trusted_hosts=frozenset({"127.0.0.1"}),
                    lookup_after_s=20.0,
                ),
                **chosen,
            )
            keys = Keys(api_key=Secret(API_KEY), secret=Secret(SECRET), new_api_key=False)
            live = LiveSettings(settings, keys, read=partial(read, settings) if read else None)
            await stack.enter_async_context(running_receiver(settings, keys, redis_url, listener, live))
            if worker:
                with nullcontext() if own_decoders else lent_decoders(), _catching_up() as caught_up:
                    await stack.enter_async_context(running_worker(settings, keys, redis_url, live))
                    await caught_up.wait()
            redis = connect(redis_url)
            stack.push_async_callback(disconnect, redis)
            api = httpx.AsyncClient(
                base_url=settings.listen_url,
                headers={"Authorization": f"Bearer {API_KEY}"},
                event_hooks={"response": [documented.watch]},
                trust_env=False,
                timeout=120,
            )
            yield Relay(
                settings=settings, store=Store(redis), tokens=Tokens(SECRET), api=await stack.enter_async_context(api)
            )

    return start


@contextmanager
def _catching_up() -> Iterator[asyncio.Event]:
    """Set when a worker that starts has looked for what it missed; later it might ask about a test's own jobs."""
    caught_up = asyncio.Event()

    async def watched(deps: Any, look: Any = framerelay.processors.worker.catch_up) -> None:
        try:
            await look(deps)
        finally:
            caught_up.set()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(framerelay.processors.worker, "catch_up", watched)
        yield caught_up


class Documented:
    """
    Holds answers against ``/openapi.json``: status, headers, content type, and a JSON body in which nothing is missing
    and nothing is that the document does not name.
    """

    def __init__(self) -> None:
        document = openapi.document()
        schemas = copy.deepcopy(document["components"]["schemas"])
        for shape in schemas.values():
            if "properties" in shape:
                shape["additionalProperties"] = False
        self.seen: set[tuple[str, int]] = set()
        self._paths = {re.compile(_pattern(path)): path for path in document["paths"]}
        self._operations = document["paths"]
        self._pages = [re.compile(_pattern(route.path.replace(":path}", "}"))) for route in pages()]
        self._validators = {
            name: jsonschema_rs.validator_for({**schemas[name], "components": {"schemas": schemas}}) for name in schemas
        }

    def check(self, answer: httpx.Response, *, path: str | None = None) -> None:
        """Fails with what is wrong; ``seen`` then has the operation and its status. *path*: if httpx tidied it up."""
        method, path = answer.request.method, path or answer.request.url.path
        where = f"{method} {path[:200]} -> {answer.status_code}"
        known = next((self._operations[name] for pattern, name in self._paths.items() if pattern.fullmatch(path)), None)
        operation = None if known is None else known.get("get" if method == "HEAD" else method.lower())
        if operation is None:
            if any(pattern.fullmatch(path) for pattern in self._pages):
                return  # For people, and not part of the API.
            assert answer.status_code == (404 if known is None else 405), where
        else:
            self._check(operation["responses"], answer, where)
            self.seen.add((operation["operationId"], answer.status_code))
        if method != "HEAD" and answer.status_code >= 400 and operation is None:
            self.fits("Error", answer.json(), where)

    async def watch(self, answer: httpx.Response) -> None:
        """Checks each answer that a client gets, as its hook; not streams, which may not end."""
        if answer.headers.get("content-type", "").partition(";")[0] != "text/event-stream":
            await answer.aread()
            self.check(answer)

    def fits(self, name: str, value: Any, where: str = "") -> None:
        """Fails unless *value* is what the schema of that *name* says."""
        wrong = [f"{error.instance_path}: {error.message}" for error in self._validators[name].iter_errors(value)]
        assert not wrong, f"{where}: not as {name} in /openapi.json: {wrong[:5]}"

    def _check(self, responses: dict[str, Any], answer: httpx.Response, where: str) -> None:
        assert str(answer.status_code) in responses, f"{where}: /openapi.json knows no such answer: {answer.text[:300]}"
        said = responses[str(answer.status_code)]
        missing = [header for header in said.get("headers", {}) if header not in answer.headers]
        assert not missing, f"{where}: it lacks {missing}"
        kinds = said.get("content", {})
        kind = answer.headers.get("content-type", "").partition(";")[0]
        if not kinds:
            assert answer.content == b"", where
            return
        assert kind in kinds or f"{kind.partition('/')[0]}/*" in kinds, f"{where}: it is {kind}"
        if answer.request.method != "HEAD" and "schema" in kinds.get(kind, {}):
            schema, value = kinds[kind]["schema"], answer.json()
            names = [each["$ref"].rpartition("/")[2] for each in schema.get("anyOf", [schema])]
            self.fits(
                next((name for name in names if name.lower().endswith(value.get("object") or " ")), names[0]),
                value,
                where,
            )


def _pattern(path: str) -> str:
    """Of a path whose names are filled in; a name may hold a line break, as it may for the router."""
    return re.sub(r"\\{(?!path)\w+\\}", r"[^/]+", re.escape(path)).replace(r"\{path\}", r"[\s\S]*")


@pytest.fixture(scope="session")
def documented() -> Documented:
    """``documented.check(answer)``: it is as ``/openapi.json`` says."""
    return Documented()
