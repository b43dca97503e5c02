"""
The running processes: what each says about itself, and a word by which all are asked to read their keys again.

    {framerelay}:processes      set     ids of those seen recently
    {framerelay}:process:ID     string  what one says about itself; gone some seconds after it has ended
    {framerelay}:read-again     string  a random word, a new one each time somebody asks

No messages are sent: a worker sees the word with every claim of tasks, so it has read its keys before it begins a task
that was queued after the word; a receiver sees it when it says that it is running.
"""

import asyncio
import os
import secrets
import socket
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from importlib.metadata import version
from typing import Final

import msgspec
from starlette.datastructures import Secret

from framerelay.config.marks import fixed_variables, marks_of
from framerelay.config.settings import Settings
from framerelay.store.client import RelayRedis
from framerelay.store.keys import PREFIX
from framerelay.store.redis_messages import REDIS_ERRORS, redis_answers
from framerelay.store.tasks import pack

PROCESSES: Final = "{framerelay}:processes"
READ_AGAIN: Final = "{framerelay}:read-again"
EVERY_S: Final = 4.0
LIFE_MS: Final = 15_000
FAREWELL_S: Final = 1.0  # It disappears by itself soon.
WORD_LIFE_S: Final = 7 * 86_400


class Process(msgspec.Struct, frozen=True, kw_only=True):
    """
    One part of a process: ``receiver`` or ``worker``; `up` has both.

    ``marks``: its settings, see `config.marks`. ``fixed``: variables of its environment, which it keeps until it ends.
    ``keyed``: the configured providers for which it has a key; None: it does not say. ``key_variables``: names of
    variables that it has, and that may hold keys of other providers.
    """

    part: str
    host: str
    pid: int
    version: str
    marks: dict[str, str]
    fixed: list[str]
    keyed: list[str] | None = None
    key_variables: list[str] = []


def this_process(
    part: str,
    settings: Settings,
    secret: Secret,
    *,
    keyed: Iterable[str] | None = None,
    key_variables: Iterable[str] = (),
) -> Process:
    """What this process says about one of its parts, which now has these settings; keys as in `Process`."""
    return Process(
        part=part,
        host=socket.gethostname(),
        pid=os.getpid(),
        version=version("framerelay"),
        marks=marks_of(settings, secret),
        fixed=fixed_variables(),
        keyed=None if keyed is None else list(keyed),
        key_variables=list(key_variables),
    )


_decode = msgspec.msgpack.Decoder(Process).decode


class Presence:
    """
    Announces, for as long as `keep` runs, that a process is there, in the words of *describe*.

    *on_request* is called when all are to read their keys again.
    """

    def __init__(
        self,
        redis: RelayRedis,
        describe: Callable[[], Process],
        *,
        on_request: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._redis = redis
        self._describe = describe
        self._on_request = on_request
        self._id = secrets.token_hex(8)
        self._word: bytes | None = None

    async def keep(self) -> None:
        """Until it is cancelled; Redis may come and go."""
        try:
            while True:
                with suppress(*REDIS_ERRORS):
                    await self.announce()
                await asyncio.sleep(EVERY_S)
        finally:
            with suppress(*REDIS_ERRORS, TimeoutError):
                async with asyncio.timeout(FAREWELL_S):
                    await self._redis.delete(_key(self._id))

    async def announce(self) -> None:
        """Once, now. Raises: REDIS_ERRORS."""
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.set(_key(self._id), pack(self._describe()), px=LIFE_MS)
            pipe.sadd(PROCESSES, self._id)
            pipe.pexpire(PROCESSES, LIFE_MS)
            pipe.get(READ_AGAIN)
            *_, word = await pipe.execute()
        is_news, self._word = word != self._word, word
        if is_news and word and self._on_request:
            await self._on_request()


async def has_other_workers(redis: RelayRedis) -> bool:
    """Whether another worker besides this process runs. Raises: StoreUnavailable."""
    ours = (socket.gethostname(), os.getpid())
    with redis_answers():
        return any(each.part == "worker" and (each.host, each.pid) != ours for each in await processes(redis))


async def processes(redis: RelayRedis) -> list[Process]:
    """The running ones; ids of those that are gone are removed. Raises: REDIS_ERRORS."""
    ids = [each.decode() for each in await redis.smembers(PROCESSES)]  # type: ignore[misc]  # redis-py's sync/async union
    records = await redis.mget([_key(each) for each in ids]) if ids else []
    if ended_ids := [each for each, record in zip(ids, records, strict=True) if record is None]:
        await redis.srem(PROCESSES, *ended_ids)  # type: ignore[misc]
    return [_decode(record) for record in records if record is not None]


async def ask_to_read_again(redis: RelayRedis) -> None:
    """Every receiver and worker reads its keys again, before the next task that is queued. Raises: StoreUnavailable."""
    with redis_answers():
        await redis.set(READ_AGAIN, secrets.token_hex(8), ex=WORD_LIFE_S)


def _key(name: str) -> str:
    return f"{PREFIX}process:{name}"
