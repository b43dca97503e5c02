"""`up`, `receiver` and `worker`: open what is needed, run until asked to stop, close it in order."""

import asyncio
import gc
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, ExitStack, aclosing, asynccontextmanager, closing, suppress
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import structlog
import uvloop

from framerelay.cli.errors import CommandError
from framerelay.cli.http import listening_on, serving
from framerelay.cli.keys import invitation, keys_of
from framerelay.cli.one_place import one_place
from framerelay.cli.output import echo
from framerelay.cli.settings_file import mistakes_of, providers_of
from framerelay.config.env_file import SettingInvalid
from framerelay.config.keys import Keys, refuse_weak_keys
from framerelay.config.live import LiveSettings
from framerelay.config.logs import configure_logging, texts_of, write_waiting_lines
from framerelay.config.misspellings import misspellings
from framerelay.config.settings import Settings, environment, from_environment
from framerelay.network.client import guarded_client
from framerelay.network.policy import TrustedHosts
from framerelay.network.tls import tls_of
from framerelay.processors.deps import Deps, open_clients, open_deps
from framerelay.processors.health import health_app
from framerelay.processors.restoration import mark_restored
from framerelay.processors.worker import RelayWorker, create_worker
from framerelay.receiver.app import create_app
from framerelay.receiver.door.connection import connection_factory
from framerelay.receiver.door.fast_path import FastConnection
from framerelay.receiver.door.verification import Verification
from framerelay.runs.errors import FrameRelayError
from framerelay.store import closed, schema
from framerelay.store.addresses import redact_url, redis_address
from framerelay.store.client import RelayRedis, connect, disconnect
from framerelay.store.copies import Copies
from framerelay.store.disk import Disk
from framerelay.store.embedded import EmbeddedRedis
from framerelay.store.redis_messages import REDIS_ERRORS, redis_words
from framerelay.store.runs import Store
from framerelay.store.support import RedisUnsupported, check_copies, check_support
from framerelay.storyboards.hooks import read_hooks
from framerelay.upstream.jwks import PublicKeys
from framerelay.upstream.providers import Provider, Providers, needs_address, read_providers
from framerelay.upstream.senders import read_senders, unproven
from framerelay.upstream.verifiers import Verifiers

KEYS_WITHIN_S: Final = 3.0  # Until then, callbacks that need the keys are held in quarantine.
COLLECT_AFTER: Final = 10_000  # Objects more than before; Python's own 700 are a handful of callbacks.
ENTERED_WITHIN_S: Final = 5.0
MOVED_WITHIN_S: Final = 60.0  # One piece of older versions' data: for a million runs, a few seconds.
GRACE_S: Final = 8.0  # Containers are usually given ten seconds to end.

RedisCall = Callable[[RelayRedis], Coroutine[Any, Any, None]]

log = structlog.get_logger()


def serve(*, receiver: bool, worker: bool, tasks: str = "all", after_restore: bool = False) -> int:
    """
    Run until SIGINT or SIGTERM; returns the exit code. Raises: what `cli.errors` explains.

    *tasks*: the class that a worker takes. *after_restore*: submits that an older copy of Redis may not know of are
    held, before anything else is done.
    """
    settings = from_environment()
    parts = _Parts(receiver=receiver, worker=worker, tasks=tasks)
    configure_logging(settings, program=parts.name)
    for sentence in misspellings():
        log.warning("setting_unknown", reason=sentence)
    providers = providers_of(settings)
    configure_logging(settings, also=providers.secrets, program=parts.name)
    if worker:
        _require_provider(settings, providers)
    with ExitStack() as stack:
        # First, so that a port in use stops the start before keys are made.
        port = settings.port if receiver else settings.worker_port
        listener = stack.enter_context(listening_on(settings.host, port)) if receiver or port else None
        if receiver:
            refuse_weak_keys(settings)
        return uvloop.run(_serve(settings, keys_of(settings), listener, parts, after_restore=after_restore))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """What runs in this process; *tasks*: the class that its worker takes."""

    receiver: bool
    worker: bool
    tasks: str

    @property
    def name(self) -> str:
        """The command that starts them."""
        return "up" if self.receiver and self.worker else "receiver" if self.receiver else "worker"


async def _serve(
    settings: Settings, keys: Keys, listener: socket.socket | None, what: _Parts, *, after_restore: bool
) -> int:
    stop = asyncio.Event()
    check = refuse_weak_keys if what.receiver else None
    live = LiveSettings(settings, keys, read=from_environment, check=check)
    live.on_change(_LogRedaction(settings, what.name).take)
    _listen_to_signals(stop, live)
    async with AsyncExitStack() as stack:
        redis_url = await stack.enter_async_context(redis_at(settings))
        parts = [await stack.enter_async_context(_watching(redis_url, closed.require_open, closed.watch))]
        entry = _watching(redis_url, schema.enter, schema.watch, timeout_s=MOVED_WITHIN_S)
        parts.append(await stack.enter_async_context(entry))
        parts.append(await stack.enter_async_context(one_place(settings, redis_url)))
        if after_restore:
            await mark_runs_restored(redis_url)
        # The receiver first: it keeps callbacks while the worker warms its decoders, and while it ends.
        if what.receiver and listener is not None:
            parts.append(await stack.enter_async_context(running_receiver(settings, keys, redis_url, listener, live)))
            log.info("receiver_ready", url=settings.listen_url, public_url=settings.reachable_url)
        if what.worker:
            alone = SeparateWorker(listener=listener, tasks=what.tasks) if not what.receiver else None
            parts.append(await stack.enter_async_context(running_worker(settings, keys, redis_url, live, alone)))
        _print_addresses(settings, keys, receiver=what.receiver, worker=what.worker)
        _freeze_garbage()
        waiting = asyncio.create_task(stop.wait())
        done_parts, _ = await asyncio.wait([waiting, *parts], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        for part in done_parts - {waiting}:
            part.result()
            return 1
    return 0


@asynccontextmanager
async def _watching(
    redis_url: str, enter: RedisCall, watch: RedisCall, *, timeout_s: float = ENTERED_WITHIN_S
) -> AsyncIterator[asyncio.Task[None]]:
    """Continue once *enter* has admitted us, and end when *watch* does. Raises: what *enter* raises."""
    redis = connect(redis_url, connections_max=1, timeout_s=timeout_s)
    try:
        await enter(redis)
        watching = asyncio.create_task(watch(redis))
        try:
            yield watching
        finally:
            watching.cancel()
            await asyncio.wait([watching])
    finally:
        await disconnect(redis)


async def mark_runs_restored(redis_url: str) -> None:
    """Before any worker submits; see `processors.restoration`. Raises: StoreUnavailable."""
    redis = connect(redis_url)
    try:
        await mark_restored(Store(redis))
    finally:
        await disconnect(redis)


class _LogRedaction:
    """Keeps secrets out of the log, including former ones."""

    def __init__(self, settings: Settings, program: str) -> None:
        self._texts = _texts_to_hide(settings)
        self._program = program

    async def take(self, settings: Settings, _: Keys) -> None:
        """Called when settings were read again."""
        texts = await asyncio.to_thread(_texts_to_hide, settings)
        if not texts <= self._texts:
            self._texts |= texts
            configure_logging(settings, also=self._texts, program=self._program)


def _texts_to_hide(settings: Settings) -> set[str]:
    """The secrets of the settings, and of the providers as far as their file can be read."""
    try:
        return texts_of(settings) | set(read_providers(settings, environment()).secrets)
    except (FrameRelayError, SettingInvalid):  # The code that needs them reports it.
        return texts_of(settings)


def _listen_to_signals(stop: asyncio.Event, live: LiveSettings) -> None:
    """
    SIGINT and SIGTERM end the process in order, SIGHUP makes it read its keys again.

    A terminal that is closed sends SIGHUP, too: then the process ends, unless it was started by nohup.
    """
    loop, readings = asyncio.get_running_loop(), set[asyncio.Task[None]]()
    stays = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN or not _has_terminal()

    def hear() -> None:
        if not stays and not _has_terminal():
            return stop.set()
        readings.add(reading := loop.create_task(live.read_again()))  # The loop itself does not keep a reference to it.
        return reading.add_done_callback(readings.discard)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, hear)


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


@asynccontextmanager
async def redis_at(settings: Settings) -> AsyncIterator[str]:
    """
    The URL of the Redis of these settings: the one that they name, or our own for as long as the block lasts.

    Raises: CommandError if that cannot be used; SettingInvalid; EmbeddedRedisFailed.
    """
    try:
        check_copies(settings)
    except RedisUnsupported as error:
        raise CommandError(error.message) from error
    url = redis_address(settings)
    if url is None:
        async with EmbeddedRedis(settings.data_dir / "redis") as server:
            yield server.url
        return
    tls_of(settings)
    redis = connect(url)
    try:
        await redis.ping()
        await check_support(redis, copies=Copies.of(settings, redis))
    except (*REDIS_ERRORS, RedisUnsupported) as error:
        reason = error.message if isinstance(error, RedisUnsupported) else redis_words(error)
        raise CommandError(f"FRAMERELAY_REDIS_URL = {redact_url(url)}: {reason}") from error
    finally:
        await disconnect(redis)
    yield url


@dataclass(frozen=True, slots=True, kw_only=True)
class SeparateWorker:
    """A worker without a receiver: its port, if it has one, and the class of its tasks."""

    listener: socket.socket | None = None
    tasks: str = "all"


@asynccontextmanager
async def running_worker(
    settings: Settings,
    keys: Keys,
    redis_url: str,
    live: LiveSettings | None = None,
    alone: SeparateWorker | None = None,
) -> AsyncIterator[asyncio.Task[None]]:
    """A worker; one that is *alone* lets heavy tasks end, while a person who stops both at a terminal does not wait."""
    live = live or LiveSettings(settings, keys)
    with mistakes_of(settings):
        hooks = read_hooks(settings.config_file, TrustedHosts(settings.trusted_hosts))
        clients = open_clients(settings)
    redis, listening = connect(redis_url, connections_max=50), connect(redis_url, connections_max=2)
    try:
        async with (
            aclosing(clients),
            open_deps(settings, keys, redis, clients=clients, hooks=hooks) as deps,
        ):
            tasks, heavy_grace_s = (alone.tasks, settings.films_grace_s) if alone else ("all", 0.0)
            worker = create_worker(deps, redis=redis, listening=listening, live=live, tasks=tasks)
            running = asyncio.create_task(worker.main())
            try:
                async with _health_port(worker, deps, alone.listener if alone else None):
                    yield running
            finally:
                await worker.stop(grace_s=GRACE_S, heavy_grace_s=heavy_grace_s)
                await asyncio.wait([running], timeout=GRACE_S)
    finally:
        await disconnect(redis)
        await disconnect(listening)


@asynccontextmanager
async def _health_port(worker: RelayWorker, deps: Deps, listener: socket.socket | None) -> AsyncIterator[None]:
    """The port of a worker, if it has one."""
    if listener is None:
        yield
        return
    with closing(Disk(deps.settings.data_dir)) as disk:
        async with serving(health_app(worker, deps, disk), listener):
            yield


@asynccontextmanager
async def running_receiver(
    settings: Settings, keys: Keys, redis_url: str, listener: socket.socket, live: LiveSettings | None = None
) -> AsyncIterator[asyncio.Task[None]]:
    with mistakes_of(settings):
        verifiers, providers = read_senders(settings, environment())
    for provider, variable in unproven(providers):
        log.warning("callback_secret_missing", provider=provider, variable=variable)
    async with _verification(settings, verifiers) as verification:
        app = create_app(settings, keys, redis_url=redis_url, verification=verification, providers=providers, live=live)
        async with serving(app, listener, protocol=connection_factory(FastConnection, settings)) as running:
            yield running


@asynccontextmanager
async def _verification(settings: Settings, verifiers: Verifiers) -> AsyncIterator[Verification]:
    """
    What callbacks must prove; the public keys that this needs are fetched first, if that does not take long.

    Those of a provider that is not configured are fetched when it first calls.
    """
    async with guarded_client(settings.trusted_hosts, ssl_context=tls_of(settings)) as http:
        public_keys = PublicKeys(http, verifiers.jwks_urls)
        with suppress(TimeoutError):
            async with asyncio.timeout(KEYS_WITHIN_S):
                await public_keys.fetch_due()
        keeping = asyncio.create_task(public_keys.keep_fresh())
        try:
            yield Verification(verifiers=verifiers, public_keys=public_keys)
        finally:
            keeping.cancel()
            await asyncio.wait([keeping])


def _freeze_garbage() -> None:
    """
    Objects created at startup stay until the end: scanning them again and again took a fifth of each callback's time,
    and made a hundredth of them wait.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, 10, 10)


def _print_addresses(settings: Settings, keys: Keys, *, receiver: bool, worker: bool) -> None:
    """A line for a person; programs read the log."""
    if not sys.stderr.isatty():
        return
    write_waiting_lines()
    what = f"FrameRelay answers at {settings.listen_url}" if receiver else "A worker of FrameRelay is ready"
    echo(f"{what}, its data is in {settings.data_dir}. Ctrl-C ends it.", err=True)
    if receiver:
        echo(f"  The page, logged in (once, within ten minutes): {invitation(settings, keys)}", err=True)
    if receiver and worker:
        echo("  In another terminal, in this folder: framerelay run STORYBOARD --watch", err=True)


def _require_provider(settings: Settings, providers: Providers) -> None:
    """A worker that can ask nobody is useless. Raises: CommandError, naming what is missing for the default one."""
    if not any(not needs_address(provider) for provider in providers.with_key()):
        default = providers.of(None)
        missing = [
            *(["FRAMERELAY_UPSTREAM_URL"] if needs_address(default) else []),
            *([_key_variable(default)] if not default.key else []),
        ]
        raise CommandError(
            f"{' and '.join(missing)} must be set: address and key of "
            f"{'the jobs API' if default.is_read_leniently else default.name}. "
            "To try without one: framerelay demo, or framerelay sandbox in another terminal; "
            "for another provider set FRAMERELAY_PROVIDER and its key (framerelay providers lists them)"
        )
    _warn_without_public_url(settings, providers.of(None))


def _key_variable(provider: Provider) -> str:
    """The variable that its own tools use; for the jobs API ours is the only one."""
    return next((name for name in provider.key_variables if "UPSTREAM" not in name), "FRAMERELAY_UPSTREAM_KEY")


def _warn_without_public_url(settings: Settings, provider: Provider) -> None:
    upstream = urlsplit(provider.base).hostname
    if not settings.public_url and upstream not in ("127.0.0.1", "localhost", "::1"):
        log.warning(
            "public_url_missing",
            reason="FRAMERELAY_PUBLIC_URL is not set: the provider cannot call back; jobs are found by polling instead",
        )
