"""
The client of Redis: connections with timeouts, the scripts, and one connection for many calls.

A script is called by its digest, and by its text if the server does not know it: users of Redis do not need permission
for ``SCRIPT``.

Parsing answers and finding connections are redis-py's. `PinnedConnection` saves callers of a script thousands of times
a second redis-py's work around each call: without it, a callback costs 4 µs more.
"""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import resources
from itertools import chain
from typing import Any, Final

from arq.connections import ArqRedis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.commands.core import AsyncScript
from redis.connection import HiredisRespSerializer
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from framerelay.config.metrics import REDIS
from framerelay.store.addresses import pool_of
from framerelay.store.clock import RedisClock
from framerelay.store.tasks import QUEUE, TASK_LIFE_MS, pack, unpack

# A peer that vanished silently is noticed after about a quarter of a minute; the names are Linux's.
KEEPALIVE: Final = {
    getattr(socket, name): value
    for name, value in (("TCP_KEEPIDLE", 5), ("TCP_KEEPINTVL", 3), ("TCP_KEEPCNT", 3))
    if hasattr(socket, name)
}


WAITING: Final = frozenset({"BLPOP", "XREAD"})  # They answer when something happens: no sign of how Redis is.
RedisCommand = Sequence[str | bytes | int | float]
"""A command and its arguments, as they are sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUp:
    """A *command* that follows others on their connection, if *is_due* says so given their answers; *within_s* more."""

    command: RedisCommand
    is_due: Callable[[Sequence[Any]], bool]
    within_s: float


class RelayScript(AsyncScript):
    """A script bound to the client that made it."""

    script: str

    async def __call__(self, keys: Any = None, args: Any = None, client: Any = None) -> Any:
        """Its answer, whether the server knows the script or not."""
        redis: Any = client or self.registered_client
        words = (len(keys or ()), *(keys or ()), *(args or ()))
        try:
            return await redis.evalsha(self.sha, *words)
        except NoScriptError:
            return await redis.eval(self.script, *words)


class RelayRedis(ArqRedis):
    """
    arq's client, with a timeout around each command.

    redis-py's own ``socket_timeout`` uses ``asyncio.wait_for``, which on Python 3.11 can swallow a cancellation that
    arrives as the command ends; a worker or receiver that is told to stop would then hang.
    """

    def __init__(self, *arguments: Any, timeout_s: float, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.timeout_s = timeout_s
        self.clock = RedisClock()

    async def execute_command(self, *arguments: Any, **options: Any) -> Any:
        """Raises: TimeoutError in addition to what redis-py raises."""
        began = time.perf_counter()
        async with asyncio.timeout(self.timeout_s):
            answer = await super().execute_command(*arguments, **options)  # type: ignore[no-untyped-call]
        if arguments[0] not in WAITING:
            REDIS.observe(time.perf_counter() - began)
        return answer

    def register_script(self, script: Any) -> RelayScript:  # type: ignore[override]  # redis-py's, for both clients
        """*script*, to be called."""
        return RelayScript(self, script)

    async def together(self, *commands: RedisCommand, follow_up: FollowUp | None = None) -> list[Any]:
        """
        *commands*, sent as a unit on one connection, which is not replaced between them; the answer of each.

        *follow_up*: what follows there; if it was due, its answer comes last. If the server refuses a command, its
        `ResponseError` takes the place of the answer. If the connection breaks, all are sent again: so repeating them
        must do no harm. Raises: as `execute_command`.
        """
        retry: Retry = self.connection_pool.connection_kwargs["retry"]
        async with asyncio.timeout(_within_s(self.timeout_s, follow_up)):
            return await retry.call_with_retry(partial(self._together, commands, follow_up), _do_nothing)

    async def _together(self, commands: Sequence[RedisCommand], follow_up: FollowUp | None) -> list[Any]:
        connection = await self.connection_pool.get_connection()
        try:
            return await exchange(connection, commands, follow_up)
        finally:
            await self.connection_pool.release(connection)


def _within_s(timeout_s: float, follow_up: FollowUp | None) -> float:
    return timeout_s + (follow_up.within_s if follow_up else 0.0)


async def exchange(
    connection: AbstractConnection, commands: Sequence[RedisCommand], follow_up: FollowUp | None = None
) -> list[Any]:
    """*commands*, sent as a unit on *connection*, and their answers, including refusals as errors."""
    words = b"".join(chain.from_iterable(connection.pack_command(*command) for command in commands))
    try:
        await connection.send_packed_command(words, check_health=False)
        answers = [await _answer(connection) for _ in commands]
        if follow_up and follow_up.is_due(answers):
            await connection.send_packed_command(connection.pack_command(*follow_up.command), check_health=False)
            answers.append(await _answer(connection))
    except BaseException:
        await connection.disconnect(nowait=True)  # Otherwise the next user of it would read the answers that were left.
        raise
    return answers


async def _answer(connection: AbstractConnection) -> Any:
    try:
        return await connection.read_response()
    except ResponseError as error:
        return error


async def _do_nothing(_: BaseException) -> None:
    """Between two tries."""


class PinnedConnection:
    """
    One connection of *redis*, for callers that call scripts again and again.

    redis-py's work of getting a connection and around each call costs more than the call itself; this one only has a
    timeout.
    """

    def __init__(self, redis: RelayRedis) -> None:
        self._redis = redis
        self._connection: AbstractConnection | None = None

    async def call(self, command: AsyncScript, keys: Sequence[str], arguments: Sequence[str | bytes | int]) -> Any:
        """
        The script's answer; if the connection is broken or the script is unknown, redis-py tries it again.

        So calling the script twice must do no harm. Raises: as `RelayRedis.execute_command`.
        """
        began = time.perf_counter()
        try:
            async with asyncio.timeout(self._redis.timeout_s):
                if self._connection is None:
                    self._connection = await self._redis.connection_pool.get_connection()
                words = self._connection.pack_command("EVALSHA", command.sha, len(keys), *keys, *arguments)
                await self._connection.send_packed_command(words, check_health=False)
                answer = await self._connection.read_response()
        except (RedisConnectionError, NoScriptError):
            return await command(keys=keys, args=arguments)
        REDIS.observe(time.perf_counter() - began)
        return answer

    async def together(self, *commands: RedisCommand, follow_up: FollowUp | None = None) -> list[Any]:
        """Like `RelayRedis.together`, which takes over if this connection is broken."""
        try:
            async with asyncio.timeout(_within_s(self._redis.timeout_s, follow_up)):
                if self._connection is None:
                    self._connection = await self._redis.connection_pool.get_connection()
                return await exchange(self._connection, commands, follow_up)
        except RedisConnectionError:
            return await self._redis.together(*commands, follow_up=follow_up)

    async def close(self) -> None:
        """Give the connection back."""
        if self._connection is not None:
            await self._redis.connection_pool.release(self._connection)


class TlsRetry(Retry):
    """
    Connections that do not retry after a rejected certificate: another try would see the same one.

    redis-py retries at each of three levels, which takes longer than callers wait.
    """

    async def call_with_retry(self, do: Callable[[], Awaitable[Any]], fail: Callable[[Any], Any]) -> Any:
        """As redis-py's."""
        refusal: Exception | None = None

        async def once() -> Any:
            nonlocal refusal
            try:
                return await do()
            except (RedisConnectionError, OSError) as error:
                if "CERTIFICATE_VERIFY_FAILED" not in str(error):
                    raise
                refusal = error

        answer = await super().call_with_retry(once, fail)
        if refusal is not None:
            await fail(refusal)
            raise refusal
        return answer


def connect(url: str, *, connections_max: int = 20, timeout_s: float = 5.0) -> RelayRedis:
    """
    A client of the Redis at *url*; nothing is contacted yet.

    A broken connection is retried for half a second before a call fails; a silent one fails after *timeout_s*.
    """
    remote = {} if url.startswith("unix://") else {"socket_keepalive": True, "socket_keepalive_options": KEEPALIVE}
    pool = pool_of(
        url,
        max_connections=connections_max,
        timeout=timeout_s,
        retry=(TlsRetry if url.startswith("rediss") else Retry)(ExponentialBackoff(cap=0.2, base=0.02), 5),
        retry_on_error=[RedisConnectionError, RedisTimeoutError, OSError],
        **remote,
    )
    pool.connection_class = _packing_in_c(pool.connection_class)
    return RelayRedis(
        pool_or_conn=pool,
        timeout_s=timeout_s,
        job_serializer=pack,
        job_deserializer=unpack,
        default_queue_name=QUEUE,
        expires_extra_ms=TASK_LIFE_MS,
    )


def _packing_in_c(connection: type[AbstractConnection]) -> type[AbstractConnection]:
    """*connection*, with the packer that redis-py uses in its blocking client: our commands take many arguments."""
    packer = HiredisRespSerializer()
    return type(f"Packing{connection.__name__}", (connection,), {"pack_command": lambda _, *words: packer.pack(*words)})


async def disconnect(redis: ArqRedis) -> None:
    """Close every connection of a client that `connect` made."""
    await redis.aclose(close_connection_pool=True)


def script(name: str, *, with_enqueue: bool = False, with_index: bool = False) -> str:
    """The text of ``store/lua/NAME.lua``, preceded by the functions ``enqueue`` and ``index`` if it calls them."""
    folder = resources.files("framerelay.store") / "lua"
    parts = [*(["enqueue"] if with_enqueue else []), *(["index"] if with_index else []), name]
    return "".join((folder / f"{part}.lua").read_text(encoding="utf-8") for part in parts)
