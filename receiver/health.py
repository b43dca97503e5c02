"""``/livez``: the process runs · ``/readyz``: it can keep what it is given."""

import asyncio
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from receiver.state import state_of
from runs.errors import StoreUnavailable

PATIENCE_S: Final = 2.0  # Whoever probes gives up soon, too.


async def live(_: Request) -> Response:
    """200 as long as the process can answer."""
    return JSONResponse({"status": "ok"})


async def ready(request: Request) -> Response:
    """200 if Redis answers in time; 503 with ``Retry-After`` otherwise (by way of `StoreUnavailable`)."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            await state_of(request).store.ping()
    except TimeoutError:
        raise StoreUnavailable("Redis does not answer in time") from None
    return JSONResponse({"status": "ok"})
