"""Two programs that know the time by Redis's clock a little differently, and one run."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from framerelay.runs import events
from framerelay.runs.events import Event
from framerelay.runs.machine import apply, begin, wake_at
from framerelay.runs.model import Clip, Frame, Run, RunId, Shot, TakeStatus, Terms
from framerelay.runs.steps import READINGS_APART_S, steps_due

NOW = 1_000_000.0
CLIP = Clip(path="c", sha256="0", bytes=1, width=16, height=9, duration_s=5.04, frames=121)
FRAME = Frame(path="f", sha256="0", width=16, height=9)
TAKE: dict[str, Any] = {"shot_id": "s1", "take": 1}
MADE: tuple[Event, ...] = (
    events.Submitting(**TAKE, intent="i1", seed=None, first_frame=None),
    events.Submitted(**TAKE, job_id="job_1"),
    events.Rendered(**TAKE, job_ids=("job_1",), video_url="https://v"),
    events.Collected(**TAKE, video=CLIP, last_frame=FRAME),
)
apart = st.floats(-READINGS_APART_S / 2, READINGS_APART_S / 2)


def a_run(*history: Event) -> Run:
    """One shot, gated; its *history* is of one moment, ``NOW``."""
    shot = Shot(id="s1", scene="a", origin="continue", source=None, input={"prompt": "p"})
    run = begin(
        Run(id=RunId("run_1"), title="t", model="m", created_at=NOW, updated_at=NOW, shots=(shot,), terms=Terms())
    )
    for event in history:
        run = apply(run, event, NOW)
    return run


def names_due(run: Run, now: float) -> list[str]:
    return [step.name.value for step in steps_due(run, now)]


@given(apart_s=apart)
def test_a_retake_waits_for_no_clock(apart_s: float) -> None:
    """The worker's was four milliseconds behind the receiver's: the retake was looked at again 15 s later."""
    run = a_run(*MADE, events.Retaken(shot_id="s1", prompt="b"))
    second = events.Submitting(shot_id="s1", take=2, intent="i2", seed=None, first_frame=None)

    assert names_due(run, NOW + apart_s) == ["submit"]
    statuses = [take.status for take in apply(run, second, NOW + apart_s).shots[0].takes]
    assert statuses == [TakeStatus.DONE, TakeStatus.SUBMITTING]


@given(apart_s=st.lists(apart, min_size=5, max_size=5))
def test_each_step_follows_at_once_whoever_recorded_the_last_one(apart_s: list[float]) -> None:
    """Each program has its own reading; the time of the run never goes back."""
    run, due = a_run(), ("submit", None, None, "collect")
    for event, apart_here_s, name in zip(MADE, apart_s, due, strict=False):
        assert name is None or name in names_due(run, NOW + apart_here_s)
        after = apply(run, event, NOW + apart_here_s)
        assert after is not run, event
        assert after.updated_at >= run.updated_at
        run = after
    assert "join" in names_due(run, NOW + apart_s[-1])


@given(apart_s=st.lists(apart, min_size=1, max_size=8))
def test_what_is_due_stays_due(apart_s: list[float]) -> None:
    """Whatever others record in the meantime, and whatever they believe the time to be."""
    run = a_run(*MADE[:3])
    for number, each in enumerate(apart_s):
        about = events.SecondJobFound(shot_id="s1", take=1, job_ids=(f"job_{number + 2}",))
        run = apply(run, about, NOW + each)
        assert "collect" in names_due(run, NOW + each)
        moment = wake_at(run, NOW + each)
        assert moment is not None
        assert moment >= run.updated_at


def test_a_reading_that_is_further_off_is_no_reading() -> None:
    """It is a clock that was set; moments that it gave are waited for, or set back (`test_asking`)."""
    run = a_run(*MADE, events.Retaken(shot_id="s1", prompt="b"))

    assert names_due(run, NOW - READINGS_APART_S * 1.1) == []
