"""When a run will have its film, if that can be said: a person's turn, a full queue and an outage have no schedule."""

import math
from typing import Final

from framerelay.api import shapes
from framerelay.api.words import usual_s
from framerelay.runs.machine import NO_PLACE
from framerelay.runs.text import duration

LATE: Final = 2.0  # Times the usual; a job later than that may be in a queue, and nobody knows how long that is.
LEFT_OF_LATE: Final = 0.1  # Of the usual time, for a take that is past it, but not by much.


def film_in(run: shapes.Run, *, now: float) -> str | None:
    """``film in about 4 min``; None if nobody can know."""
    seconds = film_in_s(run, now=now)
    return None if seconds is None else f"film in {about(seconds)}"


def film_in_s(run: shapes.Run, *, now: float) -> float | None:
    """
    Seconds until the last clip is there, if all goes on as it has so far.

    None if it depends on anything but time: a person's approval or pick, a budget that is too small, a provider in
    trouble; and while too few similar jobs have been done.
    """
    if run.status != "running" or _budget_is_short(run) or _too_few_are_done(run):
        return None
    ends_in: dict[str, float] = {}
    for shot in run.shots:
        end = _ends_in_s(run, shot, ends_in.get(shot.source or "", 0.0), now)
        if end is None:
            return None
        ends_in[shot.id] = end
    return max(ends_in.values()) or None


def about(seconds: float) -> str:
    """As exact as an estimate can be: ``about 40 s``, ``about 4 min``, ``about 1 h 20``."""
    if seconds <= 50:
        return f"about {max(10, math.ceil(seconds / 10) * 10)} s"
    if seconds < 3570:
        return f"about {max(1, round(seconds / 60))} min"
    return f"about {duration(round(seconds / 600) * 600)}"


def _budget_is_short(run: shapes.Run) -> bool:
    to_come = sum(shot.takes_wanted for shot in run.shots if shot.status == "pending")
    return run.budget.jobs is not None and run.budget.jobs - run.spent.jobs < to_come


def _too_few_are_done(run: shapes.Run) -> bool:
    """The first of many to finish are the fastest: they alone say little, unless jobs before this run help."""
    takes = [take for shot in run.shots for take in shot.takes]
    under_way = sum(take.status in ("submitting", "generating") for take in takes)
    return not any(take.usual_s for take in takes) and sum(bool(take.rendered) for take in takes) < under_way


def _ends_in_s(run: shapes.Run, shot: shapes.Shot, source_ends_in_s: float, now: float) -> float | None:
    """Seconds until *shot* is done."""
    if shot.following and not shot.gate and (usual := usual_s(run)) is not None:
        return source_ends_in_s + usual
    if shot.status in ("done", "collecting"):
        return None if shot.following else 0.0
    asks = (shot.gate and not shot.approved) or (shot.takes_wanted > 1 and shot.pick != "first")
    if not asks and shot.held_by and shot.held_by.code == NO_PLACE and isinstance(shot.queue_position, int):
        return _place_ends_in_s(run, shot.queue_position)
    if asks or shot.held_by:
        return None
    match shot.status:
        case "pending":
            usual = usual_s(run)
            return None if usual is None else source_ends_in_s + usual
        case "submitting" | "generating":
            under_way = [take for take in shot.takes if take.status in ("submitting", "generating")]
            ends = [_take_ends_in_s(run, take, now) for take in under_way]
            return min((end for end in ends if end is not None), default=None)
        case _:
            return None


def _place_ends_in_s(run: shapes.Run, position: int) -> float | None:
    """Those ahead proceed as many at a time as are under way now, as far as this run can tell."""
    at_once = max(1, sum(shot.status in ("submitting", "generating") for shot in run.shots))
    usual = usual_s(run)
    return None if usual is None else usual * (math.ceil(position / at_once) + 1)


def _take_ends_in_s(run: shapes.Run, take: shapes.Take, now: float) -> float | None:
    usual, age = usual_s(run, take), now - float(take.submitted)
    if not usual or age > LATE * usual or (take.error and take.status == "generating"):
        return None
    return max(usual - age, LEFT_OF_LATE * usual)
