"""The rules of a run, one by one: what happened before, what happens, what is asked for next."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from framerelay.runs import events
from framerelay.runs.machine import apply, begin, is_news, wake_at
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
from framerelay.runs.standing import jobs_left, jobs_spent
from framerelay.runs.steps import StepName, steps_due
from tests.runs.films import joined

NOW = 1_000_000.0
CLIP = Clip(path="c", sha256="0", bytes=1, width=16, height=9, duration_s=5.04, frames=121)
FRAME = Frame(path="f", sha256="0", width=16, height=9)
BROKEN = Problem(code="InternalError", message="it broke", family=Family.SERVER)
REFUSED = Problem(code="InvalidParameter", message="no such size", family=Family.REQUEST_INVALID)


def shot(name: str, source: str | None = None, **more: object) -> Shot:
    fields = {"scene": "a", "origin": "continue", "input": {"prompt": name}, **more}
    return Shot(id=name, source=source, **fields)  # type: ignore[arg-type]


def new_run(*shots: Shot, **more: object) -> Run:
    return begin(
        Run(id=RunId("run_1"), title="t", model="m", created_at=NOW, updated_at=NOW, shots=shots, terms=Terms(), **more)  # type: ignore[arg-type]
    )


def chain(**more: object) -> Run:
    return new_run(shot("s1"), shot("s2", "s1"), **more)


def submitting(name: str = "s1", take: int = 1, **more: object) -> events.Submitting:
    return events.Submitting(shot_id=name, take=take, intent=f"i{take}", seed=None, first_frame=None, **more)  # type: ignore[arg-type]


def submitted(name: str = "s1", take: int = 1) -> events.Submitted:
    return events.Submitted(shot_id=name, take=take, job_id=f"job_{name}_{take}")


def rendered(name: str = "s1", take: int = 1, last_frame_url: str | None = None) -> events.Rendered:
    return events.Rendered(
        shot_id=name, take=take, job_ids=(f"job_{name}_{take}",), video_url="https://v", last_frame_url=last_frame_url
    )


def collected(name: str = "s1", take: int = 1) -> events.Collected:
    return events.Collected(shot_id=name, take=take, video=CLIP, last_frame=FRAME)


def after(run: Run, *history: events.Event | Callable[[Run], events.Event], now: float = NOW) -> Run:
    """*run* after that; what depends on the state of the run is made from it."""
    for event in history:
        run = apply(run, event(run) if callable(event) else event, now)
    return run


def complete(run: Run, name: str = "s1") -> Run:
    return after(run, submitting(name), submitted(name), rendered(name), collected(name))


def due(run: Run, now: float = NOW) -> list[tuple[str, str, int]]:
    return [(step.name.value, step.shot_id, step.take) for step in steps_due(run, now)]


def test_a_new_run_submits_what_begins_with_nothing() -> None:
    """The first shot of each scene goes at once; what hangs on another shot waits."""
    run = new_run(shot("s1"), shot("s2", "s1"), shot("t1", scene="b"))

    assert due(run) == [("submit", "s1", 1), ("submit", "t1", 1)]
    assert run.status is RunStatus.RUNNING
    assert [each.status for each in run.shots] == [ShotStatus.PENDING] * 3


def test_one_chain_goes_from_submit_to_film() -> None:
    """The whole life of two chained shots, step by step."""
    run = chain()
    assert due(run) == [("submit", "s1", 1)]
    run = after(run, submitting())
    assert due(run) == [], "a take in submitting is never posted again"
    run = after(run, submitted())
    assert due(run) == [], "nobody polls"
    run = after(run, rendered())
    assert due(run) == [("collect", "s1", 1)]
    run = after(run, collected())
    assert due(run) == [("submit", "s2", 1)]
    run = complete(run, "s2")
    assert due(run) == [("join", "", 0)]
    run = after(run, joined)

    assert run.status is RunStatus.SUCCEEDED
    assert due(run) == []
    assert wake_at(run, NOW) is None


def test_the_providers_own_last_frame_lets_the_next_shot_go_before_the_clip_is_fetched() -> None:
    """Hand-off `auto`: no wait for the download; the other modes wait for our own frame."""
    history = (submitting(), submitted(), rendered(last_frame_url="https://f"))
    patient = replace(chain(), terms=Terms(provider_frame_first=False))

    assert due(after(chain(), *history)) == [("collect", "s1", 1), ("submit", "s2", 1)]
    assert due(after(patient, *history)) == [("collect", "s1", 1)]


def test_a_repeated_or_late_fact_changes_nothing() -> None:
    """Facts about a take that is further, or done, return the very same run."""
    run = complete(chain())

    for event in (
        submitting(),
        submitted(),
        rendered(),
        collected(),
        events.SubmitLost(shot_id="s1", take=1, problem=BROKEN),
    ):
        assert apply(run, event, NOW) is run
    late = events.JobEnded(shot_id="s1", take=1, job_ids=("x",), status=TakeStatus.FAILED, problem=BROKEN)
    assert apply(run, late, NOW) is run


def test_a_callback_that_overtakes_the_answer_is_believed_and_the_answer_adds_nothing_wrong() -> None:
    """Rendered may be recorded while the take is still submitting."""
    run = after(chain(), submitting(), rendered())
    run = after(run, submitted())
    take = run.take("s1", 1)

    assert take is not None
    assert (take.status, take.job_ids) == (TakeStatus.COLLECTING, ("job_s1_1",))


def test_an_intent_for_a_take_that_is_not_due_is_refused() -> None:
    """The gate: wrong order, a second intent, an unknown shot."""
    run = chain()
    assert apply(run, submitting("s2"), NOW) is run
    assert apply(run, submitting("s1", take=2), NOW) is run
    assert apply(run, submitting("nope"), NOW) is run
    begun_run = after(run, submitting())
    assert apply(begun_run, submitting(), NOW) is begun_run


def test_the_budget_holds_however_many_submits_are_asked_for_at_once() -> None:
    """Three scenes, two jobs: the third intent is refused, and the run waits for a person."""
    run = new_run(shot("a1"), shot("b1", scene="b"), shot("c1", scene="c"), budget_jobs=2)
    assert [name for _, name, _ in due(run)] == ["a1", "b1"]

    run = after(run, submitting("a1"), submitting("b1"), submitting("c1"))

    assert jobs_spent(run) == 0, "nobody has accepted anything yet"
    assert jobs_left(run) == 0
    assert run.take("c1", 1) is None
    run = after(run, *(event for name in ("a1", "b1") for event in (submitted(name), rendered(name), collected(name))))
    assert run.status is RunStatus.WAITING
    assert run.error is not None
    assert run.error.code == "budget_reached"


def test_a_submit_that_was_put_off_costs_nothing_and_is_due_again_in_time() -> None:
    """429 or no connection: the take never was; it is due again later, as another task."""
    before = steps_due(chain(), NOW)
    run = after(chain(), submitting(), events.SubmitPutOff(shot_id="s1", take=1, problem=BROKEN, until=NOW + 5))

    assert jobs_spent(run) == 0
    assert due(run) == []
    assert wake_at(run, NOW) == NOW + 5
    assert due(run, NOW + 5) == [("submit", "s1", 1)]
    assert steps_due(run, NOW + 5)[0].task_id != before[0].task_id


def test_a_provider_that_stays_away_makes_the_run_wait_and_go_on_by_itself() -> None:
    """After a few tries a person is told; the tries go on."""
    run = chain()
    for turn in range(6):
        put_off = events.SubmitPutOff(shot_id="s1", take=1, problem=BROKEN, until=NOW + turn + 1)
        run = after(run, submitting(), put_off, now=NOW + turn)

    assert run.status is RunStatus.WAITING
    assert run.error is not None
    assert "it broke" in run.error.message
    assert due(run, NOW + 10) == [("submit", "s1", 1)]
    run = after(run, submitting(), now=NOW + 10)
    assert run.status is RunStatus.RUNNING


def test_a_refused_submit_fails_its_scene_and_no_other() -> None:
    """The other scene is finished first; then the run has failed, and says which shot and why."""
    run = new_run(shot("s1"), shot("s2", "s1"), shot("t1", scene="b"))
    run = after(run, submitting("s1"), events.SubmitRefused(shot_id="s1", take=1, problem=REFUSED))
    assert run.shots[0].status is ShotStatus.FAILED
    assert run.status is RunStatus.RUNNING

    run = complete(run, "t1")

    assert run.status is RunStatus.FAILED
    assert run.error is not None
    assert run.error.message == "shot s1: no such size"
    assert jobs_spent(run) == 1


def test_an_unknown_outcome_is_held_and_never_posted_again() -> None:
    """The take is unsure, the run waits, and time alone does not make a second submit while the job may live."""
    run = after(chain(), submitting(), events.SubmitLost(shot_id="s1", take=1, problem=BROKEN))
    assert run.shots[0].status is ShotStatus.WAITING
    assert run.status is RunStatus.WAITING

    an_hour_later = after(run, events.Elapsed(), now=NOW + 3600)

    assert due(an_hour_later, NOW + 3600) == []


def test_a_take_whose_process_died_before_the_answer_becomes_unsure() -> None:
    """The deadline of the submit is in the state; the sweep lets it pass."""
    run = after(chain(), submitting())
    deadline = wake_at(run, NOW)
    assert deadline == NOW + 90

    run = after(run, events.Elapsed(), now=deadline)

    assert run.shots[0].takes[0].status is TakeStatus.UNSURE


def test_the_callback_of_an_unsure_take_settles_it() -> None:
    """Its token named the take; the GET told the rest."""
    run = after(chain(), submitting(), events.SubmitLost(shot_id="s1", take=1, problem=BROKEN), rendered())

    assert due(run) == [("collect", "s1", 1)]


def test_an_unsure_take_that_can_no_longer_be_alive_gives_way_to_one_new_take() -> None:
    """`execution_expires_after` of the job goes before the setting."""
    run = new_run(shot("s1", input={"prompt": "x", "execution_expires_after": 600}))
    run = after(run, submitting(), events.SubmitLost(shot_id="s1", take=1, problem=BROKEN))
    assert wake_at(run, NOW) == NOW + 600

    run = after(run, events.Elapsed(), now=NOW + 600)

    assert run.shots[0].takes[0].status is TakeStatus.EXPIRED
    assert due(run, NOW + 600) == [("submit", "s1", 2)]


@pytest.mark.parametrize(
    ("family", "again"),
    [
        (Family.VIDEO_MODERATED, True),
        (Family.AUDIO_MODERATED, True),
        (Family.SERVER, True),
        (Family.EXPIRED, True),
        (Family.IMAGE_MODERATED, False),
        (Family.TEXT_MODERATED, False),
        (Family.REQUEST_INVALID, False),
        (Family.UNKNOWN, False),
    ],
)
def test_a_failed_job_gets_one_new_take_where_that_may_help(family: Family, again: bool) -> None:
    """What fails for the same reason every time is not paid for again."""
    problem = Problem(code="x", message="x", family=family)
    end = events.JobEnded(shot_id="s1", take=1, job_ids=("job_s1_1",), status=TakeStatus.FAILED, problem=problem)
    run = after(chain(), submitting(), submitted(), end)
    assert due(run) == ([("submit", "s1", 2)] if again else [])
    if again:
        end = events.JobEnded(shot_id="s1", take=2, job_ids=("job_s1_2",), status=TakeStatus.FAILED, problem=problem)
        run = after(run, submitting(take=2), submitted(take=2), end)
        assert due(run) == []
    assert run.shots[0].status is ShotStatus.FAILED


def test_a_gated_shot_waits_for_its_approval() -> None:
    """Ready, but a person has to say yes before money is spent."""
    run = new_run(shot("s1"), shot("s2", "s1", gated=True))
    assert run.status is RunStatus.RUNNING
    run = complete(run)
    assert due(run) == []
    assert run.status is RunStatus.WAITING
    assert run.error is not None
    assert run.error.code == "approval_needed"

    run = after(run, events.Approved(shot_id="s2"))

    assert due(run) == [("submit", "s2", 1)]
    assert run.status is RunStatus.RUNNING


def test_several_takes_are_made_side_by_side_and_wait_for_a_pick() -> None:
    """The next shot goes on from the picked one, and the pick is final once it did."""
    run = new_run(shot("s1", takes_wanted=2), shot("s2", "s1"))
    assert due(run) == [("submit", "s1", 1), ("submit", "s1", 2)]
    for take in (1, 2):
        run = after(run, submitting(take=take), submitted(take=take), rendered(take=take), collected(take=take))
    assert run.error is not None
    assert run.error.code == "pick_needed"

    run = after(run, events.Picked(shot_id="s1", take=2))

    assert due(run) == [("submit", "s2", 1)]
    run = after(run, submitting("s2"))
    assert apply(run, events.Picked(shot_id="s1", take=1), NOW) is run


def test_takes_may_be_begun_in_any_order_and_each_number_is_used_once() -> None:
    """Two workers take the two submits of a shot; whichever is first, take 1 and take 2 are two takes."""
    run = new_run(shot("s1", takes_wanted=3))
    run = after(run, submitting(take=2))
    assert due(run) == [("submit", "s1", 1), ("submit", "s1", 3)]

    run = after(run, submitting(take=2), submitting(take=3), submitting(take=1))

    assert [take.number for take in run.shots[0].takes] == [1, 2, 3]
    assert due(run) == []


def test_pick_first_goes_on_from_the_first_take_that_is_done() -> None:
    """The slower take is still kept."""
    run = new_run(shot("s1", takes_wanted=2, pick_first=True), shot("s2", "s1"))
    run = after(run, submitting(), submitting(take=2), submitted(), submitted(take=2))
    run = after(run, rendered(take=2), collected(take=2))
    assert run.shots[0].picked == 2
    assert ("submit", "s2", 1) in due(run)

    run = after(run, rendered(take=1), collected(take=1))

    assert run.shots[0].picked == 2


def test_a_cancelled_run_submits_nothing_and_keeps_the_clips_of_jobs_that_were_under_way() -> None:
    """They were paid for: each is looked up and collected as ever, and no film is made of them."""
    run = after(complete(chain()), submitting("s2"), submitted("s2"), events.RunCancelled())

    assert run.status is RunStatus.CANCELLED
    assert [each.status for each in run.shots] == [ShotStatus.DONE, ShotStatus.CANCELLED]
    assert due(run, NOW + 10_000) == [("look_up", "s2", 1)]
    assert wake_at(run, NOW) is not None
    run = after(run, rendered("s2"))
    assert due(run) == [("collect", "s2", 1)]
    run = after(run, collected("s2"))
    assert (run.status, run.shots[1].status, due(run), wake_at(run, NOW)) == (
        *(RunStatus.CANCELLED, ShotStatus.DONE),
        *([], None),
    )
    assert jobs_spent(run) == 2


def test_an_answer_after_the_cancel_keeps_its_job() -> None:
    """The provider had accepted it: it is followed, and counts from then on."""
    run = after(chain(), submitting(), events.RunCancelled())
    assert jobs_spent(run) == 0

    run = after(run, submitted())

    assert run.shots[0].takes[0].job_id == "job_s1_1"
    assert (jobs_spent(run), run.status) == (1, RunStatus.CANCELLED)
    assert due(run, NOW + 10_000) == [("look_up", "s1", 1)]


def test_look_ups_come_when_such_jobs_are_usually_done_and_then_ever_more_rarely() -> None:
    """First after `lookup_after_s`; each later one after half the age of the job."""
    run = after(chain(), submitting(), submitted())
    moments = []
    now = NOW
    for _ in range(5):
        now = wake_at(run, now) or 0.0
        assert due(run, now) == [("look_up", "s1", 1)]
        run = after(run, events.JobSeen(shot_id="s1", take=1, job_ids=("job_s1_1",), word="running"), now=now)
        moments.append(now - NOW)

    assert moments == [100, 150, 225, 337.5, 506.25]


def test_an_outage_however_long_never_gives_a_job_up() -> None:
    """The job may be done and paid for; only the provider's own word that it knows no such job ends the take."""
    run = after(chain(), submitting(), submitted())
    a_week_later = NOW + 7 * 86_400
    silent = events.PollFailed(shot_id="s1", take=1, problem=BROKEN)
    assert after(run, silent, now=a_week_later).shots[0].takes[0].status is TakeStatus.GENERATING

    absence = events.PollFailed(shot_id="s1", take=1, problem=BROKEN, gone=True)

    assert after(run, absence).shots[0].takes[0].status is TakeStatus.GENERATING, "a new job may not be listed yet"
    assert after(run, absence, now=a_week_later).shots[0].takes[0].status is TakeStatus.EXPIRED


def test_a_clip_address_that_expired_is_asked_for_again() -> None:
    """Collecting goes back to generating for one look-up, at no cost."""
    run = after(chain(), submitting(), submitted(), rendered())
    put_off = events.CollectPutOff(shot_id="s1", take=1, problem=BROKEN, until=NOW + 1, ask_again=True)
    run = after(run, put_off)

    assert due(run, NOW + 1) == [("look_up", "s1", 1)]
    assert due(after(run, rendered(), now=NOW + 1), NOW + 1) == [("collect", "s1", 1)]


def test_a_film_that_cannot_be_joined_fails_the_run_with_its_reason() -> None:
    """Trouble that may pass is tried again; the rest is reported."""
    run = complete(new_run(shot("s1")))
    run = after(run, events.JoinFailed(problem=BROKEN, until=NOW + 2))
    assert due(run) == []
    assert wake_at(run, NOW) == NOW + 2
    assert [step.name for step in steps_due(run, NOW + 2)] == [StepName.JOIN]

    run = after(run, events.JoinFailed(problem=BROKEN, until=None))

    assert run.status is RunStatus.FAILED
    assert run.error == BROKEN


def test_a_shot_whose_inputs_cannot_be_made_ready_fails_without_a_submit() -> None:
    """A picture that is gone, an upload that is refused."""
    run = after(chain(), events.PreparationFailed(shot_id="s1", problem=REFUSED, until=None))

    assert run.shots[0].status is ShotStatus.FAILED
    assert run.status is RunStatus.FAILED
    assert jobs_spent(run) == 0


def test_a_step_that_stays_due_is_asked_for_again_soon() -> None:
    """A lost task costs seconds: the sweep finds the step still due."""
    assert wake_at(chain(), NOW) == NOW + 15


def test_a_worker_that_starts_has_takes_in_flight_looked_up_at_once() -> None:
    """Callbacks may have been lost while nobody listened; what is due anyway is left as it is."""
    run = after(chain(), submitting(), submitted())
    assert due(run) == []

    run = after(run, events.WorkerStarted())

    assert due(run) == [("look_up", "s1", 1)]
    assert apply(run, events.WorkerStarted(), NOW) is run


def test_an_opening_is_kept_before_and_after_the_clip_and_nothing_follows_from_it() -> None:
    """It is for people: the steps that are due stay the same, and an ended film is not made again."""
    opening = events.OpeningTaken(shot_id="s1", take=1, opening=FRAME, seam=1.5)
    run = after(chain(), submitting(), submitted())
    assert apply(run, opening, NOW) is run, "there is no clip yet"
    run = after(run, rendered())
    before, behind = after(run, opening, collected()), after(run, collected(), opening)

    assert replace(before, news=None) == replace(behind, news=None)
    assert (before.news, behind.news) == (before.revision, behind.revision - 1)
    assert (behind.shots[0].takes[0].opening, behind.shots[0].takes[0].seam) == (FRAME, 1.5)
    assert steps_due(behind, NOW) == steps_due(after(run, collected()), NOW)
    assert apply(behind, opening, NOW) is behind
    film = after(complete(complete(chain()), "s2"), joined)
    late = after(film, opening)
    assert (late.film, late.status, late.shots[0].takes[0].opening) == (film.film, RunStatus.SUCCEEDED, FRAME)


def test_a_refused_notify_url_is_remembered_and_changes_nothing_else() -> None:
    """No decision becomes stale by it, an ended film has not taken longer, and it is forgotten when it is fixed."""
    problem = Problem(code="address_forbidden", message="no")
    film = after(complete(complete(chain()), "s2"), joined)
    untold = apply(film, events.NotificationSettled(problem=problem), NOW + 1000)

    assert replace(untold, untold=None, revision=film.revision, news=film.news) == film
    assert (untold.untold, untold.revision, is_news(untold, film.revision)) == (problem, film.revision + 1, False)
    assert apply(untold, events.NotificationSettled(problem=problem), NOW) is untold
    assert apply(untold, events.NotificationSettled(problem=None), NOW).untold is None
    assert apply(film, events.NotificationSettled(problem=None), NOW) is film
