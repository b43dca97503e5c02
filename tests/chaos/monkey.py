"""Who kills: at random moments by a seed, and at exact points by traps; and who starts everything again."""

import random
import time
from typing import Final

from house import House
from process import Process

RECEIVER_POINTS: Final = ("before_accept", "after_accept", "after_200", "after_spooled_200", "mid_drain")
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

    *strikes*: how many kills and stops, then peace. *pause_s*: from one to the next. *gently*: the share of them
    that are a SIGTERM, as at a deploy; the others are a SIGKILL. The choice depends on *seed* alone, the moment also on
    the machine.
    """

    def __init__(
        self, house: House, *, seed: int, strikes: int = 0, pause_s: tuple[float, float] = (1, 1), gently: float = 0.3
    ) -> None:
        self._house = house
        self._dice = random.Random(f"monkey/{seed}")
        self._delays = random.Random(f"delays/{seed}")
        self._targets: list[Process] = []
        self._strikes = strikes
        self._gently = gently
        self._pause_s = pause_s
        self._next = time.monotonic() + self._dice.uniform(*pause_s)
        self._away_s: dict[str, float] = {}
        self._back: dict[str, float] = {}
        self._traps = {"receiver": list(RECEIVER_POINTS), "worker": list(WORKER_POINTS)}

    @property
    def is_done(self) -> bool:
        """Whether it is at peace, and everything runs."""
        return self._strikes <= 0 and not self._back and not any(process.is_leaving for process in self._all)

    @property
    def _all(self) -> list[Process]:
        return [self._house.redis, *self._house.ours]

    def tick(self) -> None:
        """Strike if it is time, and start what has been down long enough."""
        now = time.monotonic()
        if self._strikes > 0 and now >= self._next:
            self._strikes -= 1
            self._next = now + self._dice.uniform(*self._pause_s)
            self._strike()
        for process in self._all:
            if not process.is_gone():
                continue
            if process.name not in self._back:
                self._back[process.name] = now + self._away_s.pop(process.name, self._delays.uniform(0.0, 0.5))
            if now >= self._back[process.name]:
                del self._back[process.name]
                process.start(*self._trap_for(process))

    def rest(self) -> None:
        """No strike from now on."""
        self._strikes = 0

    def _strike(self) -> None:
        """All in turn, Redis twice as often."""
        house = self._house
        if not self._targets:
            self._targets = [house.redis, house.redis, *house.ours]
            self._dice.shuffle(self._targets)
        # One that is down or on its way is left for a later strike.
        up = (process for process in self._targets if not process.is_gone() and not process.is_leaving)
        target = next(up, self._targets[0])
        self._targets.remove(target)
        gently = self._dice.random() < self._gently
        down_s = self._dice.uniform(0.8, 2.5) if target is house.redis else self._dice.uniform(0.0, 0.5)
        if target.is_gone() or target.is_leaving:
            return
        self._away_s[target.name] = down_s
        if gently and (target is house.redis or target.is_ready):
            target.tell_to_end()
        else:
            target.kill()

    def _trap_for(self, process: Process) -> tuple[str, ...]:
        """One point after the other, until each trap has gone off; while there is peace, none is set."""
        waiting = [point for point in self._traps.get(process.role, []) if not self._house.mark(point).exists()]
        if self._strikes <= 0 or not waiting:
            return ()
        point = waiting[0]
        self._traps[process.role] = [*waiting[1:], point]
        return ("--trap", point)
