"""Asking the provider about one take: the GET is the truth, whatever the reason for it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import structlog
from arq.worker import Retry

from framerelay.network.policy import TrustedHosts, check_in_advance
from framerelay.processors.costs import count_cost, usage_of, with_cost
from framerelay.processors.deps import Deps
from framerelay.processors.find import find
from framerelay.processors.orders import address_ends_at
from framerelay.processors.problems import problem, problem_of
from framerelay.processors.waits import retry_wait_s
from framerelay.runs import events
from framerelay.runs.errors import (
    AddressForbidden,
    FrameRelayError,
    Transient,
    UpstreamAnswerUnreadable,
    UpstreamRejected,
)
from framerelay.runs.events import Event
from framerelay.runs.model import Family, Problem, Run, Take, TakeStatus
from framerelay.runs.restoration import oldest
from framerelay.runs.standing import callbacks_missed, seems_unreachable
from framerelay.runs.takes import OPEN, is_unheard, reference
from framerelay.store.progress import record
from framerelay.upstream.job import JobReport
from framerelay.upstream.wire import JobState, read_state

ENDED = {
    JobState.FAILED: TakeStatus.FAILED,
    JobState.EXPIRED: TakeStatus.EXPIRED,
    JobState.CANCELLED: TakeStatus.CANCELLED,
}
GONE = (404, 410)
AT_WORK = frozenset({JobState.QUEUED, JobState.RUNNING})
LOOKING = OPEN - {TakeStatus.COLLECTING}
# If we took one of our jobs for somebody else's, it would be paid for twice: no time zone is further off than the first
# figure, and a job that claims to be older than the second has a wrong clock (its clip would be gone as well).
CLOCKS_APART_S = 13 * 3600.0
JOBS_KEPT_S = 30 * 86_400.0

log = structlog.get_logger()


async def look_up(
    deps: Deps,
    *,
    run_id: str,
    shot_id: str,
    take: int,
    turn: int | None = None,
    job_id: str | None = None,
    word: str | None = None,
    callback: str | None = None,
    received_at: float | None = None,
    ends_at: int | None = None,
    state: str | None = None,
    named: str | None = None,
    tries: int = 1,
) -> str:
    """
    Ask about one take and record what the provider says; returns that in a word, for the log.

    *turn*: the step that asked. A callback has none; it gives its own id, when it came, the *job_id* and the status
    *word* that it named, and when the address that it came to expires, if it does (*ends_at*). The job's id counts only
    while the take has none of its own (the callback overtook the answer to the submit, or outlived a crash). A word
    that says that a known job is still at work is no reason to ask; *state*: what it means by the provider's profile;
    *named*: our reference, if the callback names no job.
    Raises: arq.Retry if the provider cannot be asked now and the state has no later look-up of its own.
    """
    run = await deps.store.load(run_id)
    current = run.take(shot_id, take) if run else None
    planned = turn is not None
    if run is not None and current is None and job_id is not None:
        return await _adopt(deps, run, shot_id, take, job_id, tries)
    if run is None or current is None or (planned and (current.status not in LOOKING or turn != current.turns)):
        return "not_due"
    at_work = (read_state(word) if state is None else state) in AT_WORK
    has_ended = not planned and not at_work
    if job_id is not None and not at_work and _is_second(run, shot_id, current, job_id, ends_at):
        await _keep_second_job(deps, run, shot_id, current, job_id, tries)
    if current.status not in LOOKING and not is_unheard(current) and not current.is_refused:
        return await _record_late_callback(deps, run_id, shot_id, current, callback, received_at, has_ended=not at_work)
    if not planned and at_work and current.status is TakeStatus.GENERATING:
        return "no_news"
    lookup_id = current.job_id or job_id
    if lookup_id is None:
        return await _find_by_name(deps, run, shot_id, current, named)
    try:
        async with _turn(deps, run, shot_id, current, planned=planned):
            report = await _get_job(deps, run, shot_id, current, lookup_id, is_patient=planned)
    except FrameRelayError as error:
        return await _record_failure(deps, run, shot_id, current, error, tries, has_ended=has_ended)
    if current.job_id is None and _is_foreign(report, run, oldest(run, current), lookup_id):
        return "foreign_job"
    report = _without_bad_frame(deps, report)
    event = event_of(report, shot_id=shot_id, take=take, job_id=lookup_id, called_back=not planned, has_ended=has_ended)
    result = await record(deps.store, run_id, with_cost(deps, run, current, event, report, received_at))
    if result.changed:
        count_cost(result.run.take(shot_id, take), event)
        await _learn(deps, run, shot_id, current, report, received_at)
        _warn(run, result.run)
    return report.status_word or report.state.value


async def _find_by_name(deps: Deps, run: Run, shot_id: str, take: Take, name: str | None) -> str:
    """
    A callback without an id, about a take whose submit broke off: our reference in it identifies a job.

    Raises: arq.Retry once the job is known, since this callback has something to say about it.
    """
    is_findable = take.status is TakeStatus.UNSURE and take.maker is not None and take.maker.findable
    if name is None or not is_findable or name != reference(run, shot_id, take):
        return "no_job_id"
    outcome = await find(deps, run_id=run.id, shot_id=shot_id, take=take.number, turn=take.turns)
    if outcome == "found":
        raise Retry(defer=0)
    return outcome


def _is_second(run: Run, shot_id: str, take: Take, job_id: str, ends_at: int | None) -> bool:
    """
    Whether *job_id* may belong to another submit of the same take: its callback came to an address with another end.

    Somebody who learned the address of the take's own submit can name any job of the account; such a job is not looked
    up.
    """
    shot = run.shot(shot_id)
    if shot is None or ends_at in (None, address_ends_at(run, shot, take)) or not take.job_ids:
        return False
    return not any(job_id in each.job_ids for other in run.shots for each in other.takes)


async def _keep_second_job(deps: Deps, run: Run, shot_id: str, take: Take, job_id: str, tries: int) -> None:
    """
    An address of the take was called about a job that is not its own: if the job exists, it was paid for, too.

    That can happen if Redis fell back to an older copy and forgot a submit. Raises: arq.Retry if the provider cannot be
    asked now.
    """
    report = await _report_of(deps, run, shot_id, take, job_id, tries)
    if report is None:
        return
    ids = tuple(dict.fromkeys((job_id, *report.job_ids)))
    if set(ids) & set(take.job_ids) or _is_foreign(report, run, oldest(run, take), job_id):
        return  # Another id of the same job; or a job that is not ours.
    await record(deps.store, run.id, events.SecondJobFound(shot_id=shot_id, take=take.number, job_ids=ids))


async def _adopt(deps: Deps, run: Run, shot_id: str, take: int, job_id: str, tries: int) -> str:
    """A job was submitted for a take that the run does not know (any more): if the provider knows it, it is kept."""
    report = await _report_of(deps, run, shot_id, None, job_id, tries) if run.shot(shot_id) else None
    if report is None:
        return "not_due"
    if _is_foreign(report, run, run.created_at, job_id):
        return "foreign_job"
    event = events.Submitted(shot_id=shot_id, take=take, job_id=job_id, aliases=report.job_ids, word=report.status_word)
    if (await record(deps.store, run.id, event)).changed:
        log.warning("forgotten_job", job_id=job_id, advice="its submit was not on record; it was paid for, and is kept")
    return "forgotten_job"


async def _report_of(
    deps: Deps, run: Run, shot_id: str, take: Take | None, job_id: str, tries: int
) -> JobReport | None:
    """What the provider says about a job that a callback named; None if it knows none, or the answer is unreadable."""
    try:
        async with _turn(deps, run, shot_id, take, planned=False):
            return await _get_job(deps, run, shot_id, take, job_id)
    except Transient as error:
        raise Retry(defer=retry_wait_s(tries, retry_after_s=error.retry_after_s)) from error
    except FrameRelayError as error:
        log.warning("named_job_unreadable", job_id=job_id, reason=error.message)
        return None


def _is_foreign(report: JobReport, run: Run, since: float, job_id: str) -> bool:
    """Anybody with a callback address may name any job: not one of another take, nor one made before *since*."""
    ids = {job_id, *report.job_ids}
    if any(ids & set(other.job_ids) for shot in run.shots for other in shot.takes):
        return True
    age_s = since - report.created.timestamp() if report.created else 0.0
    return CLOCKS_APART_S < age_s < JOBS_KEPT_S


@asynccontextmanager
async def _turn(deps: Deps, run: Run, shot_id: str, take: Take | None, *, planned: bool) -> AsyncIterator[None]:
    """Entered when the provider may be asked. Raises: arq.Retry, to come again later."""
    name = _provider_name(deps, run, shot_id, take)
    per_minute = deps.clients.polls_per_minute(name)
    async with deps.look_up_gate.passing(name, per_minute=per_minute, planned=planned) as wait_s:
        if not wait_s:
            yield
            return
    raise Retry(defer=wait_s)


def _provider_name(deps: Deps, run: Run, shot_id: str, take: Take | None) -> str:
    """Who is asked about *take*; for a forgotten take, who makes its shot."""
    shot = run.shot(shot_id)
    if take is not None and take.maker is not None:
        return take.maker.provider
    return (run.provider_of(shot) if shot else None) or deps.clients.providers.default


async def _get_job(
    deps: Deps, run: Run, shot_id: str, take: Take | None, job_id: str, *, is_patient: bool = False
) -> JobReport:
    """
    What the provider of *take* says (for a forgotten take: that of its shot). Raises: as the client's.

    The addresses in the answer to its submit are those of its own job, and not of a second one.
    """
    shot = run.shot(shot_id)
    if take is not None and take.maker is not None:
        client, model = deps.clients.of_maker(take.maker), take.maker.model
    else:
        client, model = deps.clients.of(run.provider_of(shot) if shot else None), run.model
    is_its_own = take is not None and (job_id in take.job_ids or not take.job_ids)
    addresses = take.kept if take and is_its_own else None
    return await client.get_job(job_id, addresses=addresses, model=model, is_patient=is_patient)


async def _record_late_callback(
    deps: Deps,
    run_id: str,
    shot_id: str,
    take: Take,
    callback: str | None,
    received_at: float | None,
    *,
    has_ended: bool,
) -> str:
    """There is nothing left to ask; but the callback shows that the provider can reach us."""
    if has_ended and not take.called_back:
        await record(deps.store, run_id, events.CalledBack(shot_id=shot_id, take=take.number))
    known_at = take.rendered_at or take.ended_at
    if callback is None or (known_at and received_at and received_at <= known_at):
        return "not_due"
    since = f" {received_at - known_at:.1f} s before" if known_at and received_at else ""
    await deps.inbox.mark_late(callback, f"take {take.number} was {_known_as(take)}{since}")
    return "late"


def _known_as(take: Take) -> str:
    return "rendered" if take.status in (TakeStatus.COLLECTING, TakeStatus.DONE) else take.status.value


async def _learn(deps: Deps, run: Run, shot_id: str, take: Take, report: JobReport, received_at: float | None) -> None:
    """How long the job took: by its callback, otherwise by the provider's own times; a look-up came at any moment."""
    shot = run.shot(shot_id)
    if report.state is not JobState.SUCCEEDED or shot is None or take.adopted or run.hook:
        return
    if received_at is not None or take.told_at is not None:
        took_s = (take.told_at or received_at or 0.0) - take.submitted_at
    elif report.created and report.updated:
        took_s = (report.updated - report.created).total_seconds()
    else:
        return
    if took_s > 0:
        await deps.pace.learn(run, shot, took_s)


def _warn(before: Run, after: Run) -> None:
    if seems_unreachable(after) and not seems_unreachable(before):
        log.warning("public_url_unreachable", missed=callbacks_missed(after), advice="framerelay doctor tries it")


def event_of(report: JobReport, *, shot_id: str, take: int, job_id: str, called_back: bool, has_ended: bool) -> Event:
    """
    What *report* means for a take whose job was asked for by the id *job_id*, because of a callback or not.

    *has_ended*: that callback did not say that the job is still at work.
    """
    job_ids = tuple(dict.fromkeys((job_id, *report.job_ids)))
    if report.state is JobState.SUCCEEDED and report.video_url:
        return events.Rendered(
            shot_id=shot_id,
            take=take,
            job_ids=job_ids,
            video_url=report.video_url,
            last_frame_url=report.last_frame_url,
            seed=report.seed,
            called_back=called_back,
            usage=usage_of(report),
        )
    if report.state is JobState.SUCCEEDED:
        missing = "the provider says that the job succeeded, but names no clip"
        problem = Problem(code="no_clip_named", message=missing)
        return events.PollFailed(shot_id=shot_id, take=take, problem=problem, called_back=has_ended, strange=True)
    if report.state in ENDED:
        problem = _ending(report)
        return events.JobEnded(
            shot_id=shot_id,
            take=take,
            job_ids=job_ids,
            status=ENDED[report.state],
            problem=problem,
            called_back=called_back,
        )
    is_known = report.state is not JobState.UNKNOWN
    return events.JobSeen(
        shot_id=shot_id, take=take, job_ids=job_ids, word=report.status_word, is_known=is_known, called_back=has_ended
    )


def _without_bad_frame(deps: Deps, report: JobReport) -> JobReport:
    """*report* without a last frame that nobody can open: an extra must cost neither this clip nor the next."""
    if report.last_frame_url is None:
        return report
    try:
        check_in_advance(report.last_frame_url, TrustedHosts(deps.settings.trusted_hosts))
    except AddressForbidden as error:
        log.warning("provider_frame_missing", reason=error.message)
        return replace(report, last_frame_url=None)
    return report


def _ending(report: JobReport) -> Problem:
    error = report.error
    family = error.family if error else Family.UNKNOWN
    if report.state is JobState.EXPIRED:
        family = Family.EXPIRED
    code = (error.code if error else None) or f"job_{report.state.value}"
    words = error.message if error else None
    message = f"the provider says: {words}" if words else f"the provider reports the job as {report.state.value}"
    return problem(code, message, family)


async def _record_failure(
    deps: Deps, run: Run, shot_id: str, take: Take, error: FrameRelayError, tries: int, *, has_ended: bool
) -> str:
    """A take in flight has its next look-up in its state; if only the callback knew its id, that must not be lost."""
    retry_after_s = error.retry_after_s if isinstance(error, Transient) else None
    if take.status is not TakeStatus.GENERATING:
        raise Retry(defer=retry_wait_s(tries, retry_after_s=retry_after_s)) from error
    problem = problem_of(error)
    gone = isinstance(error, UpstreamRejected) and error.status in GONE
    if problem.family is Family.ACCOUNT and not gone and await deps.has_another_key():
        raise Retry(defer=0) from error  # Somebody has corrected it in the meantime.
    event = events.PollFailed(
        shot_id=shot_id,
        take=take.number,
        problem=problem,
        retry_after_s=retry_after_s,
        gone=gone,
        called_back=has_ended,
        strange=isinstance(error, UpstreamAnswerUnreadable),
    )
    await record(deps.store, run.id, event)
    return error.code
