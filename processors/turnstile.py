"""The turnstile in front of look-ups: so many side by side, and none while the provider asked for a rest."""

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

REST_S: Final = 2.0  # After a 429 that names no time.
FULL_S: Final = 0.5


class Turnstile:
    """
    Lets *at_once* planned look-ups of one worker through at the same time.

    A callback's look-up need not queue (somebody waits for the next shot), but it respects a rest like the others.
    Whoever has to wait goes back to the queue of tasks, so that no download or submit waits behind it.
    """

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._inside = 0
        self._rest_until = 0.0

    def poll_wait_s(self, *, planned: bool) -> float | None:
        """Seconds after which to come again; None if the way is free."""
        spread = 1.0 + random.random() / 2  # noqa: S311  (spreads load; not a secret)
        rest_s = self._rest_until - time.monotonic()
        if rest_s > 0:
            return rest_s + FULL_S * (spread - 1.0)
        return FULL_S * spread if planned and self._inside >= self._at_once else None

    @contextmanager
    def passing(self, *, planned: bool) -> Iterator[None]:
        """Counts one look-up as long as it lasts."""
        self._inside += planned
        try:
            yield
        finally:
            self._inside -= planned

    def rest(self, retry_after_s: float | None) -> None:
        """The provider answered 429: nobody asks for so long."""
        self._rest_until = max(self._rest_until, time.monotonic() + (retry_after_s or REST_S))
