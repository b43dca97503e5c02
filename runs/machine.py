"""
The rules of a run: pure functions of state, event and time; no I/O, no clock, no logger.

    run = apply(run, event, now)       what happened; unknown, late or repeated facts return the run unchanged
    moment = wake_at(run, now)         when to look again even if nothing happened

Moments, here and in all of `runs`, are seconds since 1970 (UTC); the caller brings the clock.

What the state then asks for is in `runs.steps`, the life of one take in `runs.takes`, and what follows from all takes
together in `runs.standing`.
"""

from dataclasses import replace
from typing import Final

from framerelay.runs import events
from framerelay.runs.amend import apply_amendment
from framerelay.runs.content import content_key
from framerelay.runs.costs import reservation
from framerelay.runs.decisions import apply_decision
from framerelay.runs.events import Event, TakeEvent
from framerelay.runs.following import with_following, with_reactions
from framerelay.runs.model import Run, Shot, ShotStatus, Take, TakeStatus
from framerelay.runs.restoration import with_restoration
from framerelay.runs.standing import (
    awake,
    is_complete,
    picks,
    reset_film,
    settle,
    takes_in_play,
    takes_to_submit,
)
from framerelay.runs.steps import StepName, moment_of, steps_due, wants_film
from framerelay.runs.takes import (
    FOR_A_PERSON,
    NEVER_ARRIVED,
    OPEN,
    SUBMIT_CUT_SHORT,
    TWINS_MAX,
    ask_at,
    find_at,
    is_about,
    is_unheard,
    set_back,
    take_after,
    twin,
    unsure,
    with_question,
)

NO_PLACE: Final = "no_place"  # Why a shot is held if its provider has as many jobs as it takes.
WAKE_S_MAX: Final = 900.0  # A wake-up further off than this shows that the clock was set back.
CLOCKS_APART_S: Final = 300.0  # Two machines' clocks may differ by this much without anybody having set one back.
AHEAD_S_MAX: Final = WAKE_S_MAX + CLOCKS_APART_S
RECHECK_S: Final = 15.0  # A step that was enqueued and is still due after this long is enqueued again.
SUBMIT_MARGIN_S: Final = 30.0  # After the submit timeout, before a take without an answer counts as unsure.


def apply(run: Run, event: Event, now: float) -> Run:
    """
    *run* after *event* happened at *now*; the same object if it changes nothing.

    A changed run has the next revision and fresh statuses. The order and repetition of events do not matter: a take
    only moves forward, what is final stays final, and events about another state are dropped. This also holds for a run
    that has ended: its jobs are followed to their end, since they were paid for.
    """
    now = moment_of(run, now)
    new = _change(_with_clock(run, now), event, now)
    if new is run:
        return run
    new = replace(new, revision=run.revision + 1)
    # A notification says nothing about the film: it makes no decision stale and does not prolong the run.
    if isinstance(event, events.NotificationSettled):
        return replace(new, news=_news(run))
    news = _news(run) if isinstance(event, events.OpeningTaken) else new.revision
    if isinstance(event, events.Amended):  # Shots then have other places and other dependents: all are looked at.
        amended_run = settle(replace(new, news=news, updated_at=now))
        last = with_following(amended_run, before=None, now=now)
        return amended_run if last is amended_run else settle(last)
    new = with_reactions(new, before=run)
    after = settle(replace(new, news=news, updated_at=now), before=run)
    last = with_following(after, before=run, now=now)
    return after if last is after else settle(last, before=after)


def is_news(run: Run, revision: int) -> bool:
    """Whether *run* is different for a person who saw it at *revision*; a clip's first frame does not count as news."""
    return not _news(run) <= revision <= run.revision


def _news(run: Run) -> int:
    return run.revision if run.news is None else run.news


def begin(run: Run) -> Run:
    """A new run with its first statuses."""
    return settle(run)


def wake_at(run: Run, now: float) -> float | None:
    """When *run* must be looked at even if nothing happened to it; None if only an event can move it."""
    shots, now = awake(run), moment_of(run, now)
    later = [take.due_at for shot in shots for take in shot.takes if take.due_at > now and take.status in OPEN]
    later += [at for shot in shots for take in shot.takes if (at := find_at(take)) is not None and at > now]
    later += [shot.due_at for shot in shots if shot.due_at > now and takes_to_submit(run, shot)]
    later += [run.due_at] if run.due_at > now and wants_film(run) else []
    later += [now + RECHECK_S] if steps_due(run, now) else []
    if _after_deadlines(_with_clock(run, now), now) is not run:
        later.append(now)
    later += [
        moment for shot in shots for take in _askable(shot) if (moment := ask_at(run, shot, take)) and moment > now
    ]
    return min(*later, now + WAKE_S_MAX) if later else None


def is_left_over(run: Run) -> bool:
    """
    Early versions ended a run while jobs were under way that nobody followed, or with a film while a shot was being
    retaken.
    """
    takes = [take for shot in run.shots for take in shot.takes]
    if run.film is not None or run.cancelled:
        undone = run.film is not None and not is_complete(run)
        return undone or any(take.status in OPEN or _was_given_up(take) for take in takes)
    return False


def has_doubtful_film(run: Run) -> bool:
    """Early versions did not record the takes of a film; if there is a choice, it may have been made from others."""
    choice = any(sum(take.status is TakeStatus.DONE for take in shot.takes) > 1 for shot in run.shots)
    return run.film is not None and run.film.takes is None and choice


# --- what happened -----------------------------------------------------------------------------------------------


def _change(run: Run, event: Event, now: float) -> Run:
    match event:
        case events.Submitting():
            return _with_intent(run, event, now)
        case events.SubmitPutOff():
            return _without_intent(run, event, until=event.until)
        case events.SubmitRefused() if event.problem.family in FOR_A_PERSON:
            return _without_intent(run, event, until=now)
        case events.PreparationFailed() | events.PlaceWanted():
            return _put_off(run, event, now)
        case events.PlaceFreed():
            return _with_place(run, event, now)
        case (
            events.Approved()
            | events.Picked()
            | events.Resumed()
            | events.Adopted()
            | events.Retaken()
            | events.RunCancelled()
        ):
            return apply_decision(run, event, now)
        case events.Amended():
            return (
                run if event.revision is not None and is_news(run, event.revision) else apply_amendment(run, event, now)
            )
        case events.Submitted():
            return _with_answer(run, event, now)
        case events.SecondJobFound():
            return _with_twin(run, event.shot_id, event.take, event.job_ids, now)
        case events.Elapsed():
            return _after_deadlines(run, now)
        case events.WorkerStarted():
            return _look_up_now(run, now)
        case events.Repaired():
            return _look_up_now(reset_film(run) if event.join else replace(run), now)
        case events.Restored():
            return with_restoration(run, now)
        case events.CalledBack():
            take = run.take(event.shot_id, event.take)
            news = take is not None and not take.called_back
            return _with_take(run, event.shot_id, replace(take, called_back=True)) if take and news else run
        case events.OpeningTaken():
            return _with_opening(run, event)
        case events.NotificationSettled():
            return run if run.untold == event.problem else replace(run, untold=event.problem)
        case events.Joined():
            awaited = wants_film(run) and event.turn == run.turns and event.film.takes == picks(run)
            return replace(run, film=event.film, join_error=None) if awaited else run
        case events.JoinFailed():
            if not wants_film(run) or event.turn not in (None, run.turns):
                return run
            final = event.problem if event.until is None else None
            return replace(run, turns=run.turns + 1, due_at=event.until or now, join_error=final)
        case events.FilmMadeAgain():
            return _with_film_again(run, event)
        case _:
            return _with_take_event(run, event, now)


def _with_intent(run: Run, event: events.Submitting, now: float) -> Run:
    """The gate in front of money: order, approval, budget and repetition are all in `steps_due`."""
    shot = run.shot(event.shot_id)
    due = [step for step in steps_due(run, now) if step.name is StepName.SUBMIT]
    if shot is None or (event.shot_id, event.take) not in {(step.shot_id, step.take) for step in due}:
        return run
    if event.turn not in (None, shot.turns):  # It was prepared for what the shot was before somebody changed it.
        return run
    take = Take(
        number=event.take,
        status=TakeStatus.SUBMITTING,
        intent=event.intent,
        submitted_at=now,
        due_at=now + run.terms.submit_timeout_s + SUBMIT_MARGIN_S,
        seed=event.seed,
        first_frame=event.first_frame,
        expected_s=event.expected_s,
        usual_s=event.usual_s,
        maker=event.maker,
        cost=reservation(shot.estimate),
        key=content_key(run, shot),
        source=shot.source,
    )
    takes = sorted((*shot.takes, take), key=lambda each: each.number)
    return run.with_shots(replace(shot, takes=tuple(takes), held_by=None))


def _without_intent(run: Run, event: events.SubmitPutOff | events.SubmitRefused, *, until: float) -> Run:
    """Nothing was accepted, and the shot is not to blame: the take never existed."""
    shot, take = run.shot(event.shot_id), run.take(event.shot_id, event.take)
    unborn = (TakeStatus.SUBMITTING, TakeStatus.UNSURE)
    if shot is None or take is None or take.status not in unborn or take.job_ids or not is_about(take, event):
        return run
    rest = tuple(other for other in shot.takes if other.number != take.number)
    waiting = replace(shot, takes=rest, due_at=until, turns=shot.turns + 1, held_by=event.problem)
    return run.with_shots(waiting)


def _put_off(run: Run, event: events.PreparationFailed | events.PlaceWanted, now: float) -> Run:
    shot = run.shot(event.shot_id)
    if shot is None or not takes_to_submit(run, shot) or event.turn not in (None, shot.turns):
        return run
    for_a_person = event.problem.family in FOR_A_PERSON
    if event.until is None and not for_a_person:
        return run.with_shots(replace(shot, error=event.problem))
    return run.with_shots(replace(shot, due_at=event.until or now, turns=shot.turns + 1, held_by=event.problem))


def _with_place(run: Run, event: events.PlaceFreed, now: float) -> Run:
    shot = run.shot(event.shot_id)
    if shot is None or shot.held_by is None or shot.held_by.code != NO_PLACE or shot.due_at <= now:
        return run
    return run.with_shots(replace(shot, due_at=now, turns=shot.turns + 1))


def _with_answer(run: Run, event: events.Submitted, now: float) -> Run:
    """The job is the take's, if the take waits for exactly this answer; otherwise it is kept as an extra one."""
    shot, take = run.shot(event.shot_id), run.take(event.shot_id, event.take)
    if shot is None:
        return run
    ids = (event.job_id, *event.aliases)
    owner = next((each for each in shot.takes if set(ids) & set(each.job_ids)), None)
    if owner is None and take is None:  # Its intent was taken back, or is lost: the job exists all the same.
        status, intent = TakeStatus.UNSURE, event.intent or ""
        take = Take(number=event.take, status=status, intent=intent, submitted_at=now, due_at=now)
        shot = replace(shot, takes=tuple(sorted((*shot.takes, take), key=lambda each: each.number)))
        run = run.with_shots(shot)
    mine = owner or (take if take and not take.job_ids and event.intent in (None, take.intent) else None)
    if mine is None:
        return _with_twin(run, event.shot_id, event.take, ids, now)
    after = take_after(run, shot, mine, event, now)
    return run if after == mine else _with_take(run, event.shot_id, after)


def _with_twin(run: Run, shot_id: str, number: int, job_ids: tuple[str, ...], now: float) -> Run:
    """The provider made two jobs for one take, and both were paid for: the second one's clip is kept as well."""
    shot = run.shot(shot_id)
    if shot is None or _belongs_to_another(run, job_ids) or run.take(shot_id, number) is None:
        return run
    if sum(take.twin_of is not None for take in shot.takes) >= TWINS_MAX:
        return run
    return run.with_shots(replace(shot, takes=(*shot.takes, twin(shot, number, job_ids, now))))


def _with_opening(run: Run, event: events.OpeningTaken) -> Run:
    """It arrives when the clip is there, before or after `Collected`, and nothing follows from it."""
    take = run.take(event.shot_id, event.take)
    if take is None or take.status not in (TakeStatus.COLLECTING, TakeStatus.DONE):
        return run
    after = replace(take, opening=event.opening, seam=event.seam)
    return run if after == take else _with_take(run, event.shot_id, after)


def _with_film_again(run: Run, event: events.FilmMadeAgain) -> Run:
    if run.film is None or run.film.path != event.path:
        return run
    again = replace(run.film, bytes=event.bytes, sha256=event.sha256)
    return run if again == run.film else replace(run, film=again)


def _after_deadlines(run: Run, now: float) -> Run:
    for shot in awake(run):
        for take in shot.takes:
            if take.due_at > now:
                continue
            if take.status is TakeStatus.SUBMITTING:
                run = _with_take(run, shot.id, unsure(run, shot, take, SUBMIT_CUT_SHORT, now))
            elif take.status is TakeStatus.UNSURE and _gives_way(run, shot, take):
                over = replace(take, status=TakeStatus.EXPIRED, error=NEVER_ARRIVED, question=None)
                run = _with_take(run, shot.id, over)
    for shot in awake(run):
        for take in _askable(shot):
            if (after := with_question(run, shot, take, now)) is not take:
                run = _with_take(run, shot.id, after)
    return run


def _gives_way(run: Run, shot: Shot, take: Take) -> bool:
    """Whether an unsure take is given up by time alone: the terms say so, or nothing depends on it."""
    left_behind = take.number <= shot.set_aside or take.spare or shot.dropped
    return run.terms.unsure == "retake" or left_behind or run.cancelled or run.film is not None


def _askable(shot: Shot) -> list[Take]:
    """The takes that a person may have to be asked about: a shot that is done, or given up, needs none of them."""
    is_over = shot.status in (ShotStatus.DONE, ShotStatus.CANCELLED)
    return [] if is_over else [take for take in takes_in_play(shot) if take.question is None]


def _with_clock(run: Run, now: float) -> Run:
    """*run*, with moments that were set before the clock went back; nothing was expected to be so far off."""
    if run.updated_at <= now + CLOCKS_APART_S:
        return run
    shots = [
        replace(shot, due_at=min(shot.due_at, now), takes=tuple(set_back(take, now) for take in shot.takes))
        for shot in awake(run)
    ]
    return replace(run.with_shots(*shots), due_at=min(run.due_at, now))


def _look_up_now(run: Run, now: float) -> Run:
    for shot in run.shots if run.cancelled else awake(run):
        for take in shot.takes:
            late = take.status is TakeStatus.GENERATING and take.due_at > now
            if late or _was_given_up(take):
                again = replace(take, status=TakeStatus.GENERATING, due_at=now, turns=take.turns + 1)
                run = _with_take(run, shot.id, again)
    return run


def _was_given_up(take: Take) -> bool:
    """Early versions did not follow the jobs of a run that was cancelled."""
    return take.status is TakeStatus.CANCELLED and bool(take.job_ids) and take.ended_at is None


def _with_take_event(run: Run, event: TakeEvent, now: float) -> Run:
    shot, take = run.shot(event.shot_id), run.take(event.shot_id, event.take)
    if shot is None or take is None:
        return run
    if take.twin_of is not None and (result := _merge_twin(run, shot, take, event)) is not None:
        return result
    ids = _ids_of(event)
    if not take.job_ids and _belongs_to_another(run, ids):
        return run
    if ids and take.job_ids and not set(ids) & set(take.job_ids):
        # The take had none yet when it was asked about; from a take that ended without a clip nothing has to be kept.
        ended = isinstance(event, events.JobEnded)
        return run if ended else _with_twin(run, shot.id, take.number, ids, now)
    if take.status not in OPEN and not is_unheard(take) and not take.is_refused:
        return run
    if take.is_refused:  # What was put aside for it was given back.
        take = replace(take, cost=reservation(shot.estimate))
    after = take_after(run, shot, take, event, now)
    return run if after == take else _with_take(run, event.shot_id, after)


def _merge_twin(run: Run, shot: Shot, take: Take, event: TakeEvent) -> Run | None:
    """The second job turns out to be the first one, by another of its ids: there was no second one."""
    first = run.take(shot.id, take.twin_of or 0)
    ids = _ids_of(event)
    if first is None or take.status not in OPEN or not set(ids) & set(first.job_ids):
        return None
    rest = tuple(each for each in shot.takes if each.number != take.number)
    first = replace(first, job_ids=tuple(dict.fromkeys((*first.job_ids, *take.job_ids, *ids))))
    return _with_take(run.with_shots(replace(shot, takes=rest)), shot.id, first)


def _ids_of(event: TakeEvent) -> tuple[str, ...]:
    return event.job_ids if isinstance(event, events.JobSeen | events.Rendered | events.JobEnded) else ()


def _belongs_to_another(run: Run, job_ids: tuple[str, ...]) -> bool:
    return any(set(job_ids) & set(take.job_ids) for shot in run.shots for take in shot.takes)


# --- small tools -------------------------------------------------------------------------------------------------


def _with_take(run: Run, shot_id: str, take: Take) -> Run:
    shot = run.shot(shot_id)
    if shot is None:
        return run
    takes = tuple(take if other.number == take.number else other for other in shot.takes)
    return run.with_shots(replace(shot, takes=takes))
