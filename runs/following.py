"""
Shots that follow a retake, as pure functions: each is made again when its source hands on its new take.

A person marks them (`Shot.following`) with the retake of a shot that they are made from, and until it is their turn
they stay as they are: nothing is spent if the new take of the source never comes, and nothing is lost if a person goes
back to the old one. Each gets one take. A gate asks again before it; a budget stops it like any other take.
"""

from collections import deque
from dataclasses import replace

from framerelay.runs.decisions import begin_again
from framerelay.runs.model import Run, Shot, ShotStatus
from framerelay.runs.reactions import with_other_input
from framerelay.runs.standing import changed_places, hands_on, picked_take, takes_in_play
from framerelay.runs.takes import OPEN


def with_following(run: Run, *, before: Run | None, now: float) -> Run:
    """
    *run* with what its change implies for the shots that are marked; the same object if that is nothing.

    *before*: the run before that change. Only shots that have changed since, and those that begin with one, are looked
    at; None: all are.
    """
    if run.cancelled:
        return run
    places = deque(range(len(run.shots)) if before is None else changed_places(run, before=before))
    while places:
        place = places.popleft()
        for each in (place, *run.index.dependents.get(run.shots[place].id, ())):
            if (after := _follow(run, run.shots[each], now)) is not run:
                run = after
                places.append(each)
    return run


def _follow(run: Run, shot: Shot, now: float) -> Run:
    source = run.shot(shot.source) if shot.source is not None else None
    take = picked_take(source) if source else None
    if shot.following is None or source is None or source.following is not None:
        return run
    if take is None or not hands_on(run, take):
        return run
    if shot.following == take.number or _begins_with(shot, take.number):
        return run.with_shots(replace(shot, following=None))
    if shot.status is not ShotStatus.DONE and any(each.status in OPEN for each in shot.takes):
        return run  # A job that a person adopted in the meantime: its end is waited for.
    return begin_again(run, replace(shot, approved=False), now)


def _begins_with(shot: Shot, number: int) -> bool:
    """Whether the take it continues with was made from that take of its source."""
    take = picked_take(shot)
    return take is not None and take.first_frame is not None and take.first_frame.take == number


def with_reactions(run: Run, *, before: Run) -> Run:
    """*run*, not settled yet, after the storyboard's reaction to the takes that failed since *before*."""
    if run.cancelled:
        return run
    candidates = (run.shots[place] for place in changed_places(run, before=before))
    failures = [shot for shot in candidates if shot.reaction is not None and picked_take(shot) is None]
    others = [(shot, with_other_input(shot, takes_in_play(shot))) for shot in failures]
    return run.with_shots(*results) if (results := [after for shot, after in others if after is not shot]) else run
