"""What an older copy of Redis does not know of: which takes are in doubt, and when they no longer are."""

from dataclasses import replace

from framerelay.runs import events
from framerelay.runs.machine import apply
from framerelay.runs.model import Run, Shot, TakeStatus
from framerelay.runs.restoration import HELD, is_in_doubt, oldest
from tests.runs.test_machine import NOW, after, chain, due, new_run, shot, submitted, submitting

LATER = NOW + 100.0


def loss_of(take: int = 1) -> events.SubmitLost:
    return events.SubmitLost(shot_id="s1", take=take, problem=HELD, intent=f"i{take}")


def first(run: Run) -> Shot:
    return run.shots[0]


def restored(run: Run) -> Run:
    return apply(run, events.Restored(), LATER)


def test_every_shot_of_a_run_that_goes_on_is_in_doubt() -> None:
    """And no shot of one to which nothing happened."""
    run = chain()

    assert [is_in_doubt(run, each) for each in run.shots] == [False, False]
    assert [is_in_doubt(restored(run), each) for each in run.shots] == [True, True]


def test_a_run_that_is_over_is_not_marked() -> None:
    """A cancelled one; nothing is submitted for it."""
    run = after(chain(), events.RunCancelled())

    assert restored(run) is run


def test_a_held_take_is_not_submitted_and_those_of_the_same_shot_are_in_doubt_as_well() -> None:
    """Three takes of one shot may all have been submitted."""
    run = restored(new_run(shot("s1", takes_wanted=3)))
    run = after(run, submitting(), loss_of(), now=LATER)

    assert [take.status for take in first(run).takes] == [TakeStatus.UNSURE]
    assert due(run, LATER) == [("submit", "s1", 2), ("submit", "s1", 3)]
    assert is_in_doubt(run, first(run))


def test_what_a_person_decides_about_a_held_take_ends_the_doubt() -> None:
    """Else the next one would be held, and the one after that."""
    run = after(restored(new_run(shot("s1"))), submitting(), loss_of(), now=LATER)
    run = after(run, events.Elapsed(), now=LATER + run.terms.ask_after_s + 1)
    run = after(run, events.Retaken(shot_id="s1"), now=LATER + run.terms.ask_after_s + 2)

    assert due(run, LATER + 10_000) == [("submit", "s1", 2)]
    assert not is_in_doubt(run, first(run))


def test_a_held_take_that_can_no_longer_be_alive_ends_the_doubt() -> None:
    """As of any submit whose outcome is unknown."""
    run = after(restored(new_run(shot("s1"))), submitting(), loss_of(), now=LATER)
    run = after(run, events.Elapsed(), now=LATER + run.terms.unsure_hold_s + 1)

    assert first(run).takes[0].status is TakeStatus.EXPIRED
    assert not is_in_doubt(run, first(run))


def test_a_take_whose_job_was_found_leaves_the_next_one_in_doubt() -> None:
    """It may have failed since, and the next one been submitted."""
    run = after(restored(new_run(shot("s1"))), submitting(), loss_of(), submitted(), now=LATER)

    assert is_in_doubt(run, first(run))


def test_what_was_given_up_before_the_copy_was_taken_says_nothing() -> None:
    """It was decided then; what came after it is not known."""
    run = after(new_run(shot("s1")), submitting(), loss_of())
    run = after(run, events.Elapsed(), now=NOW + run.terms.unsure_hold_s + 1)

    assert is_in_doubt(apply(run, events.Restored(), NOW + run.terms.unsure_hold_s + 2), first(run))


def test_a_job_may_be_as_old_as_the_copy() -> None:
    """Also where Redis came back twice."""
    run = chain()
    twice = apply(replace(restored(run), updated_at=LATER), events.Restored(), LATER + 5)
    held_run = after(twice, submitting(), loss_of(), now=LATER + 9)

    assert oldest(held_run, first(held_run).takes[0]) == NOW
    assert twice.restored is not None
    assert (twice.restored.at, twice.restored.since) == (LATER + 5, NOW)
