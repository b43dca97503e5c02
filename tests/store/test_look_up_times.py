"""When a take that nobody calls back about is looked up: learned, bounded, and never for nothing."""

from dataclasses import replace

import pytest
from arq.connections import ArqRedis

from framerelay.runs import events
from framerelay.runs.machine import apply, begin
from framerelay.runs.model import Family, Problem, Run, RunId, Shot, Take, TakeStatus, Terms
from framerelay.runs.standing import callbacks_missed, seems_unreachable
from framerelay.store.pace import SAMPLES_MAX, Pace, UsualTimes, slowest

NOW = 1_000_000.0
GONE = Problem(code="NotFound", message="no such job", family=Family.UNKNOWN)


def a_run(*names: str, **more: object) -> Run:
    shots = tuple(
        Shot(id=name, scene=name, origin="cut", source=None, input={"prompt": name, **more})
        for name in names or ("s1",)
    )
    return begin(
        Run(id=RunId("run_1"), title="t", model="m", created_at=NOW, updated_at=NOW, shots=shots, terms=Terms())
    )


def in_flight(run: Run, name: str = "s1", *, expected_s: float | None = None) -> Run:
    intent = events.Submitting(shot_id=name, take=1, intent="i", seed=None, first_frame=None, expected_s=expected_s)
    return apply(apply(run, intent, NOW), events.Submitted(shot_id=name, take=1, job_id=f"job_{name}"), NOW)


def look(run: Run, age: float) -> Run:
    return apply(run, events.JobSeen(shot_id="s1", take=1, job_ids=("job_s1",), word="running"), NOW + age)


def rendered(run: Run, name: str, *, called_back: bool) -> Run:
    render = events.Rendered(
        shot_id=name, take=1, job_ids=(f"job_{name}",), video_url="https://v", called_back=called_back
    )
    return apply(run, render, NOW + 60)


def take_of(run: Run, name: str = "s1") -> Take:
    take = run.take(name, 1)
    assert take is not None
    return take


def age_of_next_look(run: Run) -> float:
    return take_of(run).due_at - NOW


def test_the_first_look_up_is_due_when_the_terms_say() -> None:
    """Nothing is known yet about such jobs."""
    assert age_of_next_look(in_flight(a_run())) == Terms().lookup_after_s


def test_it_is_due_sooner_once_such_jobs_are_known_to_be_quicker() -> None:
    """A lost callback costs the seconds by which it is late, not the rest of a cautious default."""
    assert 40 < age_of_next_look(in_flight(a_run(), expected_s=40.0)) < 50


def test_it_is_never_due_later_than_the_terms_say() -> None:
    """The setting is a promise, whatever was learned."""
    assert age_of_next_look(in_flight(a_run(), expected_s=5_000.0)) == Terms().lookup_after_s


def test_the_second_waits_for_the_time_that_such_jobs_take() -> None:
    """Asking a job that takes five minutes again and again before that is for nothing."""
    assert age_of_next_look(look(in_flight(a_run(), expected_s=300.0), 100)) == pytest.approx(332)


def test_then_look_ups_become_rarer_with_the_age_of_the_job_up_to_ten_minutes() -> None:
    """The number of GETs grows as the logarithm of the wait, and no result expires between two of them."""
    run = in_flight(a_run())
    waits = []
    for age in (100, 150, 1_000, 100_000):
        run = look(run, age)
        waits.append(age_of_next_look(run) - age)

    assert waits == pytest.approx([50, 75, 500, 600])


def test_a_job_that_expires_is_asked_about_right_after_that() -> None:
    """Its end is known from the input: no look-up sleeps through it."""
    run = in_flight(a_run(execution_expires_after=160))

    assert age_of_next_look(look(run, 150)) == pytest.approx(162)
    assert age_of_next_look(look(run, 170)) == pytest.approx(255)


def test_missed_callbacks_are_counted_and_their_total_absence_is_named() -> None:
    """One may be an accident; two, or the only one that was expected, say that nothing reaches us."""
    run = in_flight(in_flight(a_run("s1", "s2"), "s1"), "s2")
    one = rendered(run, "s1", called_back=False)
    two = rendered(one, "s2", called_back=False)

    assert [callbacks_missed(each) for each in (run, one, two)] == [0, 1, 2]
    assert [seems_unreachable(each) for each in (run, one, two)] == [False, False, True]
    assert not seems_unreachable(rendered(one, "s2", called_back=True))
    assert seems_unreachable(rendered(in_flight(a_run()), "s1", called_back=False))


def test_a_callback_that_arrives_after_the_look_up_was_not_missed() -> None:
    """It says that we are reached, and takes nothing back."""
    run_at_sweep = rendered(in_flight(a_run()), "s1", called_back=False)
    run_at_callback = apply(run_at_sweep, events.CalledBack(shot_id="s1", take=1), NOW + 61)

    assert callbacks_missed(run_at_callback) == 0
    assert take_of(run_at_callback) == replace(take_of(run_at_sweep), called_back=True)
    assert apply(run_at_callback, events.CalledBack(shot_id="s1", take=1), NOW + 62) is run_at_callback


@pytest.mark.parametrize("unsure", [False, True])
def test_an_adopted_job_that_the_provider_does_not_know_frees_its_shot_at_once(unsure: bool) -> None:
    """A mistyped id costs nothing, and the right one can be named."""
    run = a_run()
    if unsure:
        run = apply(run, events.Submitting(shot_id="s1", take=1, intent="i", seed=None, first_frame=None), NOW)
        run = apply(run, events.SubmitLost(shot_id="s1", take=1, problem=GONE), NOW)
    run = apply(run, events.Adopted(shot_id="s1", job_id="job_typo"), NOW + 1)
    run_freed = apply(run, events.PollFailed(shot_id="s1", take=1, problem=GONE, gone=True), NOW + 2)
    again = apply(run_freed, events.Adopted(shot_id="s1", job_id="job_right"), NOW + 3)

    assert take_of(run_freed).status is (TakeStatus.UNSURE if unsure else TakeStatus.FAILED)
    assert take_of(run_freed).job_id is None
    assert "job_typo" in str(take_of(run_freed).error)
    assert [take.job_id for take in again.shots[0].takes][-1] == "job_right"


def test_a_job_that_was_seen_once_is_not_given_up_for_a_404() -> None:
    """Only a name that was never known can be a typing error."""
    run = look(apply(a_run(), events.Adopted(shot_id="s1", job_id="job_s1"), NOW), 1)
    after = apply(run, events.PollFailed(shot_id="s1", take=1, problem=GONE, gone=True), NOW + 2)

    assert take_of(after).status is TakeStatus.GENERATING


def test_the_slowest_but_the_very_slowest_are_what_counts() -> None:
    """The 95th percentile by nearest rank; a handful says nothing."""
    assert slowest([1.0, 2.0, 3.0, 4.0]) is None
    assert slowest([1.0, 2.0, 3.0, 4.0, 5.0]) == 5.0
    assert slowest([float(number) for number in range(1, 101)]) == 95.0


@pytest.mark.anyio
async def test_what_was_learnt_is_kept_by_model_size_and_length(redis: ArqRedis) -> None:
    """A 4k clip says nothing about a draft; the newest fifty count."""
    pace = Pace(redis)
    small, large = a_run(resolution="480p"), a_run(resolution="1080p")
    for _ in range(SAMPLES_MAX):
        await pace.learn(small, small.shots[0], 500.0)
    for _ in range(SAMPLES_MAX):
        await pace.learn(small, small.shots[0], 30.0)

    for took_s in (31.0, 90.0, 20.0):
        await pace.learn(small, small.shots[0], took_s)

    assert await pace.usual_times(small, small.shots[0]) == UsualTimes(usual_s=30.0, slowest_s=30.0)
    assert await pace.usual_times(large, large.shots[0]) == UsualTimes(usual_s=None, slowest_s=None)
