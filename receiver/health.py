"""``/livez``: the process runs · ``/readyz``: Redis stores what it is given."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from framerelay.receiver.state import state_of
from framerelay.runs.errors import StoreUnavailable


async def live(_: Request) -> Response:
    """200 as long as the process can answer."""
    return JSONResponse({"status": "ok"})


async def ready(request: Request) -> Response:
    """
    200 ``ok`` if Redis would keep a callback now; 503 with ``Retry-After`` and the reason if not.

    Then ``status`` says what happens to callbacks: ``degraded``, they go to the spool, or ``refused``.
    """
    report = await state_of(request).readiness.find_out()
    if report.reason is None:
        return JSONResponse({"status": report.status})
    error = {"code": StoreUnavailable.code, "message": report.reason, "param": None}
    return JSONResponse({"status": report.status, "error": error}, status_code=503, headers={"Retry-After": "2"})
