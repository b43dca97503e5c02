"""Which changes of a run are announced, and that each is announced once."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from framerelay.runs import events
from framerelay.runs.machine import apply, begin
from framerelay.runs.model import Clip, Family, Frame, Problem, Run, RunId, Shot, TakeStatus, Terms
from framerelay.runs.notices import Notice, notices_of
from tests.runs.films import joined

NOW = 1_000_000.0
CLIP = Clip(path="c", sha256="0", bytes=1, width=16, height=9, duration_s=5.04, frames=121)
FRAME = Frame(path="f", sha256="0", width=16, height=9)
REFUSED = Problem(code="InvalidParameter", message="no such size", family=Family.REQUEST_INVALID)
BUSY = Problem(code="busy", message="busy", family=Family.RATE)
URL = "https://hooks.example.com/framerelay"


def shot(name: str, source: str | None = None, **more: Any) -> Shot:
    return Shot(id=name, scene=more.pop("scene", "a"), origin="continue", source=source, input={}, **more)


def a_run(*shots: Shot, **more: Any) -> Run:
    fields: dict[str, Any] = {"title": "t", "model": "m", "created_at": NOW, "updated_at": NOW, "terms": Terms()}
    return begin(Run(id=RunId("run_1"), shots=shots, **{**fields, "notify_url": URL, **more}))


def whole_take(name: str, take: int = 1) -> list[events.Event]:
    """Everything that happens to a take that goes well."""
    about: dict[str, Any] = {"shot_id": name, "take": take}
    job = f"job_{name}_{take}"
    return [
        events.Submitting(**about, intent="i", seed=None, first_frame=None),
        events.Submitted(**about, job_id=job),
        events.Rendered(**about, job_ids=(job,), video_url="https://v"),
        events.Collected(**about, video=CLIP, last_frame=FRAME),
    ]


def refused(name: str) -> list[events.Event]:
    submitting = whole_take(name)[0]
    return [submitting, events.SubmitRefused(shot_id=name, take=1, problem=REFUSED)]


def notice_lines(run: Run, *history: events.Event | Callable[[Run], events.Event]) -> list[str]:
    """``type shot status`` of each notice, from the start of *run* on; none of them twice."""
    notices = list(notices_of(None, run))
    for number, event in enumerate(history):
        after = apply(run, event(run) if callable(event) else event, NOW + number)
        notices += notices_of(run, after)
        run = after
    assert len({notice.id for notice in notices}) == len(notices)
    assert {(notice.run_id, notice.to) for notice in notices} <= {("run_1", URL)}
    return [" ".join([notice.type, notice.shot_id or "-", notice.status]) for notice in notices]


def test_a_film_tells_of_each_shot_and_of_its_end() -> None:
    """In the order in which it happened, and nothing of what is under way."""
    chain = a_run(shot("s1"), shot("s2", "s1"))

    assert notice_lines(
        chain, *whole_take("s1"), *whole_take("s2"), joined, events.CalledBack(shot_id="s2", take=1)
    ) == [
        "shot.succeeded s1 done",
        "shot.succeeded s2 done",
        "run.succeeded - succeeded",
    ]


def test_without_an_address_nothing_is_announced() -> None:
    """No `notify_url`, no notices."""
    assert notice_lines(a_run(shot("s1"), notify_url=None), *whole_take("s1"), joined) == []


def test_a_shot_that_fails_takes_the_run_with_it() -> None:
    """Both are announced: which shot, and that nothing goes on."""
    assert notice_lines(a_run(shot("s1"), shot("s2", "s1")), *refused("s1")) == [
        "shot.failed s1 failed",
        "run.failed - failed",
    ]


def test_a_film_that_cannot_be_joined_is_a_run_that_failed() -> None:
    """No shot is to blame; each putting off before that is nobody's business."""
    put_off = events.JoinFailed(problem=BUSY, until=NOW + 100)
    final = events.JoinFailed(problem=REFUSED, until=None)

    assert notice_lines(a_run(shot("s1")), *whole_take("s1"), put_off, final) == [
        "shot.succeeded s1 done",
        "run.failed - failed",
    ]


def test_a_run_that_waits_from_its_first_moment_is_announced() -> None:
    """A gate on the first shot: there is no change before, and a person is needed at once."""
    gated_run = a_run(shot("s1", gated=True))

    assert notice_lines(gated_run) == ["run.waiting s1 waiting"]
    assert notice_lines(gated_run, events.Approved(shot_id="s1"))[1:] == []


def test_each_gate_is_announced_when_it_is_reached() -> None:
    """One approval does not silence the next."""
    gates = a_run(shot("s1"), shot("s2", "s1", gated=True), shot("s3", "s2", gated=True))

    assert notice_lines(gates, *whole_take("s1"), events.Approved(shot_id="s2"), *whole_take("s2")) == [
        "shot.succeeded s1 done",
        "run.waiting s2 waiting",
        "shot.succeeded s2 done",
        "run.waiting s3 waiting",
    ]


def test_a_gate_is_announced_while_another_scene_goes_on() -> None:
    """A person can act before everything stops; that it then does is announced as well."""
    scenes = a_run(shot("s1", gated=True), shot("t1", scene="b"), shot("t2", "t1", scene="b", gated=True))

    assert notice_lines(scenes, *whole_take("t1")) == [
        "run.waiting s1 running",
        "shot.succeeded t1 done",
        "run.waiting t2 waiting",
    ]


def test_takes_to_choose_from_wait_for_a_person() -> None:
    """Announced when there is a choice; not again for the second take, until the run stops."""
    two = a_run(shot("s1", takes_wanted=2))
    first, second = whole_take("s1"), whole_take("s1", 2)

    assert notice_lines(two, first[0], second[0], *first[1:], *second[1:]) == ["run.waiting s1 waiting"]


def test_a_spent_budget_is_announced_once_and_only_if_something_is_still_wanted() -> None:
    """When the last job of it is accepted; an intent that is put off and comes back does not count."""
    chain, put_off = (shot("s1"), shot("s2", "s1")), events.SubmitPutOff(shot_id="s1", take=1, problem=BUSY, until=NOW)
    again = [whole_take("s1")[0], put_off]

    assert notice_lines(a_run(*chain, budget_jobs=1), *again, *again, *whole_take("s1")) == [
        "budget.reached - running",
        "shot.succeeded s1 done",
        "run.waiting s2 waiting",
    ]
    assert "budget.reached - running" not in notice_lines(
        a_run(*chain, budget_jobs=2), *whole_take("s1"), *whole_take("s2"), joined
    )


def test_a_cancelled_run_tells_nothing() -> None:
    """The person who cancelled it knows."""
    assert notice_lines(a_run(shot("s1"), budget_jobs=1), *whole_take("s1")[:2], events.RunCancelled()) == []


def test_a_film_made_again_is_announced_again() -> None:
    """A retake after the end: the same kinds, other notices."""
    ends = ["shot.succeeded s1 done", "run.succeeded - succeeded"]

    assert (
        notice_lines(
            a_run(shot("s1")), *whole_take("s1"), joined, events.Retaken(shot_id="s1"), *whole_take("s1", 2), joined
        )
        == ends * 2
    )


def test_the_same_change_is_the_same_notice() -> None:
    """To save it again after an answer was lost makes no second one; those of another run are others."""
    run = a_run(shot("s1"))
    for event in whole_take("s1")[:-1]:
        run = apply(run, event, NOW)
    last = whole_take("s1")[-1]
    first, again = (notices_of(run, apply(run, last, NOW + late))[0] for late in (0, 60))
    other = replace(run, id=RunId("run_2"))

    assert first.id == again.id
    assert notices_of(other, apply(other, last, NOW))[0].id != first.id


@settings(max_examples=60)
@given(st.permutations([*whole_take("s1"), *whole_take("s2"), joined, *whole_take("s1"), *whole_take("s2"), joined]))
def test_in_whatever_order_it_happens_an_ending_is_announced_once(history: list[events.Event]) -> None:
    """Repeats and reorderings of callbacks change nothing about that."""
    lines = notice_lines(a_run(shot("s1"), shot("s2", "s1")), *history)

    assert len(lines) == len(set(lines))


@settings(max_examples=60)
@given(st.permutations([*whole_take("s1"), *refused("s1")[1:], events.RunCancelled(), events.Elapsed()]))
def test_a_shot_that_is_announced_as_succeeded_is_never_announced_as_failed(history: list[events.Event]) -> None:
    """What is final stays so, in notifications, too. A submit that was refused may turn out to have made a job."""
    lines = notice_lines(a_run(shot("s1")), *history)

    of_shots = [line for line in lines if line.startswith("shot.")]
    assert len(of_shots) <= 1 or of_shots == ["shot.failed s1 failed", "shot.succeeded s1 done"]


def test_a_provider_that_is_out_of_order_is_announced_once_an_hour() -> None:
    """The run waits and is tried each minute for three hours; people need not hear of each try."""
    down = Problem(code="upstream_unavailable", message="no answer", family=Family.SERVER)
    run, ids, waits = a_run(shot("s1")), [], 0
    for minute in range(180):
        now = NOW + 60 * minute
        for event in (whole_take("s1")[0], events.SubmitPutOff(shot_id="s1", take=1, problem=down, until=now)):
            after = apply(run, event, now)
            waits += after.status != run.status
            ids += [notice.id for notice in notices_of(run, after)]
            run = after

    assert waits > 300
    assert 3 <= len(set(ids)) <= 4


def test_takes_of_unknown_outcome_count_as_spent() -> None:
    """The provider may have accepted them: the budget is reached, and a person is told that the run waits."""
    loss = events.SubmitLost(shot_id="s1", take=1, problem=REFUSED)
    run = a_run(shot("s1"), shot("s2", "s1"), budget_jobs=1)
    lines = notice_lines(run, whole_take("s1")[0], loss)

    assert lines == ["budget.reached - waiting", "run.waiting s1 waiting"]
    assert apply(apply(run, whole_take("s1")[0], NOW), loss, NOW).shots[0].takes[0].status is TakeStatus.UNSURE


def test_a_notice_says_the_labels_of_its_run_and_that_it_is_a_draft() -> None:
    """One that an earlier version has stored says neither."""
    run = a_run(shot("s1", gated=True), labels={"project": "rain"}, is_draft=True)
    (notice,) = notices_of(None, run)
    assert (notice.labels, notice.is_draft) == ({"project": "rain"}, True)
    document = msgspec.to_builtins(notice)
    earlier = msgspec.convert({key: document[key] for key in document if key not in ("labels", "is_draft")}, Notice)
    assert (earlier.labels, earlier.is_draft) == ({}, False)
