"""
What an answer says went wrong, although its status says that all is well: refusals inside HTTP 200. Pure functions.

Gateways and providers answer ``{"code": 4001, "message": "…"}``, ``{"success": false, …}``, ``{"error": …}`` or
``{"base_resp": {"status_code": 1008, …}}`` like this. Anything that can be read both ways is not a complaint: a submit
that might have been accepted is never taken for refused.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from framerelay.upstream.words import CODE_CHARACTERS_MAX, cut


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """The provider's own *code* and *message*, if it gave them, cut."""

    code: str | None
    message: str | None

    @property
    def status(self) -> int | None:
        """The HTTP status that the code is, if it is one of a failure."""
        return int(self.code) if self.code and re.fullmatch(r"[45][0-9]{2}", self.code) else None

    @property
    def means_absent(self) -> bool:
        """Whether it says that there is no such job."""
        return self.status in (404, 410) or bool(_ABSENT.search(f"{self.code or ''} {self.message or ''}".lower()))


def complaint_in(document: Mapping[str, object]) -> Complaint | None:
    """What *document* complains of, or None if nothing in it certainly is a complaint."""
    places = [document, *_inner(document)]
    for place in places:
        if (complaint := _in_error(place)) is not None:
            return complaint
    message = next((text for place in places if (text := _message(place)) is not None), None)
    all_is_well = message is not None and message.lower() in _FINE_WORDS
    for place in places:
        code = _bad_code(place)
        if _is_refusal(place) or (code is not None and not all_is_well):
            return Complaint(code=code, message=None if all_is_well else message)
    if not _holds_anything(document) and message is not None and _ABSENT.search(message.lower()):
        return Complaint(code=None, message=message)
    return None


def error_in(places: list[Mapping[str, object]]) -> Complaint | None:
    """The error in one of *places* of a job, if it is not an empty form that means none."""
    return next((complaint for place in places if (complaint := _in_error(place)) is not None), None)


def might_name_a_job(document: Mapping[str, object]) -> bool:
    """Whether something in *document* may be the id of a job under a name that we do not read."""
    return any(_may_be_id(key, value) for place in (document, *_inner(document)) for key, value in place.items())


_ENVELOPES: Final = (
    *("data", "result", "output", "base_resp", "Resp", "resp", "response", "task"),
    *("Response", "ResponseMetadata"),  # Tencent Cloud and Volcengine, whose errors come with 200.
)
_CODES: Final = (
    "code",
    "err_code",
    "error_code",
    "errcode",
    "ErrCode",
    "errorCode",
    "status_code",
    "statusCode",
    "Code",
)
_MESSAGES: Final = (
    "message",
    "msg",
    "err_msg",
    "error_message",
    "errmsg",
    "ErrMsg",
    "errorMessage",
    "status_msg",
    "Message",
)
_MORE_MESSAGES: Final = ("fail_reason", "failure_reason", "failMsg", "detail", "reason", "description")
_YES: Final = ("success", "ok", "succeeded", "is_success", "isSuccess")
_FINE_WORDS: Final = frozenset(("success", "succeed", "succeeded", "successful", "ok", "成功", "操作成功", "请求成功"))
# 1 means success to one half of the world and failure to the other, so it says nothing.
_FINE_CODES: Final = re.compile(r"|0+|1|2[0-9]{2}|20000|none|null|true")
_BAD_STATUSES: Final = frozenset({"error", "failed", "failure", "fail", "rejected", "refused"})
_ABSENT: Final = re.compile(
    r"(task|job|video|record|id|generation|prediction)\w*( \S{1,80})?"
    r" ?(does ?n[o']t exist|do ?es not exist|not exist|not found|is unknown|was not found|not_found|not_exist)"
    r"|no such (task|job|video|record|id)|unknown (task|job)|任务不存在|不存在该任务|未找到(该)?任务|找不到任务"
    r"|(task|job|record|resource)_?(not_?found|not_?exists?)|^notfound\b|^not_found\b",
)
_ID: Final = re.compile(r"(?!0+\Z)[A-Za-z0-9][\w.:/-]{0,511}", re.ASCII)
_NAMES_ONE: Final = re.compile(
    r"(^|_)(id|no|uuid)$|[a-z](Id|ID|No|Uuid|UUID)$|(task|job|video|generation|prediction|operation)(id|no)$"
    r"|^(task|job|data|result)$"
)
_NO_JOB: Final = re.compile(
    r"(request|req|trace|log|user|account|session|client|error|err|span|correlation|message|msg|event|org|project)_?id"
)


def _inner(document: Mapping[str, object]) -> Iterator[Mapping[str, object]]:
    for key in _ENVELOPES:
        if isinstance(inner := document.get(key), Mapping):
            yield inner


def _in_error(place: Mapping[str, object]) -> Complaint | None:
    """From ``error`` (a mapping or a text) or the first of ``errors``, unless that is an empty form that means none."""
    errors = place.get("errors")
    for error in (place.get("error"), place.get("Error"), errors[0] if isinstance(errors, list) and errors else None):
        if isinstance(error, str) and error.strip() and error.strip().lower() not in _FINE_WORDS | {"none", "null"}:
            return Complaint(code=_bad_code(place), message=cut(error))
        if isinstance(error, Mapping):
            code, message = _bad_code(error) or _text(error.get("type")), _message(error)
            message = None if message is not None and message.lower() in _FINE_WORDS else message
            if code is not None or message is not None:
                return Complaint(code=code, message=message)
    return None


def _is_refusal(place: Mapping[str, object]) -> bool:
    no = place.get("error") is True or any(place.get(key) is False for key in _YES)
    return no or _is_bad_status(place.get("status"))


def _bad_code(place: Mapping[str, object]) -> str | None:
    """The code in *place*, unless it is one that means success."""
    code = next((code for key in _CODES if (code := _text(place.get(key))) is not None), None)
    if code is None and isinstance(place.get("status"), int) and _is_bad_status(place.get("status")):
        return _text(place.get("status"))
    return None if code is None or _is_success(code) else code


def _message(place: Mapping[str, object]) -> str | None:
    for key in (*_MESSAGES, *_MORE_MESSAGES):
        if isinstance(value := place.get(key), str) and value.strip():
            return cut(value)
    return None


def _text(value: object) -> str | None:
    if isinstance(value, str):
        return cut(value, CODE_CHARACTERS_MAX) or None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63 else None


def _is_success(code: str) -> bool:
    return code.lower() in _FINE_WORDS or _FINE_CODES.fullmatch(code.lower()) is not None


def _is_bad_status(status: object) -> bool:
    if isinstance(status, str):
        return status.strip().lower() in _BAD_STATUSES
    return isinstance(status, int) and not isinstance(status, bool) and 400 <= status <= 599


def _holds_anything(document: Mapping[str, object]) -> bool:
    return any(document.get(key) for key in ("data", "output", "content", "result", "task_result", "Resp"))


def _may_be_id(key: str, value: object) -> bool:
    if not isinstance(value, str | int) or isinstance(value, bool) or not _ID.fullmatch(str(value)):
        return False
    return _NAMES_ONE.search(key) is not None and _NO_JOB.fullmatch(key.lower()) is None
