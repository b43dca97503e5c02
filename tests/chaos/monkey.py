"""Who kills: at random moments by a seed, and at exact points by traps; and who starts everything again."""

import random
import signal
import time
from typing import Final

from house import House, Process

RECEIVER_POINTS: Final = ("before_accept", "after_accept", "after_200")
WORKER_POINTS: Final = (
    "after_upload",
    "after_post_sent",
    "after_submitted_saved",
    "after_look_up_saved",
    "mid_download",
    "mid_last_frame",
    "after_collect_saved",
    "mid_join",
    "after_intent_saved",
)


class Monkey:
    """
    ``tick`` as often as you like; it does what is due and never waits.

    *strikes*: so many kills and stops, then peace. *pause_s*: from one to the next. The choice depends on *seed* alone,
    the moment also on the machine.
    """

    def __init__(self, house: House, *, seed: int, strikes: int, pause_s: tuple[float, float]) -> None:
        self._house = house
        self._dice = random.Random(f"monkey/{seed}")
        self._delays = random.Random(f"delays/{seed}")
        self._targets: list[Process] = []
        self._strikes = strikes
        self._pause_s = pause_s
        self._next = time.monotonic() + self._dice.uniform(*pause_s)
        self._back: dict[str, float] = {}
        self._traps = {"receiver": list(RECEIVER_POINTS), "worker": list(WORKER_POINTS)}
        self.redis_stops = 0

    @property
    def is_done(self) -> bool:
        """Whether it is at peace, and everything runs."""
        return self._strikes <= 0 and not self._back

    def tick(self) -> None:
        """Strike if it is time, and start what has been down long enough."""
        now = time.monotonic()
        if self._strikes > 0 and now >= self._next:
            self._strikes -= 1
            self._next = now + self._dice.uniform(*self._pause_s)
            self._strike(now)
        for process in [self._house.redis, *self._house.ours]:
            if not process.is_gone():
                continue
            back_at = self._back.setdefault(process.name, now + self._delays.uniform(0.0, 0.5))
            if now >= back_at:
                del self._back[process.name]
                process.start(*self._trap_for(process))

    def _strike(self, now: float) -> None:
        """All in turn, Redis twice as often; by SIGKILL, and Redis now and then by SIGTERM."""
        house = self._house
        if not self._targets:
            self._targets = [house.redis, house.redis, *house.ours]
            self._dice.shuffle(self._targets)
        # One that is down already is left for a later strike.
        target = next((process for process in self._targets if not process.is_gone()), self._targets[0])
        self._targets.remove(target)
        gently = self._dice.random() < 0.3
        down_s = self._dice.uniform(0.8, 2.5) if target is house.redis else self._dice.uniform(0.0, 0.5)
        if not target.is_gone():
            target.end(signal.SIGTERM if gently and target is house.redis else signal.SIGKILL)
            self.redis_stops += target is house.redis
            self._back[target.name] = now + down_s

    def _trap_for(self, process: Process) -> tuple[str, ...]:
        """Each point is set in a trap once; while there is peace, none is."""
        waiting = self._traps.get(process.name.rstrip("0123456789"), [])
        if self._strikes <= 0 or not waiting:
            return ()
        return ("--trap", waiting.pop(0))
