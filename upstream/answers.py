"""Reading the provider's answers: refusals, the submit's job id, and where an upload can be found. Pure."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urljoin

import msgspec

from runs.errors import (
    FrameRelayError,
    UpstreamAnswerUnreadable,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamUnavailable,
)
from upstream.families import Family, family_of

RETRY_AFTER_S_MAX = 24 * 3600.0
MESSAGE_CHARACTERS_MAX = 500


def refusal(status: int, headers: Mapping[str, str], body: bytes) -> FrameRelayError:
    """
    The error that an answer outside 2xx means to a call that may be repeated.

    UpstreamRateLimited where waiting helps (429, or a code that says so), but UpstreamRejected for a used-up quota,
    which also comes as 429; UpstreamUnavailable for 408, 425 and 5xx; UpstreamRejected for the rest, 501 (no such
    endpoint) and redirects included.
    """
    code, said = _code_and_message(body)
    family = family_of(code, said, status)
    message = _sentence(status, code, said, headers)
    retry_after_s = read_retry_after(headers.get("retry-after"), now=datetime.now(UTC))
    if 400 <= status <= 499 and family is Family.RATE:
        return UpstreamRateLimited(message, retry_after_s=retry_after_s)
    if status in (408, 425) or (status >= 500 and status != 501):
        return UpstreamUnavailable(message, retry_after_s=retry_after_s)
    return UpstreamRejected(message, status=status, upstream_code=code)


def read_object(body: bytes) -> dict[str, object]:
    """The JSON object in an answer. Raises: UpstreamAnswerUnreadable."""
    try:
        document = msgspec.json.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise UpstreamAnswerUnreadable(f"The provider's answer is not JSON: {_begin(body)!r}") from error
    if not isinstance(document, dict):
        raise UpstreamAnswerUnreadable(f"The provider's answer is not a JSON object: {_begin(body)!r}")
    return document


def read_retry_after(value: str | None, *, now: datetime) -> float | None:
    """Seconds to wait, from whole seconds or an HTTP date; never negative, at most a day; None if not understood."""
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), RETRY_AFTER_S_MAX)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:  # "-0000" means UTC without a place.
        moment = moment.replace(tzinfo=UTC)
    return min(max((moment - now).total_seconds(), 0.0), RETRY_AFTER_S_MAX)


def find_upload_url(answer: Mapping[str, object], *, root: str, path: str | None) -> str:
    """
    Where the uploaded file is: at the dotted *path* if given, else ``url`` or ``file_url``, plain or in ``data``,
    ``file``.

    A relative URL is joined to *root*. A value that is no URL at all counts only at a given *path*: some providers
    take ``file_<id>`` wherever a URL may stand.
    Raises: UpstreamAnswerUnreadable, naming the keys that were there.
    """
    for value in _at_path(answer, path) if path else _usual_places(answer):
        if not isinstance(value, str) or not value.strip():
            continue
        if "://" in value:
            return value.strip()
        if "/" in value:
            return urljoin(root + "/", value.strip())
        if path:
            return value.strip()
    looked = f"at {path!r}" if path else "under url, file_url, data.url or file.url"
    raise UpstreamAnswerUnreadable(f"The upload was accepted, but no URL is {looked}; there are: {_keys(answer)}.")


def _usual_places(answer: Mapping[str, object]) -> Iterator[object]:
    for place in (answer, answer.get("data"), answer.get("file")):
        if isinstance(place, Mapping):
            yield place.get("url")
            yield place.get("file_url")


def _at_path(answer: Mapping[str, object], path: str) -> Iterator[object]:
    """The value at *path*; a number steps into a list."""
    value: object = answer
    for step in path.split("."):
        if isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(value, list) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            return
    yield value


def _keys(answer: Mapping[str, object]) -> str:
    """Every key with one level of nesting; never values, which may hold signed links."""
    names = [
        f"{key}.{inner}" if inner is not None else key
        for key, value in answer.items()
        for inner in (value if isinstance(value, Mapping) and value else (None,))
    ]
    return ", ".join(names[:40]) or "no keys"


def _code_and_message(body: bytes) -> tuple[str | None, str | None]:
    """From ``{"error": {"code", "message"}}``, or the flat forms of gateways; (None, None) for HTML."""
    try:
        document = read_object(body)
    except UpstreamAnswerUnreadable:
        return None, None
    error = document.get("error")
    place = error if isinstance(error, Mapping) else document
    code = place.get("code") or place.get("type")
    message = place.get("message") or place.get("msg") or (error if isinstance(error, str) else None)
    return (str(code) if code else None), (str(message)[:MESSAGE_CHARACTERS_MAX] if message else None)


def _sentence(status: int, code: str | None, said: str | None, headers: Mapping[str, str]) -> str:
    """One line for a person. The request id is what a provider's support asks for."""
    sentence = f"HTTP {status}" + (f" {code}" if code else "") + (f": {said}" if said else "")
    if 300 <= status <= 399:
        sentence += " (a redirect, which is not followed: the key stays with the address that it was given for)"
    request_id = headers.get("x-request-id")
    return f"{sentence} [request {request_id[:100]}]" if request_id else sentence


def _begin(body: bytes) -> str:
    return body[:80].decode("utf-8", errors="replace")
