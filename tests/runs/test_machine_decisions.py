"""What a person decides about a run: each decision before, and what the state asks for after."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from framerelay.runs import events
from framerelay.runs.decisions import why_not
from framerelay.runs.limits import submits_to_come
from framerelay.runs.machine import apply, begin, wake_at
from framerelay.runs.model import (
    Clip,
    Family,
    Frame,
    Problem,
    Run,
    RunId,
    RunStatus,
    Shot,
    ShotStatus,
    TakeStatus,
    Terms,
)
from framerelay.runs.standing import jobs_spent
from framerelay.runs.steps import steps_due
from tests.runs.films import joined

NOW = 1_000_000.0
CLIP = Clip(path="c", sha256="0", bytes=1, width=16, height=9, duration_s=5.04, frames=121)
FRAME = Frame(path="f", sha256="0", width=16, height=9)
FORBIDDEN = Problem(code="address_forbidden", message="not trusted")
LOST = Problem(code="outcome_unknown", message="nobody knows", family=Family.SERVER)


def new_run(*, shots: int = 2, **more: object) -> Run:
    cuts = tuple(
        Shot(
            id=f"s{number}",
            scene="a",
            origin="continue",
            source=f"s{number - 1}" if number > 1 else None,
            input={"prompt": "x", "seed": 7},
        )
        for number in range(1, shots + 1)
    )
    return begin(
        Run(id=RunId("run_1"), title="t", model="m", created_at=NOW, updated_at=NOW, shots=cuts, terms=Terms(), **more)  # type: ignore[arg-type]
    )


def after(run: Run, *history: events.Event | Callable[[Run], events.Event], now: float = NOW) -> Run:
    """*run* after that; what depends on the state of the run is made from it."""
    for event in history:
        run = apply(run, event(run) if callable(event) else event, now)
    return run


def submitted(shot_id: str = "s1", take: int = 1) -> tuple[events.Event, ...]:
    return (
        events.Submitting(shot_id=shot_id, take=take, intent=f"i{take}", seed=None, first_frame=None),
        events.Submitted(shot_id=shot_id, take=take, job_id=f"job_{shot_id}_{take}"),
    )


def rendered(shot_id: str = "s1", take: int = 1) -> tuple[events.Event, ...]:
    render = events.Rendered(shot_id=shot_id, take=take, job_ids=(f"job_{shot_id}_{take}",), video_url="https://v")
    return (*submitted(shot_id, take), render)


def collected(shot_id: str = "s1", take: int = 1) -> tuple[events.Event, ...]:
    return (*rendered(shot_id, take), events.Collected(shot_id=shot_id, take=take, video=CLIP, last_frame=FRAME))


def failed(family: Family, shot_id: str = "s1", take: int = 1) -> tuple[events.Event, ...]:
    problem = Problem(code="x", message="it failed", family=family)
    end = events.JobEnded(
        shot_id=shot_id, take=take, job_ids=(f"job_{shot_id}_{take}",), status=TakeStatus.FAILED, problem=problem
    )
    return (*submitted(shot_id, take), end)


def of_one_shot(**about: Any) -> Run:
    """A run whose only shot is made as given."""
    shot = Shot(id="s1", scene="a", origin="continue", source=None, **{"input": {"prompt": "x"}, **about})
    return begin(replace(new_run(shots=1), shots=(shot,)))


def due(run: Run, now: float = NOW) -> list[tuple[str, str, int]]:
    return [(step.name.value, step.shot_id, step.take) for step in steps_due(run, now)]


def test_resume_asks_again_for_a_rendered_clip_and_submits_nothing() -> None:
    """The address was not trusted; now it is: GET, fetch, and the one payment stays the only one."""
    run = after(new_run(shots=1), *rendered(), events.CollectFailed(shot_id="s1", take=1, problem=FORBIDDEN))
    assert run.status is RunStatus.FAILED
    old_steps = steps_due(after(new_run(shots=1), *rendered()), NOW)

    run = after(run, events.Resumed())

    assert run.status is RunStatus.RUNNING
    assert due(run) == [("look_up", "s1", 1)]
    assert submits_to_come(run) == 0
    run = after(run, rendered()[-1])
    assert due(run) == [("collect", "s1", 1)]
    assert steps_due(run, NOW)[0].task_id != old_steps[0].task_id
    assert jobs_spent(run) == 1


def test_a_clip_that_was_rendered_is_never_rendered_again_by_itself() -> None:
    """Trouble on the way to it may be the server's; the clip is paid for all the same."""
    run = after(new_run(shots=1), *rendered(), events.CollectFailed(shot_id="s1", take=1, problem=LOST))

    assert due(run) == []
    assert run.status is RunStatus.FAILED


@pytest.mark.parametrize(
    ("family", "again"),
    [
        (Family.REQUEST_INVALID, True),
        (Family.UNKNOWN, True),
        (Family.TEXT_MODERATED, False),
        (Family.IMAGE_MODERATED, False),
    ],
)
def test_resume_gives_a_failed_shot_a_new_take_unless_the_answer_would_be_the_same(family: Family, again: bool) -> None:
    """The same text and the same picture are refused again; other reasons may have been fixed."""
    run = after(new_run(), *failed(family))

    resumed_run = after(run, events.Resumed())

    assert due(resumed_run) == ([("submit", "s1", 2)] if again else [])
    assert (resumed_run is run) is not again
    assert submits_to_come(resumed_run) == (2 if again else 1)
    assert (why_not(run, events.Resumed(), NOW) is None) is again


def test_resume_prepares_inputs_again_and_joins_the_film_again() -> None:
    """What never was submitted, and what is only on our own disk."""
    run = after(
        new_run(shots=1), events.PreparationFailed(shot_id="s1", problem=FORBIDDEN, until=None), events.Resumed()
    )
    assert due(run) == [("submit", "s1", 1)]
    run = after(run, *collected(), events.JoinFailed(problem=FORBIDDEN, until=None))
    assert run.status is RunStatus.FAILED

    run = after(run, events.Resumed())

    assert due(run) == [("join", "", 0)]
    assert submits_to_come(run) == 0


def test_resume_does_not_touch_what_is_done_cancelled_or_waits_for_another_decision() -> None:
    """Nothing changes, and the words say why."""
    film = after(new_run(shots=1), *collected(), joined)
    stopped_run = after(new_run(), events.RunCancelled())
    spent_run = after(new_run(budget_jobs=1), *collected())

    for run, words in ((film, "succeeded"), (stopped_run, "cancelled"), (spent_run, "budget"), (new_run(), "going on")):
        assert apply(run, events.Resumed(), NOW) is run
        assert words in (why_not(run, events.Resumed(), NOW) or "")


def test_adopt_names_the_job_of_an_unsure_take() -> None:
    """It is looked up at once; the take that was paid for is the one that goes on, and twice is once."""
    losses = (submitted()[0], events.SubmitLost(shot_id="s1", take=1, problem=LOST))
    run = after(new_run(), *losses)

    adopted_run = after(run, events.Adopted(shot_id="s1", job_id="job_found"))

    take = adopted_run.shots[0].takes[0]
    assert (take.status, take.job_ids, len(adopted_run.shots[0].takes)) == (TakeStatus.GENERATING, ("job_found",), 1)
    assert due(adopted_run) == [("look_up", "s1", 1)]
    assert apply(adopted_run, events.Adopted(shot_id="s1", job_id="job_found"), NOW) is adopted_run


def test_adopt_makes_a_take_where_there_was_no_take_and_no_submit_follows() -> None:
    """A pending shot, and a failed one; the job counts as spent even past the budget."""
    for run in (new_run(budget_jobs=1), after(new_run(budget_jobs=1), *failed(Family.TEXT_MODERATED))):
        adopted_run = after(run, events.Adopted(shot_id="s1", job_id="job_found"))

        assert [step[0] for step in due(adopted_run)] == ["look_up"]
        assert adopted_run.shots[0].status is ShotStatus.GENERATING
        assert jobs_spent(adopted_run) == jobs_spent(run), "the provider may know no such job"
        sight = events.JobSeen(
            shot_id="s1", take=adopted_run.shots[0].takes[-1].number, job_ids=("job_found",), word="running"
        )
        assert jobs_spent(after(adopted_run, sight)) == jobs_spent(run) + 1


def test_adopt_ends_what_held_the_shot() -> None:
    """Its inputs could not be prepared; with a job from elsewhere they need not be."""
    run = after(new_run(shots=1), events.PreparationFailed(shot_id="s1", problem=FORBIDDEN, until=None))

    (shot,) = after(run, events.Adopted(shot_id="s1", job_id="job_found")).shots

    assert (shot.error, shot.held_by, shot.status) == (None, None, ShotStatus.GENERATING)


def test_adopt_brings_back_a_take_that_a_person_had_gone_on_without() -> None:
    """Its job was thought lost; now it counts again, and the take that was to replace it is not submitted."""
    run = after(new_run(shots=1), *failed(Family.UNKNOWN), events.Resumed())
    assert due(run) == [("submit", "s1", 2)]

    assert due(after(run, events.Adopted(shot_id="s1", job_id="job_s1_1"))) == [("look_up", "s1", 1)]


def test_a_job_that_is_asked_about_again_has_all_its_fetches_again() -> None:
    """As many tries as at first."""
    again = events.CollectPutOff(shot_id="s1", take=1, until=NOW, problem=FORBIDDEN, ask_again=False)
    run = after(new_run(shots=1), *rendered(), again, events.CollectFailed(shot_id="s1", take=1, problem=FORBIDDEN))
    assert run.shots[0].takes[0].fetches == 1

    assert after(run, events.Resumed()).shots[0].takes[0].fetches == 0


def test_storage_that_is_away_takes_no_try_from_a_clip() -> None:
    """After a long outage its address may have expired, or its line may break: it has all its tries for that."""
    away = Problem(code="storage_failed", message="object storage: it cannot be reached", family=Family.SERVER)
    again = events.CollectPutOff(shot_id="s1", take=1, until=NOW, problem=away, ask_again=False)
    run = after(new_run(shots=1), *rendered(), *[again] * 20)

    (take,) = run.shots[0].takes
    assert (take.status, take.fetches) == (TakeStatus.COLLECTING, 0)
    assert take.turns >= 20, "each is tried anew"


def test_adopt_is_refused_where_the_shot_is_done_or_has_another_job() -> None:
    """One shot, one job at a time; one job, one shot."""
    for run, shot_id, words in (
        (after(new_run(), *collected()), "s1", "is done"),
        (after(new_run(), *submitted()), "s1", "under way"),
        (after(new_run(), submitted()[0]), "s1", "under way"),
        (after(new_run(), *collected()), "s2", "job of shot s1"),
    ):
        event = events.Adopted(shot_id=shot_id, job_id="job_s1_1" if shot_id == "s2" else "job_found")
        assert apply(run, event, NOW) is run
        assert words in (why_not(run, event, NOW) or "")


def test_retake_makes_one_more_take_and_the_film_again() -> None:
    """The last shot of a finished film: the next shot continues the new take, and the old one can be picked again."""
    run = after(new_run(), *collected(), *collected("s2"), joined)

    run = after(run, events.Retaken(shot_id="s2", prompt="closer", seed=40))

    assert due(run) == [("submit", "s2", 2)]
    assert (run.film, run.status) == (None, RunStatus.RUNNING)
    assert run.shots[1].input == {"prompt": "closer", "seed": 40}
    assert run.shots[1].seed_at == 2
    back = after(run, events.Picked(shot_id="s2", take=1))
    assert due(back) == [("join", "", 0)], "an old take is picked again"
    run = after(run, *collected("s2", 2))
    assert run.shots[1].picked == 2
    assert due(run) == [("join", "", 0)]
    assert steps_due(run, NOW)[0].turn > 0, "the join of the first film had that id"


def test_retake_of_a_shot_with_several_takes_makes_one_more() -> None:
    """Not as many as the storyboard wanted at first."""
    run = after(of_one_shot(takes_wanted=2), *collected(), *collected(take=2), events.Picked(shot_id="s1", take=1))

    assert due(after(run, events.Retaken(shot_id="s1"))) == [("submit", "s1", 3)]


def test_retake_leaves_later_shots_that_are_done_as_they_are() -> None:
    """They were paid for: nothing is submitted for them, and the film is joined with the new take."""
    run = after(new_run(shots=3), *collected(), *collected("s2"), *collected("s3"), joined)

    run = after(run, events.Retaken(shot_id="s1"))
    assert due(run) == [("submit", "s1", 2)]
    run = after(run, *collected("s1", 2))

    assert due(run) == [("join", "", 0)]
    assert [len(shot.takes) for shot in run.shots] == [2, 1, 1]
    assert submits_to_come(run) == 0


def test_a_shot_that_failed_after_one_that_stays_is_not_paid_for_again_by_a_retake() -> None:
    """Only what begins with the new take's frame gets another chance; what is done ends that row."""
    run = after(new_run(shots=3), *collected(), *collected("s2"), *failed(Family.UNKNOWN, "s3"))

    run = after(run, events.Retaken(shot_id="s1"), *collected("s1", 2))

    assert due(run) == []
    assert run.status is RunStatus.FAILED


def test_an_old_take_is_picked_again_though_the_film_is_there() -> None:
    """It spends nothing, and the film is joined again; refused while a later shot is being made."""
    run = after(new_run(), *collected(), *collected("s2"), events.Retaken(shot_id="s1"), *collected("s1", 2))
    run = after(run, joined)

    back = after(run, events.Picked(shot_id="s1", take=1))

    assert (back.shots[0].picked, due(back), submits_to_come(back)) == (1, [("join", "", 0)], 0)
    assert steps_due(back, NOW)[0].turn > run.turns
    moving = after(run, events.Retaken(shot_id="s2"), *submitted("s2", 2))
    assert apply(moving, events.Picked(shot_id="s1", take=1), NOW) is moving


def test_retake_is_refused_while_later_shots_are_made_from_it_or_nothing_is_left_to_spend() -> None:
    """The words name the later shots."""
    three = after(new_run(shots=3), *collected(), *collected("s2"), *submitted("s3"))
    spent_run = after(new_run(shots=1, budget_jobs=1), *collected(), joined)
    moving = after(new_run(), *submitted())
    refused_run = after(new_run(), *failed(Family.TEXT_MODERATED))
    hooked_run = after(of_one_shot(takes_wanted=0), events.Adopted(shot_id="s1", job_id="job_s1_1"), *collected()[2:])
    both = (*submitted(), *submitted(take=2), *collected()[2:])
    first = after(of_one_shot(takes_wanted=2, pick_first=True), *both)

    for run, words in (
        (three, "under way: s3"),
        (spent_run, "budget"),
        (new_run(), "is pending"),
        (moving, "generating"),
        (refused_run, "another prompt"),
        (hooked_run, "submitted by somebody else"),
        (first, "still under way"),
    ):
        event = events.Retaken(shot_id="s1")
        assert apply(run, event, NOW) is run
        assert words in (why_not(run, event, NOW) or "")


def test_retake_of_a_shot_whose_last_frame_was_refused_lets_the_next_one_try_again() -> None:
    """A face in the hand-off frame: another take of the shot before it is the cure."""
    run = after(new_run(), *collected(), *failed(Family.IMAGE_MODERATED, "s2"))

    run = after(run, events.Retaken(shot_id="s1"), *collected("s1", 2))

    assert due(run) == [("submit", "s2", 2)]


def test_a_take_that_was_put_off_alongside_another_keeps_its_own_number() -> None:
    """Two takes side by side, the first put off: its number is asked for again, not the second's."""
    run = new_run(shots=1)
    shot = Shot(id="s1", scene="a", origin="continue", source=None, input={}, takes_wanted=2)
    run = begin(replace(run, shots=(shot,)))
    run = after(
        run, submitted()[0], *submitted(take=2), events.SubmitPutOff(shot_id="s1", take=1, problem=LOST, until=NOW)
    )

    assert due(run) == [("submit", "s1", 1)]
    run = after(run, submitted()[0])
    assert [take.number for take in run.shots[0].takes] == [1, 2]


@pytest.mark.parametrize("family", [Family.ACCOUNT, Family.QUOTA])
def test_a_refusal_for_the_accounts_sake_costs_no_take_and_waits_for_a_person(family: Family) -> None:
    """The shot is not to blame; nothing is tried again until somebody resumes, and then it is."""
    problem = Problem(code="AuthenticationError", message="the key is wrong", family=family)
    run = after(new_run(), submitted()[0], events.SubmitRefused(shot_id="s1", take=1, problem=problem))
    assert (run.status, run.shots[0].takes, jobs_spent(run)) == (RunStatus.WAITING, (), 0)
    assert run.error is not None
    assert run.error.message == "shot s1: the key is wrong"
    assert due(run, NOW + 1e6) == []
    assert wake_at(run, NOW) is None

    run = after(run, events.Resumed())

    assert due(run) == [("submit", "s1", 1)]
    assert run.status is RunStatus.RUNNING


def test_inputs_that_the_account_may_not_upload_wait_as_well() -> None:
    """A wrong key is met by the upload first."""
    problem = Problem(code="x", message="the key is wrong", family=Family.ACCOUNT)
    run = after(new_run(), events.PreparationFailed(shot_id="s1", problem=problem, until=None))

    assert run.status is RunStatus.WAITING
    assert due(after(run, events.Resumed())) == [("submit", "s1", 1)]


def test_an_unsure_take_may_wait_for_a_person_instead_of_a_new_take() -> None:
    """`FRAMERELAY_UNSURE=wait`: time alone spends nothing; after the hold, `resume` gives it up for a new take."""
    patient = replace(new_run(shots=1), terms=Terms(unsure="wait", unsure_hold_s=600, ask_after_s=60))
    run = after(patient, submitted()[0], events.SubmitLost(shot_id="s1", take=1, problem=LOST))
    assert apply(run, events.Resumed(), NOW + 599) is run, "it may still be alive"
    later = NOW + 601

    run = after(run, events.Elapsed(), now=later)
    assert (run.status, due(run, later), wake_at(run, later)) == (RunStatus.WAITING, [], None)

    run = after(run, events.Resumed(), now=later)
    assert due(run, later) == [("submit", "s1", 2)]


def test_a_film_of_other_takes_is_dropped_even_in_its_turn() -> None:
    """A Redis that fell back to an older copy gives a turn twice."""
    run = after(of_one_shot(takes_wanted=2), *collected(), *collected(take=2), events.Picked(shot_id="s1", take=2))
    film = joined(run)

    other = replace(film, film=replace(film.film, takes={"s1": 1}))

    assert apply(run, other, NOW) is run
    assert apply(run, film, NOW).status is RunStatus.SUCCEEDED


def test_a_film_that_was_made_again_keeps_its_takes_and_has_the_hash_of_its_file() -> None:
    """Another version may have written it; a film that was joined since is not touched."""
    run = after(new_run(shots=1), *collected(), joined)

    again = after(run, events.FilmMadeAgain(path="film", bytes=2, sha256="2"))

    assert again.film == replace(run.film, bytes=2, sha256="2")  # type: ignore[type-var]
    assert (again.status, due(again)) == (RunStatus.SUCCEEDED, [])
    assert apply(run, events.FilmMadeAgain(path="another", bytes=2, sha256="2"), NOW) is run
