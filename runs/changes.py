"""What a person changes of a shot while its run goes on, purely: the input of the takes that are still to come."""

from dataclasses import replace
from typing import Any

from framerelay.runs.costs import Estimate
from framerelay.runs.events import ShotChange
from framerelay.runs.model import Shot


def input_after(shot: Shot, change: ShotChange) -> dict[str, Any]:
    """The input of *shot* with *change*; the very same where it changes nothing."""
    given = {**change.input, "prompt": change.prompt, "seed": change.seed}
    new = {name: value for name, value in given.items() if value is not None}
    return {**shot.input, **new} if new else shot.input


def estimate_after(shot: Shot, change: ShotChange) -> Estimate | None:
    """What a take of *shot* may cost with *change*; prompt and seed have no price."""
    if change.quote is not None:
        return change.quote.estimate
    return None if change.input else shot.estimate


def why_not_changed(shot: Shot, change: ShotChange) -> str | None:
    """The price was asked for another input than the shot would have now: somebody changed it in between."""
    if change.quote is None or change.quote.input == input_after(shot, change):
        return None
    return f"the input of shot {shot.id} was changed in between: look again"


def changed_by(shot: Shot, change: ShotChange, number: int) -> Shot:
    """*shot* with *change* in its takes from *number* on."""
    return replace(
        shot,
        input=input_after(shot, change),
        estimate=estimate_after(shot, change),
        seed_at=shot.seed_at if change.seed is None else number,
    )
