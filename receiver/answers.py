"""The shapes of the API as HTTP; and errors, all in one place, in the envelope that the upstream's users know."""

import math
from typing import Any, Final

import structlog
from msgspec import Struct, to_builtins
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from framerelay.receiver.headers import HEADERS
from framerelay.receiver.readers import in_language
from framerelay.runs.errors import (
    Busy,
    Conflict,
    FrameRelayError,
    IdAmbiguous,
    KeyMissing,
    NotFound,
    PlanChanged,
    RequestInvalid,
    RunNotFound,
    StoryboardInvalid,
    Transient,
)

_STATUS: Final[dict[type[FrameRelayError], int]] = {
    NotFound: 404,
    RunNotFound: 404,
    Conflict: 409,
    IdAmbiguous: 409,
    PlanChanged: 409,
    RequestInvalid: 422,
    KeyMissing: 422,
    StoryboardInvalid: 422,
}
_CODES: Final = {
    400: "cut_off",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "encoded",
    429: "too_many",
}

NO_SUCH_ADDRESS: Final = "there is no such address"

log = structlog.get_logger()


def shape_answer(shape: Struct, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """*shape*, one of `api.shapes`, as JSON."""
    return JSONResponse(in_language(to_builtins(shape)), status_code=status, headers=headers)


def error_answer(
    status: int,
    code: str,
    message: str,
    *,
    param: str | None = None,
    headers: dict[str, str] | None = None,
    **more: Any,
) -> Response:
    """``{"error": {"code", "message", "param", …}}`` with that status."""
    error = {"code": code, "message": message, "param": param, **more}
    return JSONResponse(in_language({"error": error}), status_code=status, headers=headers)


async def answer_known_error(_: Request, error: Exception) -> Response:
    """The answer to any `FrameRelayError`."""
    if not isinstance(error, FrameRelayError):
        raise error
    if isinstance(error, Busy):
        return try_later(error)
    if isinstance(error, Transient):
        log.error("request_failed", code=error.code, reason=error.message)
        return try_later(error)
    status = _STATUS.get(type(error), 500)
    if status >= 500:
        log.error("request_failed", code=error.code, reason=error.message)
    if isinstance(error, StoryboardInvalid):
        mistakes = [{"place": each.place, "line": each.line, "message": each.message} for each in error.mistakes]
        return error_answer(status, error.code, error.message, param=error.mistakes[0].place, mistakes=mistakes)
    if isinstance(error, IdAmbiguous):
        return error_answer(status, error.code, error.message, candidates=list(error.candidates))
    param = error.param if isinstance(error, RequestInvalid) else None
    return error_answer(status, error.code, error.message, param=param)


def try_later(error: Transient) -> Response:
    """503: nothing was kept, and the same request may succeed soon."""
    headers = {"Retry-After": str(math.ceil(error.retry_after_s or 2))}
    return error_answer(503, error.code, error.message, headers=headers)


async def answer_refusal(request: Request, error: Exception) -> Response:
    """The answer to Starlette's own errors: no such route, wrong method, no key, and refusals of `read_body`."""
    if not isinstance(error, HTTPException):
        raise error
    headers = dict(error.headers) if error.headers else None
    # One sentence for every 404: it must not distinguish a wrong callback address from a path without a route.
    words = NO_SUCH_ADDRESS if error.status_code == 404 else error.detail
    if error.status_code == 405 and headers is not None:
        words = f"{request.method} is not possible at this address; possible here: {headers.get('Allow', 'nothing')}"
    return error_answer(error.status_code, code_of(error), words, headers=headers)


def code_of(error: HTTPException) -> str:
    """The stable code for an HTTP status."""
    return _CODES.get(error.status_code, "refused")


async def answer_unknown_error(_: Request, error: Exception) -> Response:
    """The answer to any unforeseen error."""
    return internal_error(error)


def internal_error(error: BaseException) -> Response:
    """500: the log has the details, the client does not."""
    log.error("request_surprised", exc_info=error)
    words = "something unexpected went wrong; the log of the receiver has the details"
    return error_answer(500, "internal", words, headers=HEADERS)  # This answer passes through no middleware.
