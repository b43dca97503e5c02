"""`up`, `receiver` and `worker`: open what is needed, run until told to stop, close it in order."""

import asyncio
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from typing import Final
from urllib.parse import urlsplit

import click
import structlog
import uvloop

from cli.errors import Stop
from cli.http import listening_on, serving
from cli.keys import keys_of
from config.keys import Keys, refuse_weak_keys
from config.logs import configure_logging
from config.settings import Settings, from_environment, misspelt
from processors.deps import open_deps, open_jobs_client
from processors.worker import RelayWorker, create_worker
from receiver.app import create_app
from runs.embedded_redis import EmbeddedRedis
from runs.errors import StoryboardInvalid
from runs.hooks import Hook, read_hooks
from runs.queue import REDIS_ERRORS, connect, disconnect

GRACE_S: Final = 8.0  # Containers are usually given ten seconds to end.

log = structlog.get_logger()


def serve(*, receiver: bool, worker: bool) -> int:
    """Run until SIGINT or SIGTERM; returns the exit code. Raises what `cli.errors` explains."""
    settings = from_environment()
    configure_logging(settings)
    for sentence in misspelt():
        log.warning("setting_unknown", reason=sentence)
    if worker:
        _require_upstream(settings)
    with ExitStack() as stack:
        # First, so that a port in use stops the start before keys are made.
        listener = stack.enter_context(listening_on(settings.host, settings.port)) if receiver else None
        if receiver:
            refuse_weak_keys(settings)
        return uvloop.run(_serve(settings, keys_of(settings), listener, worker=worker))


async def _serve(settings: Settings, keys: Keys, listener: socket.socket | None, *, worker: bool) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        redis_url = await stack.enter_async_context(redis_at(settings))
        parts = []
        if worker:
            parts.append(await stack.enter_async_context(running_worker(settings, keys, redis_url)))
        if listener is not None:
            parts.append(await stack.enter_async_context(running_receiver(settings, keys, redis_url, listener)))
            log.info("receiver_ready", url=settings.listen_url, public_url=settings.reachable_url)
        _greet(settings, receiver=listener is not None, worker=worker)
        waiting = asyncio.create_task(stop.wait())
        ended, _ = await asyncio.wait([waiting, *parts], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        for part in ended - {waiting}:
            part.result()
            return 1
    return 0


@asynccontextmanager
async def redis_at(settings: Settings) -> AsyncIterator[str]:
    """The URL of the Redis of these settings: the one that they name, or our own for as long as the block lasts."""
    if settings.redis_url is None:
        async with EmbeddedRedis(settings.data_dir / "redis") as server:
            yield server.url
        return
    redis = connect(settings.redis_url)
    try:
        await redis.ping()
    except REDIS_ERRORS as error:
        where = urlsplit(settings.redis_url)
        shown = f"{where.scheme}://{where.hostname or ''}{f':{where.port}' if where.port else ''}{where.path}"
        raise Stop(f"FRAMERELAY_REDIS_URL: there is no Redis at {shown}: {_redis_words(error)}") from error
    finally:
        await disconnect(redis)
    yield settings.redis_url


@asynccontextmanager
async def running_worker(settings: Settings, keys: Keys, redis_url: str) -> AsyncIterator[asyncio.Task[None]]:
    hooks = _hooks(settings)
    redis, listening = connect(redis_url, connections_max=50), connect(redis_url, connections_max=2)
    try:
        async with (
            open_jobs_client(settings) as jobs,
            open_deps(settings, keys, redis, jobs=jobs, hooks=hooks) as deps,
        ):
            worker: RelayWorker = create_worker(deps, redis=redis, listening=listening)
            running = asyncio.create_task(worker.main())
            try:
                yield running
            finally:
                await worker.stop(grace_s=GRACE_S)
                await asyncio.wait([running], timeout=GRACE_S)
    finally:
        await disconnect(redis)
        await disconnect(listening)


@asynccontextmanager
async def running_receiver(
    settings: Settings, keys: Keys, redis_url: str, listener: socket.socket
) -> AsyncIterator[asyncio.Task[None]]:
    async with serving(create_app(settings, keys, redis_url=redis_url), listener) as running:
        yield running


def _hooks(settings: Settings) -> dict[str, Hook]:
    try:
        return read_hooks(settings.config_file)
    except StoryboardInvalid as error:
        raise Stop("\n".join(f"{settings.config_file.name}, {mistake}" for mistake in error.mistakes)) from error


def _redis_words(error: Exception) -> str:
    """What redis-py says, without its error numbers and the address that we say ourselves."""
    return re.sub(r"^Error -?\d+ connecting to \S+\.? ", "", str(error)).rstrip(".").lower() or type(error).__name__


def _greet(settings: Settings, *, receiver: bool, worker: bool) -> None:
    """A line for a person; programs read the log."""
    if not sys.stderr.isatty():
        return
    what = f"FrameRelay answers at {settings.listen_url}" if receiver else "A worker of FrameRelay is ready"
    click.echo(f"{what}, its data is in {settings.data_dir}. Ctrl-C ends it.", err=True)
    if receiver and worker:
        click.echo("  In another terminal, in this folder: framerelay run STORYBOARD --watch", err=True)


def _require_upstream(settings: Settings) -> None:
    missing = [
        name
        for name, value in (
            ("FRAMERELAY_UPSTREAM_URL", settings.upstream_url),
            ("FRAMERELAY_UPSTREAM_KEY", settings.upstream_key),
        )
        if not value
    ]
    if missing:
        raise Stop(
            f"{' and '.join(missing)} must be set: address and key of the jobs API. "
            "To try without one: framerelay demo, or framerelay sandbox in another terminal"
        )
    upstream = urlsplit(settings.upstream_url or "").hostname
    if not settings.public_url and upstream not in ("127.0.0.1", "localhost", "::1"):
        log.warning(
            "public_url_missing",
            reason="FRAMERELAY_PUBLIC_URL is not set: the provider cannot call back; jobs are found by looking instead",
        )
