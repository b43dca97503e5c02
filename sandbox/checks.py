"""
What the sandbox refuses, and with which words.

Source: the jobs API's page for fields and types; Ark's create page (2026-02) for values and combinations, unless the
jobs API's own samples say otherwise (it shows ``service_tier: auto`` and ``execution_expires_after: 600``).
"""

from typing import Final

import msgspec
from msgspec import UNSET

from framerelay.sandbox.refusals import Objection, Refusal, complaint_of
from framerelay.upstream.wire import CreateRequest, ErrorBody, ErrorEnvelope, JobInput

_WORDS: Final[dict[Objection, tuple[int, str, str]]] = {
    Objection.KEY: (401, "AuthenticationError", "Unauthorized"),
    Objection.MISSING: (400, "MissingParameter", "BadRequest"),
    Objection.WRONG: (400, "InvalidParameter", "BadRequest"),
    Objection.MODEL: (404, "InvalidEndpointOrModel.NotFound", "NotFound"),
    Objection.ABSENT: (404, "NotFound", "NotFound"),
    Objection.TOO_LARGE: (413, "InvalidParameter", "BadRequest"),
    Objection.NO_LENGTH: (411, "MissingParameter", "BadRequest"),
    Objection.RATE: (429, "RateLimitExceeded.EndpointRPMExceeded", "TooManyRequests"),
    Objection.FULL: (429, "RateLimitExceeded.EndpointRPMExceeded", "TooManyRequests"),
    Objection.BUSY: (503, "ServiceUnavailable", "ServiceUnavailable"),
    Objection.INTERNAL: (500, "InternalServiceError", "InternalError"),
}


def refusal_of(trouble: Objection, message: str, param: str) -> Refusal:
    """The refusal in Ark's words."""
    status, code, kind = _WORDS[trouble]
    return envelope(status, code, message, param=param, kind=kind)


def envelope(status: int, code: str, message: str, *, param: str = "", kind: str = "BadRequest") -> Refusal:
    """A refusal in the envelope that every error has; a 429 says when to come back."""
    body = ErrorEnvelope(error=ErrorBody(code=code, message=message, param=param, type=kind))
    return Refusal(status, body, {"Retry-After": "1"} if status == 429 else None)


SECONDS_MAX: Final = 15
FRAMES_MAX: Final = 24 * SECONDS_MAX + 1


def read_create(body: bytes) -> CreateRequest:
    """The request in *body*. Raises: Refusal, naming the first field that is missing, unknown, or wrong."""
    try:
        request = msgspec.json.decode(body, type=CreateRequest)
    except msgspec.ValidationError as error:
        trouble, message, field = complaint_of(error)
        raise refusal_of(trouble, message, field) from None
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise envelope(400, "InvalidParameter", f"The body is not JSON: {error}") from None
    if not request.model.strip():
        raise envelope(400, "MissingParameter", "The model is missing.", param="model")
    _check_values(request.input)
    _check_pictures(request.input)
    _check_draft(request.input)
    return request


def _check_values(job_input: JobInput) -> None:
    """
    What no provider could carry out. The page gives types and no ranges, and Ark's own rules are stricter than the
    page's sample, which has to be accepted as it is.
    """
    if not job_input.prompt.strip():
        raise _wrong("prompt", "must not be empty", code="MissingParameter")
    if job_input.duration is not UNSET and job_input.duration != -1 and not 0 < job_input.duration <= SECONDS_MAX:
        raise _wrong("duration", f"must be at most {SECONDS_MAX} seconds, or -1")
    if job_input.frames is not UNSET and not 1 <= job_input.frames <= FRAMES_MAX:
        raise _wrong("frames", f"must lie between 1 and {FRAMES_MAX}")
    if job_input.seed is not UNSET and not -1 <= job_input.seed <= 2**32 - 1:
        raise _wrong("seed", "must lie between -1 and 4294967295")
    if job_input.execution_expires_after is not UNSET and not 1 <= job_input.execution_expires_after <= 259_200:
        raise _wrong("execution_expires_after", "must lie between 1 and 259200")
    if job_input.callback_url is not UNSET and not job_input.callback_url.startswith(("http://", "https://")):
        raise _wrong("callback_url", "must be an http(s) address")


def _check_pictures(job_input: JobInput) -> None:
    for name in ("first_frame_url", "last_frame_url"):
        url = getattr(job_input, name)
        if url is not UNSET and not url:
            raise _wrong(name, "is empty", code="InvalidImageURL.EmptyURL")
        if url is not UNSET and not url.startswith(("http://", "https://", "data:image/")):
            raise _wrong(
                name, "must be an http(s) address or data:image/…;base64", code="InvalidImageURL.InvalidFormat"
            )
    if job_input.last_frame_url is not UNSET and job_input.first_frame_url is UNSET:
        raise _wrong("last_frame_url", "needs first_frame_url")


def _check_draft(job_input: JobInput) -> None:
    if job_input.draft is True and job_input.return_last_frame is True:
        raise _wrong("return_last_frame", "is not available for a draft")


def _wrong(name: str, why: str, *, code: str = "InvalidParameter") -> Refusal:
    return envelope(400, code, f"The parameter `input.{name}` {why}.", param=f"input.{name}")
