"""
When a provider may be asked about its jobs, over all workers: within its rate, and not while it wants a rest.

    {framerelay}:look-ups:PROVIDER  hash  until when it rests, and when the next planned look-up may be sent
"""

from typing import Final

from framerelay.store.client import RelayRedis, script
from framerelay.store.redis_messages import redis_answers

LOOK_UPS: Final = "{framerelay}:look-ups"
REST_S: Final = 2.0  # After a 429 that names no time.
LIFE_MS: Final = 86_400_000


class LookUps:
    """Asked before each look-up. Every method raises StoreUnavailable."""

    def __init__(self, redis: RelayRedis) -> None:
        self._script = redis.register_script(script("look_ups"))

    async def wait_s(self, provider: str, *, per_minute: float | None, planned: bool) -> float:
        """
        Seconds until *provider* may be asked; 0: now, and the next planned one a little later.

        A callback's look-up only respects a rest, since somebody waits for the next shot.
        """
        interval_ms = int(60_000 / per_minute) if per_minute and planned else ""
        return await self._run(provider, interval_ms, "")

    async def rest(self, provider: str, seconds: float | None) -> None:
        """It answered 429: no worker asks for that many seconds."""
        await self._run(provider, "", int((seconds or REST_S) * 1000))

    async def _run(self, provider: str, interval_ms: int | str, rest_ms: int | str) -> float:
        with redis_answers():
            wait_ms = await self._script(keys=[f"{LOOK_UPS}:{provider}"], args=[interval_ms, rest_ms, LIFE_MS])
        return float(wait_ms) / 1000
