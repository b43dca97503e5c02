"""What the answer to a look-up means: a job, no such job, or a refusal. Pure."""

from collections.abc import Mapping
from dataclasses import replace

from framerelay.runs.errors import FrameRelayError, UpstreamAnswerUnreadable, UpstreamRejected
from framerelay.upstream.answers import read_object, refusal_within
from framerelay.upstream.created import ApiAnswer
from framerelay.upstream.job import JobReport
from framerelay.upstream.profile import Profile
from framerelay.upstream.reading import read_answer, record_in
from framerelay.upstream.refusals import error_of, is_ok, means, refusal_by, refusal_inside
from framerelay.upstream.wire import JobState
from framerelay.upstream.words import cut


def read_looked_up(profile: Profile, answer: ApiAnswer, *, root: str) -> JobReport:
    """
    What the provider says about the job that was asked about.

    Raises: UpstreamUnavailable, UpstreamRateLimited, UpstreamRejected (404: no such job, or no longer), also for what
    the body alone says; UpstreamAnswerUnreadable.
    """
    if not answer.is_success:
        error = refusal_by(profile, answer.status, answer.headers, answer.content, answer.document())
        raise _as_absent(profile, error)
    document = read_object(answer.content)
    if profile.read is None:
        return _leniently(profile, answer, document, root)
    return _by_profile(profile, answer, document, root)


def _by_profile(profile: Profile, answer: ApiAnswer, document: Mapping[str, object], root: str) -> JobReport:
    ok_if = profile.create.ok_if if profile.get.ok_if is None else profile.get.ok_if
    if not is_ok(ok_if, document):
        raise _as_absent(profile, refusal_inside(profile, answer.headers, document))
    if record_in(profile, document) is None and profile.get.absent is not None:
        raise UpstreamRejected("the provider has no such job", status=404)
    report = read_answer(profile, document, root=root)
    if report.state is JobState.UNKNOWN and report.status_word is None:
        raise refusal_within(answer.headers, document) or _no_job(document)
    return report


def _as_absent(profile: Profile, error: FrameRelayError) -> FrameRelayError:
    """*error*, as "no such job" where that is how this provider says it."""
    if isinstance(error, UpstreamRejected) and means(profile.get.absent_if, error):
        return UpstreamRejected(error.message, status=404, upstream_code=error.upstream_code, family=error.family)
    return error


def _leniently(profile: Profile, answer: ApiAnswer, document: Mapping[str, object], root: str) -> JobReport:
    report = read_answer(profile, document, root=root)
    refused = refusal_within(answer.headers, document)
    if refused is not None and _says_nothing_of_a_job(report, refused):
        raise refused
    if report.status_word is None and not report.job_ids and report.video_url is None:
        raise _no_job(document)
    return report


def _says_nothing_of_a_job(report: JobReport, refused: FrameRelayError) -> bool:
    """Of "error", a word for a job that has failed, none can tell if it is about the job or about the question."""
    absent = isinstance(refused, UpstreamRejected) and refused.status == 404
    if report.job_ids:
        return report.status_word is None
    return report.state is JobState.UNKNOWN or (absent and report.state is JobState.FAILED)


def _no_job(document: Mapping[str, object]) -> UpstreamAnswerUnreadable:
    keys = cut(", ".join(document)) or "none"
    return UpstreamAnswerUnreadable(f"the provider's answer describes no job; its keys: {keys}")


def failed_at_last(profile: Profile, report: JobReport, status: int, document: Mapping[str, object]) -> JobReport:
    """*report* of a job whose result is an error: it was done, and there is nothing to fetch."""
    paths = profile.read.error if profile.read else None
    error = error_of(profile, document, document, paths=paths, status=status)
    return replace(report, state=JobState.FAILED, error=error)
