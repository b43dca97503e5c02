"""The gate in front of look-ups: limited in number, within each provider's rate, and none while it rests."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from framerelay.runs.errors import UpstreamRateLimited
from framerelay.store.look_ups import LookUps

FULL_S: Final = 0.5


class LookUpGate:
    """
    Lets *at_once* planned look-ups of one worker through at the same time; *look_ups* knows those of all workers.

    A callback's look-up need not queue (somebody waits for the next shot), but it respects a rest like the others. A
    look-up that has to wait goes back to the task queue, so that no download or submit waits behind it.
    """

    def __init__(self, at_once: int, look_ups: LookUps) -> None:
        self._at_once = at_once
        self._look_ups = look_ups
        self._inside = 0

    @asynccontextmanager
    async def passing(self, provider: str, *, per_minute: float | None, planned: bool) -> AsyncIterator[float | None]:
        """
        Yields None if the way is free, for as long as the look-up lasts; otherwise seconds after which to come again.

        The place is held from before anybody is asked, until a rest that the provider wants is known: otherwise,
        look-ups that arrive in between would pass. Raises: StoreUnavailable.
        """
        spread = 1.0 + random.random() / 2  # noqa: S311  (spreads load; not a secret)
        if planned and self._inside >= self._at_once:
            yield FULL_S * spread
            return
        self._inside += planned
        try:
            wait_s = await self._look_ups.wait_s(provider, per_minute=per_minute, planned=planned)
            yield wait_s + FULL_S * (spread - 1.0) if wait_s > 0 else None
        except UpstreamRateLimited as error:
            await self._look_ups.rest(provider, error.retry_after_s)
            raise
        finally:
            self._inside -= planned
