"""When a provider is asked for a job by our reference, and what becomes of the answer."""

from itertools import pairwise

from framerelay.runs import events
from framerelay.runs.machine import apply, begin, wake_at
from framerelay.runs.maker import Maker
from framerelay.runs.model import Problem, Run, RunId, RunStatus, Shot, ShotStatus, Take, TakeStatus, Terms
from framerelay.runs.steps import StepName, steps_due
from framerelay.runs.takes import reference

NOW = 1_000_000.0
LOST = Problem(code="lost", message="lost")


def lost_run(*, findable: bool = True, intent: str = "i") -> Run:
    """A run whose submit was cut."""
    shot = Shot(id="s1", scene="a", origin="cut", source=None, input={"prompt": "x"})
    run = Run(id=RunId("r"), title="t", model="m", created_at=NOW, updated_at=NOW, shots=(shot,), terms=Terms())
    maker = Maker(provider="p", profile="p", base="https://p", model="m", findable=findable)
    intent_event = events.Submitting(shot_id="s1", take=1, intent=intent, seed=None, first_frame=None, maker=maker)
    return apply(
        apply(begin(run), intent_event, NOW), events.SubmitLost(shot_id="s1", take=1, problem=LOST, intent=intent), NOW
    )


def take_of(run: Run) -> Take:
    return run.shots[0].takes[0]


def searches(run: Run, now: float) -> int:
    return [step.name for step in steps_due(run, now)].count(StepName.FIND)


def test_only_providers_that_can_search_are_asked() -> None:
    """A moment after the cut; and the run wakes for it."""
    run = lost_run()
    assert (searches(run, NOW), searches(run, NOW + 2)) == (0, 1)
    assert wake_at(run, NOW) == NOW + 2
    assert searches(lost_run(findable=False), NOW + 1e6) == 0


def test_it_is_asked_ever_more_rarely() -> None:
    """Never sooner than after two seconds, nor later than after ten minutes; and submitted by nobody."""
    run, now, moments = lost_run(), NOW, []
    for _ in range(40):
        now = max(now, take_of(run).find_at or 0)
        assert [step.name for step in steps_due(run, now)] == [StepName.FIND]
        moments.append(now)
        run = apply(run, events.JobNotFound(shot_id="s1", take=1, intent="i"), now)
    gaps = [later - earlier for earlier, later in pairwise(moments)]
    assert gaps == sorted(gaps)
    assert (gaps[0], gaps[-1]) == (2.0, 600.0)


def test_an_answer_about_another_submit_says_nothing_of_this_one() -> None:
    """The search took long, and the take was submitted again in the meantime."""
    run = lost_run(intent="new")
    assert apply(run, events.JobNotFound(shot_id="s1", take=1, intent="old"), NOW + 2) is run

    found_run = apply(run, events.Submitted(shot_id="s1", take=1, job_id="7", intent="old"), NOW + 2)
    assert take_of(found_run).job_ids == ()
    assert [take.job_ids for take in found_run.shots[0].takes if take.twin_of] == [("7",)], (
        "it was paid for, and is kept"
    )


def test_what_is_found_is_the_takes_job() -> None:
    """And is searched for no more."""
    run = apply(lost_run(), events.Submitted(shot_id="s1", take=1, job_id="7", intent="i"), NOW + 2)
    assert (take_of(run).status, take_of(run).job_ids, take_of(run).find_at) == (TakeStatus.GENERATING, ("7",), None)
    assert searches(run, NOW + 1e6) == 0
    assert apply(run, events.JobNotFound(shot_id="s1", take=1, intent="i"), NOW + 3) is run


def test_each_submit_has_a_reference_of_its_own_and_always_the_same() -> None:
    """A UUID; of run, shot and intent."""
    run, take = lost_run(), take_of(lost_run())
    same = reference(run, "s1", take)
    assert same == reference(lost_run(), "s1", take)
    assert len(same) == 36
    others = {reference(run, "s2", take), reference(run, "s1", take_of(lost_run(intent="j")))}
    assert len(others | {same}) == 3


def test_nobody_is_told_to_wait_for_a_person_while_it_is_looked_for_at_once() -> None:
    """After some ten seconds of searching it is a person's matter; the take is held all the time."""
    run, now = lost_run(), NOW
    assert (run.status, run.shots[0].status) == (RunStatus.RUNNING, ShotStatus.SUBMITTING)

    while run.status is RunStatus.RUNNING:
        now = run.shots[0].takes[0].find_at or 0.0
        run = apply(run, events.JobNotFound(shot_id="s1", take=1, intent="i"), now)

    assert 5 < now - NOW < 60
    assert (run.status, run.shots[0].status) == (RunStatus.WAITING, ShotStatus.WAITING)
    assert run.shots[0].takes[0].status is TakeStatus.UNSURE
    assert lost_run(findable=False).status is RunStatus.WAITING
