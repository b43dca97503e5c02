"""The rules in long runs: an event costs reading what it touches and what is under way, however many shots."""

import sys
from dataclasses import replace
from types import FrameType
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from framerelay.runs import events
from framerelay.runs.events import Event
from framerelay.runs.machine import apply, begin, wake_at
from framerelay.runs.model import Clip, Family, Frame, Index, Problem, Run, RunId, Shot, TakeStatus, Terms
from framerelay.runs.standing import overview, settle
from framerelay.runs.steps import StepName, steps_due
from framerelay.store.layout import fields_of
from tests.runs.films import joined

NOW = 1_000.0
CLIP = Clip(path="c", sha256="0", bytes=1, width=16, height=9, duration_s=5.04, frames=121)
FRAME = Frame(path="f", sha256="0", width=16, height=9)
BROKEN = Problem(code="broken", message="it broke", family=Family.SERVER)
UNPAID = Problem(code="unpaid", message="the account is overdue", family=Family.ACCOUNT)


def long_run(shots: int, *, chained: bool) -> Run:
    """Some way into it: every third shot has its job."""
    story = tuple(
        Shot(id=f"s{number}", scene="a", origin="x", source=f"s{number - 1}" if chained and number else None, input={})
        for number in range(shots)
    )
    terms = Terms()
    run = Run(
        id=RunId("r"), title="t", model="m", created_at=0, updated_at=0, shots=story, terms=terms, budget_jobs=999
    )
    run = begin(run)
    for number in range(0, 1 if chained else shots, 3):
        run = apply(run, submitting(f"s{number}"), NOW)
    return run


def nearly_done(shots: int) -> Run:
    """Side by side, all but three."""
    run = long_run(shots, chained=False)
    for number in range(3, shots):
        about = {"shot_id": f"s{number}", "take": 1}
        run = apply(run, submitting(f"s{number}"), NOW)
        run = apply(run, events.Rendered(**about, job_ids=(f"j{number}",), video_url="v"), NOW)
        run = apply(run, events.Collected(**about, video=CLIP, last_frame=FRAME), NOW)
    return run


def submitting(shot_id: str) -> events.Submitting:
    return events.Submitting(shot_id=shot_id, take=1, intent="i", seed=None, first_frame=None)


def work_of_one_event(run: Run) -> int:
    """How many instructions of Python run until it is known what follows and is written: a clock never disturbed."""
    instructions = 0

    def count(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal instructions
        frame.f_trace_opcodes = True
        instructions += event == "opcode"
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        after = apply(run, events.Submitted(shot_id="s0", take=1, job_id="j"), NOW)
        steps_due(after, NOW)
        wake_at(after, NOW)
        fields_of(after, before=run)
    finally:
        sys.settrace(before)
    assert after is not run
    return instructions


def test_an_event_in_a_chain_of_ten_times_the_shots_costs_the_same_work() -> None:
    """Neither finished nor future shots are read; within a twentieth."""
    short, long = (work_of_one_event(long_run(shots, chained=True)) for shots in (40, 400))

    assert long < 1.05 * short


def test_an_event_costs_no_more_when_most_scenes_are_done() -> None:
    """Side by side, three under way: the others count once they change."""
    short, long = (work_of_one_event(nearly_done(shots)) for shots in (40, 400))

    assert long < 1.05 * short


def test_with_ten_times_the_shots_under_way_an_event_costs_ten_times_the_work_and_not_a_hundred() -> None:
    """No question about one shot walks through all of them."""
    short, long = (work_of_one_event(long_run(shots, chained=False)) for shots in (40, 400))

    assert long < 11 * short


def test_shots_that_an_event_is_not_about_stay_the_same_objects() -> None:
    """What did not change need not be written again."""
    run = long_run(20, chained=True)

    after = apply(run, events.Submitted(shot_id="s0", take=1, job_id="j"), NOW)

    changed_ids = [now.id for before, now in zip(run.shots, after.shots, strict=True) if now is not before]
    assert changed_ids == ["s0"]


def test_each_shot_is_found_by_its_id_after_every_change() -> None:
    """The index is that of the shots as they are now, whatever code replaces them."""
    run = long_run(5, chained=True)
    after = apply(run, events.Submitted(shot_id="s0", take=1, job_id="j"), NOW)
    fewer = replace(run, shots=run.shots[1:3])

    for each in (run, after, fewer):
        assert [each.shot(shot.id) for shot in each.shots] == list(each.shots)
    assert after.shot("s9") is None
    assert fewer.shot("s0") is None


def test_a_shot_no_longer_waits_for_a_person_when_the_frame_it_had_turns_out_unusable() -> None:
    """What begins with a shot is looked at when that changes, even if nothing can be submitted any more."""
    shots = (
        Shot(id="s0", scene="a", origin="cut", source=None, input={}),
        Shot(id="s1", scene="a", origin="continue", source="s0", input={}, gated=True),
    )
    run = begin(Run(id=RunId("r"), title="t", model="m", created_at=0, updated_at=0, shots=shots, terms=Terms()))
    run = apply(run, submitting("s0"), NOW)
    early = events.Rendered(shot_id="s0", take=1, job_ids=("j",), video_url="v", last_frame_url="f")

    waiting = apply(run, early, NOW)
    failed_run = apply(waiting, events.CollectFailed(shot_id="s0", take=1, problem=UNPAID), NOW)

    assert [shot.status.value for shot in waiting.shots] == ["collecting", "waiting"]
    assert [shot.status.value for shot in failed_run.shots] == ["failed", "pending"]


def branching(budget: int | None) -> Run:
    """A branch, a gate, a shot of two takes to choose from, one that goes on from the first, and a second scene."""
    plan: list[dict[str, Any]] = [
        {"id": "s0", "source": None},
        {"id": "s1", "source": "s0", "takes_wanted": 2},
        {"id": "s2", "source": "s1", "gated": True},
        {"id": "s3", "source": "s0", "takes_wanted": 2, "pick_first": True},
        {"id": "s4", "source": None},
    ]
    shots = tuple(Shot(scene="a", origin="x", input={}, **each) for each in plan)
    terms = Terms(unsure_hold_s=300)
    run = Run(id=RunId("r"), title="t", model="m", created_at=0, updated_at=0, shots=shots, terms=terms)
    return begin(replace(run, budget_jobs=budget))


def event_of(run: Run, kind: int, shot_id: str, take: int) -> Event:
    about: Any = {"shot_id": shot_id, "take": take}
    ids = (f"{shot_id}-{take}",)
    kinds: list[Event] = [
        events.Submitting(**about, intent="i", seed=None, first_frame=None),
        events.Submitted(**about, job_id=ids[0]),
        events.SubmitPutOff(**about, problem=BROKEN, until=NOW + 5),
        events.SubmitRefused(**about, problem=UNPAID),
        events.SubmitLost(**about, problem=BROKEN),
        events.PreparationFailed(shot_id=shot_id, problem=BROKEN, until=None),
        events.Rendered(**about, job_ids=ids, video_url="v", last_frame_url="f" if take == 1 else None),
        events.JobEnded(**about, job_ids=ids, status=TakeStatus.FAILED, problem=BROKEN, called_back=True),
        events.CalledBack(**about),
        events.Collected(**about, video=CLIP, last_frame=FRAME),
        events.CollectFailed(**about, problem=BROKEN),
        events.Approved(shot_id=shot_id),
        events.Picked(**about),
        events.Resumed(),
        events.Adopted(shot_id=shot_id, job_id=f"lost-{take}"),
        events.Retaken(shot_id=shot_id, prompt="again"),
        events.Elapsed(),
        events.WorkerStarted(),
        joined(run),
    ]
    return kinds[kind]


def a_way_on(run: Run, nth: int, now: float) -> Event:
    """One of the things that bring the film nearer."""
    kinds = {TakeStatus.SUBMITTING: 1, TakeStatus.GENERATING: 6, TakeStatus.COLLECTING: 9, TakeStatus.DONE: 12}
    ways = [
        event_of(run, kinds[take.status], shot.id, take.number)
        for shot in run.shots
        for take in shot.takes
        if take.status in kinds and (take.status is not TakeStatus.DONE or shot.picked is None)
    ]
    ways += [event_of(run, 0, step.shot_id, step.take) for step in steps_due(run, now) if step.name is StepName.SUBMIT]
    ways += [event_of(run, 18, "", 0) for step in steps_due(run, now) if step.name is StepName.JOIN]
    return ways[nth % len(ways)] if ways else events.Resumed()


anything = st.tuples(st.integers(0, 18), st.sampled_from(["s0", "s1", "s2", "s3", "s4"]), st.integers(1, 3))


@settings(max_examples=300)
@given(
    history=st.lists(st.integers(0, 6) | st.integers(0, 6) | anything, max_size=80),
    budget=st.sampled_from([None, 2, 4, 7]),
    cancelled=st.booleans(),
)
def test_what_is_carried_on_from_event_to_event_is_what_all_shots_say(
    history: list[tuple[int, str, int] | int], budget: int | None, cancelled: bool
) -> None:
    """After any events: the index, the overview, the statuses, and all that follows."""
    run, now = branching(budget), NOW
    for each in [*history, *([None] if cancelled else [])]:
        now += 10
        if each is None:
            event: Event = events.RunCancelled()
        else:
            event = a_way_on(run, each, now) if isinstance(each, int) else event_of(run, *each)
        run = apply(run, event, now)
        anew = replace(run, index=Index.of(run.shots))

        assert (run.index.places, run.index.dependents) == (anew.index.places, anew.index.dependents)
        assert run.index.shots is run.shots
        assert run.index.overview == overview(anew)
        assert settle(anew) == run
        everywhere = replace(overview(anew), awake=tuple(range(len(run.shots))))
        looked_at = replace(run, index=replace(run.index, overview=everywhere))
        assert steps_due(run, now) == steps_due(looked_at, now)
        assert wake_at(run, now) == wake_at(looked_at, now)
