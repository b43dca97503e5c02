"""`doctor` for Redis: does it answer, does it keep what it acknowledges, and does a worker listen there."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from redis.exceptions import ResponseError

from framerelay.cli.doctor.finding import Finding, fail, ok, skip, warn
from framerelay.cli.doctor.network import in_thread
from framerelay.cli.doctor.network import resolve as resolve_name
from framerelay.config.settings import Settings
from framerelay.processors.worker import WORKER
from framerelay.runs.errors import CopiesMissing
from framerelay.store.addresses import hosts_of, redact_url, redis_address
from framerelay.store.client import RelayRedis, connect, disconnect
from framerelay.store.copies import Copies
from framerelay.store.embedded import LOG, EmbeddedRedis, find_server, is_answering
from framerelay.store.inbox import PROBE
from framerelay.store.redis_messages import REDIS_ERRORS, redis_words
from framerelay.store.support import RedisUnsupported, check_copies, check_support

COMMAND_S: Final = 3.0
ASKED: Final = ("appendonly", "appendfsync", "maxmemory", "maxmemory-policy")


async def look_at_redis(settings: Settings) -> Finding:
    """
    The Redis of the settings; an embedded one is shared if it is running, otherwise started for a moment.

    A write that leaves nothing behind is tested, too. Raises: EmbeddedRedisFailed; Trouble.
    """
    try:
        check_copies(settings)
    except RedisUnsupported as error:
        return fail(error.message)
    url = redis_address(settings)
    if url is not None:
        return await _look_at(url, f"Redis at {redact_url(url)}", settings)
    folder = settings.data_dir / "redis"
    server = EmbeddedRedis(folder)
    try:
        if await _runs(server):
            return await _look_at(server.url, "FrameRelay's own Redis, which is running,", settings)
    except TimeoutError:
        return fail(
            "FrameRelay's own Redis is there, but does not answer", f"see {folder / LOG}, and whether its disk hangs"
        )
    if not await in_thread(folder.exists):
        name = (await in_thread(find_server)).name
        return ok(f"FrameRelay's own: the first start makes {folder} and runs {name} there, syncing each write")
    async with server:
        return await _look_at(server.url, "FrameRelay's own Redis, started for this check and ended again,", settings)


async def look_at_worker(settings: Settings) -> Finding:
    """Whether a worker has reported within the last seconds that it is running. Raises: Trouble."""
    nobody = fail(
        "no worker listens: nothing is submitted, looked up or fetched",
        "start one: framerelay up, or framerelay worker",
    )
    try:
        async with client_of(settings) as redis:
            return ok("a worker listens") if redis and await redis.exists(WORKER) else nobody
    except REDIS_ERRORS:
        return skip("a worker can only be seen in Redis, which does not answer")


@asynccontextmanager
async def client_of(settings: Settings) -> AsyncIterator[RelayRedis | None]:
    """The running Redis of the settings, None if our own is not running. Raises: REDIS_ERRORS; Trouble."""
    url = redis_address(settings)
    if url is None:
        server = EmbeddedRedis(settings.data_dir / "redis")
        if not await _runs(server):
            yield None
            return
        url = server.url
    async with _client(url) as redis:
        yield redis


async def _look_at(url: str, name: str, settings: Settings) -> Finding:
    try:
        async with _client(url) as redis:
            copies = Copies.of(settings, redis)
            await check_support(redis, copies=copies)
            try:
                await redis.set("{framerelay}:doctor", b"", px=1000, nx=True, get=True)  # As for callbacks.
            except ResponseError as error:
                if "syntax" in str(error):
                    return fail(f"{name.removesuffix(',')} is too old", "use Redis 7 or later, or Valkey")
                raise
            if copies.number:
                await copies.prove(("SET", PROBE, 1), ("DEL", PROBE))
            return _judge_durability(name, await _read_config(redis))
    except (RedisUnsupported, CopiesMissing) as error:
        return fail(f"{name.removesuffix(',')}: {error.message}")
    except REDIS_ERRORS as error:
        return fail(f"{name.removesuffix(',')}: {redis_words(error)}")


async def _read_config(redis: RelayRedis) -> dict[str, str] | None:
    """What it says about its own settings; None if it does not say, as with managed services."""
    config: dict[str, str] = {}
    try:
        for setting in ASKED:
            config |= await redis.config_get(setting)
    except ResponseError:
        return None
    return config if config.keys() >= set(ASKED) else None


def _judge_durability(name: str, config: dict[str, str] | None) -> Finding:
    """What may happen to an acknowledged callback there, the worst first."""
    if config is None:
        return warn(
            f"{name} answers and takes writes; durability: declared, not checked (it does not show its settings)",
            "make sure with whoever runs it: append-only file on, synced at least each second, eviction off",
        )
    if config["appendonly"] != "yes":
        return fail(
            f"{name} keeps no append-only file: runs and acknowledged callbacks are gone when it restarts",
            "set appendonly yes and appendfsync always in its configuration",
        )
    policy, limit = config["maxmemory-policy"], int(config["maxmemory"])
    if policy != "noeviction":
        message = f"{name} may throw away what we keep when its memory is full (maxmemory-policy {policy})"
        advice = "set maxmemory-policy noeviction, or use a Redis that is nobody's cache"
        return fail(message, advice) if limit else warn(f"{message}; now it has no limit", advice)
    match config["appendfsync"]:
        case "always":
            return ok(f"{name} syncs each write before it acknowledges it, and evicts nothing")
        case "everysec":
            return ok(
                f"{name} syncs its append-only file each second and evicts nothing; a loss of power may cost the last "
                "second of callbacks, which look-ups then make good"
            )
        case other:
            return warn(
                f"{name} leaves syncing to the operating system (appendfsync {other}): a loss of power may cost half "
                "a minute of callbacks",
                "set appendfsync always, or everysec",
            )


async def _runs(server: EmbeddedRedis) -> bool:
    """Whether it is in use. Raises: TimeoutError if it exists and hangs."""
    socket = Path(server.url.removeprefix("unix://"))
    try:
        async with asyncio.timeout(COMMAND_S):
            return await is_answering(socket)
    except (FileNotFoundError, ConnectionRefusedError, ConnectionResetError):
        return False


@asynccontextmanager
async def _client(url: str) -> AsyncIterator[RelayRedis]:
    for host in hosts_of(url):
        await resolve_name(host)
    redis = connect(url, connections_max=2, timeout_s=COMMAND_S)
    try:
        yield redis
    finally:
        await disconnect(redis)
