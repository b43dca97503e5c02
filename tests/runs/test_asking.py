"""When a person is asked about a take: nothing is heard of its submit, or nothing that is understood of its job."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from framerelay.runs import events
from framerelay.runs.attention import needs_person
from framerelay.runs.decisions import why_not
from framerelay.runs.events import Event
from framerelay.runs.machine import apply, begin, wake_at
from framerelay.runs.model import Family, Problem, Run, RunId, RunStatus, Shot, ShotStatus, Take, TakeStatus, Terms
from framerelay.runs.notice_kinds import NoticeType
from framerelay.runs.notices import notices_of
from framerelay.runs.outlook import words_of_retake
from framerelay.runs.standing import jobs_spent, seems_unreachable
from framerelay.runs.steps import steps_due
from framerelay.runs.takes import ASK_S_MIN, TOLD_S

NOW = 1_000_000.0
ASK_S = 600.0
LOST = Problem(code="outcome_unknown", message="cut")
GONE = Problem(code="upstream_rejected", message="HTTP 200 with an error inside: task does not exist")
TOLD_OF = {"shot_id": "s1", "take": 1}


def a_run(**more: object) -> Run:
    terms = Terms(ask_after_s=ASK_S, **more)  # type: ignore[arg-type]
    shots = tuple(
        Shot(id=name, scene="a", origin="continue", source=source, input={"prompt": name})
        for name, source in (("s1", None), ("s2", "s1"))
    )
    run = Run(id=RunId("run_1"), title="t", model="m", created_at=NOW, updated_at=NOW, shots=shots, terms=terms)
    return begin(replace(run, notify_url="https://example.com/x"))


def after(run: Run, *steps: tuple[float, Event]) -> Run:
    for age, event in steps:
        run = apply(run, event, NOW + age)
    return run


def submitting(usual_s: float | None = None, take: int = 1) -> events.Submitting:
    return events.Submitting(
        shot_id="s1", take=take, intent=f"i{take}", seed=None, first_frame=None, usual_s=usual_s, expected_s=usual_s
    )


def lost_run(usual_s: float | None = None, **more: object) -> Run:
    return after(a_run(**more), (0, submitting(usual_s)), (1, events.SubmitLost(shot_id="s1", take=1, problem=LOST)))


def in_flight() -> Run:
    return after(a_run(), (0, submitting()), (1, events.Submitted(shot_id="s1", take=1, job_id="job_1")))


def job_sight(word: str | None = "archived", *, is_known: bool = False, called_back: bool = False) -> events.JobSeen:
    return events.JobSeen(
        shot_id="s1", take=1, job_ids=("job_1",), word=word, is_known=is_known, called_back=called_back
    )


def job_absence(*, called_back: bool = False) -> events.PollFailed:
    return events.PollFailed(shot_id="s1", take=1, problem=GONE, gone=True, called_back=called_back)


def rendered() -> events.Rendered:
    return events.Rendered(shot_id="s1", take=1, job_ids=("job_1",), video_url="https://v")


def take_of(run: Run, number: int = 1) -> Take:
    take = run.take("s1", number)
    assert take is not None
    return take


def without_sense(code: str = "no_clip_named") -> events.PollFailed:
    problem = Problem(code=code, message="the job succeeded, but names no clip")
    return events.PollFailed(shot_id="s1", take=1, problem=problem, strange=True)


# --- a submit of which nothing is heard --------------------------------------------------------------------------


@pytest.mark.parametrize(("usual_s", "asked_at"), [(80.0, 240.0), (2.0, ASK_S_MIN), (None, ASK_S)])
def test_a_person_is_asked_once_such_jobs_are_done_three_times_over(usual_s: float | None, asked_at: float) -> None:
    """It sat silently for two days; where nothing is known of such jobs, the terms say when."""
    run = lost_run(usual_s)
    assert wake_at(run, NOW + 1) == NOW + asked_at

    early = after(run, (asked_at - 0.1, events.Elapsed()))
    asked_run = after(run, (asked_at, events.Elapsed()))

    assert early is run
    assert (asked_run.status, asked_run.shots[0].status) == (RunStatus.WAITING, ShotStatus.WAITING)
    assert asked_run.error is not None
    assert asked_run.error.code == "nothing_heard"
    assert "both are paid for" in asked_run.error.message
    assert [notice.type for notice in notices_of(run, asked_run)] == [NoticeType.RUN_WAITING]
    assert apply(asked_run, events.Elapsed(), NOW + asked_at + 1) is asked_run, "it is asked once"


def test_made_again_the_first_take_is_still_waited_for_and_counts() -> None:
    """What was paid for is kept: its callback may come, and its clip can be picked."""
    asked_run = after(lost_run(80.0), (240, events.Elapsed()))
    assert "both are paid for" in words_of_retake(asked_run, events.Retaken(shot_id="s1"))

    again = after(asked_run, (241, events.Retaken(shot_id="s1")))
    assert [step.take for step in steps_due(again, NOW + 241)] == [2]
    assert (take_of(again).status, take_of(again).question, again.status) == (TakeStatus.UNSURE, None, "running")

    second = events.Submitted(shot_id="s1", take=2, job_id="job_2")
    both = after(again, (242, submitting(80.0, take=2)), (243, second), (244, rendered()))
    assert (take_of(both).status, jobs_spent(both)) == (TakeStatus.COLLECTING, 2)


def test_before_it_is_asked_it_cannot_be_made_again() -> None:
    """A submit whose outcome is unknown is never sent again for impatience."""
    run = lost_run(80.0)

    assert why_not(run, events.Retaken(shot_id="s1"), NOW + 100) is not None
    assert apply(run, events.Retaken(shot_id="s1"), NOW + 100) is run


def test_a_callback_or_an_adopted_job_answers_the_question() -> None:
    """Nobody is asked any more."""
    asked_run = after(lost_run(80.0), (240, events.Elapsed()))
    named_run = after(asked_run, (250, job_sight("running", is_known=True)))
    adopted_run = after(asked_run, (250, events.Adopted(shot_id="s1", job_id="job_9")))

    for run in (named_run, adopted_run):
        assert (take_of(run).question, take_of(run).status, run.status) == (None, TakeStatus.GENERATING, "running")


def test_one_that_was_made_again_ends_with_its_hold_and_brings_no_third() -> None:
    """A person who answered has paid for the answer already."""
    asked_run = after(lost_run(80.0, unsure_hold_s=300.0), (240, events.Elapsed()))
    again = after(asked_run, (241, events.Retaken(shot_id="s1")), (242, submitting(80.0, take=2)))
    over = after(again, (243, events.Submitted(shot_id="s1", take=2, job_id="job_2")), (301, events.Elapsed()))

    assert take_of(over).status is TakeStatus.EXPIRED
    assert [step.name for step in steps_due(over, NOW + 302)] == []


def test_left_alone_it_gives_way_when_it_can_no_longer_be_alive() -> None:
    """As the terms say; the question went unanswered."""
    run = after(lost_run(80.0, unsure_hold_s=300.0), (240, events.Elapsed()), (300, events.Elapsed()))

    assert [step.take for step in steps_due(run, NOW + 301)] == [2]


# --- a status that is not known ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "event", [job_sight(), job_sight(None), job_absence()], ids=["unknown word", "no status", "no such job"]
)
def test_a_job_of_which_nothing_is_understood_is_asked_about_in_time(event: Event) -> None:
    """It was "generating" for ever; it is still looked up while it waits."""
    run = after(in_flight(), (100, event), (150, event))
    assert run.status is RunStatus.RUNNING

    asked_run = after(run, (100 + ASK_S, events.Elapsed()))
    assert (asked_run.status, take_of(asked_run).status) == (RunStatus.WAITING, TakeStatus.GENERATING)
    assert asked_run.error is not None
    assert asked_run.error.code == "status_unknown"
    assert "job_1" in asked_run.error.message
    assert [notice.type for notice in notices_of(run, asked_run)] == [NoticeType.RUN_WAITING]
    assert "look_up" in {step.name for step in steps_due(asked_run, take_of(asked_run).due_at)}

    done_run = after(asked_run, (900, rendered()))
    assert (done_run.status, take_of(done_run).question) == (RunStatus.RUNNING, None)


def test_a_known_word_ends_the_doubt_and_restarts_the_time() -> None:
    """A word in between that we do not know is no reason to disturb anybody."""
    run = after(
        in_flight(), (100, job_sight()), (ASK_S, job_sight("running", is_known=True)), (ASK_S + 50, job_sight())
    )

    assert after(run, (100 + ASK_S, events.Elapsed())) is run
    assert take_of(run).strange_since == NOW + ASK_S + 50


def test_asked_about_an_unknown_status_another_job_may_be_adopted_and_the_id_is_kept() -> None:
    """The first job's id is the only trace of what was paid for."""
    asked_run = after(in_flight(), (100, job_sight()), (100 + ASK_S, events.Elapsed()))
    run = after(asked_run, (800, events.Adopted(shot_id="s1", job_id="job_9")))

    assert [(take.number, take.job_ids) for take in run.shots[0].takes] == [(1, ("job_1",)), (2, ("job_9",))]
    assert run.shots[0].set_aside == 1


# --- a look-up that lags behind its callback ---------------------------------------------------------------------


def looks_of(run: Run, event: Event, first: Event, times: int) -> list[float]:
    """The waits between look-ups that are answered by *event*, the first of them because of a callback."""
    age, waits = 70.0, []
    run = after(run, (age, first))
    for _ in range(times):
        waits.append(round(take_of(run).due_at - NOW - age, 3))
        age = take_of(run).due_at - NOW
        run = after(run, (age, event))
    return waits


PAIRS: Sequence[tuple[Event, Event]] = (
    (job_sight("running", is_known=True), job_sight("running", is_known=True, called_back=True)),
    (job_absence(), job_absence(called_back=True)),
)


@pytest.mark.parametrize(("event", "first"), PAIRS, ids=["still running", "404 for a moment"])
def test_it_is_repeated_in_growing_steps_and_then_as_planned(event: Event, first: Event) -> None:
    """Each shot waited for the fallback look-up; the state alone asks for it, so that a crash loses nothing."""
    waits = looks_of(in_flight(), event, first, times=8)

    assert waits[:4] == [1, 2, 4, 8]
    assert waits[-1] > 16


def test_such_a_callback_was_not_missed() -> None:
    """The public URL was reported as unreachable, right after a callback had arrived at it."""
    run = after(in_flight(), (70, job_sight("running", is_known=True, called_back=True)), (72, rendered()))

    assert take_of(run).called_back
    assert not seems_unreachable(run)


def test_a_callback_that_repeats_itself_is_not_believed_for_ever() -> None:
    """After a minute of look-ups the planned ones count, unless it is told again."""
    run = after(in_flight(), (70, job_sight("running", is_known=True, called_back=True)))
    same = after(run, (100, job_sight("running", is_known=True, called_back=True)))
    anew = after(run, (71 + TOLD_S, job_sight("running", is_known=True, called_back=True)))

    assert (take_of(same).told_at, take_of(anew).told_at) == (NOW + 70, NOW + 71 + TOLD_S)


def test_what_the_provider_asks_for_goes_before_haste() -> None:
    """A 429 with Retry-After, though a callback said that it is done."""
    busy = events.PollFailed(shot_id="s1", take=1, problem=GONE, retry_after_s=30.0, called_back=True)

    assert take_of(after(in_flight(), (70, busy))).due_at == NOW + 100


# --- a clock that is set back ------------------------------------------------------------------------------------


@pytest.mark.parametrize("step_s", [1800.0, 3600.0, 86_400.0])
def test_a_clock_that_is_set_back_costs_one_look_up_at_most(step_s: float) -> None:
    """Due times are wall clock: the next look-up was as far away as the clock had gone."""
    run = after(in_flight(), (100, job_sight("running", is_known=True)))
    then = NOW + 100 - step_s

    assert wake_at(run, then) == then
    look = apply(run, events.Elapsed(), then)
    assert [step.name for step in steps_due(look, then)] == ["look_up"]
    next_one = apply(look, job_sight("running", is_known=True), then)
    assert take_of(next_one).due_at - then <= 600.0


def test_what_waits_for_money_is_not_hurried_by_a_clock() -> None:
    """An unsure take that is given up too early is paid for twice."""
    run = lost_run(80.0)
    early = apply(run, events.Elapsed(), NOW - 86_400.0)

    assert take_of(early).status is TakeStatus.UNSURE
    assert take_of(early).due_at == take_of(run).due_at


def test_a_submit_that_was_put_off_is_tried_when_the_clock_went_back() -> None:
    """It costs nothing to be told again to wait."""
    busy = events.SubmitPutOff(shot_id="s1", take=1, problem=LOST, until=NOW + 60)
    run = after(a_run(), (0, submitting()), (1, busy))
    then = NOW - 3600.0

    assert [step.name for step in steps_due(apply(run, events.Elapsed(), then), then)] == ["submit"]


def test_clocks_of_two_machines_may_differ_by_a_little() -> None:
    """A minute is no reason to look anything up."""
    run = after(in_flight(), (100, job_sight("running", is_known=True)))

    assert apply(run, events.Elapsed(), NOW + 40) is run


def test_no_time_is_given_that_is_further_off_than_the_sweep_believes() -> None:
    """So that a later one shows that the clock was set back, on any machine, after a restart as well."""
    for run in (lost_run(), in_flight(), after(lost_run(80.0), (240, events.Elapsed()))):
        moment = wake_at(run, NOW + 300)
        assert moment is not None
        assert moment <= NOW + 300 + 900


@pytest.mark.parametrize("code", ["no_clip_named", "upstream_answer_unreadable"])
def test_an_answer_that_makes_no_sense_is_asked_about(code: str) -> None:
    """A job that was done without a clip was looked up for ever, and nobody was told."""
    strange = after(in_flight(), (10, without_sense(code)), (60, without_sense(code)))

    asked_run = after(strange, (10 + ASK_S, events.Elapsed()))

    assert (asked_run.status, asked_run.shots[0].status) == (RunStatus.WAITING, ShotStatus.WAITING)
    assert asked_run.error is not None
    assert "names no clip" in asked_run.error.message
    assert take_of(after(asked_run, (20 + ASK_S, rendered()))).question is None, "its clip may come all the same"


def test_an_outage_of_the_provider_asks_nobody() -> None:
    """It passes by itself, however long it lasts."""
    down = events.PollFailed(shot_id="s1", take=1, problem=GONE)
    assert (
        after(in_flight(), (10, down), (10 + ASK_S, down), (20 + ASK_S, events.Elapsed())).status is RunStatus.RUNNING
    )


# --- a look-up that is refused for its key ------------------------------------------------------------------------

KEY = Problem(code="upstream_rejected", message="HTTP 401: invalid api key", family=Family.ACCOUNT)


def locked_out() -> events.PollFailed:
    return events.PollFailed(shot_id="s1", take=1, problem=KEY)


def test_a_key_that_is_refused_at_a_look_up_is_reported_at_once() -> None:
    """The job is paid for and goes on; only a person can have us told of it."""
    run = in_flight()
    refused_run = after(run, (5, locked_out()))

    assert (refused_run.status, refused_run.shots[0].status) == (RunStatus.WAITING, ShotStatus.WAITING)
    assert refused_run.error is not None
    assert refused_run.error.message == "shot s1: HTTP 401: invalid api key"
    assert needs_person(refused_run)
    assert [notice.type for notice in notices_of(run, refused_run)] == [NoticeType.RUN_WAITING]
    again = after(refused_run, (8, locked_out()))
    assert notices_of(refused_run, again) == (), "it is told once"
    assert wake_at(refused_run, NOW + 5) == NOW + 7, "it is asked again by itself"
    assert steps_due(refused_run, NOW + 5) == []
    assert why_not(refused_run, events.Retaken(shot_id="s1"), NOW + 6) is not None, "it would be paid for twice"


@pytest.mark.parametrize("event", [job_sight("running", is_known=True), rendered()])
def test_once_the_key_is_right_it_goes_on_by_itself(event: Event) -> None:
    """At its next look-up, without a decision."""
    found_run = after(in_flight(), (5, locked_out()), (7, event))
    assert found_run.status is RunStatus.RUNNING
    assert take_of(found_run).error is None


def test_a_job_that_is_not_known_is_no_key_that_is_wrong() -> None:
    """A 404 may mean either; about a job it is repeated, as its look-ups may lag behind its callback."""
    missing = replace(locked_out(), gone=True)
    run = after(in_flight(), (5, missing))
    assert (run.status, run.shots[0].status) == (RunStatus.RUNNING, ShotStatus.GENERATING)


def test_resume_has_it_asked_about_at_once() -> None:
    """A person says so when they have put the key right."""
    refused_run = after(in_flight(), (500, locked_out()))
    resumed_run = after(refused_run, (501, events.Resumed()))
    assert resumed_run.status is RunStatus.RUNNING
    assert take_of(resumed_run).due_at == NOW + 501
    assert [step.name for step in steps_due(resumed_run, NOW + 501)] == ["look_up"]


def test_others_that_go_on_do_not_hide_it() -> None:
    """A shot asks, while another one of the run is generating."""
    both = replace(a_run(), shots=tuple(replace(shot, source=None) for shot in a_run().shots))
    other = events.Submitting(shot_id="s2", take=1, intent="j1", seed=None, first_frame=None)
    run = after(
        begin(both),
        (0, submitting()),
        (0, other),
        (1, events.Submitted(shot_id="s1", take=1, job_id="job_1")),
        (1, events.Submitted(shot_id="s2", take=1, job_id="job_2")),
    )
    refused_run = after(run, (5, locked_out()))
    assert (refused_run.status, refused_run.shots[0].status) == (RunStatus.RUNNING, ShotStatus.WAITING)
    assert needs_person(refused_run)
    assert [notice.shot_id for notice in notices_of(run, refused_run)] == ["s1"]
