"""Continuing from another take of a shot, and back again: decisions of a person that spend nothing. Pure functions."""

from collections.abc import Mapping
from dataclasses import dataclass

from framerelay.runs import events
from framerelay.runs.decisions import apply_decision, why_not
from framerelay.runs.errors import Conflict
from framerelay.runs.model import Run, Shot
from framerelay.runs.outlook import stale_shots
from framerelay.runs.standing import dependents
from framerelay.runs.text import join_names

UNDO_NAMES = ("undo", "shot")


@dataclass(frozen=True, slots=True, kw_only=True)
class Undo:
    """A pick that can be undone: of *shot*, where *pick* was picked and *take* had been before."""

    shot_id: str
    pick: int
    take: int


def other_picks(run: Run, shot: Shot, now: float) -> Mapping[int, str]:
    """
    The takes that *shot*, which has continued from one, can continue from instead; each with the shots that would then
    be stale, in words, empty if there are none.
    """
    if shot.picked is None:
        return {}
    before, others = stale_shots(run), {}
    for take in shot.takes:
        event = events.Picked(shot_id=shot.id, take=take.number)
        if why_not(run, event, now) is None:
            after = apply_decision(run, event, now)
            stale = [each.name for each in after.story if each.id in stale_shots(after) - before]
            others[take.number] = join_names(stale, "and") if stale else ""
    return others


def undo_address(before: Run, event: events.Picked) -> str:
    """The query of the page where the pick can be undone; empty if there was no pick before it."""
    shot = before.shot(event.shot_id)
    return f"?undo={shot.picked}&shot={shot.name}" if shot and shot.picked is not None else ""


def check_pick(run: Run, form: Mapping[str, str], now: float) -> None:
    """
    Raises: Conflict if ``picked`` in *form*, what the person saw when picking, has changed since, or if something was
    spent on the pick that ``undo`` would take back.
    """
    shot = run.shot_by_name(form.get("shot", ""))
    if shot is None or str(shot.picked) != form["picked"]:
        raise Conflict("somebody acted in the meantime: look again")
    if form.get("undo") and undo_of(run, {"undo": form.get("take", ""), "shot": shot.name}, now) is None:
        raise Conflict("this pick cannot be taken back: a shot was made from it")


def undo_of(run: Run, query: Mapping[str, str], now: float) -> Undo | None:
    """
    What takes back the last pick, as long as that has spent nothing: until a shot is submitted from the picked take.
    """
    shot, number = run.shot_by_name(query.get("shot", "")), query.get("undo", "")
    if shot is None or shot.picked is None or not (number.isascii() and number.isdigit() and len(number) < 6):
        return None
    event = events.Picked(shot_id=shot.id, take=int(number))
    takes = [take for dependent in dependents(run, shot) for take in dependent.takes]
    has_spent = any(take.first_frame and take.first_frame.take == shot.picked for take in takes)
    if has_spent or why_not(run, event, now) is not None:
        return None
    return Undo(shot_id=shot.name, pick=shot.picked, take=event.take)
