"""Callbacks at addresses that we did not issue: refused, and a few of them kept so that a person can see why."""

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from starlette.requests import ClientDisconnect, Request

from framerelay.runs.errors import StoreUnavailable
from framerelay.store.inbox import Callback, Inbox

A_MINUTE: Final = 10  # Enough to find a wrong secret or address; a flood costs Redis one write in six seconds.
BODY_BYTES_MAX: Final = 4096
BODY_WITHIN_S: Final = 0.3
REASON: Final = "no such address: it was altered, made under another FRAMERELAY_SECRET, or its job ended long ago"


class Strangers:
    """Takes samples, at most ``A_MINUTE`` in this process whatever comes; `Inbox.refuse` limits how many stay."""

    def __init__(self, inbox: Inbox, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._inbox = inbox
        self._clock = clock
        self._times: deque[float] = deque(maxlen=A_MINUTE)

    async def sample(self, request: Request) -> Callback | None:
        """The beginning of a refused callback, if this one is to be kept; most are not read at all."""
        now = self._clock()
        if len(self._times) == A_MINUTE and now - self._times[0] < 60:
            return None
        self._times.append(now)
        body = await _beginning(request)
        name = f"cb_{secrets.token_hex(10)}"
        return Callback(id=name, received_at=time.time(), outcome="refused", body=body, reason=REASON)

    async def keep(self, callback: Callback) -> None:
        """Called after the answer; without Redis the sample is lost, which does no harm."""
        with suppress(StoreUnavailable):
            await self._inbox.refuse(callback)


async def _beginning(request: Request) -> bytes:
    body = bytearray()
    with suppress(TimeoutError, ClientDisconnect):
        async with asyncio.timeout(BODY_WITHIN_S):
            async for chunk in request.stream():
                body += chunk[:BODY_BYTES_MAX]
                if len(body) >= BODY_BYTES_MAX:
                    break
    return bytes(body[:BODY_BYTES_MAX])
