"""
A Redis in which nothing may start: a restore is under way there, or its contents were moved elsewhere.

    {framerelay}:closed    string    why, and by which backup
"""

import asyncio
from contextlib import suppress
from enum import StrEnum
from typing import Final

import msgspec

from framerelay.runs.errors import Permanent, StoreUnavailable
from framerelay.store.client import RelayRedis
from framerelay.store.keys import PREFIX
from framerelay.store.redis_messages import redis_answers
from framerelay.store.tasks import pack

CLOSED: Final = f"{PREFIX}closed"
EVERY_S: Final = 4.0


class ClosedReason(StrEnum):
    """Why nothing may start."""

    RESTORE = "restore"
    MOVED = "moved"


class Closing(msgspec.Struct, frozen=True, kw_only=True):
    """*backup* is the id of a backup, *restore* that of the restore under way; *at*: in seconds since 1970."""

    reason: ClosedReason
    backup: str
    at: float
    restore: str = ""


_WORDS: Final = {
    ClosedReason.RESTORE: "a restore was begun here and is not finished: type the same `framerelay restore` again",
    ClosedReason.MOVED: "what was kept in this Redis was moved by `framerelay backup --move`: start with the "
    "FRAMERELAY_REDIS_URL that it was restored into (docs/backup.md says how to come back)",
}


class RedisClosed(Permanent):
    """Nothing may start on this Redis."""

    code = "redis_closed"

    def __init__(self, closing: Closing) -> None:
        super().__init__(_WORDS[closing.reason])


async def closing_of(redis: RelayRedis) -> Closing | None:
    """Why this Redis is closed; None if it is open. Raises: StoreUnavailable."""
    with redis_answers():
        content = await redis.get(CLOSED)
    return msgspec.msgpack.decode(content, type=Closing) if content else None


async def require_open(redis: RelayRedis) -> None:
    """Raises: RedisClosed; StoreUnavailable."""
    if closing := await closing_of(redis):
        raise RedisClosed(closing)


async def close(redis: RelayRedis, closing: Closing) -> bool:
    """False if it is already closed. Raises: StoreUnavailable."""
    with redis_answers():
        return bool(await redis.set(CLOSED, pack(closing), nx=True))


async def reopen(redis: RelayRedis) -> None:
    """Raises: StoreUnavailable."""
    with redis_answers():
        await redis.delete(CLOSED)


async def watch(redis: RelayRedis) -> None:
    """Raises RedisClosed once somebody has closed it while this program works; Redis may come and go."""
    while True:
        await asyncio.sleep(EVERY_S)
        with suppress(StoreUnavailable):
            await require_open(redis)
