"""Whether a run needs a person: what a list shows of those that somebody should look at."""

from dataclasses import replace

from framerelay.runs import events
from framerelay.runs.attention import needs_person
from framerelay.runs.machine import apply
from framerelay.runs.model import Family, Problem, Run, RunStatus, Shot, TakeStatus, Terms
from framerelay.runs.standing import HELD_AFTER
from tests.runs.test_outlook import NOW, chain, submitted, with_takes
from tests.runs.world import with_shots

BUSY = Problem(code="upstream_unavailable", message="out of order", family=Family.SERVER)

BAD = Problem(code="x", message="no")


def put_off(run: Run, shot_id: str, problem: Problem, times: int) -> Run:
    for _ in range(times):
        intent = events.Submitting(shot_id=shot_id, take=1, intent="i", seed=None, first_frame=None)
        run = apply(run, intent, NOW)
        run = apply(run, events.SubmitPutOff(shot_id=shot_id, take=1, problem=problem, until=NOW, intent="i"), NOW)
    return run


def test_a_run_that_goes_on_needs_nobody_until_a_shot_asks() -> None:
    """An approval that is due while another scene is under way."""
    run = submitted(chain(None, None), "s1")
    assert (run.status, needs_person(run)) == (RunStatus.RUNNING, False)
    gated_run = run.with_shots(replace(run.shots[1], gated=True))
    asking = apply(gated_run, events.CalledBack(shot_id="s1", take=1), NOW)
    assert (asking.status, needs_person(asking)) == (RunStatus.RUNNING, True)
    assert not needs_person(apply(asking, events.Approved(shot_id="s2"), NOW))
    assert not needs_person(apply(asking, events.RunCancelled(), NOW))


def test_one_that_waits_for_its_budget_does_and_one_that_is_made_or_failed_does_not() -> None:
    """Whatever it waits for, but a provider that comes back by itself."""
    run = with_takes(chain(None, "s1", budget_jobs=1), "s1")
    assert (run.status, needs_person(run)) == (RunStatus.WAITING, True)
    failed_run = submitted(chain(None, terms=Terms(retakes=0)), "s1")
    bad = Problem(code="x", message="no")
    failed_run = apply(
        failed_run, events.JobEnded(shot_id="s1", take=1, job_ids=(), status=TakeStatus.FAILED, problem=bad), NOW
    )
    assert (failed_run.status, needs_person(failed_run)) == (RunStatus.FAILED, False)


def test_a_provider_that_is_out_of_order_is_nobodys_business() -> None:
    """It is tried ever more rarely; a wrong key is a person's."""
    stuck = put_off(chain(None), "s1", BUSY, HELD_AFTER)
    assert (stuck.status, needs_person(stuck)) == (RunStatus.WAITING, False)
    account = Problem(code="key_refused", message="wrong key", family=Family.ACCOUNT)
    held_run = put_off(chain(None), "s1", account, 1)
    assert (held_run.status, needs_person(held_run)) == (RunStatus.WAITING, True)
    both = stuck.with_shots(replace(stuck.shots[0], takes=()))
    asks = Shot(id="s9", scene="b", origin="cut", source=None, input={"prompt": "x"}, gated=True)
    both = replace(both, shots=(*both.shots, asks))
    both = apply(with_shots(both), events.Resumed(budget_jobs=9), NOW)
    assert needs_person(both)
