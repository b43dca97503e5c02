"""What a state asks for: pure, and safe to ask again after any crash."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from framerelay.runs.model import Run, RunId, Shot, TakeStatus
from framerelay.runs.standing import (
    awake,
    budget_left,
    is_complete,
    takes_to_submit,
)
from framerelay.runs.takes import IN_FLIGHT, find_at, is_unkept

READINGS_APART_S: Final = 1.0  # Two programs know Redis's clock to some ms; to some more while somebody sets it.


class StepName(StrEnum):
    """What a state can ask for; each has a task of the same name in `processors`."""

    SUBMIT = "submit"
    LOOK_UP = "look_up"
    FIND = "find"
    COLLECT = "collect"
    KEEP = "keep"
    JOIN = "join"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing to do for a run; equal steps are the same task, however often they are requested."""

    name: StepName
    run_id: RunId
    shot_id: str = ""
    take: int = 0
    turn: int = 0

    @property
    def task_id(self) -> str:
        """The arq id: a step that waits or runs under it is not queued twice."""
        return f"{self.name}:{self.run_id}:{self.shot_id}:{self.take}:{self.turn}"


def moment_of(run: Run, now: float) -> float:
    """
    *now*, but not before *run* last changed: what was due then is due, though another program knows the time a little
    differently.
    """
    return run.updated_at if now < run.updated_at <= now + READINGS_APART_S else now


def steps_due(run: Run, now: float) -> list[Step]:
    """
    Everything that *run* asks for at *now*, in story order; empty if it waits for time or a person, or has ended.

    Submits stop at the budget, so that taking all of them at once still stays within it.
    """
    steps: list[Step] = []
    now = moment_of(run, now)
    if wants_film(run) and run.due_at <= now and not run.join_error:
        steps.append(Step(name=StepName.JOIN, run_id=run.id, turn=run.turns))
    balance = budget_left(run)
    for shot in awake(run):
        if shot.takes:
            steps += _take_steps(run, shot, now)
        if shot.due_at <= now:
            for take in takes_to_submit(run, shot):
                if balance.allows(shot.estimate):
                    steps.append(Step(name=StepName.SUBMIT, run_id=run.id, shot_id=shot.id, take=take, turn=shot.turns))
                    balance = balance.after(shot.estimate)
    return steps


def is_to_come(run: Run, shot_id: str, number: int) -> bool:
    """Whether that take is in flight, or its submit waits only for time (and a place at the provider)."""
    take = run.take(shot_id, number)
    if take is not None:
        return take.status in IN_FLIGHT
    submits = (step for step in steps_due(run, math.inf) if step.name is StepName.SUBMIT)
    return any((step.shot_id, step.take) == (shot_id, number) for step in submits)


def is_to_come_at(run: Run, provider: str, shot_id: str, number: int) -> bool:
    """The same, and *provider* makes it: an amendment may have given its shot to another one."""
    shot, take = run.shot(shot_id), run.take(shot_id, number)
    name = take.maker.provider if take and take.maker else run.provider_of(shot) if shot else None
    return name in (None, provider) and is_to_come(run, shot_id, number)


def left_queue(before: Run, after: Run) -> list[tuple[str, str, int]]:
    """
    Takes that were to be submitted and now belong to another provider: the earlier provider's name, the shot, the
    number.
    """
    shots = [(shot, name) for shot in before.shots if (name := before.provider_of(shot)) is not None]
    takes = ((name, shot.id, number) for shot, name in shots for number in takes_to_submit(before, shot))
    return [each for each in takes if not is_to_come_at(after, *each)]


def wants_film(run: Run) -> bool:
    """Every shot is done, and there is no film of these takes yet."""
    return is_complete(run) and not run.film and not run.cancelled


def _take_steps(run: Run, shot: Shot, now: float) -> Iterator[Step]:
    names = {TakeStatus.GENERATING: StepName.LOOK_UP, TakeStatus.COLLECTING: StepName.COLLECT}
    for take in shot.takes:
        name = names.get(take.status) if take.due_at <= now else None
        name = StepName.KEEP if name is StepName.COLLECT and is_unkept(take) else name
        if name is None and (at := find_at(take)) is not None and at <= now:
            name = StepName.FIND
        if name is not None:
            yield Step(name=name, run_id=run.id, shot_id=shot.id, take=take.number, turn=take.turns)
