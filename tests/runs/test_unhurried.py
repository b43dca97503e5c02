"""`service_tier: flex`: jobs that wait for a cheap hour are not asked about as if they were lost."""

from framerelay.runs import events
from framerelay.runs.machine import apply
from framerelay.runs.model import Run, RunStatus
from framerelay.runs.takes import UNHURRIED_S, ask_at
from tests.runs.test_outlook import NOW, chain
from tests.runs.world import LOST, with_shots


def lost_run(tier: str | None, usual_s: float | None = None) -> Run:
    """A submit of which nobody knows if it was accepted."""
    run = with_shots(chain(None), input={"prompt": "x", **({"service_tier": tier} if tier else {})})
    intent = events.Submitting(shot_id="s1", take=1, intent="i", seed=None, first_frame=None, usual_s=usual_s)
    run = apply(run, intent, NOW)
    return apply(run, events.SubmitLost(shot_id="s1", take=1, problem=LOST, intent="i"), NOW)


def asked_after(run: Run) -> float:
    shot = run.shots[0]
    return (ask_at(run, shot, shot.takes[0]) or 0.0) - NOW


def test_a_person_is_asked_half_a_day_later_or_when_such_jobs_are_usually_done() -> None:
    """Three times over, as always, once that is known."""
    assert asked_after(lost_run(None)) == asked_after(lost_run("default")) == 900
    assert asked_after(lost_run("flex")) == UNHURRIED_S
    assert asked_after(lost_run("flex", usual_s=7200)) == 3 * 7200
    run = lost_run("flex")
    early = apply(run, events.Elapsed(), NOW + 3600)
    late = apply(run, events.Elapsed(), NOW + UNHURRIED_S + 1)
    assert early.shots[0].takes[0].question is None
    assert late.shots[0].takes[0].question is not None
    assert late.status is RunStatus.WAITING
