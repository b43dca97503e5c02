"""When a job is asked about at a provider that cannot call: by its profile, ever more rarely, and not all at once."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from framerelay.runs import events
from framerelay.runs.machine import apply, begin
from framerelay.runs.maker import Maker
from framerelay.runs.model import Run, RunId, Shot, Terms
from framerelay.runs.steps import StepName, steps_due
from framerelay.runs.takes import LOOK_UP_EVERY_S_MAX, POLL_S_MIN

NOW = 1_000_000.0


def polled(first_s: float, every_s: float, intent: str = "i") -> Run:
    """A run whose one job is at a provider that cannot call."""
    shot = Shot(id="s1", scene="a", origin="cut", source=None, input={"prompt": "x"})
    run = Run(id=RunId("r"), title="t", model="m", created_at=NOW, updated_at=NOW, shots=(shot,), terms=Terms())
    maker = Maker(provider="p", profile="p", base="https://p", model="m", poll_s=(first_s, every_s))
    about = {"shot_id": "s1", "take": 1, "intent": intent}
    run = apply(begin(run), events.Submitting(**about, seed=None, first_frame=None, maker=maker), NOW)  # type: ignore[arg-type]
    return apply(run, events.Submitted(**about, job_id="j"), NOW)  # type: ignore[arg-type]


def look_ups(run: Run, number: int) -> list[float]:
    """Seconds from the submit to each of the first look-ups, of a job that goes on and on."""
    moments, now = [], NOW
    for _ in range(number):
        now = max(now, run.shots[0].takes[0].due_at)
        assert [step.name for step in steps_due(run, now)] == [StepName.LOOK_UP]
        moments.append(now - NOW)
        run = apply(run, events.JobSeen(shot_id="s1", take=1, job_ids=("j",), word="running"), now)
    return moments


@given(first_s=st.floats(0.5, 600), every_s=st.floats(0.5, 120), intent=st.text(max_size=16))
def test_a_job_is_polled_as_its_profile_says_and_ever_more_rarely(first_s: float, every_s: float, intent: str) -> None:
    """Not before the first moment, then never sooner than every so often; no gap is longer than ten minutes."""
    moments = look_ups(polled(first_s, every_s, intent), 40)
    gaps = [later - earlier for earlier, later in pairwise(moments)]

    assert first_s <= moments[0] + 1e-6
    assert moments[0] <= 1.1 * first_s + 1e-6
    assert all(gap >= every_s - 1e-6 for gap in gaps)
    assert all(later >= earlier - 1e-6 for earlier, later in pairwise(gaps))
    assert max(gaps) <= LOOK_UP_EVERY_S_MAX + 1e-6


def test_a_job_that_takes_hours_is_asked_about_every_ten_minutes() -> None:
    """Ten times as old, ten times as rarely, up to there."""
    moments = look_ups(polled(20, 15), 80)
    gaps = [later - earlier for earlier, later in pairwise(moments)]

    assert moments[-1] > 7200
    assert abs(gaps[-1] - LOOK_UP_EVERY_S_MAX) < 1e-6
    assert all(gap >= 0.1 * moment - 1e-6 for gap, moment in zip(gaps, moments, strict=False) if moment < 5000)


def test_takes_that_were_submitted_together_are_not_asked_about_together() -> None:
    """Each is a little off, by its intent, and always by as much."""
    firsts = [look_ups(polled(100, 15, f"intent {number}"), 1)[0] for number in range(50)]

    assert len({round(first, 1) for first in firsts}) > 25
    assert max(firsts) - min(firsts) > 5
    assert firsts[0] == look_ups(polled(100, 15, "intent 0"), 1)[0]


@given(first_s=st.floats(-1e9, 0), every_s=st.floats(-1e9, 0))
def test_no_profile_makes_a_worker_ask_without_a_pause(first_s: float, every_s: float) -> None:
    """Numbers that a file got wrong, or that somebody wrote on purpose."""
    moments = look_ups(polled(first_s, every_s), 20)

    assert all(later - earlier >= POLL_S_MIN - 1e-6 for earlier, later in pairwise(moments))


def test_no_profile_puts_the_first_look_up_off_for_ever() -> None:
    """The job would be paid for, and its clip gone by then."""
    assert look_ups(polled(1e12, 15), 1)[0] <= 1.1 * LOOK_UP_EVERY_S_MAX
