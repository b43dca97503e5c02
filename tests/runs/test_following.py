"""A retake with all that is made from it: in order, once each, and whatever comes between."""

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framerelay.runs import events
from framerelay.runs.costs import Estimate, Quote
from framerelay.runs.decisions import why_not
from framerelay.runs.limits import submits_to_come
from framerelay.runs.machine import apply
from framerelay.runs.model import Family, Problem, Run, RunStatus, ShotStatus, TakeStatus, Terms
from framerelay.runs.outlook import outlook_on, stale_shots, words_of_retake
from framerelay.runs.steps import StepName, steps_due
from tests.runs.films import joined
from tests.runs.test_outlook import NOW, chain, complete, submitted, with_takes
from tests.runs.world import World, film_of, with_shots

DIME = Estimate(low=0.05, high=0.1, currency="USD")


def retaken(run: Run, shot: str = "s1", **more: object) -> Run:
    """*run* after a retake of *shot* with all that follows, which is possible."""
    event = events.Retaken(shot_id=shot, following=True, **more)  # type: ignore[arg-type]
    assert why_not(run, event, NOW) is None
    return apply(run, event, NOW)


def submits(run: Run) -> list[str]:
    return [step.shot_id for step in steps_due(run, NOW) if step.name is StepName.SUBMIT]


def marked(run: Run) -> list[str]:
    """The shots that are still to follow."""
    return [shot.id for shot in run.shots if shot.following is not None]


def a_film(**more: object) -> Run:
    """s1 → s2 → s3, a branch s4 from s1, and s5 by itself; all done."""
    run = with_takes(chain(None, "s1", "s2", "s1", None, **more), "s1", "s2", "s3", "s4", "s5")
    return apply(run, joined(run), NOW)


def test_each_is_made_again_when_its_sources_new_take_is_there() -> None:
    """In order, each once, from the frame of the new take; what is not made from it stays."""
    run = retaken(a_film(), prompt="other")
    assert (submits(run), marked(run), submits_to_come(run)) == (["s1"], ["s2", "s3", "s4"], 4)
    assert run.shot("s2").status is ShotStatus.DONE  # type: ignore[union-attr]
    run = with_takes(run, "s1")
    assert (submits(run), marked(run)) == (["s2", "s4"], ["s3"])
    run = with_takes(run, "s4", "s2")
    assert (submits(run), marked(run)) == (["s3"], [])
    run = with_takes(run, "s3")
    assert [len(shot.takes) for shot in run.shots] == [2, 2, 2, 2, 1]
    assert (stale_shots(run), submits(run)) == (frozenset(), [])
    assert {step.name for step in steps_due(run, NOW)} == {StepName.JOIN}


def test_where_the_new_take_fails_nothing_follows_and_the_old_one_can_be_picked_again() -> None:
    """Not a job is spent on the others; the film is the old one again."""
    run = retaken(a_film(terms=Terms(retakes=0)))
    run = submitted(run, "s1")
    bad = Problem(code="x", message="no", family=Family.UNKNOWN)
    run = apply(run, events.JobEnded(shot_id="s1", take=2, job_ids=(), status=TakeStatus.FAILED, problem=bad), NOW)
    assert (run.status, submits(run)) == (RunStatus.FAILED, [])
    run = apply(run, events.Picked(shot_id="s1", take=1), NOW)
    assert (marked(run), submits(run), stale_shots(run)) == ([], [], frozenset())
    assert {step.name for step in steps_due(run, NOW)} == {StepName.JOIN}


def test_a_pick_of_the_old_take_calls_it_off_and_a_pick_of_a_third_redirects_it() -> None:
    """The new take of s1 is under way: it is kept, and nothing hangs on it."""
    before = with_takes(apply(a_film(), events.Retaken(shot_id="s1"), NOW), "s1")
    run = submitted(retaken(before), "s1")
    back = apply(run, events.Picked(shot_id="s1", take=2), NOW)
    assert (marked(back), submits(back)) == ([], [])
    assert marked(complete(back, "s1")) == []
    other = apply(run, events.Picked(shot_id="s1", take=1), NOW)
    assert (marked(other), submits(other)) == ([], []), "they were made from take 1, and fit again"


@pytest.mark.parametrize("prompts", [("one", "two", "three", "four", "five"), ("x",) * 5])
def test_the_old_storyboard_calls_it_off_for_all_that_was_to_follow(prompts: tuple[str, ...]) -> None:
    """What was made of it is the film again: no shot waits to follow a take that nobody makes any more."""
    board = chain(None, "s1", "s2", "s3", None)
    inputs = zip(board.shots, prompts, strict=True)
    board = board.with_shots(*(replace(shot, input={"prompt": prompt}) for shot, prompt in inputs))
    run = retaken(with_takes(board, "s1", "s2", "s3", "s4", "s5"), prompt="other")
    assert marked(run) == ["s2", "s3", "s4"]
    back = apply(run, events.Amended(target=board), NOW)
    assert (marked(back), submits(back)) == ([], [])
    assert [(shot.id, shot.picked) for shot in back.shots] == [(f"s{number}", 1) for number in range(1, 6)]
    assert {step.name for step in steps_due(back, NOW)} == {StepName.JOIN}


def test_a_gate_asks_again_and_may_change_the_shot() -> None:
    """It was approved for the present take; what follows it waits with it."""
    run = with_shots(chain(None, "s1", "s2"), gated=True)
    for name in ("s1", "s2", "s3"):
        run = with_takes(apply(run, events.Approved(shot_id=name), NOW), name)
    run = with_takes(retaken(run), "s1")
    assert (submits(run), run.status, run.error.code if run.error else "") == ([], RunStatus.WAITING, "approval_needed")
    run = apply(run, events.Approved(shot_id="s2", prompt="warmer", seed=40), NOW)
    shot = run.shot("s2")
    assert (submits(run), shot.input, shot.seed_at) == (["s2"], {"prompt": "warmer", "seed": 40}, 2)  # type: ignore[union-attr]
    assert marked(with_takes(run, "s2")) == []


def test_a_budget_stops_it_and_more_lets_it_go_on() -> None:
    """Of jobs: five were spent, two more are allowed, three wait."""
    run = retaken(a_film(budget_jobs=7))
    run = with_takes(run, "s1", "s2")
    assert (run.status, run.error.code if run.error else "") == (RunStatus.WAITING, "budget_reached")
    run = apply(run, events.Resumed(budget_jobs=9), NOW)
    assert submits(run) == ["s3", "s4"]


def test_a_budget_of_money_works_the_same_way() -> None:
    """Three dimes and one more: s2 may be made again, and no other."""
    run = with_shots(chain(None, "s1", "s2", budget_money=0.5, currency="USD"), estimate=DIME)
    run = with_takes(run, "s1", "s2", "s3")
    run = with_takes(retaken(run), "s1", "s2")
    assert (run.status, submits(run)) == (RunStatus.WAITING, [])


def test_a_retake_or_a_pick_of_a_following_shot_replaces_the_older_decision() -> None:
    """Its own retake is the one that it gets; a pick leaves it as it is, and what follows it fits then."""
    run = submitted(retaken(a_film()), "s1")
    again = apply(run, events.Retaken(shot_id="s2", prompt="other"), NOW)
    assert (marked(again), submits(again)) == (["s3", "s4"], [])
    again = with_takes(complete(again, "s1"), "s2")
    assert (len(again.shot("s2").takes), submits(again)) == (2, ["s3", "s4"])  # type: ignore[union-attr]
    kept_run = apply(run, events.Picked(shot_id="s2", take=1), NOW)
    assert (marked(kept_run), marked(complete(kept_run, "s1"))) == (["s4"], [])


def test_what_was_to_be_submitted_from_an_old_take_waits_for_the_new_one() -> None:
    """s3 was not made yet: nothing is paid for a clip from a frame that is no longer handed on."""
    run = with_takes(chain(None, "s1", "s2"), "s1", "s2")
    assert submits(run) == ["s3"]
    run = retaken(run)
    assert submits(run) == ["s1"]
    run = with_takes(run, "s1", "s2")
    assert (submits(run), marked(run), len(run.shot("s3").takes)) == (["s3"], [], 0)  # type: ignore[union-attr]


def test_a_cancel_ends_it() -> None:
    """Whatever comes later is kept, and nothing is submitted."""
    run = submitted(retaken(a_film()), "s1")
    run = complete(apply(run, events.RunCancelled(), NOW), "s1")
    assert submits(run) == []


# --- beforehand --------------------------------------------------------------------------------------------------


def test_the_outlook_names_the_shots_the_jobs_the_cost_and_where_it_stops() -> None:
    """All in one sentence."""
    run = with_shots(a_film(budget_jobs=8), estimate=DIME)
    run = run.with_shots(replace(run.shots[2], gated=True, approved=True))
    event = events.Retaken(shot_id="s1", following=True)
    outlook = outlook_on(run, event)
    assert (outlook.jobs, outlook.following, outlook.stale, outlook.approvals) == (4, ("s2", "s3", "s4"), (), ("s3",))
    assert outlook.cost is not None
    assert (round(outlook.cost.low, 6), round(outlook.cost.high, 6)) == (0.2, 0.4)
    assert words_of_retake(run, event) == (
        "shot s1 is made again, and with it s2, s3 and s4, for 4 jobs of the 3 left in the budget, 0.20 to 0.40 USD; "
        "s3 waits for your approval first; the budget is spent before all of it, and the run waits then"
    )


def test_what_was_not_made_yet_is_not_said_to_be_made_again() -> None:
    """s3 is made with or without the retake: it is not one of its jobs, so it is not named among them."""
    run = with_shots(with_takes(chain(None, "s1", "s2"), "s1", "s2"), estimate=DIME)
    event = events.Retaken(shot_id="s1", following=True)
    outlook = outlook_on(run, event)
    assert (outlook.jobs, outlook.following) == (2, ("s2",))
    assert words_of_retake(run, event) == "shot s1 is made again, and with it s2, for 2 jobs, 0.10 to 0.20 USD"


def test_a_change_has_its_price_and_a_price_of_another_input_is_dropped() -> None:
    """Somebody changed the shot since the price was asked for."""
    run = with_shots(chain(None, budget_money=0.25, currency="USD"), estimate=DIME)
    run = with_takes(run, "s1")
    dear = Quote(input={"prompt": "x", "duration": 9}, estimate=Estimate(low=1, high=1, currency="USD"))
    event = events.Retaken(shot_id="s1", input={"duration": 9}, quote=dear)
    assert "a take may cost 1.00 USD" in (why_not(run, event, NOW) or "")
    cheap = replace(event, quote=replace(dear, estimate=DIME))
    after = apply(run, cheap, NOW)
    assert (after.shots[0].input, after.shots[0].estimate) == ({"prompt": "x", "duration": 9}, DIME)
    other = replace(cheap, quote=replace(dear, input={"prompt": "y", "duration": 9}))
    assert why_not(run, other, NOW) == "the input of shot s1 was changed in the meantime: look again"
    assert apply(run, other, NOW) is run


# --- at any moment -----------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32), shots=st.integers(2, 5), first=st.integers(0, 3))
def test_each_gets_exactly_one_job_and_the_frame_of_the_new_take(seed: int, shots: int, first: int) -> None:
    """Tasks die, saves are lost and doubled: one job a shot, each from the take that its source goes on with."""
    run = with_shots(film_of(1, shots), takes_wanted=1)
    world = World(run=run, chance=random.Random(seed), loss=0.0, death=0.0)
    world.settle()
    name, before = f"s0_{min(first, shots - 1)}", len(world.jobs)
    world.doubts.clear()
    assert world.record(events.Retaken(shot_id=name, following=True))
    world.loss, world.death = 0.3, 0.2
    for _ in range(world.chance.randint(5, 100)):
        world.tick()
        for _ in range(world.chance.randint(0, 4)):
            world.chance.choice([world.go_on, world.go_on, world.say_again])()
    world.settle()

    expected = [shot.id for shot in run.shots[min(first, shots - 1) :]]
    if not world.doubts:
        assert [job.shot_id for job in world.jobs[before:]] == expected
    assert (world.run.status, marked(world.run), stale_shots(world.run)) == (RunStatus.SUCCEEDED, [], frozenset())


@settings(max_examples=80)
@given(
    seed=st.integers(0, 2**32),
    second=st.sampled_from(["pick", "cancel", "retake", "retake all", "approve", "budget", "nothing"]),
    budget=st.sampled_from([None, 7, 9]),
    gated=st.booleans(),
)
def test_a_second_decision_at_any_moment_costs_no_more_than_both_say(
    seed: int, second: str, budget: int | None, gated: bool
) -> None:
    """What came before is kept, no shot is made again without a reason, and no run forgets who was to follow."""
    world = World(
        run=with_shots(film_of(1, 4, budget_jobs=budget), takes_wanted=1),
        chance=random.Random(seed),
        loss=0.0,
        death=0.0,
    )
    world.settle()
    if gated:
        world.run = with_shots(world.run, gated=True, approved=True)
    assert world.record(events.Retaken(shot_id="s0_0", following=True))
    world.loss, world.death = 0.2, 0.1
    for _ in range(world.chance.randint(1, 60)):
        world.tick()
        for _ in range(world.chance.randint(0, 4)):
            world.chance.choice([world.go_on, world.go_on, world.say_again])()
    one = world.chance.choice(world.run.shots).id
    world.record(
        {
            "pick": events.Picked(shot_id=one, take=world.chance.randint(1, 2)),
            "cancel": events.RunCancelled(),
            "retake": events.Retaken(shot_id=one, prompt="newer"),
            "retake all": events.Retaken(shot_id=one, following=True),
            "approve": events.Approved(shot_id=one, seed=5),
            "budget": events.Resumed(budget_jobs=20),
            "nothing": events.Elapsed(),
        }[second]
    )
    world.settle()

    assert budget is None or second == "budget" or len(world.jobs) <= budget
    spare = {"retake": 4, "retake all": 4, "pick": 3}.get(second, 0)  # Whose source moves on twice follows twice.
    assert len(world.jobs) <= 8 + spare + len(world.doubts)
    if second == "cancel":
        assert world.run.cancelled
    elif not gated and (budget is None or second == "budget"):
        assert (world.run.status, marked(world.run)) == (RunStatus.SUCCEEDED, [])


@pytest.mark.parametrize("status", [TakeStatus.GENERATING, TakeStatus.UNSURE])
def test_while_one_made_from_it_is_under_way_it_is_refused(status: TakeStatus) -> None:
    """As without what follows: the job would not fit."""
    run = submitted(with_takes(chain(None, "s1"), "s1"), "s2")
    take = replace(run.shots[1].takes[0], status=status)
    run = run.with_shots(replace(run.shots[1], takes=(take,)))
    assert "still under way: s2" in (why_not(run, events.Retaken(shot_id="s1", following=True), NOW) or "")
