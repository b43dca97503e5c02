"""What a decision would cost and leave behind, and which shots no longer fit what they were made from."""

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framerelay.runs import events
from framerelay.runs.machine import apply, begin
from framerelay.runs.model import Clip, Family, FirstFrame, Frame, Problem, Run, RunId, Shot, TakeStatus, Terms
from framerelay.runs.outlook import (
    _first_frame,
    has_moved_on,
    is_continued,
    outlook_on,
    stale_shots,
    words_of_retake,
)
from framerelay.runs.standing import jobs_left, picked_take
from framerelay.runs.steps import StepName, steps_due

NOW = 1_000_000.0
CLIP = Clip(path="c", sha256="0", bytes=1, width=16, height=9, duration_s=5.04, frames=121)
REFUSED = Problem(code="x", message="a face", family=Family.IMAGE_MODERATED)


def chain(*sources: str | None, **more: Any) -> Run:
    """A run of shots s1, s2, …, each with the source that is named."""
    shots = tuple(
        Shot(id=f"s{number}", scene="a", origin="continue", source=source, input={"prompt": "x"})
        for number, source in enumerate(sources, start=1)
    )
    terms = Terms(provider_frame_first=True)
    run = Run(id=RunId("run_1"), title="t", model="m", created_at=NOW, updated_at=NOW, shots=shots, terms=terms)
    return begin(replace(run, **more))


def submitted(run: Run, shot_id: str, *, told: bool = True) -> Run:
    """The next take of *shot* is submitted with the frame that its source hands on; *told*: it says whose it is."""
    step = next(step for step in steps_due(run, NOW) if step.shot_id == shot_id and step.name is StepName.SUBMIT)
    before = run.shot(run.shot(shot_id).source or "")  # type: ignore[union-attr]
    source = picked_take(before) if before else None
    first = None
    if before and source:
        path = f"{before.id}.{source.number}.last.png"
        number = source.number if told else None
        first = FirstFrame(url="https://up", source="upload", path=path, take=number)
    ids = {"shot_id": shot_id, "take": step.take}
    run = apply(run, events.Submitting(**ids, intent="i", seed=None, first_frame=first), NOW)
    return apply(run, events.Submitted(**ids, job_id=f"job_{shot_id}_{step.take}"), NOW)


def with_takes(run: Run, *shots: str, told: bool = True) -> Run:
    """Each of *shots* in turn gets its next take, up to done."""
    for shot_id in shots:
        run = submitted(run, shot_id, told=told)
        run = complete(run, shot_id)
    return run


def complete(run: Run, shot_id: str) -> Run:
    """The take of *shot* that is under way is done."""
    number = run.shot(shot_id).takes[-1].number  # type: ignore[union-attr]
    ids = {"shot_id": shot_id, "take": number}
    run = apply(run, events.Rendered(**ids, job_ids=(), video_url="https://v"), NOW)
    frame = Frame(path=f"{shot_id}.{number}.last.png", sha256="0", width=16, height=9)
    return apply(run, events.Collected(**ids, video=CLIP, last_frame=frame), NOW)


def is_stale(run: Run, shot: Shot) -> bool:
    """
    Whether the take that *shot* goes on with began with a frame that is no longer its source's.

    It is stale when its source was made again, or another of its takes was picked, and not when the old one is; and
    when the source itself is stale.
    """
    while shot.source is not None and (first := _first_frame(shot)) and (source := run.shot(shot.source)):
        if has_moved_on(source, first):
            return True
        shot = source
    return False


def stale(run: Run) -> list[str]:
    """The stale shots, by both questions."""
    one_by_one = [shot.id for shot in run.shots if is_stale(run, shot)]
    assert stale_shots(run) == set(one_by_one)
    return one_by_one


def test_a_retake_leaves_stale_what_was_made_from_the_old_take() -> None:
    """Two in a row and a branch; a shot of its own is not concerned."""
    run = with_takes(chain(None, "s1", "s2", "s1", None), "s1", "s2", "s3", "s4", "s5")
    assert stale(run) == []
    assert outlook_on(run, events.Retaken(shot_id="s1")).stale == ("s2", "s3", "s4")
    assert outlook_on(run, events.Retaken(shot_id="s5")).stale == ()

    run = apply(run, events.Retaken(shot_id="s1"), NOW)
    assert stale(run) == ["s2", "s3", "s4"], "it is being made again"
    run = with_takes(run, "s1")
    assert stale(run) == ["s2", "s3", "s4"]


@pytest.mark.parametrize("told", [True, False])
def test_a_stale_shot_is_cured_by_its_own_retake_or_by_the_old_take_of_its_source(told: bool) -> None:
    """Also in a run of an earlier version, which did not write down whose end a first frame was."""
    run = with_takes(chain(None, "s1", "s2"), "s1", "s2", "s3", told=told)
    again = with_takes(apply(run, events.Retaken(shot_id="s1"), NOW), "s1")
    assert stale(again) == ["s2", "s3"]

    assert stale(apply(again, events.Picked(shot_id="s1", take=1), NOW)) == []
    again = with_takes(apply(again, events.Retaken(shot_id="s2"), NOW), "s2", told=told)
    assert stale(again) == ["s3"], "made from the old take of s2"
    assert stale(with_takes(apply(again, events.Retaken(shot_id="s3"), NOW), "s3", told=told)) == []


def test_a_shot_made_from_a_stale_one_is_stale_from_its_first_take_on() -> None:
    """It hangs on what no longer fits."""
    run = with_takes(chain(None, "s1", "s2"), "s1", "s2")
    run = apply(complete(submitted(run, "s3"), "s3"), events.Retaken(shot_id="s1"), NOW)
    run = with_takes(run, "s1")
    run = with_takes(apply(run, events.Retaken(shot_id="s3"), NOW), "s3")

    assert stale(run) == ["s2", "s3"]


def test_a_frame_is_doubled_in_the_film_only_where_both_of_its_clips_are() -> None:
    """A branch repeats nothing, nor does a stale shot; one that is stale through its source alone still does."""
    run = with_takes(chain(None, "s1", "s2", "s2"), "s1", "s2", "s3", "s4")
    assert [is_continued(run, shot) for shot in run.shots] == [False, True, True, False]
    again = with_takes(apply(run, events.Retaken(shot_id="s1"), NOW), "s1")
    assert stale(again) == ["s2", "s3", "s4"]
    assert [is_continued(again, shot) for shot in again.shots] == [False, False, True, False]


def test_a_first_frame_of_unknown_origin_makes_nothing_stale() -> None:
    """A run of an earlier version whose provider's frame has got another address since."""
    run = with_takes(chain(None, "s1"), "s1", "s2")
    unknown = FirstFrame(url="https://elsewhere", source="provider")
    take = replace(run.shots[1].takes[0], first_frame=unknown)
    run = replace(run, shots=(run.shots[0], replace(run.shots[1], takes=(take,))))

    assert stale(with_takes(apply(run, events.Retaken(shot_id="s1"), NOW), "s1")) == []


def test_a_retake_costs_its_own_job_and_those_of_shots_that_failed_from_its_frame() -> None:
    """What is done stays; what still waits would be made anyway."""
    run = with_takes(chain(None, "s1", "s2", None), "s1", "s4")
    assert outlook_on(run, events.Retaken(shot_id="s1")).jobs == 1
    assert outlook_on(with_takes(run, "s2", "s3"), events.Retaken(shot_id="s1")).jobs == 1
    assert outlook_on(run, events.Retaken(shot_id="s9")).jobs == 0
    run = submitted(run, "s2")
    end = events.JobEnded(shot_id="s2", take=1, job_ids=(), status=TakeStatus.FAILED, problem=REFUSED)
    run = apply(run, end, NOW)

    assert outlook_on(run, events.Retaken(shot_id="s1")).jobs == 2
    after = apply(run, events.Retaken(shot_id="s1"), NOW)
    assert [step.shot_id for step in steps_due(after, NOW)] == ["s1"]
    assert [step.shot_id for step in steps_due(with_takes(after, "s1"), NOW)] == ["s2"]


def test_the_outlook_is_a_sentence_with_jobs_budget_and_names() -> None:
    """For the person who pays."""
    run = with_takes(chain(None, "s1", "s2", budget_jobs=7), "s1")
    assert jobs_left(run) == 6
    assert (
        words_of_retake(run, events.Retaken(shot_id="s1"))
        == "shot s1 is made again, for 1 job of the 6 left in the budget"
    )
    run = replace(with_takes(run, "s2", "s3"), budget_jobs=None)

    assert jobs_left(run) is None
    assert words_of_retake(run, events.Retaken(shot_id="s2")) == (
        "shot s2 is made again, for 1 job; s3 is made from the old take, and is stale until it is retaken as well"
    )
    assert words_of_retake(run, events.Retaken(shot_id="s1")).endswith(
        "; s2 and s3 are made from the old take, and are stale until they are retaken as well"
    )


@settings(max_examples=200)
@given(seed=st.integers(0, 2**32), told=st.booleans(), deciding=st.booleans())
def test_nothing_is_stale_where_nothing_was_made_or_picked_again(seed: int, told: bool, deciding: bool) -> None:
    """Any order of events, failures and hand-offs before the clip is there; the two questions always agree."""
    chance = random.Random(seed)
    run = chain(*(None if n == 0 else f"s{chance.randint(1, n)}" for n in range(5)))
    shots = tuple(replace(shot, takes_wanted=chance.randint(1, 2), pick_first=True) for shot in run.shots)
    run = begin(replace(run, shots=shots))
    picks: dict[str, set[int]] = {shot.id: set() for shot in run.shots}
    for _ in range(60):
        run = apply(run, any_event(run, chance, told, deciding=deciding), NOW)
        for shot in run.shots:
            picks[shot.id] |= {shot.picked} if shot.picked else set()
        shot_ids = stale(run)
        if not deciding and all(len(numbers) <= 1 for numbers in picks.values()):
            assert shot_ids == []
        assert all((run.shot(name) or run.shots[0]).source for name in shot_ids)


def any_event(run: Run, chance: random.Random, told: bool, *, deciding: bool) -> events.Event:
    """Something that may happen to a run, or to one of its takes."""
    shot = chance.choice(run.shots)
    if deciding and chance.random() < 0.2:
        return chance.choice([events.Retaken(shot_id=shot.id), events.Picked(shot_id=shot.id, take=1)])
    submits = [step for step in steps_due(run, NOW) if step.name is StepName.SUBMIT]
    if submits and chance.random() < 0.5:
        step = chance.choice(submits)
        source = run.shot(run.shot(step.shot_id).source or "")  # type: ignore[union-attr]
        end = picked_take(source) if source else None
        path = f"{source.id}.{end.number}.last.png" if source and end else None
        url = (end.provider_frame_url if end else None) or "https://up"
        first = FirstFrame(url=url, source="upload", path=path, take=end.number if told and end else None)
        ids = {"shot_id": step.shot_id, "take": step.take}
        return events.Submitting(**ids, intent="i", seed=None, first_frame=first if end else None)
    number = chance.randint(1, 3)
    ids = {"shot_id": shot.id, "take": number}
    frame = Frame(path=f"{shot.id}.{number}.last.png", sha256="0", width=16, height=9)
    early = chance.choice([None, f"https://{shot.id}/{number}"])
    return chance.choice(
        [
            events.Rendered(**ids, job_ids=("j",), video_url="https://v", last_frame_url=early),
            events.Collected(**ids, video=CLIP, last_frame=frame),
            events.CollectFailed(**ids, problem=REFUSED),
            events.JobEnded(**ids, job_ids=(), status=TakeStatus.FAILED, problem=REFUSED),
            events.Elapsed(),
        ]
    )
