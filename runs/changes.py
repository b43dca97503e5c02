"""Changes that a person makes to a shot while its run goes on: the input of the takes still to come. Pure functions."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import count
from typing import Any

from framerelay.runs.costs import Estimate
from framerelay.runs.earlier_input import EarlierInput
from framerelay.runs.events import ShotChange
from framerelay.runs.model import Shot


def input_after(shot: Shot, change: ShotChange) -> dict[str, Any]:
    """The input of *shot* with *change*; the same object if it changes nothing."""
    fields = {**change.input, "prompt": change.prompt, "seed": change.seed}
    new = {name: value for name, value in fields.items() if value is not None}
    return {**shot.input, **new} if new else shot.input


def estimate_after(shot: Shot, change: ShotChange) -> Estimate | None:
    """What a take of *shot* may cost with *change*; prompt and seed do not affect the price."""
    if change.quote is not None:
        return change.quote.estimate
    return None if change.input else shot.estimate


def why_not_changed(shot: Shot, change: ShotChange) -> str | None:
    """The price was requested for a different input than the shot has now: somebody changed it in the meantime."""
    if change.quote is None or change.quote.input == input_after(shot, change):
        return None
    return f"the input of shot {shot.name} was changed in the meantime: look again"


def input_of(shot: Shot, number: int) -> Mapping[str, Any]:
    """What take *number* of *shot* was made from, including the prompt; its seed is its own."""
    return next((each.input for each in shot.earlier if number <= each.until), shot.input)


def coming_numbers(shot: Shot) -> Iterator[int]:
    """
    Numbers of the takes to be made of *shot* next, in order and without end.

    A free number for which `input_of` has an earlier input is skipped: the take would not be made from that input.
    """
    numbers = {take.number for take in shot.takes}
    last = max([shot.set_aside, *(each.until for each in shot.earlier)])
    return (number for number in count(last + 1) if number not in numbers)


def with_input(shot: Shot, new: dict[str, Any], number: int) -> Shot:
    """*shot* with another input for its takes from *number* on; the input of the earlier ones is remembered."""
    if new == shot.input or number <= 1:
        return replace(shot, input=new)
    return replace(shot, input=new, earlier=(*shot.earlier, EarlierInput(until=number - 1, input=shot.input)))


def changed_by(shot: Shot, change: ShotChange, number: int) -> Shot:
    """*shot* with *change* for its takes from *number* on."""
    return replace(
        with_input(shot, input_after(shot, change), number),
        estimate=estimate_after(shot, change),
        seed_at=shot.seed_at if change.seed is None else number,
    )
