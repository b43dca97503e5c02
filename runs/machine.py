"""
The rules of a run, all of them: pure functions of state, event and time; no I/O, no clock, no logger.

    run = apply(run, event, now)       what happened; unknown, late or repeated facts return the run unchanged
    steps = steps_due(run, now)        what the state asks for; safe to ask again after any crash
    moment = wake_at(run, now)         when to ask again though nothing happened
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from runs import events
from runs.events import Event, TakeEvent
from runs.model import (
    Family,
    Problem,
    Run,
    RunId,
    RunStatus,
    Shot,
    ShotStatus,
    Take,
    TakeStatus,
)

RECHECK_S: Final = 15.0  # A step that was enqueued and is still due after this long is enqueued again.
LOOK_UP_EVERY_S_MAX: Final = 600.0
LOOK_UP_AGAIN_S: Final = (2.0, 120.0)  # After a GET that failed: never sooner, never later.
SUBMIT_MARGIN_S: Final = 30.0  # Beyond the submit time-out, before a take without an answer counts as unsure.
HELD_AFTER: Final = 4  # Submits put off in a row because the provider is out of order, before a person is told.

OPEN: Final = frozenset({TakeStatus.SUBMITTING, TakeStatus.GENERATING, TakeStatus.COLLECTING, TakeStatus.UNSURE})
# A new take may help: moderation of the output is said to strike at random, the others are nobody's fault.
WORTH_A_RETAKE: Final = frozenset({Family.VIDEO_MODERATED, Family.AUDIO_MODERATED, Family.SERVER, Family.EXPIRED})


class StepName(StrEnum):
    """What a state can ask for; each has a task of the same name in `processors`."""

    SUBMIT = "submit"
    LOOK_UP = "look_up"
    COLLECT = "collect"
    JOIN = "join"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing to do for a run; equal steps are the same task, however often they are asked for."""

    name: StepName
    run: RunId
    shot: str = ""
    take: int = 0
    turn: int = 0

    @property
    def task_id(self) -> str:
        """The arq id: a step that waits or runs under it is not queued twice."""
        return f"{self.name}:{self.run}:{self.shot}:{self.take}:{self.turn}"


def apply(run: Run, event: Event, now: float) -> Run:
    """
    *run* after *event* happened at *now*; the very same object if it changes nothing.

    A changed run has the next revision and fresh statuses. Order and repetition of events do not matter: a take only
    moves forward, and what is final stays so.
    """
    if run.cancelled or run.status is RunStatus.SUCCEEDED:
        return run
    changed = _changed(run, event, now)
    if changed is run:
        return run
    return _settled(replace(changed, revision=run.revision + 1, updated_at=now))


def begin(run: Run) -> Run:
    """A new run with its first statuses."""
    return _settled(run)


def steps_due(run: Run, now: float) -> list[Step]:
    """
    Everything that *run* asks for at *now*, in story order; empty when it waits for time, a person, or has ended.

    Submits stop at the budget, so that taking all of them at once still keeps it.
    """
    if run.cancelled or run.film:
        return []
    if all(shot.status is ShotStatus.DONE for shot in run.shots):
        joining = run.due_at <= now and not run.join_error
        return [Step(name=StepName.JOIN, run=run.id, turn=run.turns)] if joining else []
    steps: list[Step] = []
    purse = jobs_left(run)
    for shot in run.shots:
        steps += _take_steps(run, shot, now)
        if shot.due_at <= now:
            wanted = _submits_wanted(run, shot)[: None if purse is None else purse]
            steps += wanted
            purse = None if purse is None else purse - len(wanted)
    return steps


def wake_at(run: Run, now: float) -> float | None:
    """When *run* wants to be looked at though nothing happened to it; None when only an event can move it."""
    moments = [take.due_at for shot in run.shots for take in shot.takes if take.status in OPEN]
    moments += [shot.due_at for shot in run.shots if _submits_wanted(run, shot)]
    moments += [run.due_at]
    later = [moment for moment in moments if moment > now]
    if steps_due(run, now):
        later.append(now + RECHECK_S)
    if _after_deadlines(run, now) is not run:
        later.append(now)
    return None if run.cancelled or run.film or not later else min(later)


def chosen(shot: Shot) -> Take | None:
    """The take that the film and the next shots go on from, once there is one."""
    return next((take for take in shot.takes if take.number == shot.picked), None)


def jobs_spent(run: Run) -> int:
    """Jobs that were or may have been accepted, the intended ones included: this is what the budget counts."""
    return sum(_may_cost(take) for shot in run.shots for take in shot.takes)


def jobs_left(run: Run) -> int | None:
    """How many more submits the budget allows; None without a budget."""
    return None if run.budget_jobs is None else max(0, run.budget_jobs - jobs_spent(run))


# --- what happened -----------------------------------------------------------------------------------------------


def _changed(run: Run, event: Event, now: float) -> Run:
    match event:
        case events.Submitting():
            return _with_intent(run, event, now)
        case events.SubmitPutOff():
            return _without_intent(run, event)
        case events.PreparationFailed():
            return _unprepared(run, event)
        case events.Approved():
            shot = run.shot(event.shot)
            return _with_shot(run, replace(shot, approved=True)) if shot and not shot.approved else run
        case events.Picked():
            return _with_pick(run, event)
        case events.RunCancelled():
            return _cancelled(run)
        case events.Elapsed():
            return _after_deadlines(run, now)
        case events.Joined():
            return replace(run, film=event.film, join_error=None)
        case events.JoinFailed():
            final = event.problem if event.until is None else None
            return replace(run, turns=run.turns + 1, due_at=event.until or now, join_error=final)
        case _:
            return _with_take_event(run, event, now)


def _with_intent(run: Run, event: events.Submitting, now: float) -> Run:
    """The gate in front of money: order, approval, budget and repetition are all in `steps_due`."""
    shot = run.shot(event.shot)
    due = [step for step in steps_due(run, now) if step.name is StepName.SUBMIT]
    if shot is None or (event.shot, event.take) not in {(step.shot, step.take) for step in due}:
        return run
    take = Take(
        number=event.take,
        status=TakeStatus.SUBMITTING,
        intent=event.intent,
        submitted_at=now,
        due_at=now + run.terms.submit_timeout_s + SUBMIT_MARGIN_S,
        seed=event.seed,
        first_frame=event.first_frame,
    )
    return _with_shot(run, replace(shot, takes=(*shot.takes, take), held_by=None))


def _without_intent(run: Run, event: events.SubmitPutOff) -> Run:
    shot, take = run.shot(event.shot), run.take(event.shot, event.take)
    if shot is None or take is None or take.status is not TakeStatus.SUBMITTING or take.job_ids:
        return run
    rest = tuple(other for other in shot.takes if other.number != take.number)
    held = replace(shot, takes=rest, due_at=event.until, turns=shot.turns + 1, held_by=event.problem)
    return _with_shot(run, held)


def _unprepared(run: Run, event: events.PreparationFailed) -> Run:
    shot = run.shot(event.shot)
    if shot is None or not _submits_wanted(run, shot):
        return run
    if event.until is None:
        return _with_shot(run, replace(shot, error=event.problem))
    return _with_shot(run, replace(shot, due_at=event.until, turns=shot.turns + 1, held_by=event.problem))


def _with_pick(run: Run, event: events.Picked) -> Run:
    shot, take = run.shot(event.shot), run.take(event.shot, event.take)
    if shot is None or take is None or take.status is not TakeStatus.DONE or shot.picked == take.number:
        return run
    if any(later.takes for later in run.shots if later.source == shot.id):
        return run  # Later shots were paid for from the other take.
    return _with_shot(run, replace(shot, picked=take.number))


def _cancelled(run: Run) -> Run:
    shots = tuple(
        replace(shot, takes=tuple(_ended(take) if take.status in OPEN else take for take in shot.takes))
        for shot in run.shots
    )
    return replace(run, cancelled=True, shots=shots)


def _ended(take: Take) -> Take:
    return replace(take, status=TakeStatus.CANCELLED)


def _after_deadlines(run: Run, now: float) -> Run:
    for shot in run.shots:
        for take in shot.takes:
            if take.due_at > now:
                continue
            if take.status is TakeStatus.SUBMITTING:
                run = _with_take(run, shot.id, _unsure(run, shot, take, SUBMIT_CUT_SHORT, now))
            elif take.status is TakeStatus.UNSURE:
                run = _with_take(run, shot.id, replace(take, status=TakeStatus.EXPIRED, error=NEVER_ARRIVED))
    return run


def _with_take_event(run: Run, event: TakeEvent, now: float) -> Run:
    shot, take = run.shot(event.shot), run.take(event.shot, event.take)
    if shot is None or take is None or take.status not in OPEN:
        return run
    after = _take_after(run, shot, take, event, now)
    return run if after == take else _with_take(run, event.shot, after)


def _take_after(run: Run, shot: Shot, take: Take, event: TakeEvent, now: float) -> Take:
    """*take* after one event about it; the same value where the event comes too late to matter."""
    unborn = take.status in (TakeStatus.SUBMITTING, TakeStatus.UNSURE)
    waiting = unborn or take.status is TakeStatus.GENERATING
    match event:
        case events.Submitted():
            known = replace(take, job_ids=_joined_ids(take.job_ids, (event.job_id,)))
            return _generating(run, known, now, word=event.word) if unborn else known
        case events.SubmitRefused() if unborn:
            return replace(take, status=TakeStatus.FAILED, error=event.problem)
        case events.SubmitLost() if take.status is TakeStatus.SUBMITTING:
            return _unsure(run, shot, take, event.problem, now)
        case events.JobSeen() if waiting:
            known = replace(take, job_ids=_joined_ids(take.job_ids, event.job_ids), error=None)
            return _generating(run, known, now, word=event.word)
        case events.Rendered() if waiting:
            return _collecting(take, event, now)
        case events.JobEnded() if waiting:
            ids = _joined_ids(take.job_ids, event.job_ids)
            return replace(take, status=event.status, error=event.problem, job_ids=ids)
        case events.LookedInVain() if take.status is TakeStatus.GENERATING:
            if now > take.submitted_at + _life_s(run, shot):
                return replace(take, status=TakeStatus.EXPIRED, error=NEVER_ARRIVED)
            wait = _clamp(0.25 * (now - take.submitted_at), *LOOK_UP_AGAIN_S)
            return _put_off(take, now + max(wait, event.retry_after_s or 0.0), event.problem)
        case events.CollectPutOff() if take.status is TakeStatus.COLLECTING:
            again = replace(_put_off(take, event.until, event.problem), fetches=take.fetches + 1)
            return replace(again, status=TakeStatus.GENERATING) if event.ask_again else again
        case events.CollectFailed() if take.status is TakeStatus.COLLECTING:
            return replace(take, status=TakeStatus.FAILED, error=event.problem)
        case events.Collected() if take.status is TakeStatus.COLLECTING:
            return replace(
                take,
                status=TakeStatus.DONE,
                error=None,
                video=event.video,
                last_frame=event.last_frame,
                provider_frame=event.provider_frame,
            )
        case _:
            return take


def _generating(run: Run, take: Take, now: float, *, word: str | None) -> Take:
    """The next look-up: first when such jobs are usually done, then ever more rarely, by the age of the job."""
    first = take.submitted_at + run.terms.lookup_after_s
    later = now + min(0.5 * (now - take.submitted_at), LOOK_UP_EVERY_S_MAX)
    turns = take.turns + 1
    return replace(take, status=TakeStatus.GENERATING, due_at=max(first, later), turns=turns, word=word or take.word)


def _collecting(take: Take, event: events.Rendered, now: float) -> Take:
    return replace(
        take,
        status=TakeStatus.COLLECTING,
        due_at=now,
        error=None,
        job_ids=_joined_ids(take.job_ids, event.job_ids),
        video_url=event.video_url,
        provider_frame_url=event.last_frame_url,
        rendered_at=now,
        seed=take.seed if event.seed is None else event.seed,
    )


def _unsure(run: Run, shot: Shot, take: Take, problem: Problem, now: float) -> Take:
    """Held until the job, if there is one, can no longer be alive; its callback may still name it before that."""
    due_at = max(take.submitted_at + _life_s(run, shot), now + 1.0)
    return replace(take, status=TakeStatus.UNSURE, due_at=due_at, error=problem, turns=take.turns + 1)


def _life_s(run: Run, shot: Shot) -> float:
    return float(shot.input.get("execution_expires_after") or run.terms.unsure_hold_s)


def _put_off(take: Take, until: float, problem: Problem) -> Take:
    return replace(take, due_at=until, turns=take.turns + 1, error=problem)


# --- what follows ------------------------------------------------------------------------------------------------


def _take_steps(run: Run, shot: Shot, now: float) -> Iterator[Step]:
    names = {TakeStatus.GENERATING: StepName.LOOK_UP, TakeStatus.COLLECTING: StepName.COLLECT}
    for take in shot.takes:
        if take.status in names and take.due_at <= now:
            yield Step(name=names[take.status], run=run.id, shot=shot.id, take=take.number, turn=take.turns)


def _submits_wanted(run: Run, shot: Shot) -> list[Step]:
    """Takes that *shot* still needs and nothing but time or money holds back."""
    if run.cancelled or shot.error or (shot.gated and not shot.approved) or not _has_first_frame(run, shot):
        return []
    first = len(shot.takes) + 1
    return [
        Step(name=StepName.SUBMIT, run=run.id, shot=shot.id, take=number, turn=shot.turns)
        for number in range(first, first + _takes_missing(run, shot))
    ]


def _takes_missing(run: Run, shot: Shot) -> int:
    worth = sum(_is_worth_a_retake(take) for take in shot.takes)
    if shot.picked is not None and chosen(shot) is not None and len(shot.takes) >= shot.takes_wanted:
        return 0
    return max(0, shot.takes_wanted + min(worth, run.terms.retakes) - len(shot.takes))


def _is_worth_a_retake(take: Take) -> bool:
    ended = take.status in (TakeStatus.FAILED, TakeStatus.EXPIRED)
    return ended and take.error is not None and take.error.family in WORTH_A_RETAKE


def _has_first_frame(run: Run, shot: Shot) -> bool:
    if shot.source is None:
        return True
    source = run.shot(shot.source)
    take = chosen(source) if source else None
    return take is not None and _hands_on(run, take)


def _hands_on(run: Run, take: Take) -> bool:
    early = take.provider_frame_url is not None and run.terms.provider_frame_first
    return take.status is TakeStatus.DONE or (take.status is TakeStatus.COLLECTING and early)


def _may_cost(take: Take) -> bool:
    return bool(take.job_ids) or take.status in (TakeStatus.SUBMITTING, TakeStatus.UNSURE)


# --- how it stands -----------------------------------------------------------------------------------------------


def _settled(run: Run) -> Run:
    """*run* with picks, shot statuses and its own status computed anew from the takes."""
    run = replace(run, shots=tuple(_with_own_pick(run, shot) for shot in run.shots))
    run = replace(run, shots=tuple(replace(shot, status=_shot_status(run, shot)) for shot in run.shots))
    status, error = _run_status(run)
    return replace(run, status=status, error=error)


def _with_own_pick(run: Run, shot: Shot) -> Shot:
    """One take alone, or the first that is done, needs nobody to pick it."""
    if shot.takes_wanted > 1 and not shot.pick_first:
        return shot
    kept = chosen(shot)
    if kept is not None and (kept.status is TakeStatus.DONE or _hands_on(run, kept)):
        return shot
    able = [take for take in shot.takes if _hands_on(run, take)]
    able.sort(key=lambda take: (take.status is not TakeStatus.DONE, take.number))
    return replace(shot, picked=able[0].number if able else None)


def _shot_status(run: Run, shot: Shot) -> ShotStatus:
    statuses = {take.status for take in shot.takes}
    kept = chosen(shot)
    if kept is not None and kept.status is TakeStatus.DONE:
        return ShotStatus.DONE
    if run.cancelled:
        return ShotStatus.CANCELLED
    for status in (TakeStatus.COLLECTING, TakeStatus.GENERATING, TakeStatus.SUBMITTING):
        if status in statuses:
            return ShotStatus(status.value)
    if statuses & {TakeStatus.UNSURE, TakeStatus.DONE} or _is_held(run, shot):
        return ShotStatus.WAITING
    if shot.error or (shot.takes and not _takes_missing(run, shot)):
        return ShotStatus.FAILED
    return ShotStatus.PENDING


def _is_held(run: Run, shot: Shot) -> bool:
    """A person has to let it go, or ought to know: an approval, the budget, a provider that is out of order."""
    if shot.error or not _has_first_frame(run, shot) or not _takes_missing(run, shot):
        return False
    return (shot.gated and not shot.approved) or jobs_left(run) == 0 or _is_stuck(shot)


def _is_stuck(shot: Shot) -> bool:
    """It goes on being tried, ever more rarely, and moves by itself when the provider is back."""
    return shot.held_by is not None and shot.held_by.family is Family.SERVER and shot.turns >= HELD_AFTER


def _run_status(run: Run) -> tuple[RunStatus, Problem | None]:
    shots = {status: [shot for shot in run.shots if shot.status is status] for status in ShotStatus}
    if run.cancelled:
        return RunStatus.CANCELLED, None
    if run.film:
        return RunStatus.SUCCEEDED, None
    if len(shots[ShotStatus.DONE]) == len(run.shots):
        return (RunStatus.FAILED, run.join_error) if run.join_error else (RunStatus.RUNNING, None)
    moving = shots[ShotStatus.SUBMITTING] + shots[ShotStatus.GENERATING] + shots[ShotStatus.COLLECTING]
    ready = [shot for shot in run.shots if _submits_wanted(run, shot) and not _is_stuck(shot)]
    if moving or (ready and jobs_left(run) != 0):
        return RunStatus.RUNNING, None
    if shots[ShotStatus.WAITING]:
        return RunStatus.WAITING, _waiting_for(run, shots[ShotStatus.WAITING][0])
    failed = (shots[ShotStatus.FAILED] or list(run.shots))[0]
    return RunStatus.FAILED, _named(failed, _problem_of(failed))


def _waiting_for(run: Run, shot: Shot) -> Problem:
    unsure = next((take for take in shot.takes if take.status is TakeStatus.UNSURE), None)
    if unsure is not None:
        return _named(shot, unsure.error or SUBMIT_CUT_SHORT)
    if any(take.status is TakeStatus.DONE for take in shot.takes):
        return _named(shot, Problem(code="pick_needed", message="its takes are done; pick one to go on from"))
    if shot.gated and not shot.approved:
        return _named(shot, Problem(code="approval_needed", message="it waits for your approval"))
    if shot.held_by is not None and _is_stuck(shot):
        return _named(shot, shot.held_by)
    spent = f"the budget of {run.budget_jobs} jobs is spent; nothing more is submitted"
    return _named(shot, Problem(code="budget_reached", message=spent, family=Family.QUOTA))


def _problem_of(shot: Shot) -> Problem:
    last = next((take.error for take in reversed(shot.takes) if take.error), None)
    return shot.error or last or Problem(code="failed", message="it cannot go on")


def _named(shot: Shot, problem: Problem) -> Problem:
    return replace(problem, message=f"shot {shot.id}: {problem.message}")


# --- small tools -------------------------------------------------------------------------------------------------

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


def _with_shot(run: Run, shot: Shot) -> Run:
    return replace(run, shots=tuple(shot if other.id == shot.id else other for other in run.shots))


def _with_take(run: Run, shot_id: str, take: Take) -> Run:
    shot = run.shot(shot_id)
    if shot is None:
        return run
    takes = tuple(take if other.number == take.number else other for other in shot.takes)
    return _with_shot(run, replace(shot, takes=takes))


def _joined_ids(known: tuple[str, ...], new: tuple[str, ...]) -> tuple[str, ...]:
    return known + tuple(job_id for job_id in dict.fromkeys(new) if job_id not in known)


def _clamp(value: float, least: float, most: float) -> float:
    return min(max(value, least), most)
