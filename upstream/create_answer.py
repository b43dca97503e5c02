"""What the answer to a create means: accepted, clearly refused, or neither. Pure functions; money depends on it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from framerelay.config.logs import redact
from framerelay.runs.errors import FrameRelayError, OutcomeUnknown, UpstreamAnswerUnreadable, UpstreamRejected
from framerelay.runs.model import Family
from framerelay.upstream.answers import code_and_message, read_object, refusal, refusal_within, says_why, status_within
from framerelay.upstream.complaints import might_name_a_job
from framerelay.upstream.job import JOB_ID_CHARACTERS_MAX, JobError, read_job
from framerelay.upstream.order import kept_addresses
from framerelay.upstream.paths import read_path
from framerelay.upstream.profile import Profile
from framerelay.upstream.refusals import is_ok, means, names, refusal_by, refusal_error, refusal_inside
from framerelay.upstream.values import text_of, word_of
from framerelay.upstream.words import cut


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiAnswer:
    """An HTTP answer, whole: its *status*, its *headers* by their lower-case names, its *content*."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def is_success(self) -> bool:
        """Whether its status is one of 2xx."""
        return 200 <= self.status <= 299

    @property
    def is_in_own_words(self) -> bool:
        """Whether the provider itself answers: with an error in JSON, or with a time to come again."""
        return "retry-after" in self.headers or says_why(self.content)

    def document(self) -> dict[str, object] | None:
        """The JSON object in it, if it is one."""
        try:
            return read_object(self.content)
        except UpstreamAnswerUnreadable:
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitAnswer:
    """
    The provider has the job: its id, other ids in the answer, its first status word, the whole answer.

    ``addresses``: those in the answer that are used later, by their names in the profile.
    """

    job_id: str
    status_word: str | None
    raw: Mapping[str, object]
    aliases: tuple[str, ...] = ()
    addresses: Mapping[str, str] = field(default_factory=dict)


def read_create_answer(profile: Profile, answer: ApiAnswer, *, refuses_by_503: bool) -> SubmitAnswer:
    """
    The job that *answer* names.

    Raises: UpstreamRejected, UpstreamRateLimited, UpstreamUnavailable if it was clearly refused; OutcomeUnknown.
    Source: RFC 9110, 15.6.4: a 503 says that the server does not handle the request. A bare one may come from a proxy
    that has passed the request on, and so may a 408, 500, 502 and 504.
    """
    document = answer.document()
    error = _refusal(profile, answer, document)
    reason = None if error is None else _words_of(profile, answer, document, error)
    if error is not None and reason is not None and means(profile.create.already, reason):
        raise OutcomeUnknown(f"the provider has a job with this reference already: {error.message}", exists=True)
    if error is not None and reason is not None and names(profile.create.unknown, reason.code):
        raise OutcomeUnknown(f"the submit may have been accepted: {error.message}")
    if _refuses(answer.status) and (answer.status != 503 or (refuses_by_503 and answer.is_in_own_words)):
        raise error or refusal(answer.status, answer.headers, answer.content)
    if not answer.is_success:
        words = error or refusal(answer.status, answer.headers, answer.content)
        raise OutcomeUnknown(f"the submit may have been accepted: {words.message}")
    if document is None:
        raise OutcomeUnknown(f"the submit was accepted without a job id: {_unreadable(answer)}")
    return _read_success(profile, answer, document, error, refuses_by_503=refuses_by_503)


def _refusal(profile: Profile, answer: ApiAnswer, document: Mapping[str, object] | None) -> FrameRelayError | None:
    """The refusal in *answer*, according to its status or to ``ok_if``; None if it may be a job."""
    if not answer.is_success:
        return refusal_by(profile, answer.status, answer.headers, answer.content, document)
    if document is not None and not is_ok(profile.create.ok_if, document):
        return refusal_inside(profile, answer.headers, document)
    return None


def _words_of(
    profile: Profile, answer: ApiAnswer, document: Mapping[str, object] | None, error: FrameRelayError
) -> JobError:
    """The provider's own code and words in the refusal *error*, whatever its status is taken for."""
    if isinstance(error, UpstreamRejected):
        family = error.family or Family.UNKNOWN
        return JobError(code=error.upstream_code, message=error.message, family=family)
    return refusal_error(profile, document, answer.status, code_and_message(answer.content))


def _read_success(
    profile: Profile,
    answer: ApiAnswer,
    document: Mapping[str, object],
    error: FrameRelayError | None,
    *,
    refuses_by_503: bool,
) -> SubmitAnswer:
    ids, word = _ids(profile, document)
    if ids:  # A job that has an id is one, whatever else is said.
        job_id, *aliases = ids
        addresses = dict(kept_addresses(profile, document))
        return SubmitAnswer(job_id=job_id, status_word=word, raw=document, aliases=tuple(aliases), addresses=addresses)
    if isinstance(error, UpstreamRejected) and error.family is Family.SERVER:
        raise OutcomeUnknown(f"the submit may have been accepted: {error.message}")
    raise error or _without_a_job(answer, document, refuses_by_503=refuses_by_503)


def _ids(profile: Profile, document: Mapping[str, object]) -> tuple[tuple[str, ...], str | None]:
    create = profile.create
    if create.id is None:
        report = read_job(document)
        return report.job_ids, report.status_word
    paths = [path for path in (create.id, create.also_id) if path]
    texts = (text_of(value) for path in paths for value in read_path(path).all(document, document))
    ids = tuple(dict.fromkeys(one for one in texts if one is not None and len(one) <= JOB_ID_CHARACTERS_MAX))
    word = word_of(read_path(create.status).find(document, document)) if create.status else None
    return ids, redact(word)


def _without_a_job(answer: ApiAnswer, document: Mapping[str, object], *, refuses_by_503: bool) -> FrameRelayError:
    """What a 2xx answer to a submit means if it names no job: a refusal only if nothing else can be meant."""
    error, status = refusal_within(answer.headers, document), status_within(document)
    if error is None or status is None:
        excerpt = redact(cut(answer.content.decode("utf-8", errors="replace")))
        return OutcomeUnknown(f"the submit may have been accepted, and its answer holds no job id: {excerpt}")
    is_clear = status == 200 or (_refuses(status) and (status != 503 or refuses_by_503))
    if not is_clear or might_name_a_job(document):
        return OutcomeUnknown(f"the submit may have been accepted, and its answer holds no job id: {error.message}")
    return error


def _unreadable(answer: ApiAnswer) -> str:
    try:
        read_object(answer.content)
    except UpstreamAnswerUnreadable as error:
        return error.message
    return "it is not understood"


def _refuses(status: int) -> bool:
    return status == 503 or (400 <= status <= 499 and status != 408)
