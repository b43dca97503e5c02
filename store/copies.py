"""
What the copies of Redis have: waited for before money moves, and before a callback is acknowledged.

Redis copies to its replicas after it has answered. One that takes over may lack the last seconds, and a submit that it
never heard of would be sent again. So, where copies are asked for, such a write is followed by ``WAIT``, in one piece
with it and on the same connection: a connection that was made anew would be told of no write, and a server that took
over meanwhile of none of its predecessor's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from redis.exceptions import NoScriptError, ResponseError

from framerelay.runs.errors import CopiesMissing
from framerelay.store.client import RedisCommand, RelayRedis, RelayScript

WAIT_MS: Final = 1000


class Carrier(Protocol):
    """A client, or one of its connections."""

    async def together(self, *commands: RedisCommand) -> list[Any]:
        """As `store.client.RelayRedis.together`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """What a script answered, and how many copies have what it wrote."""

    answer: Any
    copies: int


class Copies:
    """
    *number* copies of what is written through *redis*; with 0 nothing is waited for.

    They have it in memory, and on disk where they sync each write: that comes before their answer. ``WAITAOF``, which
    waits for their disks by name, would say the same there a round trip later, and takes a second elsewhere; the
    figures are in docs/redis.md.
    """

    def __init__(self, redis: RelayRedis, number: int) -> None:
        self.number = number
        self._redis = redis
        self._wait: RedisCommand = ("WAIT", number, WAIT_MS)

    async def call(
        self, script: RelayScript, keys: Sequence[str], arguments: Sequence[Any], *, carrier: Carrier | None = None
    ) -> Copied:
        """Call *script*, then wait for copies. Raises: as `RelayRedis.together`, and what the script refuses."""
        if not self.number and carrier is None:
            return Copied(answer=await script(keys=keys, args=arguments), copies=0)
        carrier = carrier or self._redis
        words = (len(keys), *keys, *arguments)
        answer, copies = await carrier.together(("EVALSHA", script.sha, *words), self._wait)
        if isinstance(answer, NoScriptError):
            answer, copies = await carrier.together(("EVAL", script.script, *words), self._wait)
        if isinstance(answer, ResponseError):
            raise answer
        return Copied(answer=answer, copies=_number(copies))

    async def prove(self, *commands: RedisCommand) -> None:
        """
        Send *commands*, and see whether copies have what they wrote.

        Raises: CopiesMissing; as `RelayRedis.together`, and what the server refuses.
        """
        *answers, copies = await self._redis.together(*commands, self._wait)
        for answer in answers:
            if isinstance(answer, ResponseError):
                raise answer
        self.check(_number(copies))

    def check(self, copies: int) -> None:
        """Raises: CopiesMissing if that is too few."""
        if copies < self.number:
            raise CopiesMissing(self.words(copies))

    def words(self, copies: int) -> str:
        """What is missing, and what to do."""
        have = "no copy" if copies == 0 else f"{copies} of {self.number} copies"
        return (
            f"{have} of Redis took the last write within a second (FRAMERELAY_REDIS_COPIES = {self.number}): "
            "see that its replicas run and are connected"
        )


def _number(answer: Any) -> int:
    """Of copies. Raises: what the server refuses."""
    if isinstance(answer, ResponseError):
        raise answer
    return int(answer)
