"""
What the replicas of Redis have: waited for before money is spent, and before a callback is acknowledged.

Redis copies to its replicas after it has answered. A replica that takes over may lack the last seconds, and a submit
that it never heard of would be sent again. So if the settings ask for copies, these writes are followed by ``WAIT``, as
one unit and on the same connection: a new connection would know of no write, and a server that has taken over of none
of its predecessor's. If the settings ask for their disks as well, ``WAITAOF`` follows on that connection, once the
replicas have answered.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, Self

from redis.exceptions import NoScriptError, ResponseError

from framerelay.config.settings import Settings
from framerelay.runs.errors import CopiesMissing
from framerelay.store.client import FollowUp, RedisCommand, RelayRedis, RelayScript

WAIT_MS: Final = 1000
DISK_MS: Final = 2000  # A replica that syncs every second reports once a second what it has synced.


class Carrier(Protocol):
    """A client, or one of its connections."""

    async def together(self, *commands: RedisCommand, follow_up: FollowUp | None = None) -> list[Any]:
        """As in `store.client.RelayRedis.together`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CopiedAnswer:
    """A script's answer, and how many replicas have what it wrote."""

    answer: Any
    copies: int


class Copies:
    """
    *number* copies of what is written through *redis*; with 0, nothing is waited for.

    The replicas have it in memory, and on disk if they sync each write: that comes before their answer. *on_disk*: also
    wait for their disks by ``WAITAOF``, which confirms the same a round trip later if they sync each write, and takes a
    second if they do not; the figures are in docs/redis.md.
    """

    def __init__(self, redis: RelayRedis, number: int, *, on_disk: bool = False) -> None:
        self.number = number
        self._redis = redis
        self._wait: RedisCommand = ("WAIT", number, WAIT_MS)
        self.on_disk = on_disk
        self.disk_s = DISK_MS / 1000 if on_disk else 0.0
        """How much longer than without disks a call may take."""
        to_disk: RedisCommand = ("WAITAOF", 0, number, DISK_MS)
        self._disk = FollowUp(command=to_disk, is_due=self._are_there, within_s=self.disk_s) if on_disk else None

    @classmethod
    def of(cls, settings: Settings, redis: RelayRedis) -> Self:
        """The copies that *settings* ask for."""
        return cls(redis, settings.redis_copies, on_disk=settings.redis_copies_on_disk == "yes")

    async def call(
        self, script: RelayScript, keys: Sequence[str], arguments: Sequence[Any], *, carrier: Carrier | None = None
    ) -> CopiedAnswer:
        """Call *script*, then wait for copies. Raises: as `RelayRedis.together`, and the script's refusals."""
        if not self.number and carrier is None:
            return CopiedAnswer(answer=await script(keys=keys, args=arguments), copies=0)
        carrier = carrier or self._redis
        words = (len(keys), *keys, *arguments)
        answer, *copies = await carrier.together(("EVALSHA", script.sha, *words), self._wait, follow_up=self._disk)
        if isinstance(answer, NoScriptError):
            answer, *copies = await carrier.together(("EVAL", script.script, *words), self._wait, follow_up=self._disk)
        if isinstance(answer, ResponseError):
            raise answer
        return CopiedAnswer(answer=answer, copies=_number(*copies))

    async def prove(self, *commands: RedisCommand) -> None:
        """
        Send *commands*, and check that replicas have what they wrote.

        Raises: CopiesMissing; as `RelayRedis.together`, and the server's refusals.
        """
        answers = await self._redis.together(*commands, self._wait, follow_up=self._disk)
        for answer in answers:
            if isinstance(answer, ResponseError):
                raise answer
        self.check(_number(*answers[len(commands) :]))

    def check(self, copies: int) -> None:
        """Raises: CopiesMissing if that is too few."""
        if copies < self.number:
            raise CopiesMissing(self.words(copies))

    def words(self, copies: int) -> str:
        """What is missing, and what to do."""
        have = "no copy" if copies == 0 else f"{copies} of {self.number} copies"
        if self._disk:
            return (
                f"{have} of Redis put the last write on disk within two seconds (FRAMERELAY_REDIS_COPIES = "
                f"{self.number}): see that its replicas run, are connected and have appendonly yes"
            )
        return (
            f"{have} of Redis took the last write within a second (FRAMERELAY_REDIS_COPIES = {self.number}): "
            "see that its replicas run and are connected"
        )

    def _are_there(self, answers: Sequence[Any]) -> bool:
        """If too few have it in memory, or it was refused, there is nothing to wait for."""
        return not isinstance(answers[0], ResponseError) and _number(answers[-1]) >= self.number


def _number(answer: Any, on_disk: Any = None) -> int:
    """Replicas; *on_disk*: WAITAOF's answer, about our server's disk and theirs. Raises: the server's refusals."""
    for each in (answer, on_disk):
        if isinstance(each, ResponseError):
            raise each
    return int(answer) if on_disk is None else int(on_disk[1])
