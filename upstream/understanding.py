"""How FrameRelay reads a body, in one shape whatever kind of answer it is: for people who test a profile. Pure."""

from collections.abc import Mapping
from typing import Literal, TypedDict

from framerelay.runs.errors import (
    FrameRelayError,
    OutcomeUnknown,
    UpstreamAnswerUnreadable,
    UpstreamRateLimited,
    UpstreamRejected,
)
from framerelay.runs.model import Family
from framerelay.upstream.answers import read_object
from framerelay.upstream.create_answer import ApiAnswer, read_create_answer
from framerelay.upstream.families import family_of
from framerelay.upstream.job import JobReport
from framerelay.upstream.job_answer import read_job_answer
from framerelay.upstream.profile import Profile
from framerelay.upstream.reading import read_callback

AnswerKind = Literal["create", "get", "callback"]
GONE = (404, 410)


class UnderstoodError(TypedDict):
    """Why it failed: the provider's code and words, and the family of ``docs/troubleshooting.md``."""

    code: str | None
    message: str | None
    family: str


class Understanding(TypedDict):
    """
    What a body says about a job.

    ``state``: a job's (queued running succeeded failed expired cancelled unknown), ``absent`` for "no such job"; for a
    create accepted refused unknown_outcome. ``status_word``: the provider's own, as it came. ``duration_s`` in seconds;
    ``cost`` in the unit of the profile.
    """

    state: str
    status_word: str | None
    job_ids: list[str]
    clip_url: str | None
    last_frame_url: str | None
    seed: int | None
    duration_s: float | None
    cost: float | None
    error: UnderstoodError | None


def understand(profile: Profile, kind: AnswerKind, body: bytes, *, status: int = 200) -> Understanding:
    """What *body* says, as an answer with that HTTP *status* to a create or a look-up, or as a callback."""
    answer = ApiAnswer(status=status, headers={}, content=body)
    try:
        if kind == "create":
            submit = read_create_answer(profile, answer, refuses_by_503=True)
            return _state("accepted", job_ids=[submit.job_id, *submit.aliases])
        if kind == "get":
            return _of_report(read_job_answer(profile, answer, root=profile.base))
        return _of_report(read_callback(profile, read_object(body)))
    except FrameRelayError as error:
        state = _state_of(error, kind)
        return _state(state, error=None if state == "absent" else _error(error))


def _state_of(error: FrameRelayError, kind: AnswerKind) -> str:
    if kind == "create":
        return "unknown_outcome" if isinstance(error, OutcomeUnknown) else "refused"
    is_gone = isinstance(error, UpstreamRejected) and error.status in GONE
    return "absent" if is_gone and kind == "get" else "unknown"


def _error(error: FrameRelayError) -> UnderstoodError | None:
    if isinstance(error, UpstreamAnswerUnreadable):
        return UnderstoodError(code=None, message=error.message, family=Family.UNKNOWN.value)
    if isinstance(error, UpstreamRejected):
        family = error.family or family_of(error.upstream_code, error.message, error.status)
        return UnderstoodError(code=error.upstream_code, message=error.message, family=family.value)
    if isinstance(error, UpstreamRateLimited):
        return UnderstoodError(code=error.upstream_code, message=error.message, family=Family.RATE.value)
    return UnderstoodError(code=None, message=error.message, family=Family.SERVER.value)


def _of_report(report: JobReport) -> Understanding:
    error = report.error
    return _state(
        report.state.value,
        status_word=report.status_word,
        job_ids=list(report.job_ids),
        clip_url=report.video_url,
        last_frame_url=report.last_frame_url,
        seed=report.seed,
        duration_s=report.duration_s,
        cost=report.cost,
        error=UnderstoodError(code=error.code, message=error.message, family=error.family.value) if error else None,
    )


def _state(
    state: str,
    *,
    status_word: str | None = None,
    job_ids: list[str] | None = None,
    clip_url: str | None = None,
    last_frame_url: str | None = None,
    seed: int | None = None,
    duration_s: float | None = None,
    cost: float | None = None,
    error: UnderstoodError | None = None,
) -> Understanding:
    return Understanding(
        state=state,
        status_word=status_word,
        job_ids=job_ids or [],
        clip_url=clip_url,
        last_frame_url=last_frame_url,
        seed=seed,
        duration_s=duration_s,
        cost=cost,
        error=error,
    )


def differences(expectations: Mapping[str, object], understanding: Understanding) -> list[str]:
    """Where *understanding* does not meet *expectations*, in words; ``error.family`` and so on name nested values."""
    wrong = []
    for place, expectation in expectations.items():
        value: object = understanding
        for key in place.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        if value != expectation:
            wrong.append(f"{place}: expected {expectation!r}, read {value!r}")
    return wrong
