"""The end of a file, fetched ahead of the rest because somebody wants to read there first."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import httpx

from framerelay.runs.errors import FrameRelayError

AHEAD_BYTES = 128 * 1024
"""A second request is not worth it for what the first one brings in a round trip (20 ms at 50 Mbit/s)."""
REQUESTS_MAX = 4
"""Two are usual, the index and the last keyframe; a decoder that was taken over may want what it likes."""

FetchRange = Callable[[int, int], AsyncIterator[tuple[int, bytes]]]
"""(first, end) of a part → the places and bytes of it, as they come."""


class Tail:
    """
    What of a file's end is there already: from `begins` on all of it, and from `edge` on it is there or coming.

    Each request before `begins` ends there. One that fails is the last: the first request then brings
    what is missing.
    """

    def __init__(self, fetch: FetchRange, store: Callable[[int, bytes], object]) -> None:
        self._fetch, self._store = fetch, store
        self._task: asyncio.Task[None] | None = None
        self.is_idle = asyncio.Event()
        """Not set while bytes of the tail are coming: the first request should leave the wire to them."""
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
        """Somebody waits for the byte *at* of a file of which the first *received_bytes* of *total* have come."""
        is_near = at < received_bytes + AHEAD_BYTES
        if is_near or at >= (total if self.edge is None else self.edge) or self._requests == REQUESTS_MAX:
            return
        self._requests += 1
        self._request_at = at
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._grow(total))

    async def settle(self) -> None:
        """Wait until nothing more is coming."""
        if self._task:
            with suppress(asyncio.CancelledError):
                await asyncio.shield(self._task)

    async def close(self) -> None:
        """Stop."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _grow(self, total: int) -> None:
        """Fetch what is asked for until nothing is."""
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
