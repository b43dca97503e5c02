"""What the answer to a look-up means: a job, no such job, or a refusal. Pure functions."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

import msgspec
from msgspec.structs import replace as replace_struct

from framerelay.runs.errors import FrameRelayError, UpstreamAnswerUnreadable, UpstreamRejected
from framerelay.upstream.answers import read_object, refusal_within
from framerelay.upstream.create_answer import ApiAnswer
from framerelay.upstream.job import JobReport
from framerelay.upstream.paths import read_path
from framerelay.upstream.profile import Profile
from framerelay.upstream.profile_words import Text
from framerelay.upstream.reading import read_answer, record_in
from framerelay.upstream.refusals import error_of, is_ok, means, refusal_by, refusal_inside
from framerelay.upstream.wire import JobState
from framerelay.upstream.words import cut

_OURS: Final = "framerelay found this"
"""Where the one record with our reference is stored, out of a list: a key that no provider uses."""


def read_job_answer(profile: Profile, answer: ApiAnswer, *, root: str) -> JobReport:
    """
    What the provider says about the job that was asked about.

    Raises: UpstreamUnavailable, UpstreamRateLimited, UpstreamRejected (404: no such job, or no longer), even if only
    the body says so; UpstreamAnswerUnreadable.
    """
    if not answer.is_success:
        error = refusal_by(profile, answer.status, answer.headers, answer.content, answer.document())
        raise _as_absent(profile, error)
    document = read_object(answer.content)
    if profile.read is None:
        return _leniently(profile, answer, document, root)
    return _by_profile(profile, answer, document, root)


def read_found_job(profile: Profile, answer: ApiAnswer, take: str, *, root: str) -> JobReport:
    """
    What the provider says about the job that has our reference *take*, which is searched for.

    Raises: as `read_job_answer`; a job that does not show the reference does not count.
    """
    reference = profile.recover.reference
    place = (reference.record if reference != "none" else None) or profile.get.record
    document = answer.document() or {}
    value = document if place is None else read_path(place).find(document, document)
    records = value if isinstance(value, list) else [value]
    ours = next((one for one in records if _shows(profile, one, take)), None)
    if answer.is_success and ours is None:
        raise _by_refusal(profile, answer, document) or UpstreamRejected("the provider has no such job", status=404)
    alone = replace_struct(profile, get=replace_struct(profile.get, record=_OURS))
    content = answer.content if ours is None else msgspec.json.encode({**document, _OURS: ours})
    return read_job_answer(alone, replace(answer, content=content), root=root)


def _by_refusal(profile: Profile, answer: ApiAnswer, document: Mapping[str, object]) -> FrameRelayError | None:
    return None if is_ok(_ok_if(profile), document) else refusal_inside(profile, answer.headers, document)


def _shows(profile: Profile, record: object, take: str) -> bool:
    """Whether *record* has our reference: where the profile says, or else as any of its values."""
    place = profile.read.facts.get("reference") if profile.read else None
    if place is not None:
        return read_path(place).find(record, record) == take
    return isinstance(record, Mapping) and take in _texts(record)


def _texts(value: object) -> Iterator[str]:
    """Every text in *value*, however deep. A loop, so that depth costs no stack."""
    rest = [value]
    while rest:
        one = rest.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, Mapping):
            rest += one.values()
        elif isinstance(one, list):
            rest += one


def _by_profile(profile: Profile, answer: ApiAnswer, document: Mapping[str, object], root: str) -> JobReport:
    if not is_ok(_ok_if(profile), document):
        raise _as_absent(profile, refusal_inside(profile, answer.headers, document))
    if record_in(profile, document) is None and profile.get.absent is not None:
        raise UpstreamRejected("the provider has no such job", status=404)
    report = read_answer(profile, document, root=root)
    if report.state is JobState.UNKNOWN and report.status_word is None:
        raise refusal_within(answer.headers, document) or _no_job(document)
    return report


def _ok_if(profile: Profile) -> Mapping[str, Text]:
    return profile.create.ok_if if profile.get.ok_if is None else profile.get.ok_if


def _as_absent(profile: Profile, error: FrameRelayError) -> FrameRelayError:
    """*error*, as "no such job" if that is how this provider says it."""
    if isinstance(error, UpstreamRejected) and means(profile.get.absent_if, error):
        return UpstreamRejected(error.message, status=404, upstream_code=error.upstream_code, family=error.family)
    return error


def _leniently(profile: Profile, answer: ApiAnswer, document: Mapping[str, object], root: str) -> JobReport:
    report = read_answer(profile, document, root=root)
    error = refusal_within(answer.headers, document)
    if error is not None and _says_nothing_of_a_job(report, error):
        raise error
    if report.status_word is None and not report.job_ids and report.video_url is None:
        raise _no_job(document)
    return report


def _says_nothing_of_a_job(report: JobReport, error: FrameRelayError) -> bool:
    """The word "error" may be about the job or about the question; nobody can tell which."""
    absent = isinstance(error, UpstreamRejected) and error.status == 404
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
