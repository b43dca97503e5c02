"""The end of a file, fetched before the rest because somebody wants to read there first."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import httpx

from framerelay.runs.errors import FrameRelayError

AHEAD_BYTES = 128 * 1024
"""A second request is not worth it for what the first one delivers in a round trip (20 ms at 50 Mbit/s)."""
REQUESTS_MAX = 4
"""Two are usual, the index and the last keyframe; a compromised decoder may request anything."""

FetchRange = Callable[[int, int], AsyncIterator[tuple[int, bytes]]]
"""(first, end) of a part → its bytes with their positions, as they arrive."""


class Tail:
    """
    Which part of a file's end is there already: all of it from `begins` on, and from `edge` on it is there or on its
    way.

    Each request for a position before `begins` ends there. One that fails is the last: the first request then delivers
    what is missing.
    """

    def __init__(self, fetch: FetchRange, store: Callable[[int, bytes], object]) -> None:
        self._fetch, self._store = fetch, store
        self._task: asyncio.Task[None] | None = None
        self.is_idle = asyncio.Event()
        """Not set while bytes of the tail are arriving: the first request should leave the line to them."""
        self.forget()

    def forget(self) -> None:
        """The file starts over."""
        if self._task:
            self._task.cancel()
        self.begins: int | None = None
        self.edge: int | None = None
        self._request_at: int | None = None
        self._requests = 0
        self.is_idle.set()

    def request(self, at: int, *, received_bytes: int, total: int) -> None:
        """Somebody waits for the byte *at* of a file of which the first *received_bytes* of *total* have arrived."""
        is_near = at < received_bytes + AHEAD_BYTES
        if is_near or at >= (total if self.edge is None else self.edge) or self._requests == REQUESTS_MAX:
            return
        self._requests += 1
        self._request_at = at
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._grow(total))

    async def settle(self) -> None:
        """Wait until nothing more is on its way."""
        if self._task:
            with suppress(asyncio.CancelledError):
                await asyncio.shield(self._task)

    async def close(self) -> None:
        """Stop."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _grow(self, total: int) -> None:
        """Fetch what is requested until there are no more requests."""
        try:
            while self._request_at is not None:
                first, end, self._request_at = self._request_at, self.begins or total, None
                if first >= end:
                    continue
                self.edge = first
                async for at, data in self._fetch(first, end):
                    self.is_idle.clear()
                    self._store(at, data)
                self.begins = first
                self.is_idle.set()
        except (httpx.HTTPError, FrameRelayError, TimeoutError):
            self._requests = REQUESTS_MAX
        finally:
            self.edge = self.begins
            self.is_idle.set()
