"""
A world for the rules: a provider, workers and a person, none of them reliable; a seed decides everything.

Each task is a row of steps between which anything may happen: another task goes on, a person decides, a callback comes,
time passes, the task dies, or what somebody saved is saved again. What the provider was paid for and what lies on
disk are written down beside the run, so that a test can hold the run against them.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from framerelay.runs import events
from framerelay.runs.machine import apply, begin, wake_at
from framerelay.runs.model import (
    Clip,
    Family,
    Film,
    FirstFrame,
    Frame,
    Problem,
    Run,
    RunId,
    RunStatus,
    Shot,
    ShotStatus,
    Take,
    TakeStatus,
    Terms,
)
from framerelay.runs.standing import jobs_spent, picked_take, picks
from framerelay.runs.steps import Step, StepName, steps_due
from framerelay.runs.takes import OPEN

FRAME = Frame(path="f", sha256="0", width=16, height=9)
LOST = Problem(code="lost", message="lost", family=Family.SERVER)
BAD = Problem(code="bad", message="bad", family=Family.UNKNOWN)
PATIENT = Terms(unsure_hold_s=600, retakes=30)  # So much dies here that one new take for a shot would not do.


def film_of(scenes: int, shots: int, **more: object) -> Run:
    """Chains side by side; every second shot has two takes, and goes on from the first that is done."""
    story = tuple(
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
    fields: dict[str, object] = {"terms": PATIENT, **more}
    return begin(Run(id=RunId("run_1"), title="t", model="m", created_at=0, updated_at=0, shots=story, **fields))  # type: ignore[arg-type]


@dataclass(kw_only=True)
class Job:
    """One payment; *ends_at*: when the provider is done with it. *fails*: without a clip, for that *problem*."""

    id: str
    shot_id: str
    take: int
    ends_at: float
    fails: bool = False
    prompt: str = ""
    problem: Problem = BAD


@dataclass(kw_only=True)
class World:
    """
    *loss*: chance that a message is lost. *death*: that a task dies before its next step. *bucket*: the clips in object
    storage; None: there is none, and what is on disk is kept.

    *doubted*: takes of which nobody knew for a time if they were accepted, so that another one may be made.
    """

    run: Run
    chance: random.Random
    loss: float
    death: float
    failure: float = 0.0
    bucket: set[str] | None = None
    problems: tuple[Problem, ...] = (BAD,)
    other_budgets: bool = False
    doubts: set[tuple[str, int]] = field(default_factory=set)
    now: float = 0.0
    jobs: list[Job] = field(default_factory=list)
    disk: dict[str, dict[str, int]] = field(default_factory=dict)
    tasks: list[Iterator[None]] = field(default_factory=list)
    history: list[events.Event] = field(default_factory=list)

    def happens(self, likely: float) -> bool:
        """Whether something of that chance happens now."""
        return self.chance.random() < likely

    # --- what is saved ---------------------------------------------------------------------------------------

    def record(self, event: events.Event) -> bool:
        """Save it, and hold the run to what must be true at every moment; whether it changed anything."""
        before, self.run = self.run, apply(self.run, event, self.now)
        self.check(before, event)
        return self.run is not before

    def save(self, event: events.Event) -> bool:
        """The same for what a task learned: it may be saved again at any later time."""
        self.history.append(event)
        return self.record(event)

    def check(self, before: Run, event: events.Event) -> None:
        """What no event may break."""
        run = self.run
        assert run.revision >= before.revision
        refused = isinstance(event, events.SubmitPutOff | events.SubmitRefused)
        assert refused or jobs_spent(run) >= jobs_spent(before), f"spent falls with {event}"
        for shot, take in self.takes():
            earlier = before.take(shot.id, take.number)
            paid_jobs = {job.id for job in self.jobs} & set(earlier.job_ids if earlier else ())
            assert paid_jobs <= set(take.job_ids), f"a job is dropped with {event}"
            for_ever = take.status is TakeStatus.UNSURE and take.due_at <= self.now and run.terms.unsure == "wait"
            if take.status in (TakeStatus.UNSURE, TakeStatus.EXPIRED):
                self.doubts.add((shot.id, take.number))
            if take.status in OPEN and not for_ever:
                assert wake_at(run, self.now) is not None, f"nobody wakes take {take.number} of {shot.id}"
            if take.status is TakeStatus.DONE and take.video and self.bucket is not None:
                assert take.video.path in self.bucket, f"{take.video} is called kept before it is, with {event}"
        if run.status is RunStatus.SUCCEEDED:
            assert run.film is not None
            assert run.film.takes == picks(run) == self.disk[run.film.path], f"another film after {event}"
            assert len(picks(run)) == len(run.story)
            assert all(shot.following is None for shot in run.shots), "the film is there, and a shot is to follow"
        if not run.cancelled:
            self.check_following(before, event)

    def check_following(self, before: Run, event: events.Event) -> None:
        """Who is to follow waits for its source, and is made again once: with the event that hands on the new take."""
        for shot in self.run.shots:
            was, source = before.shot(shot.id), self.run.shot(shot.source or "")
            take = picked_take(source) if source else None
            is_mine = isinstance(event, events.Retaken | events.Picked) and event.shot_id == shot.id
            if isinstance(event, events.Amended):  # It may be made of something else now, or from another shot's frame;
                # and after a shot of which nothing is made no job that a person brought in for it serves.
                is_mine = was is not None and ((was.source, was.input) != (shot.source, shot.input) or take is None)
            if shot.following is not None:
                busy = shot.status is not ShotStatus.DONE and any(each.status in OPEN for each in shot.takes)
                comes = take is None or take.status not in (TakeStatus.DONE, TakeStatus.COLLECTING)
                first = bool(source and source.following is not None)
                assert busy or comes or first, f"{shot.id} was forgotten with {event}"
            elif was and was.following is not None and was.picked is not None and shot.picked is None and not is_mine:
                fits = take is not None and take.number != was.following
                assert fits, f"{shot.id} is made again though its source did not move on, with {event}"
                assert not (shot.gated and shot.approved), f"{shot.id} passes its gate with {event}"

    def takes(self) -> list[tuple[Shot, Take]]:
        """Every take of the run with its shot."""
        return [(shot, take) for shot in self.run.shots for take in shot.takes]

    # --- tasks -----------------------------------------------------------------------------------------------

    def work_on(self, step: Step) -> Iterator[None]:
        """The task of *step*, to be continued step by step."""
        match step.name:
            case StepName.SUBMIT:
                return self.submit(step)
            case StepName.LOOK_UP:
                return self.look_up(step.shot_id, step.take)
            case StepName.COLLECT:
                return self.collect(step)
            case StepName.KEEP:
                return self.keep(step.shot_id, step.take)
            case StepName.JOIN:
                return self.join(step)

    def submit(self, step: Step) -> Iterator[None]:
        if step not in steps_due(self.run, self.now):
            return
        shot = self.run.shot(step.shot_id)
        yield
        if shot and self.happens(self.failure / 4):
            self.save(events.PreparationFailed(shot_id=step.shot_id, problem=BAD, until=None, turn=shot.turns))
            return
        about = {"shot_id": step.shot_id, "take": step.take, "intent": f"i{self.chance.random()}"}
        turn = shot.turns if shot else None
        first = self.handed_to(step.shot_id)
        self.record(events.Submitting(**about, seed=None, first_frame=first, turn=turn))  # type: ignore[arg-type]
        mine = self.run.take(step.shot_id, step.take)
        if mine is None or mine.intent != about["intent"]:
            return
        yield
        if self.happens(self.failure / 4):
            self.save(events.SubmitPutOff(**about, problem=LOST, until=self.now + 1))  # type: ignore[arg-type]
            return
        number = len(self.jobs) + 1
        ends_at = self.now + self.chance.uniform(1, 200)
        fails, prompt = self.happens(self.failure), shot.input["prompt"] if shot else ""
        job = Job(id=f"job{number}", shot_id=step.shot_id, take=step.take, ends_at=ends_at, fails=fails, prompt=prompt)
        job.problem = self.chance.choice(self.problems)
        self.jobs.append(job)
        yield
        if self.happens(self.loss):
            self.save(events.SubmitLost(**about, problem=LOST))  # type: ignore[arg-type]
        else:
            self.save(events.Submitted(**about, job_id=job.id))  # type: ignore[arg-type]

    def handed_to(self, shot_id: str) -> FirstFrame | None:
        """The frame that the shot would be given now: of the take that its source goes on with."""
        shot = self.run.shot(shot_id)
        source = self.run.shot(shot.source) if shot and shot.source else None
        take = picked_take(source) if source else None
        return FirstFrame(url="u", source="upload", take=take.number) if take else None

    def look_up(self, shot_id: str, take: int, job_in_callback: str | None = None) -> Iterator[None]:
        """As a task does: planned by the state, or because of a callback about the job *called*."""
        record = self.run.take(shot_id, take)
        if record is None:
            yield
            if job_in_callback and not any(job_in_callback in each.job_ids for _, each in self.takes()):
                self.save(events.Submitted(shot_id=shot_id, take=take, job_id=job_in_callback))
            return
        if job_in_callback and record.job_ids and not any(job_in_callback in each.job_ids for _, each in self.takes()):
            yield
            self.save(events.SecondJobFound(shot_id=shot_id, take=take, job_ids=(job_in_callback,)))
        job_id = record.job_id or job_in_callback
        if job_id is None or (not record.job_ids and any(job_id in each.job_ids for _, each in self.takes())):
            return
        yield
        job = next((each for each in self.jobs if each.id == job_id), None)
        about = {"shot_id": shot_id, "take": take, "job_ids": (job_id,)}
        if job is None:
            absence = events.PollFailed(shot_id=shot_id, take=take, problem=LOST, gone=True, job_id=job_id)
            self.save(absence)
        elif job.ends_at > self.now:
            self.save(events.JobSeen(**about, word="running"))  # type: ignore[arg-type]
        elif job.fails:
            self.save(events.JobEnded(**about, status=TakeStatus.FAILED, problem=job.problem))  # type: ignore[arg-type]
        else:
            self.save(events.Rendered(**about, video_url=job_id))  # type: ignore[arg-type]

    def collect(self, step: Step) -> Iterator[None]:
        record = self.run.take(step.shot_id, step.take)
        if record is None or record.turns != step.turn or record.status is not TakeStatus.COLLECTING:
            return
        yield
        about = {"shot_id": step.shot_id, "take": step.take}
        if self.happens(self.failure / 2):
            about_turn = {**about, "problem": LOST, "turn": step.turn}
            self.save(events.CollectPutOff(**about_turn, until=self.now + 1, ask_again=self.happens(0.5)))  # type: ignore[arg-type]
        else:
            path, kept = record.video_url or "", self.bucket is None
            clip = Clip(path=path, sha256=path, bytes=1, width=1, height=1, duration_s=5, frames=1, kept=kept)
            self.save(events.Collected(**about, video=clip, last_frame=FRAME))  # type: ignore[arg-type]
            yield
            yield from self.put(step.shot_id, step.take, path)

    def put(self, shot_id: str, take: int, path: str) -> Iterator[None]:
        """The worker that has the clip puts it into object storage, again and again while that is away."""
        if self.bucket is None:
            return
        about = {"shot_id": shot_id, "take": take, "sha256": path}
        while self.happens(self.failure):
            self.save(events.KeepPutOff(**about, problem=LOST, until=self.now + 30))  # type: ignore[arg-type]
            yield
        self.bucket.add(path)
        yield
        self.save(events.ClipKept(**about))  # type: ignore[arg-type]

    def keep(self, shot_id: str, take: int) -> Iterator[None]:
        """Another worker takes over: it finds the clip kept, or has it on its disk, or it is gone."""
        record = self.run.take(shot_id, take)
        if record is None or record.video is None or record.video.kept or self.bucket is None:
            return
        path = record.video.path
        yield
        if path in self.bucket or self.happens(0.5):
            yield from self.put(shot_id, take, path)
        else:
            self.save(events.ClipLost(shot_id=shot_id, take=take, sha256=path))

    def join(self, step: Step) -> Iterator[None]:
        """It takes its time; what it is made of was settled when it began."""
        if step not in steps_due(self.run, self.now):
            return
        takes = picks(self.run)
        for _ in range(self.chance.randint(1, 4)):
            yield
        if self.happens(self.failure / 4):
            until = self.now + 1 if self.happens(0.7) else None
            self.save(events.JoinFailed(problem=LOST, until=until, turn=step.turn))
            return
        path = f"film{len(self.disk)}"
        self.disk[path] = takes
        yield
        film = Film(path=path, bytes=1, duration_s=10.0, frames=241, copied=True, takes=takes, sha256="0")
        self.save(events.Joined(film=film, turn=step.turn))

    # --- what goes on ----------------------------------------------------------------------------------------

    def call(self, job: Job) -> None:
        """The provider calls back about *job*; maybe twice, maybe not at all."""
        if not self.happens(self.loss):
            self.tasks += [self.look_up(job.shot_id, job.take, job.id) for _ in range(self.chance.randint(1, 2))]

    def go_on(self) -> None:
        """One task takes its next step, or dies before it."""
        if not self.tasks:
            return
        task = self.chance.choice(self.tasks)
        ended = self.happens(self.death) or next(task, self.tasks) is self.tasks
        if ended:
            self.tasks.remove(task)

    def tick(self) -> None:
        """Time passes; what is due becomes tasks, some of them twice, and some are lost on the way."""
        moment = wake_at(self.run, self.now)
        self.now = max(self.now + 1, min(moment or 0, self.now + 60))
        self.record(events.Elapsed())
        for step in steps_due(self.run, self.now):
            self.tasks += [self.work_on(step) for _ in range(self.chance.randint(1, 2)) if not self.happens(self.loss)]
        for job in self.jobs:
            if job.ends_at <= self.now and self.happens(0.3):
                self.call(job)

    def live(self, turns: int) -> None:
        """That many turns of time, and a random number of task steps between them."""
        for _ in range(turns):
            if self.is_at_rest():
                return
            self.tick()
            for _ in range(self.chance.randint(0, 3 * len(self.tasks) + 1)):
                self.go_on()

    def is_at_rest(self) -> bool:
        """Nothing can happen but a person's decision."""
        return (
            not self.tasks and wake_at(self.run, self.now) is None and all(job.ends_at < self.now for job in self.jobs)
        )

    def settle(self) -> None:
        """From now on nothing is lost and nobody dies or decides, until all is at rest."""
        self.loss = self.death = self.failure = 0.0
        for job in self.jobs:
            self.call(job)
        for _ in range(3000):
            if self.is_at_rest():
                return
            self.tick()
            while self.tasks:
                self.go_on()
        raise AssertionError(f"it never comes to rest: {self.run}")

    # --- a person --------------------------------------------------------------------------------------------

    def decide(self) -> None:
        """A person decides anything, about anything."""
        shot = self.chance.choice(self.run.shots)
        number = self.chance.randint(1, 4)
        jobs = [job.id for job in self.jobs] or ["nobody's"]
        kinds: list[events.Event] = [
            events.Approved(shot_id=shot.id),
            events.Approved(shot_id=shot.id, prompt="other", seed=number),
            *[events.Picked(shot_id=shot.id, take=number)] * 4,
            *[events.Retaken(shot_id=shot.id, prompt="again")] * 2,
            *[events.Retaken(shot_id=shot.id, prompt="again", following=True)] * 4,
            *[events.Resumed()] * 3,
            *self.other_budget(),
            events.Adopted(shot_id=shot.id, job_id=self.chance.choice(jobs)),
        ]
        self.record(self.chance.choice(kinds))

    def other_budget(self) -> list[events.Event]:
        """One job more or less, where there is a budget, and the test does not hold the run to its first one."""
        if self.run.budget_jobs is None or not self.other_budgets:
            return []
        return [events.Resumed(budget_jobs=max(1, self.run.budget_jobs + self.chance.choice([-1, 1])))]

    def say_again(self) -> None:
        """Something that a task saved is saved again: its answer had been lost."""
        if self.history:
            self.record(self.chance.choice(self.history))


def with_shots(run: Run, **more: object) -> Run:
    """*run* with these fields in all its shots."""
    return begin(replace(run, shots=tuple(replace(shot, **more) for shot in run.shots)))  # type: ignore[arg-type]
