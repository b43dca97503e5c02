"""What follows by itself from a take that failed, as the storyboard says; never a blind repetition."""

import random
from dataclasses import replace
from operator import attrgetter

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from framerelay.runs import events
from framerelay.runs.changes import input_of
from framerelay.runs.machine import apply
from framerelay.runs.model import Family, Problem, Run, RunStatus, ShotStatus, TakeStatus, Terms
from framerelay.runs.reaction import Reaction
from framerelay.runs.standing import takes_to_submit
from framerelay.runs.steps import StepName, steps_due
from tests.runs.test_outlook import NOW, chain, submitted, with_takes
from tests.runs.world import World, film_of, with_shots

OTHER = Reaction(moderated={"prompt": "milder"})
OUTPUT = (Family.VIDEO_MODERATED, Family.AUDIO_MODERATED)


def a_shot(reaction: Reaction | None, **more: object) -> Run:
    return with_shots(chain(None, **more), reaction=reaction)


def problem(family: Family) -> Problem:
    return Problem(code="x", message="no", family=family)


def failed(run: Run, family: Family) -> Run:
    """*run* with its next take submitted, and failed for that."""
    run = submitted(run, "s1")
    number = len(run.shots[0].takes)
    end = events.JobEnded(shot_id="s1", take=number, job_ids=(), status=TakeStatus.FAILED, problem=problem(family))
    return apply(run, end, NOW)


def next_prompt(run: Run) -> str | None:
    """What the next take would be made of; None if there is no next one."""
    due = [step for step in steps_due(run, NOW) if step.name is StepName.SUBMIT]
    return run.shots[0].input["prompt"] if due else None


@pytest.mark.parametrize("family", [Family.TEXT_MODERATED, *OUTPUT])
def test_what_was_refused_is_asked_for_once_with_the_other_prompt(family: Family) -> None:
    """And if that is refused as well, in whatever way, a person decides."""
    run = failed(a_shot(OTHER), family)
    assert (run.status, next_prompt(run), run.shots[0].reaction.since) == (RunStatus.RUNNING, "milder", 2)  # type: ignore[union-attr]
    for again in (Family.TEXT_MODERATED, *OUTPUT):
        over = failed(run, again)
        assert (over.status, next_prompt(over), len(over.shots[0].takes)) == (RunStatus.FAILED, None, 2)


def test_a_refusal_of_the_submit_itself_likewise() -> None:
    """Many providers look at the prompt before they accept."""
    run = apply(a_shot(OTHER), events.Submitting(shot_id="s1", take=1, intent="i", seed=None, first_frame=None), NOW)
    refusal = events.SubmitRefused(shot_id="s1", take=1, problem=problem(Family.TEXT_MODERATED), intent="i")
    run = apply(run, refusal, NOW)
    assert next_prompt(run) == "milder"
    assert apply(run, refusal, NOW) is run


@pytest.mark.parametrize("family", [each for each in Family if each not in (Family.TEXT_MODERATED, *OUTPUT)])
def test_other_failures_leave_the_prompt_alone(family: Family) -> None:
    """A picture that was refused is refused again, whatever is sent with it."""
    run = failed(a_shot(OTHER), family)
    assert run.shots[0].input["prompt"] == "x"
    assert next_prompt(run) == ("x" if family in (Family.SERVER, Family.EXPIRED) else None)


def test_sound_that_was_refused_is_left_out_and_a_prompt_stays() -> None:
    """Of a prompt that was refused that is no help."""
    silent = Reaction(moderated={"generate_audio": False})
    run = failed(a_shot(silent), Family.AUDIO_MODERATED)
    assert (next_prompt(run), run.shots[0].input["generate_audio"]) == ("x", False)
    assert failed(run, Family.AUDIO_MODERATED).status is RunStatus.FAILED
    assert next_prompt(failed(a_shot(silent), Family.TEXT_MODERATED)) is None


def test_other_failures_still_have_their_own_new_takes() -> None:
    """Before and after the other prompt: one for the whole shot, as the terms say."""
    run = failed(failed(a_shot(OTHER), Family.SERVER), Family.TEXT_MODERATED)
    assert next_prompt(run) == "milder"
    assert next_prompt(failed(run, Family.SERVER)) is None
    run = failed(failed(a_shot(OTHER), Family.TEXT_MODERATED), Family.EXPIRED)
    assert next_prompt(run) == "milder"


@pytest.mark.parametrize(
    ("reaction", "terms", "family", "takes"),
    [
        (None, 1, Family.UNKNOWN, 1),
        (Reaction(any_failure=True), 1, Family.UNKNOWN, 2),
        (Reaction(any_failure=True, retakes=3), 1, Family.UNKNOWN, 4),
        (Reaction(any_failure=True, retakes=3), 1, Family.SERVER, 4),
        (Reaction(any_failure=True, retakes=3), 1, Family.VIDEO_MODERATED, 4),
        (Reaction(any_failure=True, retakes=3), 1, Family.TEXT_MODERATED, 1),
        (Reaction(any_failure=True, retakes=3), 1, Family.IMAGE_MODERATED, 1),
        (Reaction(any_failure=True, retakes=3), 1, Family.REQUEST_INVALID, 1),
        (Reaction(any_failure=True), 0, Family.SERVER, 1),
        (Reaction(retakes=0), 5, Family.SERVER, 1),
        (Reaction(retakes=0), 5, Family.VIDEO_MODERATED, 1),
    ],
)
def test_new_takes_end_at_their_limit_and_no_take_repeats_a_refused_prompt(
    reaction: Reaction | None, terms: int, family: Family, takes: int
) -> None:
    """`on_failed`: retake, a number, stop; without it the terms count."""
    run = a_shot(reaction, terms=Terms(retakes=terms))
    while next_prompt(run):
        run = failed(run, family)
    assert (len(run.shots[0].takes), run.shots[0].status) == (takes, ShotStatus.FAILED)


def test_a_budget_stops_it_and_a_gate_that_was_passed_is_not_asked_again() -> None:
    """It is a take like any other."""
    run = failed(a_shot(OTHER, budget_jobs=1), Family.VIDEO_MODERATED)
    assert (run.status, next_prompt(run)) == (RunStatus.WAITING, None)
    assert next_prompt(apply(run, events.Resumed(budget_jobs=2), NOW)) == "milder"
    gated_run = apply(with_shots(a_shot(OTHER), gated=True), events.Approved(shot_id="s1"), NOW)
    assert next_prompt(failed(gated_run, Family.TEXT_MODERATED)) == "milder"


def test_a_persons_retake_after_it_is_made_as_they_say_and_has_new_takes_of_its_own() -> None:
    """The other prompt is used up."""
    run = failed(failed(a_shot(OTHER), Family.TEXT_MODERATED), Family.TEXT_MODERATED)
    run = apply(run, events.Retaken(shot_id="s1", prompt="mine"), NOW)
    assert next_prompt(run) == "mine"
    assert next_prompt(failed(run, Family.VIDEO_MODERATED)) == "mine"
    assert next_prompt(failed(run, Family.TEXT_MODERATED)) is None


def test_nothing_happens_to_a_run_that_was_cancelled_or_a_shot_that_is_done() -> None:
    """A take of it may still fail."""
    run = apply(submitted(a_shot(OTHER), "s1"), events.RunCancelled(), NOW)
    end = events.JobEnded(
        shot_id="s1", take=1, job_ids=(), status=TakeStatus.FAILED, problem=problem(Family.TEXT_MODERATED)
    )
    assert apply(run, end, NOW).shots[0].input["prompt"] == "x"
    two = with_shots(a_shot(OTHER), takes_wanted=2, pick_first=True)
    two = with_takes(submitted(two, "s1"), "s1")
    assert apply(two, end, NOW).shots[0].input["prompt"] == "x"


def test_a_take_that_was_put_off_is_not_made_up_for_under_a_number_of_the_earlier_prompt() -> None:
    """The run would say that it was made of the first prompt; and if the other one is refused, would not see that."""
    run = submitted(with_shots(a_shot(OTHER), takes_wanted=2), "s1")
    run = submitted(run, "s1")
    lost_take = replace(run.shots[0].takes[0], status=TakeStatus.SUBMITTING, job_ids=())
    run = with_shots(run, takes=(lost_take, run.shots[0].takes[1]))
    run = apply(
        run, events.SubmitPutOff(shot_id="s1", take=1, problem=problem(Family.RATE), until=NOW, intent="i"), NOW
    )
    assert [take.number for take in run.shots[0].takes] == [2]
    end = events.JobEnded(shot_id="s1", take=2, job_ids=(), status=TakeStatus.FAILED, problem=problem(OUTPUT[0]))
    shot = apply(run, end, NOW).shots[0]
    assert shot.input["prompt"] == "milder"
    numbers = takes_to_submit(apply(run, end, NOW), shot)
    assert [input_of(shot, number)["prompt"] for number in numbers] == ["milder", "milder"]


FAMILIES = (*OUTPUT, Family.TEXT_MODERATED, Family.IMAGE_MODERATED, Family.SERVER, Family.UNKNOWN)


@settings(max_examples=150)
@example(seed=106590, other=True, retakes=None, takes=2)  # Take 3 has its job before take 2.
@example(seed=1782, other=True, retakes=None, takes=2)  # Take 2 is refused before take 1 has its intent.
@example(seed=331038113, other=True, retakes=None, takes=2)  # And while take 3 is prepared, for another failure.
@given(
    seed=st.integers(0, 2**32),
    other=st.booleans(),
    retakes=st.sampled_from([None, 0, 1, 3]),
    takes=st.integers(1, 2),
)
def test_whatever_fails_when_no_refused_prompt_is_asked_for_again(
    seed: int, other: bool, retakes: int | None, takes: int
) -> None:
    """Half of all jobs fail, messages are lost and doubled: as many jobs as the storyboard allows, and no more."""
    reaction = Reaction(moderated={"prompt": "milder"} if other else {}, retakes=retakes, any_failure=True)
    run = with_shots(film_of(1, 3, terms=Terms(retakes=1, unsure="wait")), reaction=reaction, takes_wanted=takes)
    problems = tuple(map(problem, FAMILIES))
    world = World(run=run, chance=random.Random(seed), loss=0.0, death=0.2, failure=0.5, problems=problems)
    for _ in range(60):
        world.tick()
        for _ in range(world.chance.randint(0, 4)):
            world.go_on()
            if world.happens(0.3):
                world.say_again()
    for shot in world.run.shots:
        # By their takes: one whose intent was saved may reach the provider after a later one, with its own words.
        jobs = sorted((job for job in world.jobs if job.shot_id == shot.id), key=attrgetter("take"))
        assert len(jobs) <= takes + (takes if other else 0) + (1 if retakes is None else retakes)
        prompts = [job.prompt for job in jobs]
        assert prompts == [input_of(shot, job.take)["prompt"] for job in jobs], "the run says another prompt"
        assert prompts == sorted(prompts, key=["x", "milder"].index), "never back to the first one"
        families = {take.number: take.error.family for take in shot.takes if take.error}
        if takes == 1:
            refused_prompts = [job.prompt for job in jobs if families.get(job.take) is Family.TEXT_MODERATED]
            assert len(refused_prompts) == len(set(refused_prompts)), "a prompt that was refused was asked for again"
