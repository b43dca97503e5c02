"""Storyboards that change at any moment: the film is that of the last one, and nothing that was paid for is lost."""

import random
from collections import Counter
from dataclasses import replace

from hypothesis import example, given, settings
from hypothesis import strategies as st

from framerelay.runs import events
from framerelay.runs.amend_outlook import amend_outlook
from framerelay.runs.changes import input_of
from framerelay.runs.costs import Estimate
from framerelay.runs.machine import is_news
from framerelay.runs.model import Run, RunStatus, Shot, TakeStatus
from framerelay.runs.standing import jobs_spent, picked_take, picks
from tests.runs.amend_world import AmendWorld, Scenes, a_line, other_scenes, wanted
from tests.runs.world import PATIENT


def some_scenes(chance: random.Random, *, gates: bool = False) -> Scenes:
    return tuple(
        tuple(a_line(chance, gates=gates) for _ in range(chance.randint(1, 4))) for _ in range(chance.randint(1, 3))
    )


def content(run: Run) -> list[tuple[object, ...]]:
    """The film as a person reads it."""
    return [
        (shot.name, shot.scene, shot.input, shot.source and run.name_of(shot.source), shot.takes_wanted, shot.gated)
        for shot in run.story
    ]


def all_clips_are_kept(world: AmendWorld) -> None:
    takes = {job_id: take for _, take in world.takes() for job_id in take.job_ids}
    for job in world.jobs:
        assert job.id in takes, f"{job} was paid for and is not in the run"
        take = takes[job.id]
        assert job.fails or (take.status is TakeStatus.DONE and take.video and take.video.path == job.id), take
    assert len(world.jobs) <= jobs_spent(world.run)


def film_is_that_of(world: AmendWorld, last: Run) -> None:
    """As if the run had been started with *last*: its shots, their prompts, and each frame that was handed on."""
    run = world.run
    assert content(run) == content(last)
    for job in world.jobs:
        maker = run.shot(job.shot_id)
        assert maker is not None
        assert world.prompts[job.id].prompt == input_of(maker, job.take)["prompt"], (
            f"job {job.id} was of another prompt"
        )
    jobs = {}
    for shot in run.story:
        take = picked_take(shot)
        assert take is not None
        assert take.video is not None
        order = world.prompts[take.video.path]
        assert order.prompt == shot.input["prompt"], f"{shot.name} is of another prompt"
        assert order.frame == jobs.get(shot.source), f"{shot.name} begins with another frame"
        jobs[shot.id] = take.video.path
    assert run.status is RunStatus.SUCCEEDED
    assert run.film is not None
    assert list(world.disk[run.film.path]) == [shot.id for shot in run.story], "another order"
    assert world.disk[run.film.path] == picks(run)


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32), loss=st.sampled_from([0.0, 0.2]), gates=st.booleans())
def test_a_film_amended_at_any_moment_is_the_film_of_its_last_storyboard(seed: int, loss: float, gates: bool) -> None:
    """Before, during and after each step, saves lost and doubled, old storyboards coming back."""
    chance = random.Random(seed)
    boards = [some_scenes(chance, gates=gates)]
    terms = PATIENT if loss else replace(PATIENT, submit_timeout_s=1e6)
    last = wanted(boards[0], terms=terms)
    world = AmendWorld(run=last, chance=chance, loss=loss, death=loss / 2)
    for _ in range(chance.randint(1, 6)):
        for _ in range(chance.randint(0, 12)):
            world.tick()
            for _ in range(chance.randint(0, 6)):
                chance.choice([world.go_on, world.go_on, world.say_again])()
        back = chance.random() < 0.3
        boards.append(chance.choice(boards) if back else other_scenes(boards[-1], chance, gates=gates))
        before = world.run.revision
        last = wanted(boards[-1], prefix=chance.choice("sst"), terms=terms)
        world.amend(last, revision=chance.choice([None, before]))
    world.approve_all()

    film_is_that_of(world, last)
    all_clips_are_kept(world)
    if not loss:
        posts = Counter((job.shot_id, world.prompts[job.id]) for job in world.jobs)
        for (shot_id, order), number in posts.items():
            most = shot_takes(boards, order.prompt)
            assert number <= most, f"{shot_id} was submitted again for what it had: {order}"


def shot_takes(boards: list[Scenes], prompt: str) -> int:
    """The most takes that a shot of this prompt ever asked for."""
    return max(line.takes for scenes in boards for scene in scenes for line in scene if line.prompt == prompt)


def chains(scenes: Scenes) -> Counter[tuple[str, ...]]:
    """What each shot is made from, down to itself."""
    chains: Counter[tuple[str, ...]] = Counter()
    for row in scenes:
        chain: tuple[str, ...] = ()
        for line in row:
            chain = (line.prompt,) if line.cut else (*chain, line.prompt)
            chains[chain] += 1
    return chains


@settings(max_examples=150)
@given(seed=st.integers(0, 2**32))
def test_a_film_that_is_there_is_amended_with_no_job_more_than_what_it_lacks(seed: int) -> None:
    """Scenes and shots that move, come twice and look alike: made are the chains of prompts that it has no clip of."""
    chance = random.Random(seed)
    scenes = tuple(tuple(replace(line, takes=1) for line in row) for row in some_scenes(chance))
    world = AmendWorld(run=wanted(scenes), chance=chance, loss=0, death=0)
    world.settle()
    before = len(world.jobs)
    other = tuple(tuple(replace(line, takes=1) for line in row) for row in other_scenes(scenes, chance))
    last = wanted(other, prefix=chance.choice("st"))
    foretold = amend_outlook(world.run, last, world.now)
    world.amend(last)
    world.settle()

    film_is_that_of(world, last)
    lacking = sum((chains(other) - chains(scenes)).values())
    assert (len(world.jobs) - before, foretold.jobs) == (lacking, lacking)


@settings(max_examples=60)
@example(seed=18388481, budget=None, cancels=False)  # The one that is to follow gets another source in between.
@example(seed=11000921, budget=None, cancels=False)  # A job was brought in after a shot never made.
@example(seed=3001799, budget=None, cancels=False)  # Whom it was to follow is amended back to its old take.
@given(seed=st.integers(0, 2**32), budget=st.sampled_from([None, None, 8]), cancels=st.booleans())
def test_two_people_who_decide_and_amend_lose_nothing(seed: int, budget: int | None, cancels: bool) -> None:
    """All decisions, and storyboards about a revision that is no longer: clips are kept, and so is the budget."""
    chance = random.Random(seed)
    scenes = some_scenes(chance, gates=True)
    world = AmendWorld(run=wanted(scenes, budget_jobs=budget), chance=chance, loss=0.2, death=0.1, failure=0.1)
    revision = world.run.revision
    for _ in range(chance.randint(10, 60)):
        world.tick()
        for _ in range(chance.randint(0, 4)):
            world.go_on()
            chance.choice([world.decide, world.say_again, world.go_on])()
        if chance.random() < 0.3:
            revision = world.run.revision
        if chance.random() < 0.2:
            scenes = other_scenes(scenes, chance, gates=True)
            run = world.run
            did = world.amend(wanted(scenes, budget_jobs=budget), revision=revision)
            assert not (did and is_news(run, revision))
    if cancels:
        world.record(events.RunCancelled())
    world.settle()

    assert budget is None or len(world.jobs) <= budget
    all_clips_are_kept(world)
    if world.run.film:
        assert world.disk[world.run.film.path] == picks(world.run)
        assert list(world.disk[world.run.film.path]) == [shot.id for shot in world.run.story]


PRICES = {"a": 1.0, "b": 2.0, "c": 3.0, "d": 0.5, "e": 5.0}


def with_prices(run: Run, money: float) -> Run:
    """*run* with a price for each prompt, and a budget of *money*."""

    def dear(shot: Shot) -> Shot:
        price = PRICES[shot.input["prompt"]]
        return replace(shot, estimate=Estimate(low=price / 2, high=price, currency="USD"))

    return replace(run.with_shots(*map(dear, run.shots)), budget_money=money, currency="USD")


@settings(max_examples=80)
@example(seed=11909, money=3.0, loss=0.0)  # A shot got the name with which its source was born.
@given(seed=st.integers(0, 2**32), money=st.sampled_from([3.0, 8.0, 20.0]), loss=st.sampled_from([0.0, 0.2]))
def test_a_budget_of_money_holds_whatever_a_storyboard_becomes(seed: int, money: float, loss: float) -> None:
    """Dearer and cheaper shots come and go while submits are under way: the jobs that were made never cost more."""
    chance = random.Random(seed)
    scenes = some_scenes(chance)
    world = AmendWorld(run=with_prices(wanted(scenes), money), chance=chance, loss=loss, death=loss / 2, failure=0.1)
    for _ in range(chance.randint(5, 40)):
        world.tick()
        for _ in range(chance.randint(0, 5)):
            chance.choice([world.go_on, world.go_on, world.say_again])()
        world.record(events.Retaken(shot_id=chance.choice(world.run.story).id, following=chance.random() < 0.5))
        if chance.random() < 0.3:
            scenes = other_scenes(scenes, chance)
            world.amend(with_prices(wanted(scenes), money))
        assert sum(PRICES[world.prompts[job.id].prompt] for job in world.jobs) <= money
    world.settle()

    assert sum(PRICES[world.prompts[job.id].prompt] for job in world.jobs) <= money
    all_clips_are_kept(world)
