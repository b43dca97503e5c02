"""Waiting for an event, with a time limit."""

import asyncio


async def wait_within(event: asyncio.Event, seconds: float) -> bool:
    """Whether *event* is set by then; returns as soon as it is. *seconds* may be zero or less: others run first."""
    try:
        async with asyncio.timeout(max(seconds, 0.001)):
            return await event.wait()
    except TimeoutError:
        return event.is_set()
