"""The final of a draft: of the takes that were picked, and of nothing else of it."""

from dataclasses import replace

import pytest

from framerelay.runs import events
from framerelay.runs.changes import input_of
from framerelay.runs.costs import Estimate
from framerelay.runs.machine import apply
from framerelay.runs.model import Family, Problem, Run, Shot, TakeStatus
from framerelay.runs.promotion import final_shots, why_not_promoted, words_of_promotion
from framerelay.runs.reaction import Reaction
from tests.runs.test_outlook import NOW, chain, submitted, with_takes
from tests.runs.world import with_shots


def a_draft(**more: object) -> Run:
    """s1 → s2, small ones."""
    run = with_shots(chain(None, "s1"), final={"resolution": "1080p", "duration": None}, **more)
    return replace(run, is_draft=True)


def shots_of(run: Run) -> tuple[Shot, ...]:
    assert why_not_promoted(run) is None
    return final_shots(run)


def test_a_run_that_is_no_draft_or_not_settled_is_not_promoted() -> None:
    """Whatever its status says: every shot has to be done, and none to follow."""
    assert "is not a draft" in (why_not_promoted(with_takes(chain(None), "s1")) or "")
    run = with_takes(a_draft(), "s1")
    assert "shot s2 of the draft is not settled yet" in (why_not_promoted(run) or "")
    run = with_takes(run, "s2")
    assert why_not_promoted(run) is None
    again = apply(run, events.Retaken(shot_id="s1", following=True), NOW)
    assert "shot s1" in (why_not_promoted(again) or "")
    assert "shot s2" in (why_not_promoted(with_takes(again, "s1")) or "")


def test_its_shots_are_new_and_as_large_as_the_storyboard_says() -> None:
    """Nothing of the draft is in them but prompts and seeds."""
    run = with_shots(a_draft(), input={"prompt": "x", "resolution": "480p", "duration": 4, "ratio": "16:9"})
    one, two = shots_of(with_takes(run, "s1", "s2"))
    assert one.input == two.input == {"prompt": "x", "resolution": "1080p", "ratio": "16:9"}
    assert (two.source, two.takes, two.picked, two.final, one.first_frame) == ("s1", (), None, None, None)


def test_prompt_and_seed_are_those_of_the_take_that_was_picked() -> None:
    """Also where another one was asked for since, and the old one picked again."""
    run = with_takes(a_draft(), "s1", "s2")
    run = with_takes(apply(run, events.Retaken(shot_id="s2", prompt="second", seed=9), NOW), "s2")
    run = with_takes(apply(run, events.Retaken(shot_id="s2", prompt="third", input={"duration": 8}), NOW), "s2")
    shot = run.shots[1]
    assert [input_of(shot, number)["prompt"] for number in (1, 2, 3, 4)] == ["x", "second", "third", "third"]
    for take, prompt in ((1, "x"), (2, "second"), (3, "third")):
        picked_run = apply(run, events.Picked(shot_id="s2", take=take), NOW)
        seeded_run = picked_run.with_shots(
            replace(
                picked_run.shots[1],
                takes=tuple(replace(each, seed=100 + each.number) for each in picked_run.shots[1].takes),
            )
        )
        final = shots_of(seeded_run)[1]
        assert (final.input["prompt"], final.input["seed"]) == (prompt, 100 + take)
        assert "duration" not in final.input, "what the draft has of its own is not the final's"


def test_a_prompt_that_was_refused_is_not_the_other_one_of_the_final() -> None:
    """Its alternative is its prompt by now; one that was not needed is still there."""
    other = Reaction(moderated={"prompt": "milder"}, retakes=2)
    run = submitted(a_draft(reaction=other), "s1")
    problem = Problem(code="x", message="no", family=Family.TEXT_MODERATED)
    end = events.JobEnded(shot_id="s1", take=1, job_ids=(), status=TakeStatus.FAILED, problem=problem)
    one, two = shots_of(with_takes(apply(run, end, NOW), "s1", "s2"))
    assert (one.input["prompt"], one.reaction) == ("milder", Reaction(retakes=2))
    assert (two.input["prompt"], two.reaction) == ("x", other)


@pytest.mark.parametrize(
    ("jobs", "money", "words"),
    [
        (None, None, 'the final of "t" is made, a run of its own, for 2 jobs, 1.00 to 2.00 USD'),
        (1, None, "the budget is spent before all of it"),
        (None, 1.5, "the budget is spent before all of it"),
        (2, 2.0, "s1 and s2 wait for your approval first"),
        (2, 2.0, "no seed is known for s1 and s2"),
    ],
)
def test_its_effect_is_described_in_a_sentence(jobs: int | None, money: float | None, words: str) -> None:
    """With what may disappoint."""
    shots = shots_of(with_takes(a_draft(), "s1", "s2"))
    shots = tuple(replace(shot, gated=True) for shot in shots)
    cost = Estimate(low=1, high=2, currency="USD")
    words_said = words_of_promotion("t", shots, cost, budget_jobs=jobs, budget_money=money)
    assert words in words_said
    assert ("the budget is spent" in words_said) is (jobs == 1 or money == 1.5)
