"""
How far the removal of frames has got: those of runs that ended long ago that can be made again from their clips.

    {framerelay}:frames-gone    hash    announced_at (s): nothing is removed until some days later ·
                                        until (s): runs whose last change is not later were processed

Any number of workers may ask at once: doing the same work twice has the same result as once.
"""

from typing import Final

from framerelay.store.client import RelayRedis
from framerelay.store.keys import PREFIX
from framerelay.store.redis_messages import redis_answers
from framerelay.store.runs import ENDED

ANNOUNCED_S: Final = 7 * 86_400.0  # From the first announcement until the first frame is removed.
FRAMES_GONE: Final = f"{PREFIX}frames-gone"


class FrameTimes:
    """Which runs are next. Its calls raise StoreUnavailable."""

    def __init__(self, redis: RelayRedis) -> None:
        self._redis = redis

    async def announce(self, now: float) -> bool:
        """Whether this is the first announcement here, which is recorded."""
        with redis_answers():
            return bool(await self._redis.hsetnx(FRAMES_GONE, "announced_at", str(now)))  # type: ignore[misc]

    async def announced_at(self) -> float | None:
        """When; None if it has not been announced."""
        with redis_answers():
            moment = await self._redis.hget(FRAMES_GONE, "announced_at")  # type: ignore[misc]
        return None if moment is None else float(moment)

    async def waiting(self, moment: float) -> int:
        """How many runs have ended, and not changed since *moment*, whose frames have not been processed."""
        with redis_answers():
            return int(await self._redis.zcount(ENDED, await self._until(), moment))

    async def next(self, moment: float, *, at_most: int) -> tuple[list[str], float]:
        """
        Their ids, about so many, the oldest first, and the moment to `settle` once they were processed.

        Runs of the same moment are never separated.
        """
        with redis_answers():
            since = await self._until()
            page = await self._redis.zrangebyscore(ENDED, since, moment, start=0, num=at_most, withscores=True)
            if not page:
                return [], moment
            last = page[-1][1]
            if len(page) == at_most:
                page += await self._redis.zrangebyscore(ENDED, last, last, withscores=True)
        return list(dict.fromkeys(run_id.decode() for run_id, _ in page)), last if len(page) >= at_most else moment

    async def settle(self, moment: float) -> None:
        """Runs whose last change is not later were processed."""
        with redis_answers():
            await self._redis.hset(FRAMES_GONE, "until", str(moment))  # type: ignore[misc]

    async def _until(self) -> str:
        moment = await self._redis.hget(FRAMES_GONE, "until")  # type: ignore[misc]
        return "-inf" if moment is None else f"({moment.decode()}"
