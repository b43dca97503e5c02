"""
What the sandbox refuses, and in which words.

Source: the jobs API's page for fields and types; Ark's create page (2026-02) for values and combinations, where the
jobs API's own samples do not say otherwise (it shows ``service_tier: auto`` and ``execution_expires_after: 600``).
"""

import msgspec
from msgspec import UNSET

from upstream.wire import CreateRequest, ErrorBody, ErrorEnvelope, JobInput


class Refused(Exception):
    """The request is answered with *status* and the error envelope."""

    def __init__(self, status: int, code: str, message: str, *, param: str = "", kind: str = "BadRequest") -> None:
        super().__init__(message)
        self.status = status
        self.envelope = ErrorEnvelope(error=ErrorBody(code=code, message=message, param=param, type=kind))


def read_create(body: bytes) -> CreateRequest:
    """The request in *body*. Raises: Refused, naming the first field that is missing, unknown, or wrong."""
    try:
        request = msgspec.json.decode(body, type=CreateRequest)
    except msgspec.ValidationError as error:
        raise _refused(str(error)) from None
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise Refused(400, "InvalidParameter", f"The body is not JSON: {error}") from None
    _check_model(request.model)
    _check_values(request.input)
    _check_pictures(request.input)
    _check_draft(request.input)
    return request


def _refused(reason: str) -> Refused:
    """msgspec says "Object contains unknown field `x` - at `$.input`"; the envelope wants the field by itself."""
    said, _, place = reason.partition(" - at `$")
    path = place.rstrip("`").lstrip(".")
    named = said.rsplit("`", 2)[-2] if "field `" in said else ""
    param = ".".join(part for part in (path, named) if part)
    code = "MissingParameter" if "missing required field" in said else "InvalidParameter"
    return Refused(400, code, f"{said}.", param=param)


def _check_model(model: str) -> None:
    if not model.strip():
        raise Refused(400, "MissingParameter", "The model is missing.", param="model")
    if "seedance" not in model.lower():
        message = f"The model {model[:80]!r} does not exist or you do not have access to it."
        raise Refused(404, "InvalidEndpointOrModel.NotFound", message, param="model", kind="NotFound")


def _check_values(given: JobInput) -> None:
    if not given.prompt.strip():
        raise _wrong("prompt", "must not be empty", code="MissingParameter")
    if given.duration is not UNSET and (given.duration != int(given.duration) or int(given.duration) not in _SECONDS):
        raise _wrong("duration", "must be a whole number from 4 to 12, or -1")
    if given.frames is not UNSET and given.frames not in range(29, 290, 4):
        raise _wrong("frames", "must be 25 + 4 n, from 29 to 289")
    if given.seed is not UNSET and not -1 <= given.seed <= 2**32 - 1:
        raise _wrong("seed", "must lie between -1 and 4294967295")
    if given.execution_expires_after is not UNSET and not 60 <= given.execution_expires_after <= 259_200:
        raise _wrong("execution_expires_after", "must lie between 60 and 259200")
    if UNSET not in (given.ratio, given.aspect_ratio) and given.ratio != given.aspect_ratio:
        raise _wrong("aspect_ratio", "differs from ratio")
    if given.callback_url is not UNSET and not given.callback_url.startswith(("http://", "https://")):
        raise _wrong("callback_url", "must be an http(s) address")


_SECONDS = (-1, *range(4, 13))


def _check_pictures(given: JobInput) -> None:
    """First frame, first and last frame, and references are three ways that cannot be mixed."""
    for name in ("first_frame_url", "last_frame_url"):
        url = getattr(given, name)
        if url is not UNSET and not url:
            raise _wrong(name, "is empty", code="InvalidImageURL.EmptyURL")
        if url is not UNSET and not url.startswith(("http://", "https://", "data:image/")):
            raise _wrong(
                name, "must be an http(s) address or data:image/…;base64", code="InvalidImageURL.InvalidFormat"
            )
    if given.last_frame_url is not UNSET and given.first_frame_url is UNSET:
        raise _wrong("last_frame_url", "needs first_frame_url")
    references = (given.reference_image_urls or UNSET, given.reference_video_urls or UNSET)
    if given.first_frame_url is not UNSET and any(urls is not UNSET for urls in references):
        raise _wrong("first_frame_url", "cannot be combined with references")


def _check_draft(given: JobInput) -> None:
    if given.draft is not True:
        return
    if given.resolution not in (UNSET, "480p"):
        raise _wrong("resolution", "must be 480p for a draft")
    if given.return_last_frame is True:
        raise _wrong("return_last_frame", "is not available for a draft")
    if given.service_tier == "flex":
        raise _wrong("service_tier", "must not be flex for a draft")


def _wrong(name: str, why: str, *, code: str = "InvalidParameter") -> Refused:
    return Refused(400, code, f"The parameter `input.{name}` {why}.", param=f"input.{name}")
