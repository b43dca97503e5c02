"""What went wrong, by a profile: the provider's code and words where it puts them, and the family its rules give."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Final

from framerelay.runs.errors import FrameRelayError, UpstreamRateLimited, UpstreamRejected, UpstreamUnavailable
from framerelay.runs.model import Family
from framerelay.upstream.answers import code_and_message, read_retry_after, refusal, request_of
from framerelay.upstream.complaints import complaint_in
from framerelay.upstream.families import family_of
from framerelay.upstream.job import JobError
from framerelay.upstream.paths import read_path
from framerelay.upstream.profile import Already, ErrorPaths, ErrorRule, Profile
from framerelay.upstream.profile_words import Codes
from framerelay.upstream.values import sentence_of, word_of

_FINE: Final = frozenset(("0", "ok", "success", "succeed"))
_IN_WORDS: Final = re.compile(r"\s+")


def error_of(
    profile: Profile, record: object, body: object, *, paths: ErrorPaths | None, status: int | None
) -> JobError:
    """Why a job failed, or a request was refused: *record* is the job's part of *body*, *status* the HTTP status."""
    paths = paths or ErrorPaths()
    code = _unless_fine(word_of(_at(paths.code, record, body)))
    message = _unless_fine(sentence_of(_at(paths.message, record, body)))
    where = word_of(_at(paths.where, record, body))
    family = family_by(profile, code, message, where, status) or family_of(code, message, status)
    return JobError(code=code, message=message, family=family)


def _unless_fine(text: str | None) -> str | None:
    """*text*, unless it is what an envelope says when all is well: that is no reason for the job's failure."""
    return None if text is None or text.lower() in _FINE else text


def family_by(
    profile: Profile, code: str | None, message: str | None, where: str | None, status: int | None
) -> Family | None:
    """The family given by the first matching rule of *profile*; None if no rule matches."""
    for rule in profile.errors:
        if _fits(rule, code, message, where, status):
            return Family(rule.family)
    return None


def refusal_by(
    profile: Profile, status: int, headers: Mapping[str, str], body: bytes, document: object
) -> FrameRelayError:
    """The error that an answer outside 2xx means if the call may be repeated; *document*: its body, if it is JSON."""
    error = refusal_error(profile, document, status, code_and_message(body))
    plain = _in_words(refusal(status, headers, body), error.message)
    family = family_by(profile, error.code, error.message, _where(profile, document), status)
    if family is Family.RATE and 400 <= status <= 499:
        retry_after_s = read_retry_after(headers.get("retry-after"), now=datetime.now(UTC))
        return UpstreamRateLimited(plain.message, retry_after_s=retry_after_s, upstream_code=error.code)
    if family is None or isinstance(plain, UpstreamUnavailable):
        return plain
    return UpstreamRejected(plain.message, status=status, upstream_code=error.code, family=family)


def _in_words(plain: FrameRelayError, words: str | None) -> FrameRelayError:
    """*plain* with the *words* whose place only the profile knows."""
    if words is None or words in plain.message:
        return plain
    message = f"{plain.message}: {words}"
    match plain:
        case UpstreamRejected():
            return UpstreamRejected(
                message, status=plain.status, upstream_code=plain.upstream_code, family=plain.family
            )
        case UpstreamUnavailable() | UpstreamRateLimited():
            return type(plain)(message, retry_after_s=plain.retry_after_s)
        case _:
            return plain


def refusal_inside(
    profile: Profile, headers: Mapping[str, str], document: Mapping[str, object]
) -> UpstreamRejected | UpstreamRateLimited:
    """The refusal in a 2xx answer whose ``ok_if`` does not hold."""
    complaint = complaint_in(document)
    usual = (complaint.code, complaint.message) if complaint else (None, None)
    code = _business_code(profile, document)
    error = refusal_error(profile, document, _as_status(code) or 200, (code or usual[0], usual[1]), code=code)
    reason = ": ".join(filter(None, (error.code, error.message))) or "it gives no reason"
    message = f"HTTP 200 with an error inside: {reason}{request_of(headers)}"
    if error.family is Family.RATE:
        retry_after_s = read_retry_after(headers.get("retry-after"), now=datetime.now(UTC))
        return UpstreamRateLimited(message, retry_after_s=retry_after_s, upstream_code=error.code)
    return UpstreamRejected(message, status=200, upstream_code=error.code, family=error.family)


def is_ok(ok_if: Mapping[str, object], document: object) -> bool:
    """Whether nothing in *document* contradicts *ok_if*: a missing value contradicts nothing."""
    for path, word in ok_if.items():
        value = read_path(path).find(document, document)
        if value is not None and _plain(value) != _plain(word):
            return False
    return True


def means(already: Already | None, error: JobError | UpstreamRejected) -> bool:
    """Whether *error* is the one that *already* describes."""
    if already is None:
        return False
    code = error.upstream_code if isinstance(error, UpstreamRejected) else error.code
    return _matches(already.code, code) and _matches(already.says, error.message)


def names(codes: Codes | None, code: str | None) -> bool:
    """Whether *code* is one of *codes*."""
    return codes is not None and _matches(codes, code)


def refusal_error(
    profile: Profile,
    document: object,
    status: int,
    usual: tuple[str | None, str | None],
    *,
    code: str | None = None,
) -> JobError:
    """The code and words where the profile puts them, or else where they usually are; *code* overrides both."""
    paths = profile.read.error if profile.read else None
    error = error_of(profile, document, document, paths=paths, status=status)
    code, message = code or error.code or usual[0], error.message or usual[1]
    family = family_by(profile, code, message, _where(profile, document), status) or family_of(code, message, status)
    return JobError(code=code, message=message, family=family)


def _business_code(profile: Profile, document: object) -> str | None:
    for path in profile.create.ok_if:
        if (code := word_of(read_path(path).find(document, document))) is not None:
            return code
    return None


def _where(profile: Profile, document: object) -> str | None:
    paths = profile.read.error if profile.read else None
    return word_of(_at(paths.where if paths else None, document, document))


def _at(path: str | None, record: object, body: object) -> object:
    if not path:
        return None
    return next((value for value in read_path(path).all(record, body) if isinstance(value, str | int)), None)


def _fits(rule: ErrorRule, code: str | None, message: str | None, where: str | None, status: int | None) -> bool:
    return (
        (rule.http is None or _is_status(rule.http, status))
        and _matches(rule.code, code)
        and _matches(rule.says, message)
        and _matches(rule.where, where)
    )


def _is_status(codes: Codes, status: int | None) -> bool:
    return status is not None and any(
        str(one).strip().lower() in (str(status), f"{status // 100}xx") for one in str(codes).split("|")
    )


def _matches(patterns: Codes | None, text: str | None) -> bool:
    """Whether one of *patterns* (separated by ``|``, with ``*`` in them) matches *text*, ignoring case."""
    if patterns is None:
        return True
    words = _IN_WORDS.sub(" ", (text or "").lower())
    return any(fnmatchcase(words, one.strip().lower()) for one in str(patterns).split("|"))


def _as_status(code: str | None) -> int | None:
    return int(code) if code and re.fullmatch(r"[45][0-9]{2}", code) else None


def _plain(value: object) -> str:
    return str(value).lower()
