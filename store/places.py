"""
How many jobs are in flight at each provider, over all workers: up to its limit, which is given or learned.

    {framerelay}:places                   set   the providers that were asked recently
    {framerelay}:places:PROVIDER          zset  takes that have a place, by when they got it
    {framerelay}:places:PROVIDER:waiting  zset  takes that wait for one, by their turn
    {framerelay}:places:PROVIDER:facts    hash  the limit, as far as it is known, and whose turn it is

Runs take turns, however much they ask for. Without a given limit, some jobs are let in at first, and one more with each
that is accepted, until the provider refuses: then the number in flight is its limit, and one more is tried now and
then. A place is lent with the intent of a submit, and is free again when its job ends, which wakes the next one
waiting.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from framerelay.runs.machine import NO_PLACE
from framerelay.runs.model import Run
from framerelay.runs.standing import takes_to_submit
from framerelay.store.client import RelayRedis, script
from framerelay.store.redis_messages import redis_answers

PLACES: Final = "{framerelay}:places"
BEGIN_WITH: Final = 8
REST_S: Final = 2.0
LIFE_MS: Final = 3 * 86_400_000  # Longer than any job is waited for.

What = Literal["enter", "leave", "accepted", "refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """A provider's limits: jobs at once (None: it is learned), the number to begin with, submits a minute."""

    jobs_at_once: int | None = None
    begin_with: int = BEGIN_WITH
    submits_per_minute: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TakePlace:
    """The take that a place is for; its text is what is in Redis."""

    run_id: str
    shot_id: str
    take: int

    def __str__(self) -> str:
        return f"{self.run_id}:{self.shot_id}:{self.take}"

    @classmethod
    def of(cls, text: str) -> "TakePlace":
        """The take that *text* stands for."""
        run_id, shot_id, take = text.split(":")
        return cls(run_id=run_id, shot_id=shot_id, take=int(take))


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """
    Whether a take has a place, and what else follows.

    ``wait_s``: seconds that its submit still has to wait; ``ahead``: takes that wait before it. ``entrants``: others
    that just got a place, and have to be woken.
    """

    has_place: bool
    wait_s: float
    ahead: int
    entrants: tuple[TakePlace, ...]


class Places:
    """The places at all providers. Every method raises StoreUnavailable."""

    def __init__(self, redis: RelayRedis) -> None:
        self._redis = redis
        self._script = redis.register_script(script("places"))

    async def enter(self, provider: str, take: TakePlace, allowance: Allowance) -> Entry:
        """Request a place for *take*; if there is none, it waits its turn. Asking again changes nothing."""
        return await self._run("enter", provider, take, allowance)

    async def leave(self, provider: str, take: TakePlace) -> tuple[TakePlace, ...]:
        """Its job has ended or never existed, or it no longer waits; returns the takes that get a place by that."""
        return (await self._run("leave", provider, take, Allowance())).entrants

    async def note_acceptance(self, provider: str, take: TakePlace) -> tuple[TakePlace, ...]:
        """The provider has one more job, and may take more than known; returns the takes that get a place by that."""
        return (await self._run("accepted", provider, take, Allowance())).entrants

    async def note_refusal(self, provider: str, take: TakePlace, *, retry_after_s: float | None) -> float:
        """The provider accepts no more than are in flight; returns the seconds to wait if none are in flight."""
        return (await self._run("refused", provider, take, Allowance(), rest_s=retry_after_s or REST_S)).wait_s

    async def inside(self, provider: str) -> tuple[tuple[TakePlace, float], ...]:
        """Those that have a place there, with when they got it (s since 1970), the earliest first."""
        with redis_answers():
            members = await self._redis.zrange(_key(provider), 0, -1, withscores=True)
        return tuple((TakePlace.of(member.decode()), since_ms / 1000) for member, since_ms in members)

    async def waiting(self, provider: str) -> tuple[TakePlace, ...]:
        """Those that wait there, in order."""
        with redis_answers():
            members = await self._redis.zrange(f"{_key(provider)}:waiting", 0, -1)
        return tuple(TakePlace.of(member.decode()) for member in members)

    async def positions(self, run: Run) -> dict[str, int]:
        """
        The position, from 1, of each shot of *run* that waits for a free place at its provider.

        Each is looked up separately: a queue may be long, and this happens with every look at a run.
        """
        queue = [shot for shot in run.shots if shot.held_by is not None and shot.held_by.code == NO_PLACE]
        waiting = [
            (run.provider_of(shot) or "", TakePlace(run_id=run.id, shot_id=shot.id, take=number))
            for shot in queue
            for number in takes_to_submit(run, shot)
        ]
        with redis_answers():
            async with self._redis.pipeline(transaction=False) as pipe:
                for name, place in waiting:
                    pipe.zrank(f"{_key(name)}:waiting", str(place))
                ranks = await pipe.execute()
        pairs = zip(waiting, ranks, strict=True)
        return {place.shot_id: rank + 1 for (_, place), rank in pairs if rank is not None}

    async def tally(self) -> dict[str, tuple[int, int]]:
        """For each provider that was asked recently, how many places are taken and how many takes wait for one."""
        with redis_answers():
            names = sorted(name.decode() for name in await self._redis.smembers(PLACES))  # type: ignore[misc]  # redis-py's union
            async with self._redis.pipeline(transaction=False) as pipe:
                for name in names:
                    pipe.zcard(_key(name))
                    pipe.zcard(f"{_key(name)}:waiting")
                numbers = await pipe.execute()
        return {name: (numbers[2 * at], numbers[2 * at + 1]) for at, name in enumerate(names)}

    async def limits(self, providers: Sequence[str]) -> dict[str, int | None]:
        """How many jobs at once each allows: as given, or as learned so far; None while that is not known."""
        with redis_answers():
            async with self._redis.pipeline(transaction=False) as pipe:
                for name in providers:
                    pipe.hmget(f"{_key(name)}:facts", ["given", "known", "limit"])
                records = await pipe.execute()
        return {name: _limit(*record) for name, record in zip(providers, records, strict=True)}

    async def _run(
        self, what: What, provider: str, take: TakePlace, allowance: Allowance, *, rest_s: float = REST_S
    ) -> Entry:
        key, rate = _key(provider), allowance.submits_per_minute
        arguments: Sequence[str | int] = (
            *(what, str(take), take.run_id),
            "" if allowance.jobs_at_once is None else allowance.jobs_at_once,
            allowance.begin_with,
            "" if rate is None else int(60_000 / rate),
            int(rest_s * 1000),
            LIFE_MS,
        )
        with redis_answers():
            inside, wait_ms, ahead, members = await self._script(
                keys=[key, f"{key}:waiting", f"{key}:facts", PLACES], args=[*arguments, provider]
            )
        others = tuple(TakePlace.of(member.decode()) for member in members)
        return Entry(has_place=bool(inside), wait_s=wait_ms / 1000, ahead=ahead, entrants=others)


def _limit(own: bytes | None, proof: bytes | None, limit: bytes | None) -> int | None:
    return int(float(own or (limit if proof else None) or 0)) or None


def _key(provider: str) -> str:
    return f"{PLACES}:{provider}"
