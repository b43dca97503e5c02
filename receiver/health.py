"""``/livez``: the process runs · ``/readyz``: it can keep what it is given."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from receiver.state import state_of


async def live(_: Request) -> Response:
    """200 as long as the process can answer."""
    return JSONResponse({"status": "ok"})


async def ready(request: Request) -> Response:
    """200 if Redis answers; 503 with ``Retry-After`` otherwise (by way of `StoreUnavailable`)."""
    await state_of(request).store.ping()
    return JSONResponse({"status": "ok"})
