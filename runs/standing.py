"""
How a run stands, as pure functions: what its shots still need, and the statuses that follow from its takes.

None of this is independent state: `settle` computes it after every change, for the parts that the change touches.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from itertools import compress, count, islice
from operator import is_not
from typing import Final

from framerelay.runs.budget import budget_words
from framerelay.runs.changes import coming_numbers
from framerelay.runs.costs import MICROS, Balance, CostTally
from framerelay.runs.model import Family, Problem, Run, RunStatus, Shot, ShotStatus, Take, TakeStatus
from framerelay.runs.overview import Overview
from framerelay.runs.reactions import retakes_due
from framerelay.runs.takes import (
    BROUGHT_IN,
    FOR_A_PERSON,
    IN_FLIGHT,
    OPEN,
    SUBMIT_CUT_SHORT,
    is_refused_a_look,
    is_unheard,
    shown_status,
)

MOVING: Final = frozenset({ShotStatus.SUBMITTING, ShotStatus.GENERATING, ShotStatus.COLLECTING})
HELD_AFTER: Final = 6  # Submits put off because the provider is out of order, before a person is shown it: about 15 s.


def settle(run: Run, *, before: Run | None = None) -> Run:
    """
    *run* with picks, shot statuses and its own status as they follow from the takes.

    *before*: the run before the change. If that was settled, only shots that have changed since, that begin with one of
    these, or that wait for the budget are looked at, however many the run has.
    A shot that does not change stays the same object: `store.runs` writes the others.
    """
    earlier = before
    if before is not None and (before.index.overview is None or before.cancelled is not run.cancelled):
        before = None
    places = range(len(run.shots)) if before is None else changed_places(run, before=before)
    run = run.with_shots(*(_with_own_pick(run, run.shots[place]) for place in places))
    view = _carry_over(before, run, places)
    run = _without_old_film(run, view, earlier)
    balance = _budget_left(run, view)
    scope = {*places, *_dependent_places(run, places), *view.awake}
    shots = (run.shots[place] for place in scope)
    run = run.with_shots(*(_with_status(shot, _shot_status(run, shot, balance)) for shot in shots))
    status, error = _run_status(run, view, balance)
    return replace(run, status=status, error=error, index=replace(run.index, overview=view))


def changed_places(run: Run, *, before: Run) -> list[int]:
    """Places of the shots that are not the same objects as in *before*; nearly free for each that is."""
    return list(compress(count(), map(is_not, run.shots, before.shots)))


def _without_old_film(run: Run, view: Overview, earlier: Run | None) -> Run:
    """
    *run* without a film whose takes are no longer the picked ones; a join under way then finds another turn of the run
    when it is ready.
    """
    if run.film is not None and view.undone:
        return reset_film(run)
    if earlier is None or overview(earlier).undone:
        return run
    moved = any(earlier.shots[place].picked != run.shots[place].picked for place in changed_places(run, before=earlier))
    return reset_film(run) if moved or view.undone else run


def reset_film(run: Run) -> Run:
    """*run* with its film to be joined again; a join under way no longer counts."""
    return replace(run, film=None, join_error=None, due_at=0.0, turns=run.turns + 1)


def picks(run: Run) -> dict[str, int]:
    """For each shot that is done, the take that the film is made from."""
    pairs = ((shot.id, picked_take(shot)) for shot in run.story)
    return {name: take.number for name, take in pairs if take is not None and take.status is TakeStatus.DONE}


def has_ended(run: Run) -> bool:
    """Only a person's decision can change it now: no job is under way whose clip is to be kept."""
    if run.status not in (RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED):
        return False
    statuses = OPEN - {TakeStatus.UNSURE}
    return not any(take.status in statuses for shot in run.shots for take in shot.takes)


def is_complete(run: Run) -> bool:
    """Every shot is done: a film can be made from the picked takes."""
    return not overview(run).undone


def _with_own_pick(run: Run, shot: Shot) -> Shot:
    """A single take, or the first that is done, does not need to be picked by anybody."""
    unbegun = not shot.takes and shot.picked is None
    if unbegun or (shot.takes_wanted > 1 and not shot.pick_first):
        return shot
    take = picked_take(shot)
    if take is not None and (take.status is TakeStatus.DONE or hands_on(run, take)):
        return shot
    able = [take for take in takes_in_play(shot) if hands_on(run, take)]
    able.sort(key=lambda take: (take.status is not TakeStatus.DONE, take.number))
    pick = able[0].number if able else None
    return shot if shot.picked == pick else replace(shot, picked=pick)


def _with_status(shot: Shot, status: ShotStatus) -> Shot:
    return shot if shot.status is status else replace(shot, status=status)


def _shot_status(run: Run, shot: Shot, balance: Balance) -> ShotStatus:
    takes = takes_in_play(shot)
    statuses = {shown_status(take) for take in takes if take.question is None and not is_refused_a_look(take)}
    take = picked_take(shot)
    if take is not None and take.status is TakeStatus.DONE:
        return ShotStatus.DONE
    if run.cancelled or shot.dropped:
        return ShotStatus.CANCELLED
    for status in (TakeStatus.COLLECTING, TakeStatus.GENERATING, TakeStatus.SUBMITTING):
        if status in statuses:
            return ShotStatus(status.value)
    asks = any(take.question or is_refused_a_look(take) for take in takes)
    if asks or statuses & {TakeStatus.UNSURE, TakeStatus.DONE} or _is_held(run, shot, balance):
        return ShotStatus.WAITING
    if shot.error or (shot.takes and not takes_missing(run, shot)):
        return ShotStatus.FAILED
    return ShotStatus.PENDING


def _is_held(run: Run, shot: Shot, balance: Balance) -> bool:
    """A person has to let it go, or should know: an approval, the budget, a provider that is out of order."""
    if shot.error or not _has_first_frame(run, shot) or not takes_missing(run, shot):
        return False
    unapproved = shot.gated and not shot.approved
    return unapproved or not balance.allows(shot.estimate) or needs_operator(shot) or _is_stuck(shot)


def needs_operator(shot: Shot) -> bool:
    """The provider would refuse every submit: a wrong key, an overdue account, an exhausted quota."""
    return shot.held_by is not None and shot.held_by.family in FOR_A_PERSON


def _is_stuck(shot: Shot) -> bool:
    """It keeps being tried, less and less often, and continues by itself when the provider is back."""
    tried_long = shot.turns >= HELD_AFTER * max(1, shot.takes_wanted)
    return tried_long and shot.held_by is not None and shot.held_by.family is Family.SERVER


def _run_status(run: Run, view: Overview, balance: Balance) -> tuple[RunStatus, Problem | None]:
    if run.cancelled:
        return RunStatus.CANCELLED, None
    if run.film and not view.undone:
        return RunStatus.SUCCEEDED, None
    if not view.undone:
        return (RunStatus.FAILED, run.join_error) if run.join_error else (RunStatus.RUNNING, None)
    awake = [run.shots[place] for place in view.awake]
    moving = any(shot.status in MOVING for shot in awake)
    if moving or any(
        balance.allows(shot.estimate) and takes_to_submit(run, shot) and not _is_stuck(shot) for shot in awake
    ):
        return RunStatus.RUNNING, None
    waiting = next((shot for shot in run.shots if shot.status is ShotStatus.WAITING), None)
    if waiting is not None:
        return RunStatus.WAITING, _waiting_for(run, waiting, balance)
    failed_shot = next((shot for shot in run.shots if shot.status is ShotStatus.FAILED), run.shots[0])
    return RunStatus.FAILED, _with_shot_name(failed_shot, problem_of(failed_shot))


def _waiting_for(run: Run, shot: Shot, balance: Balance) -> Problem:
    question = next((take.question for take in takes_in_play(shot) if take.question), None)
    if question is not None:
        return _with_shot_name(shot, question)
    refusal = next((take.error for take in takes_in_play(shot) if is_refused_a_look(take)), None)
    if refusal is not None:
        return _with_shot_name(shot, refusal)
    unsure = next((take for take in shot.takes if take.status is TakeStatus.UNSURE), None)
    if unsure is not None:
        return _with_shot_name(shot, unsure.error or SUBMIT_CUT_SHORT)
    if any(take.status is TakeStatus.DONE for take in takes_in_play(shot)):
        return _with_shot_name(shot, Problem(code="pick_needed", message="its takes are done; pick one to go on from"))
    if shot.gated and not shot.approved:
        return _with_shot_name(shot, Problem(code="approval_needed", message="it waits for your approval"))
    if shot.held_by is not None and (needs_operator(shot) or _is_stuck(shot)):
        return _with_shot_name(shot, shot.held_by)
    message = f"{budget_words(run, shot, balance)}; nothing more is submitted"
    return _with_shot_name(shot, Problem(code="budget_reached", message=message, family=Family.QUOTA))


def problem_of(shot: Shot) -> Problem:
    """Why *shot* failed."""
    last = next((take.error for take in reversed(shot.takes) if take.error), None)
    return shot.error or last or Problem(code="failed", message="it cannot go on")


def _with_shot_name(shot: Shot, problem: Problem) -> Problem:
    return replace(problem, message=f"shot {shot.name}: {problem.message}")


def picked_take(shot: Shot) -> Take | None:
    """The take that the film and the next shots continue from, once there is one."""
    if shot.picked is not None:
        for take in shot.takes:
            if take.number == shot.picked:
                return take
    return None


def jobs_spent(run: Run) -> int:
    """Jobs that were or may have been accepted; a submit under way is not counted yet, since it may be refused."""
    return overview(run).spent


def jobs_left(run: Run) -> int | None:
    """How many more submits the budget of jobs allows, on top of those under way; None without one."""
    return budget_left(run).jobs


def budget_left(run: Run) -> Balance:
    """What the budget still allows, on top of what is under way."""
    return _budget_left(run, overview(run))


def _budget_left(run: Run, view: Overview) -> Balance:
    jobs = None if run.budget_jobs is None else max(0, run.budget_jobs - view.spent - view.intents)
    micros = None if run.budget_money is None else round(run.budget_money * MICROS) - view.micros
    return Balance(jobs=jobs, micros=micros)


def cost_of(run: Run) -> CostTally | None:
    """What *run* has cost so far; None if a price is unknown, or if the currencies differ."""
    takes = [take for shot in run.shots for take in shot.takes if _may_cost(take) or _is_intended(take)]
    costs = [take.cost for take in takes]
    amounts = [cost for cost in costs if cost is not None]
    currencies = {cost.currency for cost in amounts} | {shot.estimate.currency for shot in run.shots if shot.estimate}
    if len(amounts) < len(costs) or len(currencies) != 1:
        return None
    reserved_micros = sum(take.cost.micros for take in takes if take.cost and take.status in IN_FLIGHT)
    return CostTally(
        spent=(sum(cost.micros for cost in amounts) - reserved_micros) / MICROS,
        reserved=reserved_micros / MICROS,
        currency=currencies.pop(),
        estimated=any(cost.estimated for cost in amounts),
    )


def takes_to_submit(run: Run, shot: Shot) -> list[int]:
    """Numbers of the takes that *shot* still needs, and that only time or money holds back."""
    waits = shot.error is not None or needs_operator(shot) or (shot.gated and not shot.approved)
    if run.cancelled or run.film or waits or not _has_first_frame(run, shot):
        return []
    missing = takes_missing(run, shot)
    if not missing:
        return []
    return list(islice(coming_numbers(shot), missing))


def takes_missing(run: Run, shot: Shot) -> int:
    """How many more takes *shot* needs, whatever holds them back."""
    if shot.dropped:
        return 0
    takes = takes_in_play(shot)
    if len(takes) >= shot.takes_wanted and picked_take(shot) is not None:
        return 0
    return max(0, shot.takes_wanted + retakes_due(run, shot, takes) - len(takes))


def takes_to_come(run: Run, shot: Shot) -> int:
    """The same, including the take of a shot that follows a retake; none for a shot that cannot be submitted."""
    if shot.following is not None:
        return max(1, takes_missing(run, shot))
    return 0 if shot.error else takes_missing(run, shot)


def takes_in_play(shot: Shot) -> list[Take]:
    """The takes that can still lead to something: no spare ones, none that a person went on without, no second jobs."""
    later = [take for take in shot.takes if take.number > shot.set_aside and take.twin_of is None]
    return [take for take in later if not take.spare or take.number == shot.picked]


def callbacks_missed(run: Run) -> int:
    """How many ended jobs we had to find by polling: their callbacks did not arrive."""
    return overview(run).misses


def seems_unreachable(run: Run) -> bool:
    """Not a single callback arrived about jobs that ended, and that was not an isolated accident."""
    enough = 2 if run.status is RunStatus.RUNNING and len(run.shots) > 1 else 1
    return not overview(run).callbacks and callbacks_missed(run) >= enough


def _was_found(take: Take) -> bool:
    if take.maker is not None and take.maker.poll_s is not None:
        return False  # Its provider does not call back.
    has_ended = take.rendered_at is not None or take.ended_at is not None
    return has_ended and not take.called_back and not take.adopted and take.twin_of is None


def _has_first_frame(run: Run, shot: Shot) -> bool:
    if shot.source is None:
        return True
    source = run.shot(shot.source)
    take = picked_take(source) if source and source.following is None else None
    return take is not None and hands_on(run, take)


def hands_on(run: Run, take: Take) -> bool:
    """Whether the next shot can begin with the end of *take*: ours, or the provider's before that."""
    early = take.provider_frame_url is not None and run.terms.provider_frame_first
    if take.status is TakeStatus.COLLECTING and early:
        return True
    # Its frame is kept before its clip, and stays kept while a clip that was lost before that is fetched again.
    return take.status is TakeStatus.DONE or (take.status in OPEN and take.last_frame is not None)


def _may_cost(take: Take) -> bool:
    """A job that a person named counts once the provider knows it."""
    unproven = take.intent == BROUGHT_IN and take.word is None and take.rendered_at is None and take.ended_at is None
    return bool(take.job_ids and not unproven) or take.status is TakeStatus.UNSURE or is_unheard(take)


def _micros(take: Take) -> int:
    return take.cost.micros if take.cost and (_may_cost(take) or _is_intended(take)) else 0


def _is_intended(take: Take) -> bool:
    return take.status is TakeStatus.SUBMITTING and not take.job_ids


# --- all shots together ------------------------------------------------------------------------------------------


def overview(run: Run) -> Overview:
    """For a settled run, what is known; otherwise computed from all its shots."""
    return run.index.overview or _carry_over(None, run, range(len(run.shots)))


def awake(run: Run) -> list[Shot]:
    """In the order of the film, only the shots that something is under way for, or that could be submitted."""
    return [run.shots[place] for place in overview(run).awake]


def dependents(run: Run, shot: Shot) -> list[Shot]:
    """The shots that begin with its last frame."""
    return [run.shots[place] for place in run.index.dependents.get(shot.id, ())]


def _carry_over(before: Run | None, run: Run, places: Collection[int]) -> Overview:
    """What is known of *before*, updated for the shots at *places*; without anything known, these are all shots."""
    overview = (before and before.index.overview) or Overview()
    new = [run.shots[place] for place in places]
    old = [before.shots[place] for place in places] if before else []

    def change_of(count: Callable[[Shot], int]) -> int:
        return sum(map(count, new)) - sum(map(count, old))

    scope = {*places, *_dependent_places(run, places)}
    awake_now = (set(overview.awake) - scope) | {place for place in scope if _is_awake(run, run.shots[place])}
    return Overview(
        awake=tuple(sorted(awake_now)),
        undone=overview.undone + change_of(_is_undone),
        spent=overview.spent + change_of(lambda shot: sum(map(_may_cost, shot.takes))),
        intents=overview.intents + change_of(lambda shot: sum(map(_is_intended, shot.takes))),
        micros=overview.micros + change_of(lambda shot: sum(map(_micros, shot.takes))),
        callbacks=overview.callbacks + change_of(lambda shot: sum(take.called_back for take in shot.takes)),
        misses=overview.misses + change_of(lambda shot: sum(map(_was_found, shot.takes))),
    )


def _dependent_places(run: Run, places: Iterable[int]) -> Iterable[int]:
    return (dependent for place in places for dependent in run.index.dependents.get(run.shots[place].id, ()))


def _is_undone(shot: Shot) -> bool:
    take = picked_take(shot)
    return not shot.dropped and (take is None or take.status is not TakeStatus.DONE)


def _is_awake(run: Run, shot: Shot) -> bool:
    """All that may still be submitted are included, and a few more: terms, budgets and approvals are not considered."""
    if shot.dropped or any(take.status in OPEN for take in shot.takes):
        return any(take.status in OPEN for take in shot.takes)
    source = run.shot(shot.source) if shot.source is not None else None
    take = picked_take(source) if source else None
    early = take is not None and (take.last_frame is not None or take.status is TakeStatus.COLLECTING)
    complete = len(takes_in_play(shot)) >= shot.takes_wanted and picked_take(shot) is not None
    return not complete and (early or shot.source is None)
