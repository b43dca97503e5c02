"""The rules under any order, repetition and loss: a small world of tasks that die and messages that vanish."""

import random
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from framerelay.runs import events
from framerelay.runs.machine import apply
from framerelay.runs.model import Clip, Frame, RunStatus, TakeStatus
from framerelay.runs.standing import jobs_spent, picks
from tests.runs.world import LOST, World, film_of, with_shots

CLIP = Clip(path="c", sha256="0", bytes=1, width=16, height=9, duration_s=5.04, frames=121)
FRAME = Frame(path="f", sha256="0", width=16, height=9)


@settings(max_examples=100)
@given(seed=st.integers(0, 2**32), scenes=st.integers(1, 3), shots=st.integers(1, 4), apart=st.booleans())
def test_any_loss_repetition_and_death_ends_in_a_film_with_one_post_per_take(
    seed: int, scenes: int, shots: int, apart: bool
) -> None:
    """30 % of messages lost, 20 % of tasks dead at each step, everything doubled: succeeded, nothing posted twice."""
    bucket: set[str] | None = set() if apart else None
    world = World(run=film_of(scenes, shots), chance=random.Random(seed), loss=0.3, death=0.2, bucket=bucket)
    world.live(turns=20_000)

    assert world.run.status is RunStatus.SUCCEEDED
    posts = [(job.shot_id, job.take) for job in world.jobs]
    assert len(posts) == len(set(posts)), "a take was posted twice"
    for shot in world.run.shots:
        numbers = [take.number for take in shot.takes]
        assert numbers == sorted(set(numbers))
        assert any(take.status is TakeStatus.DONE for take in shot.takes)


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32), budget=st.integers(1, 5))
def test_no_interleaving_passes_the_budget(seed: int, budget: int) -> None:
    """However tasks die and repeat, the provider never sees more POSTs than the budget allows."""
    world = World(run=film_of(3, 2, budget_jobs=budget), chance=random.Random(seed), loss=0.3, death=0.2)
    world.live(turns=400)

    assert len(world.jobs) <= budget


@settings(max_examples=200)
@given(
    seed=st.integers(0, 2**32),
    scenes=st.integers(1, 2),
    shots=st.integers(1, 3),
    gated=st.booleans(),
    asks=st.booleans(),
    budget=st.sampled_from([None, None, 5]),
    moves=st.booleans(),
    cancels=st.booleans(),
    apart=st.booleans(),
)
def test_decisions_at_any_moment_lose_nothing_that_was_paid_for_and_show_the_film_that_there_is(
    seed: int,
    scenes: int,
    shots: int,
    gated: bool,
    asks: bool,
    budget: int | None,
    moves: bool,
    cancels: bool,
    apart: bool,
) -> None:
    """
    Before, during and after each step, the join included, while saves are lost and doubled: every job's clip is kept,
    the film is of the takes that are shown, and no run ends with a take that nobody wakes (`World.check`).
    """
    run = film_of(scenes, shots, budget_jobs=budget)
    if gated or asks:
        run = with_shots(run, gated=gated, **({"takes_wanted": 2, "pick_first": False} if asks else {}))
    chance, bucket = random.Random(seed), set[str]() if apart else None
    world = World(run=run, chance=chance, loss=0.2, death=0.1, failure=0.1, other_budgets=moves, bucket=bucket)
    for _ in range(world.chance.randint(20, 200)):
        world.tick()
        for _ in range(world.chance.randint(0, 4)):
            world.go_on()
            world.chance.choice([world.decide, world.say_again, world.go_on, world.go_on])()
    if cancels:
        world.record(events.RunCancelled())
    world.settle()

    limit = world.run.budget_jobs
    assert limit is None or len(world.jobs) <= limit
    takes = {job_id: take for _, take in world.takes() for job_id in take.job_ids}
    for job in world.jobs:
        assert job.id in takes, f"{job} was paid for and is not in the run"
        take = takes[job.id]
        assert job.fails or (take.status is TakeStatus.DONE and take.video and take.video.path == job.id), take
    assert len(world.jobs) <= jobs_spent(world.run)
    if world.run.film:
        assert world.disk[world.run.film.path] == picks(world.run)


@settings(max_examples=100)
@given(seed=st.integers(0, 2**32))
def test_what_a_redis_that_fell_back_forgot_is_found_again(seed: int) -> None:
    """Submits after the older copy are made again, and paid for twice: each job is kept, the second one beside it."""
    world = World(run=film_of(2, 2), chance=random.Random(seed), loss=0.1, death=0.0)
    world.live(turns=world.chance.randint(1, 8))
    older = world.run
    world.live(turns=world.chance.randint(1, 8))
    world.run, world.tasks, world.history = older, [], []
    world.settle()

    job_ids = {job_id for _, take in world.takes() for job_id in take.job_ids}
    assert {job.id for job in world.jobs} <= job_ids
    assert world.run.status is RunStatus.SUCCEEDED
    assert all(take.status is TakeStatus.DONE for _, take in world.takes() if take.twin_of is not None)
    assert jobs_spent(world.run) >= len(world.jobs)


gossip = st.builds(
    lambda kind, shot_id, take: _gossip(kind, shot_id, take),
    st.integers(0, 13),
    st.sampled_from(["s0_0", "s0_1", "s0_2", "nobody"]),
    st.integers(0, 3),
)


def _gossip(kind: int, shot_id: str, take: int) -> events.Event:
    about = {"shot_id": shot_id, "take": take}
    ids = (f"{shot_id}-{take}",)
    return [
        events.Submitting(**about, intent="i", seed=None, first_frame=None),
        events.Submitted(**about, job_id=ids[0]),
        events.SubmitRefused(**about, problem=LOST),
        events.SubmitLost(**about, problem=LOST),
        events.JobSeen(**about, job_ids=ids, word="running"),
        events.Rendered(**about, job_ids=ids, video_url="v"),
        events.JobEnded(**about, job_ids=ids, status=TakeStatus.FAILED, problem=LOST),
        events.Collected(**about, video=CLIP, last_frame=FRAME),
        events.CollectFailed(**about, problem=LOST),
        events.Elapsed(),
        events.Collected(**about, video=replace(CLIP, kept=False), last_frame=FRAME),
        events.ClipKept(**about, sha256=CLIP.sha256),
        events.ClipLost(**about, sha256=CLIP.sha256),
        events.KeepPutOff(**about, sha256=CLIP.sha256, problem=LOST, until=20.0),
    ][kind]  # type: ignore[arg-type]


@settings(max_examples=100)
@given(st.lists(gossip, max_size=60))
def test_gossip_never_takes_anything_back(gossip: list[events.Event]) -> None:
    """Any list of facts: final takes stay as they are, revisions grow, and saying it all again changes neither."""
    run = film_of(1, 3)
    final = {TakeStatus.DONE, TakeStatus.FAILED, TakeStatus.EXPIRED, TakeStatus.CANCELLED}
    for event in gossip * 2:
        after = apply(run, event, 10.0)
        for shot in run.shots:
            for take in shot.takes:
                if take.status in final:
                    assert after.take(shot.id, take.number) == take
        assert (after is run) or after.revision == run.revision + 1
        run = after
