"""A shot that an amendment renamed is called by the name that a person gave it; its old id is for files and logs."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framerelay.runs import events
from framerelay.runs.amend_outlook import amend_outlook
from framerelay.runs.costs import Estimate, Quote
from framerelay.runs.decisions import Decision, all_dependents, why_not
from framerelay.runs.machine import apply, begin
from framerelay.runs.model import Clip, Family, FirstFrame, Frame, Problem, Run, RunId, Shot, TakeStatus, Terms

NOW = 1_000_000.0
IDS = {"zz1": "rain", "zz2": "door"}
DIME = Estimate(low=0.1, high=0.1, currency="USD")
NO = Problem(code="refused", message="no", family=Family.TEXT_MODERATED)
KEY = Problem(code="unauthorized", message="no key", family=Family.ACCOUNT)


def a_run(*, chained: bool = True, gated: bool = False, **more: object) -> Run:
    shots = tuple(
        Shot(
            id=shot_id,
            alias=name,
            scene="a",
            origin="continue",
            source="zz1" if chained and shot_id == "zz2" else None,
            input={"prompt": name},
            gated=gated,
            estimate=DIME,
        )
        for shot_id, name in IDS.items()
    )
    run = Run(id=RunId("run_1"), title="t", model="m", created_at=NOW, updated_at=NOW, shots=shots, terms=Terms())
    return begin(replace(run, **more))  # type: ignore[arg-type]


def steps() -> Iterator[tuple[str, list[events.Event]]]:
    about = {"shot_id": "zz1", "take": 1}
    submitting = events.Submitting(**about, intent="i", seed=None, first_frame=None)  # type: ignore[arg-type]
    submit = events.Submitted(**about, job_id="job_1")  # type: ignore[arg-type]
    render = events.Rendered(**about, job_ids=("job_1",), video_url="https://v")  # type: ignore[arg-type]
    clip = Clip(path="a.mp4", sha256="0", bytes=1, width=1, height=1, duration_s=1, frames=1)
    frame = Frame(path="a.png", sha256="0", width=1, height=1)
    collect = events.Collected(**about, video=clip, last_frame=frame)  # type: ignore[arg-type]
    other = events.Submitting(shot_id="zz2", take=1, intent="j", seed=None, first_frame=None)
    failure = events.JobEnded(**about, job_ids=("job_1",), status=TakeStatus.FAILED, problem=NO, called_back=True)  # type: ignore[arg-type]
    yield "begun", []
    yield "submitting", [submitting]
    yield "unsure", [submitting, events.SubmitLost(**about, problem=NO)]  # type: ignore[arg-type]
    yield "locked", [submitting, submit, events.PollFailed(**about, problem=KEY)]  # type: ignore[arg-type]
    yield "generating", [submitting, submit]
    yield "failed", [submitting, submit, failure]
    yield "done", [submitting, submit, render, collect]
    yield "next", [submitting, submit, render, collect, other]


def decisions() -> Iterator[Decision]:
    for shot_id in IDS:
        yield events.Approved(shot_id=shot_id)
        yield events.Approved(shot_id=shot_id, input={"seed": 1}, quote=Quote(input={}, estimate=DIME))
        yield events.Picked(shot_id=shot_id, take=1)
        yield events.Picked(shot_id=shot_id, take=9)
        yield events.Adopted(shot_id=shot_id, job_id="job_1")
        yield events.Adopted(shot_id=shot_id, job_id="job_9")
        yield events.Retaken(shot_id=shot_id)
        yield events.Retaken(shot_id=shot_id, prompt="p", following=True)
    yield events.Resumed()
    yield events.Resumed(budget_jobs=1)
    yield events.Resumed(budget_money=0.05)
    yield events.RunCancelled()


@pytest.mark.parametrize(("at", "history"), list(steps()), ids=[at for at, _ in steps()])
@pytest.mark.parametrize("how", ["chained", "apart", "gated", "budget", "unpriced"])
def test_messages_name_shots_as_their_author_named_them(how: str, at: str, history: list[events.Event]) -> None:
    """Why a decision is refused, why a run waits, what an amendment would do: at each moment of a shot's life."""
    money = {"budget_money": 0.1, "currency": "USD", "budget_jobs": 1} if how == "budget" else {}
    run = a_run(chained=how != "apart", gated=how == "gated", **money)
    if how == "unpriced":
        run = replace(run, shots=tuple(replace(shot, estimate=None) for shot in run.shots))
    for second, event in enumerate(history):
        run = apply(run, event, NOW + second)
    words = [why_not(run, decision, NOW + 10) for decision in decisions()]
    target = begin(replace(a_run(), shots=tuple(replace(shot, alias=None, id=shot.name) for shot in a_run().shots[:1])))
    words += [run.error.message if run.error else None, amend_outlook(run, target, NOW + 10).would]
    assert [each for each in words if each and "zz" in each] == []
    assert any(words)


@given(st.permutations(["s1", "s2", "s3", "s4"]), st.tuples(*(st.integers(-1, last) for last in range(3))))
def test_shots_are_made_from_others_whatever_these_are_called(aliases: list[str], sources: tuple[int, ...]) -> None:
    """
    A shot that got the name with which its source was born counted as made from itself: a retake followed other shots
    than it said, and a mark on one was set again for ever.
    """
    places = (-1, *sources)
    shots = tuple(
        Shot(
            id=f"s{number + 1}",
            alias=name,
            scene="a",
            origin="continue",
            source=f"s{place + 1}" if place >= 0 else None,
            input={"prompt": name},
        )
        for number, (name, place) in enumerate(zip(aliases, places, strict=True))
    )
    run = begin(replace(a_run(), shots=shots))

    for number, shot in enumerate(run.shots):
        offspring = {number}
        for other, place in enumerate(places):
            offspring |= {other} if place in offspring else set()
        assert {each.id for each in all_dependents(run, shot)} == {f"s{other + 1}" for other in offspring - {number}}


def test_a_retake_of_a_renamed_shot_takes_along_what_is_made_from_it() -> None:
    """Its source was born with the name that it has now."""
    shots = (
        Shot(id="s2", alias="s1", scene="a", origin="cut", source=None, input={"prompt": "a"}),
        Shot(id="s3", alias="s2", scene="a", origin="continue", source="s2", input={"prompt": "b"}),
        Shot(id="s3-2", alias="s3", scene="a", origin="continue", source="s3", input={"prompt": "c"}),
    )
    run = begin(replace(a_run(), shots=shots))
    for shot_id in ("s2", "s3", "s3-2"):
        for event in history_of(shot_id):
            run = apply(run, event, NOW)

    after = apply(run, events.Retaken(shot_id="s2", following=True), NOW + 1)

    assert [shot.following for shot in after.shots] == [None, 1, 1]
    for number, shot_id in enumerate(("s2", "s3", "s3-2")):
        for event in history_of(shot_id, take=2):
            assert apply(after, event, NOW + 2 + number) is not after, event
            after = apply(after, event, NOW + 2 + number)
    assert [(shot.following, shot.picked) for shot in after.shots] == [(None, 2)] * 3


def history_of(shot_id: str, take: int = 1) -> list[events.Event]:
    """Everything that happens to a take, which begins with the same take of its source."""
    source = {"s3": "s2", "s3-2": "s3"}.get(shot_id)
    about: dict[str, Any] = {"shot_id": shot_id, "take": take}
    frame = FirstFrame(url=f"https://v/{source}.png", source="upload", path=None, take=take) if source else None
    clip = Clip(path=f"{shot_id}.mp4", sha256="0", bytes=1, width=1, height=1, duration_s=1, frames=1)
    return [
        events.Submitting(**about, intent=f"{shot_id} {take}", seed=None, first_frame=frame),
        events.Submitted(**about, job_id=f"{shot_id}_{take}"),
        events.Rendered(**about, job_ids=(f"{shot_id}_{take}",), video_url="https://v"),
        events.Collected(**about, video=clip, last_frame=Frame(path="a.png", sha256="0", width=1, height=1)),
    ]
