"""Reading the provider's answers: refusals, the submit's job id, and where an upload can be found. Pure functions."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import msgspec

from framerelay.runs.errors import (
    FrameRelayError,
    UpstreamAnswerUnreadable,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamUnavailable,
)
from framerelay.upstream.complaints import complaint_in
from framerelay.upstream.families import Family, family_of
from framerelay.upstream.lenient_json import decode_leniently
from framerelay.upstream.links import join_address, read_address
from framerelay.upstream.paths import LIST
from framerelay.upstream.words import CODE_CHARACTERS_MAX, cut

RETRY_AFTER_S_MAX = 24 * 3600.0
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def refusal(status: int, headers: Mapping[str, str], body: bytes) -> FrameRelayError:
    """
    The error that an answer outside 2xx means for a call that may be repeated.

    UpstreamRateLimited if waiting helps (429, or a code that says so), but UpstreamRejected for a used-up quota, which
    also comes as 429; UpstreamUnavailable for 408, 425 and 5xx; UpstreamRejected for the rest, including 501 (no such
    endpoint) and redirects.
    """
    code, words = code_and_message(body)
    return _as_error(status, code, words, headers, message=_sentence(status, code, words, headers))


def refusal_within(headers: Mapping[str, str], document: Mapping[str, object]) -> FrameRelayError | None:
    """
    The error that a 2xx answer means because its body says no; None if that is not certain.

    Like `refusal`, by the code in the body if that is an HTTP status. UpstreamRejected with status 404 says that there
    is no such job. Never raised if the answer names a job's id: a job that was accepted is one, whatever else is said.
    """
    complaint, status = complaint_in(document), status_within(document)
    if complaint is None or status is None:
        return None
    words = ": ".join(filter(None, (complaint.code, complaint.message))) or "it gives no reason"
    message = f"HTTP 200 with an error inside: {words}{request_of(headers)}"
    return _as_error(status, complaint.code, complaint.message, headers, message=message)


def status_within(document: Mapping[str, object]) -> int | None:
    """
    The HTTP status that a refusing body deserves, whatever it came with; None if the body is no refusal.

    404 for "no such job"; the code in the body, if that is a status; 500 for trouble of the provider's own, 503 if it
    says to come again; otherwise 200, since nothing is known but the words.
    """
    complaint = complaint_in(document)
    if complaint is None:
        return None
    if complaint.means_absent or complaint.status is not None:
        return 404 if complaint.means_absent else complaint.status
    match family_of(complaint.code, complaint.message):
        case Family.RATE:
            return 429
        case Family.SERVER:
            return 503 if "unavailable" in f"{complaint.code} {complaint.message}".lower() else 500
        case _:
            return 200


def _as_error(
    status: int, code: str | None, words: str | None, headers: Mapping[str, str], *, message: str
) -> FrameRelayError:
    family = family_of(code, words, status)
    retry_after_s = read_retry_after(headers.get("retry-after"), now=datetime.now(UTC))
    if 400 <= status <= 499 and family is Family.RATE:
        return UpstreamRateLimited(message, retry_after_s=retry_after_s, upstream_code=code)
    if status in (408, 425) or (status >= 500 and status != 501):
        return UpstreamUnavailable(message, retry_after_s=retry_after_s)
    return UpstreamRejected(message, status=status, upstream_code=code)


def says_why(body: bytes) -> bool:
    """Whether *body* is an error in JSON, of whatever form; a proxy's page is not."""
    return code_and_message(body) != (None, None)


def read_object(body: bytes) -> dict[str, object]:
    """The JSON object in an answer; a list is wrapped in one, under `paths.LIST`. Raises: UpstreamAnswerUnreadable."""
    try:
        document = _decode(body.removeprefix(BYTE_ORDER_MARK))
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise UpstreamAnswerUnreadable(f"the provider's answer is not JSON: {_begin(body)!r}") from error
    if isinstance(document, list):
        return {LIST: document}
    if not isinstance(document, dict):
        raise UpstreamAnswerUnreadable(f"the provider's answer is not a JSON object: {_begin(body)!r}")
    return document


def _decode(body: bytes) -> object:
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, ValueError):
        return decode_leniently(body)


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
    Where the uploaded file is: at the dotted *path* if given, otherwise ``url`` or ``file_url``, plain or in ``data``,
    ``file``.

    A relative URL is joined to *root*. A value that is not a URL at all only counts at a given *path*: some providers
    take ``file_<id>`` wherever a URL may be.
    Raises: UpstreamAnswerUnreadable, naming the keys that were there.
    """
    for value in _at_path(answer, path) if path else _usual_places(answer):
        if not isinstance(value, str) or not value.strip():
            continue
        if (address := read_address(value, root=root)) is not None:
            return address
        if "://" in value:
            return value.strip()
        if "/" in value and (address := join_address(value.strip(), root=root)) is not None:
            return address
        if path:
            return value.strip()
    place = f"at {path!r}" if path else "under url, file_url, data.url or file.url"
    raise UpstreamAnswerUnreadable(f"the upload was accepted, but no URL is {place}; there are: {_keys(answer)}")


def _usual_places(answer: Mapping[str, object]) -> Iterator[object]:
    for place in (answer, answer.get("data"), answer.get("file")):
        if isinstance(place, Mapping):
            yield place.get("url")
            yield place.get("file_url")


def _at_path(answer: Mapping[str, object], path: str) -> Iterator[object]:
    """The value at *path*; a number is an index into a list."""
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
    return cut(", ".join(names[:40])) or "no keys"


def code_and_message(body: bytes) -> tuple[str | None, str | None]:
    """From ``{"error": {"code", "message"}}``, or the flat forms of gateways; (None, None) for HTML."""
    try:
        document = read_object(body)
    except UpstreamAnswerUnreadable:
        return None, None
    error = document.get("error")
    place = error if isinstance(error, Mapping) else document
    code = place.get("code") or place.get("type")
    message = place.get("message") or place.get("msg") or (error if isinstance(error, str) else None)
    return (cut(str(code), CODE_CHARACTERS_MAX) if code else None), (cut(str(message)) if message else None)


def _sentence(status: int, code: str | None, words: str | None, headers: Mapping[str, str]) -> str:
    """One line for a person. The request id is what a provider's support will ask for."""
    sentence = f"HTTP {status}" + (f" {code}" if code else "") + (f": {words}" if words else "")
    if 300 <= status <= 399:
        sentence += " (a redirect, which is not followed: the key stays with the address that it was given for)"
    return sentence + request_of(headers)


def request_of(headers: Mapping[str, str]) -> str:
    """The provider's own id of the request, as the end of a message: `` [request ab12]``; empty if there is none."""
    request_id = headers.get("x-request-id")
    return f" [request {cut(request_id, CODE_CHARACTERS_MAX)}]" if request_id else ""


def _begin(body: bytes) -> str:
    return body[:80].decode("utf-8", errors="replace")
