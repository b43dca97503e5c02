"""The turnstile in front of look-ups: so many side by side, within each provider's rate, and none while it rests."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from framerelay.store.look_ups import LookUps

FULL_S: Final = 0.5


class Turnstile:
    """
    Lets *at_once* planned look-ups of one worker through at the same time; *look_ups* knows of all workers.

    A callback's look-up need not queue (somebody waits for the next shot), but it respects a rest like the others.
    Whoever has to wait goes back to the queue of tasks, so that no download or submit waits behind it.
    """

    def __init__(self, at_once: int, look_ups: LookUps) -> None:
        self._at_once = at_once
        self._look_ups = look_ups
        self._inside = 0

    async def poll_wait_s(self, provider: str, *, per_minute: float | None, planned: bool) -> float | None:
        """Seconds after which to come again; None if the way is free. Raises: StoreUnavailable."""
        spread = 1.0 + random.random() / 2  # noqa: S311  (spreads load; not a secret)
        if planned and self._inside >= self._at_once:
            return FULL_S * spread
        wait_s = await self._look_ups.wait_s(provider, per_minute=per_minute, planned=planned)
        return wait_s + FULL_S * (spread - 1.0) if wait_s > 0 else None

    @contextmanager
    def passing(self, *, planned: bool) -> Iterator[None]:
        """Counts one look-up as long as it lasts."""
        self._inside += planned
        try:
            yield
        finally:
            self._inside -= planned

    async def rest(self, provider: str, retry_after_s: float | None) -> None:
        """The provider answered 429: nobody asks it for so long. Raises: StoreUnavailable."""
        await self._look_ups.rest(provider, retry_after_s)
