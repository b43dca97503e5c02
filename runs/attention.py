"""Whether a run needs a person, as pure functions: what a list shows to somebody who should look."""

from framerelay.runs.model import Family, Run, RunStatus, Shot, ShotStatus, Take, TakeStatus
from framerelay.runs.standing import awake, takes_in_play
from framerelay.runs.takes import is_refused_a_look


def needs_person(run: Run) -> bool:
    """
    It waits, and not only for a provider that is out of order; or it goes on, and one of its shots has a question.

    A failed run needs nobody: it has its own status, and stays failed if nothing is done.
    """
    if run.status is RunStatus.WAITING:
        return not (run.error is not None and run.error.family is Family.SERVER and _waits_for_a_provider(run))
    return run.status is RunStatus.RUNNING and any(asks_a_person(shot) for shot in awake(run))


def asks_a_person(shot: Shot) -> bool:
    """
    For an approval, a pick, a decision about a take, or a key with which its job can be looked up.

    Anything else a shot may wait for concerns the whole run, or resolves itself.
    """
    if shot.status is not ShotStatus.WAITING:
        return False
    unapproved = shot.gated and not shot.approved
    return unapproved or any(_asks(take) for take in takes_in_play(shot))


def _asks(take: Take) -> bool:
    return take.status is TakeStatus.DONE or take.question is not None or is_refused_a_look(take)


def is_out_of_order(shot: Shot) -> bool:
    """Its provider is out of order: the shot keeps being tried, with waits in between."""
    return shot.held_by is not None and shot.held_by.family is Family.SERVER


def _waits_for_a_provider(run: Run) -> bool:
    waiting = [shot for shot in awake(run) if shot.status is ShotStatus.WAITING]
    return bool(waiting) and all(is_out_of_order(shot) and not asks_a_person(shot) for shot in waiting)
