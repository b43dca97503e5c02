"""Callbacks that did not prove where they come from: they have no effect, and a wrong secret of ours loses none."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from framerelay.runs.errors import StoreUnavailable
from framerelay.store.inbox import Callback, Inbox

A_MINUTE: Final = 60  # Callbacks of fifty jobs; a flood of forged ones costs Redis one write a second.


class Quarantine:
    """Keeps at most ``A_MINUTE`` in this process, whatever comes; `Inbox.hold` limits how many stay."""

    def __init__(self, inbox: Inbox, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._inbox = inbox
        self._clock = clock
        self._times: deque[float] = deque(maxlen=A_MINUTE)

    async def hold(self, callback: Callback, *, within_s: float) -> bool:
        """
        Keep *callback*; False if so many came that this one was not kept.

        Raises: StoreUnavailable, also if it takes longer than *within_s*.
        """
        now = self._clock()
        if len(self._times) == A_MINUTE and now - self._times[0] < 60:
            return False
        self._times.append(now)
        try:
            async with asyncio.timeout(within_s):
                await self._inbox.hold(callback)
        except TimeoutError:
            raise StoreUnavailable("Redis does not answer in time") from None
        return True
