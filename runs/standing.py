"""
How a run stands, purely: what its shots still need, and the statuses that follow from its takes.

Nothing here is stored on its own account: `settled` computes it anew after every change.
"""

from dataclasses import replace
from itertools import count, islice
from typing import Final

from runs.model import Family, Problem, Run, RunStatus, Shot, ShotStatus, Take, TakeStatus
from runs.takes import SUBMIT_CUT_SHORT

HELD_AFTER: Final = 6  # Submits put off because the provider is out of order, before a person is told: about 15 s.
# A new take may help: moderation of the output is said to strike at random, the others are nobody's fault.
WORTH_A_RETAKE: Final = frozenset({Family.VIDEO_MODERATED, Family.AUDIO_MODERATED, Family.SERVER, Family.EXPIRED})

# Nothing can be submitted until the operator acts at the provider; no shot is to blame.
FOR_A_PERSON: Final = frozenset({Family.ACCOUNT, Family.QUOTA})


def settled(run: Run) -> Run:
    """
    *run* with picks, shot statuses and its own status computed anew from the takes.

    A shot that stays as it was stays the same object: `runs.store` writes the others.
    """
    run = replace(run, shots=tuple(_with_own_pick(run, shot) for shot in run.shots))
    left = jobs_left(run)
    run = replace(run, shots=tuple(_with_status(shot, _shot_status(run, shot, left)) for shot in run.shots))
    status, error = _run_status(run, left)
    return replace(run, status=status, error=error)


def _with_own_pick(run: Run, shot: Shot) -> Shot:
    """One take alone, or the first that is done, needs nobody to pick it."""
    unbegun = not shot.takes and shot.picked is None
    if unbegun or (shot.takes_wanted > 1 and not shot.pick_first):
        return shot
    kept = chosen(shot)
    if kept is not None and (kept.status is TakeStatus.DONE or _hands_on(run, kept)):
        return shot
    able = [take for take in counted(shot) if _hands_on(run, take)]
    able.sort(key=lambda take: (take.status is not TakeStatus.DONE, take.number))
    picked = able[0].number if able else None
    return shot if shot.picked == picked else replace(shot, picked=picked)


def _with_status(shot: Shot, status: ShotStatus) -> Shot:
    return shot if shot.status is status else replace(shot, status=status)


def _shot_status(run: Run, shot: Shot, left: int | None) -> ShotStatus:
    statuses = {take.status for take in counted(shot)}
    kept = chosen(shot)
    if kept is not None and kept.status is TakeStatus.DONE:
        return ShotStatus.DONE
    if run.cancelled:
        return ShotStatus.CANCELLED
    for status in (TakeStatus.COLLECTING, TakeStatus.GENERATING, TakeStatus.SUBMITTING):
        if status in statuses:
            return ShotStatus(status.value)
    if statuses & {TakeStatus.UNSURE, TakeStatus.DONE} or _is_held(run, shot, left):
        return ShotStatus.WAITING
    if shot.error or (shot.takes and not takes_missing(run, shot)):
        return ShotStatus.FAILED
    return ShotStatus.PENDING


def _is_held(run: Run, shot: Shot, left: int | None) -> bool:
    """A person has to let it go, or ought to know: an approval, the budget, a provider that is out of order."""
    if shot.error or not _has_first_frame(run, shot) or not takes_missing(run, shot):
        return False
    untold = shot.gated and not shot.approved
    return untold or left == 0 or needs_operator(shot) or _is_stuck(shot)


def needs_operator(shot: Shot) -> bool:
    """The provider would refuse every submit: a wrong key, an overdue account, a quota that is gone."""
    return shot.held_by is not None and shot.held_by.family in FOR_A_PERSON


def _is_stuck(shot: Shot) -> bool:
    """It goes on being tried, ever more rarely, and moves by itself when the provider is back."""
    tried_long = shot.turns >= HELD_AFTER * max(1, shot.takes_wanted)
    return tried_long and shot.held_by is not None and shot.held_by.family is Family.SERVER


def _run_status(run: Run, left: int | None) -> tuple[RunStatus, Problem | None]:
    shots = {status: [shot for shot in run.shots if shot.status is status] for status in ShotStatus}
    if run.cancelled:
        return RunStatus.CANCELLED, None
    if run.film:
        return RunStatus.SUCCEEDED, None
    if len(shots[ShotStatus.DONE]) == len(run.shots):
        return (RunStatus.FAILED, run.join_error) if run.join_error else (RunStatus.RUNNING, None)
    moving = shots[ShotStatus.SUBMITTING] + shots[ShotStatus.GENERATING] + shots[ShotStatus.COLLECTING]
    if moving or (left != 0 and any(takes_to_submit(run, shot) and not _is_stuck(shot) for shot in run.shots)):
        return RunStatus.RUNNING, None
    if shots[ShotStatus.WAITING]:
        return RunStatus.WAITING, _waiting_for(run, shots[ShotStatus.WAITING][0])
    failed = (shots[ShotStatus.FAILED] or list(run.shots))[0]
    return RunStatus.FAILED, _named(failed, problem_of(failed))


def _waiting_for(run: Run, shot: Shot) -> Problem:
    unsure = next((take for take in shot.takes if take.status is TakeStatus.UNSURE), None)
    if unsure is not None:
        return _named(shot, unsure.error or SUBMIT_CUT_SHORT)
    if any(take.status is TakeStatus.DONE for take in counted(shot)):
        return _named(shot, Problem(code="pick_needed", message="its takes are done; pick one to go on from"))
    if shot.gated and not shot.approved:
        return _named(shot, Problem(code="approval_needed", message="it waits for your approval"))
    if shot.held_by is not None and (needs_operator(shot) or _is_stuck(shot)):
        return _named(shot, shot.held_by)
    spent = f"the budget of {run.budget_jobs} jobs is spent; nothing more is submitted"
    return _named(shot, Problem(code="budget_reached", message=spent, family=Family.QUOTA))


def problem_of(shot: Shot) -> Problem:
    """Why *shot* failed."""
    last = next((take.error for take in reversed(shot.takes) if take.error), None)
    return shot.error or last or Problem(code="failed", message="it cannot go on")


def _named(shot: Shot, problem: Problem) -> Problem:
    return replace(problem, message=f"shot {shot.id}: {problem.message}")


def chosen(shot: Shot) -> Take | None:
    """The take that the film and the next shots go on from, once there is one."""
    if shot.picked is not None:
        for take in shot.takes:
            if take.number == shot.picked:
                return take
    return None


def jobs_spent(run: Run) -> int:
    """Jobs that were or may have been accepted, the intended ones included: this is what the budget counts."""
    return sum(_may_cost(take) for shot in run.shots for take in shot.takes)


def jobs_left(run: Run) -> int | None:
    """How many more submits the budget allows; None without a budget."""
    return None if run.budget_jobs is None else max(0, run.budget_jobs - jobs_spent(run))


def takes_to_submit(run: Run, shot: Shot) -> list[int]:
    """Numbers of the takes that *shot* still needs and nothing but time or money holds back."""
    held = shot.error is not None or needs_operator(shot) or (shot.gated and not shot.approved)
    if run.cancelled or held or not _has_first_frame(run, shot):
        return []
    missing = takes_missing(run, shot)
    if not missing:
        return []
    taken = {take.number for take in shot.takes}
    free = (number for number in count(shot.set_aside + 1) if number not in taken)
    return list(islice(free, missing))


def takes_missing(run: Run, shot: Shot) -> int:
    """How many more takes *shot* needs, whatever holds them back."""
    takes = counted(shot)
    if len(takes) >= shot.takes_wanted and chosen(shot) is not None:
        return 0
    worth = sum(_is_worth_a_retake(take) for take in takes)
    return max(0, shot.takes_wanted + min(worth, run.terms.retakes) - len(takes))


def counted(shot: Shot) -> list[Take]:
    """The takes that something can still come of: all but those that a person went on without."""
    return [take for take in shot.takes if take.number > shot.set_aside]


def callbacks_missed(run: Run) -> int:
    """How many jobs ended that we had to find by looking: their callbacks did not come."""
    return sum(_was_found(take) for shot in run.shots for take in shot.takes)


def seems_unreachable(run: Run) -> bool:
    """Not one callback came about jobs that ended, and it was not a single accident."""
    heard = any(take.called_back for shot in run.shots for take in shot.takes)
    enough = 2 if run.status is RunStatus.RUNNING and len(run.shots) > 1 else 1
    return not heard and callbacks_missed(run) >= enough


def _was_found(take: Take) -> bool:
    known = take.rendered_at is not None or take.ended_at is not None
    return known and not take.called_back and not take.adopted


def submits_to_come(run: Run) -> int:
    """How many submits *run* leads to from here, if nothing fails: every take that is missing, inside the budget."""
    missing = sum(takes_missing(run, shot) for shot in run.shots if not shot.error)
    left = jobs_left(run)
    return 0 if run.cancelled or run.film else missing if left is None else min(missing, left)


def _is_worth_a_retake(take: Take) -> bool:
    ended = take.status in (TakeStatus.FAILED, TakeStatus.EXPIRED)
    rendered = take.video_url is not None  # It was paid for, and may still be fetched when a person says so.
    return ended and not rendered and take.error is not None and take.error.family in WORTH_A_RETAKE


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
