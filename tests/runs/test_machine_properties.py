"""The rules under any order, repetition and loss: a small world of tasks that die and messages that vanish."""

import random
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from runs import events
from runs.machine import Step, StepName, apply, begin, steps_due, wake_at
from runs.model import (
    Clip,
    Family,
    Film,
    Frame,
    Problem,
    Run,
    RunId,
    RunStatus,
    Shot,
    TakeStatus,
    Terms,
)

CLIP = Clip(path="c", sha256="0", bytes=1, width=16, height=9, duration_s=5.04, frames=121)
FRAME = Frame(path="f", sha256="0", width=16, height=9)
FILM = Film(path="film", bytes=1, duration_s=10.0, frames=241, copied=True)
PATIENT = Terms(unsure_hold_s=600, retakes=30)  # So much dies here that one new take for a shot would not do.
LOST = Problem(code="lost", message="lost", family=Family.SERVER)


def film_of(scenes: int, shots: int, **more: object) -> Run:
    made = tuple(
        Shot(
            id=f"s{scene}_{number}",
            scene=f"scene{scene}",
            origin="continue",
            source=f"s{scene}_{number - 1}" if number else None,
            input={"prompt": "x"},
            takes_wanted=1 + (number + scene) % 2,
            pick_first=True,
        )
        for scene in range(scenes)
        for number in range(shots)
    )
    run = Run(id=RunId("run_1"), title="t", model="m", created_at=0, updated_at=0, shots=made, terms=PATIENT, **more)  # type: ignore[arg-type]
    return begin(run)


@dataclass
class World:
    """A provider and a worker, both unreliable; `seed` decides everything."""

    run: Run
    chance: random.Random
    loss: float
    death: float
    now: float = 0.0
    posts: list[tuple[str, int]] = field(default_factory=list)
    done_at: dict[tuple[str, int], float] = field(default_factory=dict)

    def record(self, event: events.Event) -> bool:
        before = self.run
        self.run = apply(self.run, event, self.now)
        assert self.run.revision >= before.revision
        return self.run is not before

    def dies(self) -> bool:
        return self.chance.random() < self.death

    def do(self, step: Step) -> None:
        """A task: it may die between any two of its actions."""
        if step not in steps_due(self.run, self.now):
            return
        match step.name:
            case StepName.SUBMIT:
                self.submit(step)
            case StepName.LOOK_UP:
                self.look_up(step.shot, step.take)
            case StepName.COLLECT:
                if not self.dies():
                    self.record(events.Collected(shot=step.shot, take=step.take, video=CLIP, last_frame=FRAME))
            case StepName.JOIN:
                if not self.dies():
                    self.record(events.Joined(film=FILM))

    def submit(self, step: Step) -> None:
        intent = str(self.chance.random())
        mine = self.record(
            events.Submitting(shot=step.shot, take=step.take, intent=intent, seed=None, first_frame=None)
        )
        if not mine or self.dies():
            return
        self.posts.append((step.shot, step.take))
        self.done_at[step.shot, step.take] = self.now + self.chance.uniform(1, 200)
        if self.dies():
            return
        if self.chance.random() < self.loss:
            self.record(events.SubmitLost(shot=step.shot, take=step.take, problem=LOST))
        else:
            self.record(events.Submitted(shot=step.shot, take=step.take, job_id=f"{step.shot}-{step.take}"))

    def look_up(self, shot: str, take: int) -> None:
        ids = (f"{shot}-{take}",)
        if self.done_at.get((shot, take), 1e18) > self.now:
            self.record(events.JobSeen(shot=shot, take=take, job_ids=ids, word="running"))
        else:
            self.record(events.Rendered(shot=shot, take=take, job_ids=ids, video_url="v"))

    def callbacks(self) -> None:
        """Callbacks of everything that is done: late, repeated, shuffled, many of them lost."""
        heard = [key for key, moment in self.done_at.items() if moment <= self.now] * 2
        self.chance.shuffle(heard)
        for shot, take in heard:
            if self.chance.random() >= self.loss:
                self.look_up(shot, take)

    def live(self, turns: int) -> None:
        for _ in range(turns):
            if self.run.status is RunStatus.SUCCEEDED:
                return
            tasks = [step for step in steps_due(self.run, self.now) if self.chance.random() >= self.loss] * 2
            self.chance.shuffle(tasks)
            for step in tasks:
                self.do(step)
            self.callbacks()
            moment = wake_at(self.run, self.now)
            assert moment is not None or self.run.status is not RunStatus.RUNNING, "a run that goes on must be woken"
            self.now = max(self.now + 1, min(moment or 0, self.now + 60))
            self.record(events.Elapsed())


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32), scenes=st.integers(1, 3), shots=st.integers(1, 4))
def test_any_loss_repetition_and_death_ends_in_a_film_with_one_post_per_take(
    seed: int, scenes: int, shots: int
) -> None:
    """30 % of messages lost, 20 % of tasks dead at each step, everything doubled: succeeded, nothing posted twice."""
    world = World(run=film_of(scenes, shots), chance=random.Random(seed), loss=0.3, death=0.2)
    world.live(turns=20_000)

    assert world.run.status is RunStatus.SUCCEEDED
    assert len(world.posts) == len(set(world.posts)), "a take was posted twice"
    for shot in world.run.shots:
        numbers = [take.number for take in shot.takes]
        assert numbers == sorted(set(numbers))
        assert any(take.status is TakeStatus.DONE for take in shot.takes)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), budget=st.integers(1, 5))
def test_no_interleaving_passes_the_budget(seed: int, budget: int) -> None:
    """However tasks die and repeat, the provider never sees more POSTs than the budget allows."""
    world = World(run=film_of(3, 2, budget_jobs=budget), chance=random.Random(seed), loss=0.3, death=0.2)
    for _ in range(400):
        world.live(turns=1)

    assert len(world.posts) <= budget


gossip = st.builds(
    lambda kind, shot, take: _gossip(kind, shot, take),
    st.integers(0, 9),
    st.sampled_from(["s0_0", "s0_1", "s0_2", "nobody"]),
    st.integers(0, 3),
)


def _gossip(kind: int, shot: str, take: int) -> events.Event:
    about = {"shot": shot, "take": take}
    ids = (f"{shot}-{take}",)
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
    ][kind]  # type: ignore[arg-type]


@settings(max_examples=200, deadline=None)
@given(st.lists(gossip, max_size=60))
def test_gossip_never_takes_anything_back(heard: list[events.Event]) -> None:
    """Any list of facts: final takes stay as they are, revisions grow, and saying it all again changes neither."""
    run = film_of(1, 3)
    final = {TakeStatus.DONE, TakeStatus.FAILED, TakeStatus.EXPIRED, TakeStatus.CANCELLED}
    for event in heard * 2:
        after = apply(run, event, 10.0)
        for shot in run.shots:
            for take in shot.takes:
                if take.status in final:
                    assert after.take(shot.id, take.number) == take
        assert (after is run) or after.revision == run.revision + 1
        run = after
