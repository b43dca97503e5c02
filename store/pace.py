"""
How long jobs take, learned from finished ones: so a lost callback is noticed as soon as it is late.

    {framerelay}:pace:KIND  list  seconds from submit to result of the last jobs of one kind, newest first
"""

import math
from dataclasses import dataclass
from typing import Final

from framerelay.runs.model import Run, Shot
from framerelay.runs.takes import is_unhurried
from framerelay.store.client import RelayRedis
from framerelay.store.redis_messages import redis_answers

SAMPLES_MAX: Final = 50
SAMPLES_MIN: Final = 5  # Fewer say nothing about the slowest.
LIFE_S: Final = 30 * 86_400
SHARE: Final = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class UsualTimes:
    """Seconds from submit to result: half of these jobs were done in ``usual_s``, 19 of 20 in ``slowest_s``."""

    usual_s: float | None
    slowest_s: float | None


class Pace:
    """Remembers what `learn` is given, and answers `usual_times`."""

    def __init__(self, redis: RelayRedis) -> None:
        self._redis = redis

    async def usual_times(self, run: Run, shot: Shot) -> UsualTimes:
        """How long these jobs have taken so far; None while too few were done. Raises: StoreUnavailable."""
        with redis_answers():
            samples = await self._redis.lrange(_key(run, shot), 0, SAMPLES_MAX - 1)  # type: ignore[misc]  # redis-py's union
        took_s = sorted(float(sample) for sample in samples)
        usual = took_s[len(took_s) // 2] if len(took_s) >= SAMPLES_MIN else None
        return UsualTimes(usual_s=usual, slowest_s=slowest(took_s))

    async def learn(self, run: Run, shot: Shot, took_s: float) -> None:
        """A job of this kind took *took_s* seconds from its submit to its result. Raises: StoreUnavailable."""
        key = _key(run, shot)
        with redis_answers():
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.lpush(key, f"{took_s:.2f}")
                pipe.ltrim(key, 0, SAMPLES_MAX - 1)
                pipe.expire(key, LIFE_S)
                await pipe.execute()


def slowest(took_s: list[float]) -> float | None:
    """The 95th percentile (nearest rank) of *took_s*, which is sorted; None if there are too few."""
    return took_s[math.ceil(SHARE * len(took_s)) - 1] if len(took_s) >= SAMPLES_MIN else None


def _key(run: Run, shot: Shot) -> str:
    """What the time depends on: the model, the size and the length of the clip, and how urgent it is."""
    fields = [run.model, *(shot.input.get(name) for name in ("resolution", "duration", "frames"))]
    fields += [shot.input["service_tier"]] if is_unhurried(shot) else []
    return "{framerelay}:pace:" + ":".join(str(field or "") for field in fields)
