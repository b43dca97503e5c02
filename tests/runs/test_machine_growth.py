"""The rules in long runs: an event costs no more than a look at each shot, and touches only those that it is about."""

import sys
from types import FrameType
from typing import Any

import pytest

from runs import events
from runs.machine import apply, begin, steps_due, wake_at
from runs.model import Run, RunId, Shot, Terms

NOW = 1_000.0


def long_run(shots: int, *, chained: bool) -> Run:
    """Some way into it: every third shot has its job."""
    made = tuple(
        Shot(id=f"s{number}", scene="a", origin="x", source=f"s{number - 1}" if chained and number else None, input={})
        for number in range(shots)
    )
    terms = Terms()
    run = Run(id=RunId("r"), title="t", model="m", created_at=0, updated_at=0, shots=made, terms=terms, budget_jobs=999)
    run = begin(run)
    for number in range(0, 1 if chained else shots, 3):
        run = apply(run, submitting(f"s{number}"), NOW)
    return run


def submitting(shot: str) -> events.Submitting:
    return events.Submitting(shot=shot, take=1, intent="i", seed=None, first_frame=None)


def work_of_one_event(run: Run) -> int:
    """How many instructions of Python run until an event's consequences are known: a clock that is never disturbed."""
    instructions = 0

    def count(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal instructions
        frame.f_trace_opcodes = True
        instructions += event == "opcode"
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        after = apply(run, events.Submitted(shot="s0", take=1, job_id="j"), NOW)
        steps_due(after, NOW)
        wake_at(after, NOW)
    finally:
        sys.settrace(before)
    assert after is not run
    return instructions


@pytest.mark.parametrize("chained", [True, False], ids=["a chain", "side by side, with a budget"])
def test_an_event_in_a_run_of_ten_times_the_shots_costs_ten_times_the_work_and_not_a_hundred(chained: bool) -> None:
    """No question about one shot walks through all of them."""
    short, long = (work_of_one_event(long_run(shots, chained=chained)) for shots in (40, 400))

    assert long < 11 * short


def test_shots_that_an_event_is_not_about_stay_the_same_objects() -> None:
    """What did not change need not be written again."""
    run = long_run(20, chained=True)

    after = apply(run, events.Submitted(shot="s0", take=1, job_id="j"), NOW)

    changed = [now.id for before, now in zip(run.shots, after.shots, strict=True) if now is not before]
    assert changed == ["s0"]


def test_each_shot_is_found_by_its_id_after_every_change() -> None:
    """The index is that of the shots as they are now."""
    run = long_run(5, chained=True)
    after = apply(run, events.Submitted(shot="s0", take=1, job_id="j"), NOW)

    for each in (run, after):
        assert [each.shot(shot.id) for shot in each.shots] == list(each.shots)
    assert after.shot("s9") is None
