"""
Redis's clock, by which every machine decides whether a time has come: their own clocks may differ by minutes.

Otherwise each would give up, or ask a person about, a submit that is under way on another one. A worker learns the time
with every claim; programs that claim nothing ask for it now and then.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

FRESH_S: Final = 30.0  # By then, two free-running clocks are a few ms apart.
JUMP_S: Final = 0.5  # A clock only jumps by this much if somebody set it, or the machine slept.


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """What three clocks showed at the same moment: Redis's, and both of this machine, in seconds."""

    theirs: float
    steady: float
    ours: float


class RedisClock:
    """One for each client."""

    def __init__(self) -> None:
        self._last: _Reading | None = None

    @property
    def is_known(self) -> bool:
        """Whether it was ever read."""
        return self._last is not None

    def now(self) -> float:
        """Seconds since 1970 by Redis's clock, as far as is known; by our own before it was first read."""
        if self._last is None:
            return time.time()
        return self._last.theirs + time.monotonic() - self._last.steady

    def learn(self, now: float) -> None:
        """It shows *now*, seconds since 1970, according to an answer that just arrived."""
        self._last = _Reading(theirs=now, steady=time.monotonic(), ours=time.time())

    async def look(self, ask: Callable[[], Awaitable[tuple[int, int]]]) -> None:
        """Read it by *ask*, the command ``TIME``, unless our knowledge is fresh. Raises: whatever *ask* raises."""
        if self._last is None or not _is_fresh(self._last):
            seconds, microseconds = await ask()
            self.learn(seconds + microseconds / 1e6)


def _is_fresh(last: _Reading) -> bool:
    passed_s = time.monotonic() - last.steady
    return passed_s < FRESH_S and abs(time.time() - last.ours - passed_s) < JUMP_S
