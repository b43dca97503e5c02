"""
What a person decides about a run, as pure functions: approve, pick, resume, adopt a job, retake a shot, stop.

    run = decided(run, event, now)        the same object if that is not possible, or already so
    words = why_not(run, event, now)      why, for the person
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from framerelay.runs import events
from framerelay.runs.budget import budget_words
from framerelay.runs.changes import changed_by, estimate_after, why_not_changed
from framerelay.runs.costs import reservation
from framerelay.runs.limits import why_no_budget, with_budget
from framerelay.runs.model import Family, Run, RunStatus, Shot, ShotStatus, Take, TakeStatus
from framerelay.runs.standing import budget_left, dependents, problem_of, reset_film, takes_in_play
from framerelay.runs.takes import BROUGHT_IN, NEVER_ARRIVED, OPEN, is_refused_a_look

Decision = events.Approved | events.Picked | events.Resumed | events.Adopted | events.Retaken | events.RunCancelled

# The same text and the same picture: the provider's answer would be the same.
REFUSED_FOR_EVER: Final = frozenset({Family.TEXT_MODERATED, Family.IMAGE_MODERATED})
_FINAL: Final = frozenset({TakeStatus.FAILED, TakeStatus.EXPIRED, TakeStatus.CANCELLED})


def apply_decision(run: Run, event: Decision, now: float) -> Run:
    """*run* after a person's decision; the same object if `why_not` has an answer."""
    if why_not(run, event, now):
        return run
    match event:
        case events.RunCancelled():
            return replace(run, cancelled=True)
        case events.Resumed():
            return _resume(with_budget(run, event), now)
    shot = _shot_of(run, event)
    match event:
        case events.Approved():
            return run.with_shots(replace(changed_by(shot, event, _last_number(shot) + 1), approved=True))
        case events.Picked():
            set_aside = min(shot.set_aside, event.take - 1)
            return run.with_shots(replace(shot, picked=event.take, set_aside=set_aside, following=None))
        case events.Adopted():
            return _with_job(run, shot, event.job_id, now)
        case events.Retaken():
            return retake(run, shot, event, now)


def why_not(run: Run, event: Decision, now: float) -> str | None:
    """Why a decision is not possible now, or would change nothing, in words for a person; None if it has an effect."""
    # A job that was paid for is adopted whatever became of the run.
    if run.cancelled and not isinstance(event, events.Adopted):
        return "the run was cancelled already" if isinstance(event, events.RunCancelled) else _CANCELLED
    match event:
        case events.RunCancelled():
            return "the run has succeeded" if run.status is RunStatus.SUCCEEDED else None
        case events.Resumed():
            return why_no_budget(run, event) or _why_not_resumed(run, event, now)
    if run.shot(event.shot_id) is None:
        return "there is no such shot"
    shot = _shot_of(run, event)
    match event:
        case events.Approved():
            return _why_not_approved(shot) or why_not_changed(shot, event)
        case events.Picked():
            return _why_not_picked(run, shot, event.take)
        case events.Adopted():
            return _why_not_adopted(run, shot, event.job_id)
        case events.Retaken():
            return _why_not_taken_again(run, shot, event)


_CANCELLED: Final = "the run was cancelled; start it again"


def _shot_of(run: Run, event: events.Approved | events.Picked | events.Adopted | events.Retaken) -> Shot:
    return run.shots[run.index.places[event.shot_id]]


# --- approve and pick --------------------------------------------------------------------------------------------


def _why_not_approved(shot: Shot) -> str | None:
    if not shot.gated:
        return f"shot {shot.name} waits for no approval: it has no gate in the storyboard"
    return f"shot {shot.name} is approved already" if shot.approved else None


def _why_not_picked(run: Run, shot: Shot, number: int) -> str | None:
    take = run.take(shot.id, number)
    if take is None:
        return f"shot {shot.name} has no take {number}"
    if take.status is not TakeStatus.DONE:
        return f"take {number} of shot {shot.name} is {take.status.value}; only one that is done can be picked"
    if shot.picked == number and shot.following is None:
        return f"take {number} of shot {shot.name} is picked already"
    later = [each.name for each in dependents(run, shot) if _is_begun(each, OPEN)]
    if later:
        return f"made from another take of shot {shot.name}, and still under way: {', '.join(later)}"
    return None


# --- resume ------------------------------------------------------------------------------------------------------


def _why_not_resumed(run: Run, event: events.Resumed, now: float) -> str | None:
    """A new budget alone is a change: for a run that goes on, and for one that has succeeded, for its retakes."""
    after = with_budget(run, event)
    if after is not run:
        return None
    if run.status is RunStatus.SUCCEEDED:
        return "the run has succeeded"
    if _resume(run, now) is not run:
        return None
    if event.budget_jobs is not None or event.budget_money is not None:
        return "the run has this budget already, and there is nothing else to resume"
    return f"there is nothing to resume: {run.error.message if run.error else 'the run is going on'}"


def _resume(run: Run, now: float) -> Run:
    shots = tuple(_resume_shot(shot, now) for shot in run.shots)
    if run.join_error is not None:
        return reset_film(replace(run, shots=shots))
    return run if shots == run.shots else replace(run, shots=shots)


def _resume_shot(shot: Shot, now: float) -> Shot:
    """Existing takes come before anything that would have to be paid for again."""
    if shot.status not in (ShotStatus.FAILED, ShotStatus.WAITING):
        return shot
    again = replace(shot, due_at=now, turns=shot.turns + 1)
    if shot.error is not None or shot.held_by is not None:
        return replace(again, error=None, held_by=None)
    takes = tuple(_resume_take(shot, take, now) for take in shot.takes)
    if takes != shot.takes:
        return replace(shot, takes=takes)
    waits = shot.status is ShotStatus.WAITING or not shot.takes_wanted
    if waits or problem_of(shot).family in REFUSED_FOR_EVER:
        return shot
    return replace(again, set_aside=_last_number(shot))


def _resume_take(shot: Shot, take: Take, now: float) -> Take:
    if take.status is TakeStatus.UNSURE and take.due_at <= now:
        return replace(take, status=TakeStatus.EXPIRED, error=NEVER_ARRIVED)
    if is_refused_a_look(take):
        return _ask_again(take, now)
    rendered = take.status is TakeStatus.FAILED and take.video_url is not None
    return _ask_again(take, now) if rendered and take in takes_in_play(shot) else take


def _ask_again(take: Take, now: float) -> Take:
    """It was submitted once and is not submitted again: the provider is asked what became of it."""
    again = replace(take, strange_since=None, question=None, told_at=None)
    return replace(again, status=TakeStatus.GENERATING, due_at=now, turns=take.turns + 1, fetches=0, error=None)


# --- adopt -------------------------------------------------------------------------------------------------------


def _why_not_adopted(run: Run, shot: Shot, job_id: str) -> str | None:
    jobs = ((each, take) for each in run.shots for take in each.takes)
    owner, other = next(((each, take) for each, take in jobs if job_id in take.job_ids), (None, None))
    if owner is not None and owner is not shot:
        return f"{job_id} is the job of shot {owner.name}"
    if other is not None:
        here = f"{job_id} is the job of take {other.number} of shot {shot.name} already, which is {other.status.value}"
        return None if other.status in _FINAL else here
    return why_no_other_job(shot)


def why_no_other_job(shot: Shot) -> str | None:
    """Why no job that is new to its run can be adopted for *shot*, in words for a person; None if one can."""
    if shot.status is ShotStatus.DONE:
        return f"shot {shot.name} is done"
    open_ones = [take for take in shot.takes if take.question is None]
    moving = next((take for take in open_ones if take.status in OPEN - {TakeStatus.UNSURE}), None)
    if moving is not None:
        about = f"job {moving.job_id}" if moving.job_id else "a submit"
        return f"shot {shot.name} has {about} under way"
    return None


def _with_job(run: Run, shot: Shot, job_id: str, now: float) -> Run:
    holder = next((take for take in shot.takes if job_id in take.job_ids), None)
    if holder is not None:
        return _with_take(run, shot, _ask_again(holder, now))
    unsure = next((take for take in shot.takes if take.status is TakeStatus.UNSURE), None)
    if unsure is not None:
        return _with_take(run, shot, replace(_ask_again(unsure, now), job_ids=(job_id,), adopted=True))
    shot = _without_question(shot)
    take = Take(
        number=_last_number(shot) + 1,
        status=TakeStatus.GENERATING,
        intent=BROUGHT_IN,
        submitted_at=now,
        due_at=now,
        job_ids=(job_id,),
        adopted=True,
        cost=reservation(shot.estimate),
    )
    return run.with_shots(replace(shot, takes=(*shot.takes, take), error=None, held_by=None))


def _without_question(shot: Shot) -> Shot:
    """A person has answered the question: the take continues to be looked up, and the shot goes on without it."""
    numbers = [take.number for take in shot.takes if take.question]
    takes = tuple(replace(take, question=None) if take.question else take for take in shot.takes)
    return replace(shot, takes=takes, set_aside=max(*numbers, shot.set_aside)) if numbers else shot


def _with_take(run: Run, shot: Shot, take: Take) -> Run:
    takes = tuple(take if other.number == take.number else other for other in shot.takes)
    return run.with_shots(replace(shot, takes=takes, set_aside=min(shot.set_aside, take.number - 1)))


# --- retake ------------------------------------------------------------------------------------------------------


def _why_not_taken_again(run: Run, shot: Shot, event: events.Retaken) -> str | None:
    if not shot.takes_wanted:
        return f"shot {shot.name} was submitted by somebody else; we know no prompt for it"
    is_asked = shot.status is ShotStatus.WAITING and any(take.question for take in takes_in_play(shot))
    if shot.status is ShotStatus.DONE and _is_begun(shot, OPEN):
        return f"another take of shot {shot.name} is still under way"
    if not is_asked and (shot.status not in (ShotStatus.DONE, ShotStatus.FAILED) or _is_begun(shot, OPEN)):
        return f"shot {shot.name} is {shot.status.value}; a retake is for one that is done or failed"
    refused = shot.status is ShotStatus.FAILED and problem_of(shot).family is Family.TEXT_MODERATED
    if refused and event.prompt is None:
        return f"the provider refused the text of shot {shot.name}; give another prompt"
    later = [each.name for each in all_dependents(run, shot) if _is_begun(each, OPEN)]
    if later:
        return f"made from shot {shot.name}, and still under way: {', '.join(later)}; a retake would not fit them"
    if (words := why_not_changed(shot, event)) is not None:
        return words
    balance = budget_left(run)
    after = replace(shot, estimate=estimate_after(shot, event))
    return None if balance.allows(after.estimate) else budget_words(run, after, balance)


def retake(run: Run, shot: Shot, event: events.Retaken, now: float) -> Run:
    """
    *run* with *shot* to be made again, with the changes in *event*; if it says so, everything made from it follows.

    Otherwise later shots that are done were paid for and stay as they are, stale (`runs.outlook`).
    """
    followers = all_dependents(run, shot) if event.following else []
    after = begin_again(run, changed_by(shot, event, _last_number(shot) + 1), now)
    takes = {each.id: each.picked or 0 for each in run.shots}
    dependents = (
        replace(after.shots[run.index.places[each.id]], following=takes[each.source or ""]) for each in followers
    )
    return after.with_shots(*dependents)


def begin_again(run: Run, shot: Shot, now: float) -> Run:
    """
    *run* with one more take of *shot*, from which it continues when that is done.

    Of the shots that are made from it, those that failed start over.
    """
    shot = _without_question(shot)
    again = replace(
        shot,
        takes_wanted=1,
        set_aside=_last_number(shot),
        picked=None,
        following=None,
        error=None,
        held_by=None,
        due_at=now,
        turns=shot.turns + 1,
    )
    return run.with_shots(again, *dependents_to_begin_again(run, shot))


def all_dependents(run: Run, shot: Shot, *, past_done: bool = True) -> list[Shot]:
    """
    The shots that begin with its last frame, or with that of a dependent; a source comes before its dependents.

    Without *past_done*, shots that are done are left out, and so are the shots that begin with them.
    """
    dependents: list[Shot] = []
    ids = {shot.id}
    for each in run.shots:
        if each.source in ids and (past_done or each.status is not ShotStatus.DONE):
            ids.add(each.id)
            dependents.append(each)
    return dependents


def dependents_to_begin_again(run: Run, shot: Shot) -> list[Shot]:
    """The shots that wait for its last frame, or failed with it, as a retake leaves them: with no tries yet."""
    dependents = all_dependents(run, shot, past_done=False)
    return [replace(each, set_aside=_last_number(each), error=None) for each in dependents]


def _is_begun(shot: Shot, statuses: Iterable[TakeStatus]) -> bool:
    return any(take.status in statuses for take in shot.takes)


# --- small tools -------------------------------------------------------------------------------------------------


def _last_number(shot: Shot) -> int:
    return max((take.number for take in shot.takes), default=0)
