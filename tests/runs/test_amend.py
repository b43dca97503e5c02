"""Another storyboard for a run, rule by rule; at any moment: test_amend_properties.py."""

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from framerelay.runs import events
from framerelay.runs.amend import SHOTS_KEPT_MAX, change_of, why_no_change
from framerelay.runs.amend_outlook import amend_outlook
from framerelay.runs.changes import input_of
from framerelay.runs.content import chain_keys, content_key
from framerelay.runs.costs import Estimate
from framerelay.runs.machine import apply
from framerelay.runs.model import Family, Problem, Run, RunStatus, Shot, TakeStatus
from framerelay.runs.outlook import stale_shots
from framerelay.runs.reaction import Reaction
from framerelay.runs.standing import cost_of, jobs_spent
from tests.runs.amend_world import AmendWorld, Line, Scenes, wanted
from tests.runs.world import LOST, PATIENT

NIGHT: Scenes = ((Line(prompt="a"), Line(prompt="b"), Line(prompt="c")),)
NOW = 1000.0


def film(scenes: Scenes = NIGHT, **more: int | None) -> AmendWorld:
    """A run of *scenes* that has its film."""
    world = AmendWorld(run=wanted(scenes, **more), chance=random.Random(1), loss=0, death=0)  # type: ignore[arg-type]
    world.settle()
    assert world.run.status is RunStatus.SUCCEEDED
    return world


def lists(run: Run, other: Run) -> dict[str, list[str]]:
    change = change_of(run, other, NOW)
    each = {name: getattr(change, name) for name in ("keep", "change", "add", "drop", "stale")}
    return {name: shots for name, shots in each.items() if shots}


def with_shot(run: Run, shot_id: str, **changes: object) -> Run:
    shot = run.shot(shot_id)
    assert shot is not None
    return run.with_shots(replace(shot, **changes))  # type: ignore[arg-type]


ANOTHER: dict[str, Callable[[Run], Run]] = {
    "prompt": lambda run: with_shot(run, "s2", input={"prompt": "other"}),
    "input": lambda run: with_shot(run, "s2", input={"prompt": "b", "duration": 4}),
    "seed": lambda run: with_shot(run, "s2", input={"prompt": "b", "seed": 4}),
    "model": lambda run: with_shot(run, "s2", model="other"),
    "provider": lambda run: with_shot(run, "s2", provider="other"),
    "raw fields": lambda run: with_shot(run, "s2", extra={"a": 1}),
    "first frame": lambda run: with_shot(run, "s2", source=None, origin="cut", first_frame="file:given/1.png"),
    "last frame": lambda run: with_shot(run, "s2", origin="bridge", last_frame="file:given/1.png"),
}
THE_SAME: dict[str, Callable[[Run], Run]] = {
    "title": lambda run: replace(run, title="other"),
    "budget": lambda run: replace(run, budget_jobs=50),
    "notify_url": lambda run: replace(run, notify_url="https://hooks.example.com/"),
    "labels": lambda run: replace(run, labels={"project": "rain"}),
    "what is done about a failure": lambda run: with_shot(run, "s2", reaction=Reaction(retakes=0)),
    "gate": lambda run: with_shot(run, "s2", gated=True),
    "scene": lambda run: with_shot(run, "s1", scene="elsewhere"),
    "origin, said otherwise": lambda run: with_shot(run, "s2", origin="s1"),
    "model, said in the shot": lambda run: with_shot(run, "s2", model="m"),
}


@pytest.mark.parametrize("name", ANOTHER)
def test_what_a_shot_is_asked_for_makes_it_another_one(name: str) -> None:
    """It is made again, with what is made from it; nothing else is."""
    run, other = film().run, ANOTHER[name](wanted(NIGHT))

    assert lists(run, other) == {"keep": ["s1"], "change": ["s2"], "stale": ["s3"]}


@pytest.mark.parametrize("name", THE_SAME)
def test_what_is_not_asked_of_a_provider_makes_nothing_again(name: str) -> None:
    """It changes the run, and submits nothing."""
    run, other = film().run, THE_SAME[name](wanted(NIGHT))
    outlook = amend_outlook(run, other, NOW)

    assert lists(run, other) == {"keep": ["s1", "s2", "s3"]}
    assert why_no_change(run, other, NOW) is None
    assert outlook.jobs == 0
    after = apply(run, events.Amended(target=other), NOW)
    assert after.film == run.film, "the film is the same"


def test_the_key_of_a_content_does_not_depend_on_the_order_of_its_fields() -> None:
    """As a document may bring them; whether the model is the shot's or the run's is one."""
    run = wanted(NIGHT)
    one, other = (replace(run.shots[0], input=fields) for fields in ({"a": 1, "b": 2}, {"b": 2, "a": 1}))

    assert content_key(run, one) == content_key(run, replace(other, model="m"))
    assert content_key(run, one) != content_key(run, replace(other, model="n"))


def test_blanks_around_a_prompt_are_not_asked_for() -> None:
    """A retake may bring them, and a storyboard cannot say them."""
    run = wanted(NIGHT)
    one, other = (replace(run.shots[0], input={"prompt": prompt}) for prompt in ("a car\n", "a car"))

    assert content_key(run, one) == content_key(run, other)


def test_sources_in_a_circle_have_keys() -> None:
    """Of shots that were dropped each may have begun with a frame of the other, at another time."""
    assert len(set(chain_keys({"a": "1", "b": "2"}, {"a": "b", "b": "a"}).values())) == 2


def test_ids_that_count_on_are_found_by_what_they_ask_for() -> None:
    """A shot before all others: each keeps its takes under the next id, and the film gets the new one."""
    world = film(((Line(prompt="a", cut=True), Line(prompt="b", cut=True)),))
    longer = wanted(((Line(prompt="z"), Line(prompt="a", cut=True), Line(prompt="b", cut=True)),))
    assert lists(world.run, longer) == {"keep": ["s2", "s3"], "add": ["s1"]}
    world.amend(longer)
    world.settle()

    assert [(shot.id, shot.name) for shot in world.run.story] == [("s1-2", "s1"), ("s1", "s2"), ("s2", "s3")]
    assert len(world.jobs) == 3


def test_an_approval_stays_with_what_was_approved() -> None:
    """The same content needs no second yes; another one is asked about again."""
    gated_scenes: Scenes = ((Line(prompt="a"), Line(prompt="b", gated=True)),)
    world = AmendWorld(run=wanted(gated_scenes), chance=random.Random(1), loss=0, death=0)
    world.approve_all()
    kept_run = change_of(world.run, wanted(((*gated_scenes[0], Line(prompt="c")),)), NOW).run
    changed_run = change_of(world.run, wanted(((gated_scenes[0][0], Line(prompt="z", gated=True)),)), NOW).run

    assert [shot.approved for shot in kept_run.story[:2]] == [False, True]
    assert [shot.approved for shot in changed_run.story[:2]] == [False, False]


def test_a_failed_run_is_amended_and_only_what_failed_is_made_for_the_new_prompt() -> None:
    """The error goes with the content that it was about."""
    world = AmendWorld(run=wanted(NIGHT), chance=random.Random(1), loss=0, death=0)
    first, second, _ = wanted(NIGHT).shots
    world.record(events.Submitting(shot_id=first.id, take=1, intent="i", seed=None, first_frame=None))
    problem = Problem(code="moderated", message="refused", family=Family.TEXT_MODERATED)
    world.record(events.SubmitRefused(shot_id=first.id, take=1, intent="i", problem=problem))
    assert world.run.status is RunStatus.FAILED
    other = wanted(((Line(prompt="softer"), *NIGHT[0][1:]),))
    assert lists(world.run, other) == {"change": ["s1"], "keep": ["s2", "s3"]}
    world.amend(other)
    world.settle()

    assert world.run.status is RunStatus.SUCCEEDED
    assert len(world.jobs) == 3
    assert second.id == world.run.story[1].id


def test_what_was_spent_stays_spent_and_so_does_its_price() -> None:
    """A shot that leaves takes its takes with it, not their cost; the budget counts them."""
    estimate = Estimate(low=1.0, high=1.0, currency="USD")
    run = wanted(NIGHT, budget_jobs=9)
    world = AmendWorld(run=priced(run, estimate), chance=random.Random(1), loss=0, death=0)
    world.settle()
    before = cost_of(world.run)
    shorter = priced(wanted((NIGHT[0][:1],), budget_jobs=9), estimate)
    outlook = amend_outlook(world.run, shorter, NOW)
    world.amend(shorter)
    world.settle()

    assert (outlook.jobs, outlook.cost) == (0, Estimate(low=0.0, high=0.0, currency="USD"))
    assert jobs_spent(world.run) == 3
    assert cost_of(world.run) == before
    assert [shot.id for shot in world.run.archive] == ["s2", "s3"]


def priced(run: Run, estimate: Estimate) -> Run:
    return run.with_shots(*(replace(shot, estimate=estimate) for shot in run.shots))


def test_a_limit_that_will_be_used_up_is_predicted() -> None:
    """As many jobs as the budget still allows; the sentence says what it will be."""
    world = film(budget_jobs=4)
    other = wanted(((*NIGHT[0], Line(prompt="d"), Line(prompt="e")),), budget_jobs=4)
    raised_run = replace(other, budget_jobs=9)

    assert amend_outlook(world.run, other, NOW).jobs == 1
    assert amend_outlook(world.run, raised_run, NOW).jobs == 2
    assert amend_outlook(world.run, raised_run, NOW).would.endswith("the end of the film; the budget is 9 jobs then")


def test_takes_of_early_versions_serve_as_what_their_shots_ask_for_now() -> None:
    """They do not say what they were asked for; a run under way was asked for what it still asks for."""
    world = film()
    early = world.run.with_shots(
        *(
            replace(shot, takes=tuple(replace(take, key=None, source=None) for take in shot.takes))
            for shot in world.run.shots
        )
    )
    other = wanted(((*NIGHT[0][:2], Line(prompt="z")),))

    assert lists(early, other) == {"keep": ["s1", "s2"], "change": ["s3"]}
    after = apply(early, events.Amended(target=other), NOW)
    assert lists(after, wanted(NIGHT)) == {"keep": ["s1", "s2", "s3"]}, "and back again"


def test_the_reason_why_a_run_cannot_be_amended_is_given() -> None:
    """Cancelled, begun by somebody else's job, or too much kept; and what would change nothing."""
    run, other = film().run, wanted(((Line(prompt="z"),),))
    many = replace(run, shots=(*run.shots, *(dropped(number) for number in range(SHOTS_KEPT_MAX))))
    for each, words in (
        (replace(run, cancelled=True), "the run was cancelled; start it again"),
        (replace(run, hook="mine"), "the run began at the hook mine"),
        (many, "the run keeps 2003 shots, with those that were dropped: start another one"),
    ):
        reason = why_no_change(each, other, NOW)
        assert reason is not None
        assert reason.startswith(words)
        assert apply(each, events.Amended(target=other), NOW) is each
    assert why_no_change(run, wanted(NIGHT), NOW) == "the run is what this storyboard says already"
    assert apply(run, events.Amended(target=wanted(NIGHT)), NOW) is run


def dropped(number: int) -> Shot:
    return replace(wanted(NIGHT).shots[0], id=f"x{number}", dropped=True)


def test_an_amendment_of_an_older_revision_is_dropped() -> None:
    """Somebody acted in between: what they did is not what was looked at."""
    world = film()
    revision = world.run.revision
    world.record(events.Retaken(shot_id="s3"))
    other = wanted((NIGHT[0][:1],))

    assert apply(world.run, events.Amended(target=other, revision=revision), NOW) is world.run
    assert apply(world.run, events.Amended(target=other, revision=world.run.revision), NOW) is not world.run


def test_a_person_may_still_pick_a_take_of_what_the_shot_was() -> None:
    """It was paid for; the film is joined again with it."""
    world = film()
    world.amend(wanted(((*NIGHT[0][:2], Line(prompt="z")),)))
    world.settle()
    world.record(events.Picked(shot_id="s3", take=1))
    world.settle()

    shot = world.run.shot("s3")
    assert shot is not None
    assert (shot.picked, [take.status for take in shot.takes]) == (1, [TakeStatus.DONE] * 2)
    assert world.run.film is not None
    assert world.run.film.takes == {"s1": 1, "s2": 1, "s3": 1}


def test_a_take_that_is_picked_though_it_began_with_another_shot_is_stale() -> None:
    """Its first frame is no longer what precedes it, whatever the numbers of the takes are."""
    world = film()
    world.amend(wanted(((NIGHT[0][0], NIGHT[0][2]),)))
    world.settle()
    assert stale_shots(world.run) == frozenset()
    world.record(events.Picked(shot_id="s3", take=1))

    assert stale_shots(world.run) == {"s3"}


@pytest.mark.parametrize("prefix", ["s", "t"], ids=["spare", "dropped"])
def test_a_take_of_unknown_outcome_that_no_longer_counts_gives_way_in_time(prefix: str) -> None:
    """Where a person would else be asked: nothing of the film waits for it."""
    terms = replace(PATIENT, unsure="wait")
    world = AmendWorld(run=wanted(((Line(prompt="a"),),), terms=terms), chance=random.Random(1), loss=0, death=0)
    about = {"shot_id": "s1", "take": 1, "intent": "i"}
    world.record(events.Submitting(**about, seed=None, first_frame=None))  # type: ignore[arg-type]
    world.record(events.SubmitLost(**about, problem=LOST))  # type: ignore[arg-type]
    assert world.run.status is RunStatus.WAITING
    other = ((Line(prompt="z"), Line(prompt="y", gated=True)),)
    world.amend(wanted(other, prefix=prefix, terms=terms))
    world.settle()

    (take,) = [take for _, take in world.takes() if take.job_id is None]
    assert (take.status, world.run.film) == (TakeStatus.EXPIRED, None)
    assert [shot.status for shot in world.run.story] == ["done", "waiting"]


def moderated(run: Run) -> Run:
    """With another prompt for the first shot, should its own be refused."""
    return with_shot(run, "s1", reaction=Reaction(moderated={"prompt": "softer"}))


def test_the_prompt_that_took_the_place_of_a_refused_one_is_no_change_of_the_storyboard() -> None:
    """To give the storyboard again means what came of it; another prompt of the shot is another shot."""
    world = AmendWorld(run=moderated(wanted(NIGHT)), chance=random.Random(1), loss=0, death=0)
    about = {"shot_id": "s1", "take": 1, "intent": "i"}
    world.record(events.Submitting(**about, seed=None, first_frame=None))  # type: ignore[arg-type]
    refusal = Problem(code="moderated", message="refused", family=Family.TEXT_MODERATED)
    world.record(events.SubmitRefused(**about, problem=refusal))  # type: ignore[arg-type]
    world.settle()
    assert world.run.status is RunStatus.SUCCEEDED
    assert world.run.shots[0].input == {"prompt": "softer"}
    same = moderated(wanted(((*NIGHT[0], Line(prompt="d")),)))
    other = moderated(wanted(((Line(prompt="z"), *NIGHT[0][1:]),)))

    assert lists(world.run, same) == {"keep": ["s1", "s2", "s3"], "add": ["s4"]}
    assert lists(world.run, other) == {"change": ["s1"], "stale": ["s2", "s3"]}
    assert lists(world.run, wanted(NIGHT)) == {"change": ["s1"], "stale": ["s2", "s3"]}, "without another prompt"
    world.amend(same)
    world.settle()
    assert len(world.jobs) == 4
    assert world.run.shots[0].input == {"prompt": "softer"}


def test_what_takes_were_made_of_is_known_after_another_storyboard() -> None:
    """A promotion asks for it, and the page shows it."""
    world = film()
    world.amend(wanted(((*NIGHT[0][:2], Line(prompt="z")),)))
    world.settle()
    shot = world.run.shots[2]

    assert [input_of(shot, number)["prompt"] for number in (1, 2)] == ["c", "z"]


def test_shots_that_are_to_follow_a_retake_still_do_where_nothing_of_them_changes() -> None:
    """The outlook counts them as jobs, and they are made once; one that is dropped is not."""
    world = film()
    world.record(events.Retaken(shot_id="s1", following=True))
    other = wanted(((*NIGHT[0], Line(prompt="d", cut=True)),))
    assert amend_outlook(world.run, other, world.now).jobs == 4
    world.amend(other)
    world.settle()

    assert world.run.status is RunStatus.SUCCEEDED
    assert len(world.jobs) == 7
    assert stale_shots(world.run) == frozenset()


def test_a_budget_in_another_currency_than_what_was_spent_is_refused() -> None:
    """The sum of both would be of neither."""
    world = AmendWorld(
        run=priced(wanted(NIGHT), Estimate(low=1.0, high=1.0, currency="USD")),
        chance=random.Random(1),
        loss=0,
        death=0,
    )
    world.settle()
    yuan = priced(wanted(((Line(prompt="z"),),)), Estimate(low=1.0, high=1.0, currency="CNY"))

    reason = why_no_change(world.run, replace(yuan, budget_money=5.0), NOW)
    assert reason == "the run has spent USD, which a budget of another currency does not count"
    assert why_no_change(world.run, yuan, NOW) is None
