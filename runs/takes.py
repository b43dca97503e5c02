"""
The life of one take, as pure functions: what each event does to it, and when to look at it next.

`docs/lifecycle.md` draws it; a test compares the drawing with this file.
"""

import hashlib
from dataclasses import replace
from typing import Final
from uuid import UUID

from framerelay.runs import events
from framerelay.runs.costs import Cost, reservation
from framerelay.runs.errors import StorageFailed
from framerelay.runs.events import TakeEvent
from framerelay.runs.model import Family, Problem, Run, Shot, Take, TakeStatus
from framerelay.runs.text import duration

LOOK_UP_EVERY_S_MAX: Final = 600.0
LATE_S: Final = 2.0  # Added to the time that nearly all such jobs took: their callbacks need a moment, too.
POLL_S_MIN: Final = 0.1  # Whatever a profile says: a job that is polled without a pause keeps a worker busy.
LOOK_UP_AGAIN_S: Final = (2.0, 120.0)  # After a GET that failed: never sooner, never later.
TOLD_S: Final = 60.0  # How long a provider's look-up may lag behind its callback, before the planned times apply.
FIND_AGAIN_S: Final = (2.0, 600.0)  # After a search by our reference that found nothing: never sooner, never later.
SEARCHES_SOON: Final = 5  # Some ten seconds.
MOMENT_S: Final = 0.001  # Two times, one of which is a sum, may differ by less and mean the same.
LAGS_S: Final = 1.0  # The first wait while it lags.
USUAL_TIMES: Final = 3.0  # Of the usual time without any news of a submit, before a person is asked.
UNHURRIED_S: Final = 43_200.0  # Before that, nothing is odd if jobs wait for a cheap hour: two days are allowed.
ASK_S_MIN: Final = 30.0  # Drafts take seconds; a callback that is tried again needs more.

KEEP_S: Final = 20.0  # Time to put a fetched clip into object storage, or to report that it takes longer;
KEEP_BYTES_PER_S: Final = 1_000_000  # plus one second for this many bytes.

BROUGHT_IN: Final = "adopted"  # The intent of a take that none of our executions has sent.
TWIN: Final = "twin"  # The same for a take that keeps a second job.
TWINS_MAX: Final = 8  # Per shot: somebody who learned a take's address cannot fill a run with the account's other jobs.
OPEN: Final = frozenset({TakeStatus.SUBMITTING, TakeStatus.GENERATING, TakeStatus.COLLECTING, TakeStatus.UNSURE})
IN_FLIGHT: Final = frozenset({TakeStatus.SUBMITTING, TakeStatus.GENERATING, TakeStatus.UNSURE})
SUBMIT_CUT_SHORT: Final = Problem(
    code="outcome_unknown",
    message="nobody knows if the provider accepted the submit; it is held and not sent again",
    family=Family.SERVER,
)
NEVER_ARRIVED: Final = Problem(
    code="never_arrived",
    message="nothing was heard of the job until it could no longer be alive",
    family=Family.EXPIRED,
)


FOR_A_PERSON: Final = frozenset({Family.ACCOUNT, Family.QUOTA})
"""Nothing is answered until the operator acts at the provider; no shot is to blame."""


def left_provider(before: Run, after: Run) -> list[tuple[str, str, int]]:
    """
    Takes that are no longer in flight at their provider: its name, the shot, the number.

    Only shots that are different objects now are looked at, so it costs nothing if nothing has changed.
    """
    places = []
    for shot in before.shots:
        now = after.shot(shot.id)
        if now is shot:
            continue
        numbers = {take.number for take in now.takes if has_place(now, take)} if now else set()
        for take in shot.takes:
            if has_place(shot, take) and take.maker is not None and take.number not in numbers:
                places.append((take.maker.provider, shot.id, take.number))
    return places


def has_place(shot: Shot, take: Take) -> bool:
    """
    Whether *take* has a place at its provider: as long as it is in flight.

    A take that a person has set aside for another one, since nothing was heard of it, has no place: it may never have
    existed, and the other one might wait for its end forever.
    """
    return take.status in IN_FLIGHT and take.number > shot.set_aside


def take_after(run: Run, shot: Shot, take: Take, event: TakeEvent, now: float) -> Take:
    """*take* after one event about it; the same value if the event comes too late, or is about another state."""
    if not is_about(take, event):
        return take
    unborn = take.status in (TakeStatus.SUBMITTING, TakeStatus.UNSURE)
    waiting = unborn or take.status is TakeStatus.GENERATING or is_unheard(take) or take.is_refused
    match event:
        case events.Submitted():
            ids = _merge_ids(take.job_ids, (event.job_id, *event.aliases))
            cost = take.cost or reservation(shot.estimate)
            after = replace(take, job_ids=ids, kept={**take.kept, **event.kept}, find_at=None, cost=cost)
            if not (unborn or is_unheard(take) or take.is_refused):
                return after
            return _generating(run, shot, replace(after, error=None, question=None), now, word=event.word)
        case events.SubmitRefused() if unborn:
            return replace(take, status=TakeStatus.FAILED, error=event.problem, cost=None)
        case events.SubmitLost() if take.status is TakeStatus.SUBMITTING:
            return unsure(run, shot, take, event.problem, now)
        case events.JobSeen() if waiting:
            after = replace(take, job_ids=_merge_ids(take.job_ids, event.job_ids), error=None)
            after = _with_strange_since(_with_callback(after, event, now), None if event.is_known else now)
            after = _generating(run, shot, after, now, word=event.word)
            return replace(after, due_at=_look_up_at(after, after.due_at, now))
        case events.Rendered() if waiting:
            return _collecting(take, event, now)
        case events.JobEnded() if waiting:
            ids = _merge_ids(take.job_ids, event.job_ids)
            after = replace(take, job_ids=ids, ended_at=now, called_back=take.called_back or event.called_back)
            after = replace(after, cost=_final_cost(take.cost, event.cost))
            return replace(_with_strange_since(after, None), status=event.status, error=event.problem)
        case events.JobNotFound() if take.status is TakeStatus.UNSURE and event.intent == take.intent:
            wait = _clamp(0.5 * (now - take.submitted_at), *FIND_AGAIN_S)
            return replace(take, find_at=now + wait, turns=take.turns + 1)
        case events.PollFailed() if take.status is TakeStatus.GENERATING:
            return _without_answer(run, shot, take, event, now)
        case events.CollectPutOff() if is_uncollected(take):
            is_ours = event.problem.code == StorageFailed.code  # It does not count as a try for the clip.
            again = replace(_put_off(take, event.until, event.problem), fetches=take.fetches + (not is_ours))
            return replace(again, status=TakeStatus.GENERATING) if event.ask_again else again
        case events.CollectFailed() if is_uncollected(take):
            return replace(take, status=TakeStatus.FAILED, error=event.problem)
        case events.Collected() if take.status is TakeStatus.COLLECTING:
            after = replace(take, error=None, video=event.video, last_frame=event.last_frame)
            after = replace(after, provider_frame=event.provider_frame)
            if event.video.kept:
                return replace(after, status=TakeStatus.DONE)
            return replace(after, due_at=now + KEEP_S + event.video.bytes / KEEP_BYTES_PER_S)
        case events.ClipKept() | events.KeepPutOff() | events.ClipLost():
            return _while_keeping(take, event, now)
        case _:
            return take


def _without_answer(run: Run, shot: Shot, take: Take, event: events.PollFailed, now: float) -> Take:
    """Only the provider can say that a job no longer exists: an outage on its side or ours says nothing."""
    if event.gone and take.adopted and take.word is None:
        return _unknown_job(run, shot, take, now)
    if event.gone and now > take.submitted_at + life_s(run, shot):
        return replace(take, status=TakeStatus.EXPIRED, error=NEVER_ARRIVED)
    after = _with_callback(take, event, now)
    after = _with_strange_since(after, now) if event.gone or event.strange else after
    wait_s = _clamp(0.25 * (now - take.submitted_at), *LOOK_UP_AGAIN_S)
    soon = _look_up_at(after, now + wait_s, now)
    # That it knows no such job says nothing about our key, even if the same status may elsewhere.
    problem = replace(event.problem, family=Family.UNKNOWN) if event.gone else event.problem
    return _put_off(after, max(soon, now + (event.retry_after_s or 0.0)), problem)


def is_about(take: Take, event: TakeEvent) -> bool:
    """Whether *event* is about the current state of *take*: its intent, its job, its turn, as far as it names them."""
    match event:
        case events.SubmitRefused() | events.SubmitPutOff() | events.SubmitLost():
            return event.intent in (None, take.intent)
        case events.CollectPutOff() | events.CollectFailed():
            return event.turn in (None, take.turns)
        case events.JobSeen() | events.Rendered() | events.JobEnded():
            return not take.job_ids or not event.job_ids or bool(set(event.job_ids) & set(take.job_ids))
        case events.PollFailed():
            return event.job_id is None or event.job_id in take.job_ids
        case _:
            return True


def _while_keeping(take: Take, event: events.ClipKept | events.KeepPutOff | events.ClipLost, now: float) -> Take:
    """What becomes of a take whose clip is on one disk, and is stored where every machine finds it."""
    if not is_unkept(take) or take.video is None or take.video.sha256 != event.sha256:
        return take
    match event:
        case events.ClipKept():
            return replace(take, status=TakeStatus.DONE, video=replace(take.video, kept=True), error=None)
        case events.KeepPutOff():
            return _put_off(take, event.until, event.problem)
        case events.ClipLost():  # The address may have expired; its frame is kept, and is handed on in the meantime.
            again = replace(take, video=None, fetches=take.fetches + 1, due_at=now, turns=take.turns + 1)
            return replace(again, status=TakeStatus.GENERATING)


def is_unkept(take: Take) -> bool:
    """Collected, but so far on one disk only: it is done when its clip is kept."""
    return take.status is TakeStatus.COLLECTING and take.video is not None


def is_uncollected(take: Take) -> bool:
    """Rendered, and its clip is still to be fetched."""
    return take.status is TakeStatus.COLLECTING and take.video is None


def is_unheard(take: Take) -> bool:
    """Given up although nobody knows what became of its submit: if its job turns up after all, it is kept."""
    return take.status in (TakeStatus.EXPIRED, TakeStatus.CANCELLED) and not take.job_ids


def twin(shot: Shot, number: int, job_ids: tuple[str, ...], now: float) -> Take:
    """A separate take for a second job of take *number*, looked up at once."""
    return Take(
        number=max(each.number for each in shot.takes) + 1,
        status=TakeStatus.GENERATING,
        intent=TWIN,
        submitted_at=now,
        due_at=now,
        job_ids=job_ids,
        twin_of=number,
        cost=reservation(shot.estimate),
    )


def _generating(run: Run, shot: Shot, take: Take, now: float, *, word: str | None) -> Take:
    due_at = _next_look_up(run, shot, take, now)
    turns = take.turns + 1
    return replace(take, status=TakeStatus.GENERATING, due_at=due_at, turns=turns, word=word or take.word)


def _with_callback(take: Take, event: events.JobSeen | events.PollFailed, now: float) -> Take:
    """A callback said that the job has ended; repeating it does not cause look-ups forever."""
    if not event.called_back:
        return take
    is_old = take.told_at is not None and now - take.told_at <= TOLD_S
    return replace(take, called_back=True, told_at=take.told_at if is_old else now)


def _look_up_at(take: Take, due_at: float, now: float) -> float:
    """The next look-up: after 1, 2, 4 … s while the answer lags behind a callback, otherwise at *due_at*."""
    since = None if take.told_at is None else now - take.told_at
    return due_at if since is None or not 0 <= since <= TOLD_S else min(due_at, now + LAGS_S + since)


def _with_strange_since(take: Take, strange_at: float | None) -> Take:
    """*take*, about which the provider gave an unintelligible answer at *strange_at*; None: we understand it."""
    if strange_at is None:
        return replace(take, strange_since=None, question=None)
    since = take.strange_since
    return replace(take, strange_since=since or strange_at, question=None if since is None else take.question)


def is_unhurried(shot: Shot) -> bool:
    """Its jobs are done for less when the provider has spare capacity (``service_tier: flex``)."""
    return shot.input.get("service_tier") == "flex"


def ask_at(run: Run, shot: Shot, take: Take) -> float | None:
    """When to ask a person about *take*, if nothing intelligible is heard of it; None while all is well."""
    if take.status is TakeStatus.UNSURE:
        usual = USUAL_TIMES * take.usual_s if take.usual_s else None
        least_s = UNHURRIED_S if is_unhurried(shot) else 0.0
        return take.submitted_at + (max(run.terms.ask_after_s, least_s) if usual is None else max(usual, ASK_S_MIN))
    if take.status is TakeStatus.GENERATING and take.strange_since is not None:
        return take.strange_since + run.terms.ask_after_s
    return None


def with_question(run: Run, shot: Shot, take: Take, now: float) -> Take:
    """*take* with the question to ask a person about it, if it is time; the same value otherwise."""
    moment = ask_at(run, shot, take)
    if moment is None or moment > now or take.question is not None:
        return take
    again = "or make the shot again, for one more job; if this one is found after all, both are paid for"
    if take.status is TakeStatus.UNSURE:
        usual = f"{duration(take.usual_s)} is usual for such a job" if take.usual_s else "no callback names a job"
        message = (
            f"nothing was heard of its submit for {duration(now - take.submitted_at)} ({usual}), and nobody knows if "
            f"the provider accepted it: look at its own list of jobs, and adopt the job that is there, {again}"
        )
        return replace(take, question=Problem(code="nothing_heard", message=message, family=Family.SERVER))
    last = take.error.message if take.error else f'its status is "{take.word}"' if take.word else "it has no status"
    since = duration(now - (take.strange_since or now))
    message = (
        f"nothing was said that is understood here about job {take.job_id} for {since} ({last}): "
        f"look at the provider, and wait, adopt another job, {again}"
    )
    return replace(take, question=Problem(code="status_unknown", message=message))


def set_back(take: Take, now: float) -> Take:
    """*take* after the clock was set back to *now*: what costs nothing is due, and no hold ends sooner."""
    if take.status in (TakeStatus.GENERATING, TakeStatus.COLLECTING):
        return replace(take, due_at=min(take.due_at, now))
    return take


def _next_look_up(run: Run, shot: Shot, take: Take, now: float) -> float:
    """
    First when nearly all such jobs are done, at the latest when the terms say; then less and less often, by its age.

    No wait after the first is longer than ten minutes, so that no result expires (they live an hour or more), and one
    look-up comes right after the job's own expiry.
    """
    if take.maker is not None and take.maker.poll_s is not None:
        return _next_poll(take, take.maker.poll_s, now)
    expected_at = take.submitted_at + (1.1 * take.expected_s + LATE_S if take.expected_s else 0.0)
    first_at = take.submitted_at + run.terms.lookup_after_s
    first_at = min(first_at, expected_at) if take.expected_s else first_at
    look_up_at = first_at if now < first_at else max(now + 0.5 * (now - take.submitted_at), expected_at)
    over_at = take.submitted_at + life_s(run, shot) + LATE_S
    soonest = look_up_at if now < first_at else min(look_up_at, now + LOOK_UP_EVERY_S_MAX)
    # After the clock was set back, its submit is in the future.
    soonest = min(soonest, now + max(run.terms.lookup_after_s, LOOK_UP_EVERY_S_MAX))
    return min(soonest, over_at) if now < over_at else soonest


def _next_poll(take: Take, poll_s: tuple[float, float], now: float) -> float:
    """For a provider that cannot call back: as its profile says, growing with the job's age, slightly shortened."""
    first_s, every_s = min(poll_s[0], LOOK_UP_EVERY_S_MAX), max(poll_s[1], POLL_S_MIN)
    age_s = max(now - take.submitted_at, 0.0)
    spread = 1.0 + 0.1 * _jitter(take)
    if first_s - age_s > MOMENT_S:
        return now + (first_s - age_s) * spread
    return now + min(max(every_s, 0.1 * age_s) * spread, LOOK_UP_EVERY_S_MAX)


def _jitter(take: Take) -> float:
    """From 0 to 1, derived from the intent: takes that were submitted together are not looked up together."""
    return hashlib.sha256(take.intent.encode()).digest()[0] / 255


def _collecting(take: Take, event: events.Rendered, now: float) -> Take:
    return replace(
        _with_strange_since(take, None),
        status=TakeStatus.COLLECTING,
        due_at=now,
        error=None,
        job_ids=_merge_ids(take.job_ids, event.job_ids),
        video_url=event.video_url,
        provider_frame_url=event.last_frame_url,
        rendered_at=now,
        callback_at=event.callback_at,
        trace=event.trace,
        called_back=take.called_back or event.called_back,
        seed=take.seed if event.seed is None else event.seed,
        usage=event.usage or take.usage,
        cost=_final_cost(take.cost, event.cost),
    )


def _final_cost(aside: Cost | None, bill: Cost | None) -> Cost | None:
    """The cost that the provider reported; what was reserved, if that is in another currency, like the budget."""
    return bill if bill is not None and (aside is None or aside.currency == bill.currency) else aside


def unsure(run: Run, shot: Shot, take: Take, problem: Problem, now: float) -> Take:
    """Held until the job, if there is one, can no longer be alive; its callback may still name it before that."""
    due_at = max(take.submitted_at + life_s(run, shot), now + 1.0)
    find_at = now + FIND_AGAIN_S[0] if take.maker and take.maker.findable and not take.job_ids else None
    return replace(take, status=TakeStatus.UNSURE, due_at=due_at, error=problem, turns=take.turns + 1, find_at=find_at)


def is_refused_a_look(take: Take) -> bool:
    """Its job is at the provider, which does not tell us about it: our key is wrong, or the account is closed."""
    is_refused = take.error is not None and take.error.family in FOR_A_PERSON
    return is_refused and take.status is TakeStatus.GENERATING


def find_at(take: Take) -> float | None:
    """When to ask the provider for a job with the reference of *take*, of whose submit nothing was heard."""
    return take.find_at if take.status is TakeStatus.UNSURE else None


def shown_status(take: Take) -> TakeStatus:
    """How it counts for its shot: while a lost submit is being looked for, nobody has to wait for a person yet."""
    is_searched = take.status is TakeStatus.UNSURE and take.find_at is not None and take.turns <= SEARCHES_SOON
    return TakeStatus.SUBMITTING if is_searched else take.status


def reference(run: Run, shot_id: str, take: Take) -> str:
    """
    Our own reference for the one submit of *take*: a UUID that nobody can guess, the same each time it is computed.

    The intent in it is random, so another submit for the same take has another one.
    """
    digest = hashlib.sha256(f"{run.id}:{shot_id}:{take.intent}".encode()).digest()
    return str(UUID(bytes=digest[:16], version=4))


def _unknown_job(run: Run, shot: Shot, take: Take, now: float) -> Take:
    """A person named a job that the provider does not know: nothing was paid for it, and another may be named."""
    message = f"the provider knows no job {take.job_id}; adopt it by its right id"
    problem = Problem(code="unknown_job", message=message, family=Family.REQUEST_INVALID)
    nobody = replace(take, job_ids=(), adopted=False)
    if take.intent == BROUGHT_IN:
        return replace(nobody, status=TakeStatus.FAILED, error=problem, cost=None)
    return unsure(run, shot, nobody, problem, now)


def life_s(run: Run, shot: Shot) -> float:
    """Seconds from its submit in which a job of *shot* may be alive: its own `execution_expires_after`, or the hold."""
    return float(shot.input.get("execution_expires_after") or run.terms.unsure_hold_s)


def _put_off(take: Take, until: float, problem: Problem) -> Take:
    return replace(take, due_at=until, turns=take.turns + 1, error=problem)


def _merge_ids(old: tuple[str, ...], new: tuple[str, ...]) -> tuple[str, ...]:
    return old + tuple(job_id for job_id in dict.fromkeys(new) if job_id not in old)


def _clamp(value: float, least: float, most: float) -> float:
    return min(max(value, least), most)
