"""A world in which people change their minds: storyboards that grow, shrink and move; what each job was asked for."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from framerelay.runs import events
from framerelay.runs.machine import begin
from framerelay.runs.model import FirstFrame, Run, RunId, Shot, Terms
from framerelay.runs.standing import picked_take
from framerelay.runs.steps import Step, steps_due
from tests.runs.world import LOST, PATIENT, Job, World


@dataclass(frozen=True, kw_only=True)
class Line:
    """A shot as a person writes it; *cut*: it begins with nobody's frame."""

    prompt: str
    cut: bool = False
    takes: int = 1
    gated: bool = False


Scenes = tuple[tuple[Line, ...], ...]


def wanted(scenes: Scenes, *, prefix: str = "s", terms: Terms = PATIENT, budget_jobs: int | None = None) -> Run:
    """A new run of *scenes*; without ids of their own shots are counted, so that most are renamed when one comes in."""
    shots: list[Shot] = []
    for number, scene in enumerate(scenes):
        for place, line in enumerate(scene):
            source = None if line.cut or not place else shots[-1].id
            shots.append(
                Shot(
                    id=f"{prefix}{len(shots) + 1}",
                    scene=f"scene{number + 1}",
                    origin="continue" if source else "cut",
                    source=source,
                    input={"prompt": line.prompt},
                    takes_wanted=line.takes,
                    pick_first=line.takes > 1,
                    gated=line.gated,
                )
            )
    fields = {
        "title": "t",
        "model": "m",
        "created_at": 0,
        "updated_at": 0,
        "terms": terms,
        "budget_jobs": budget_jobs,
    }
    return begin(Run(id=RunId("run_1"), shots=tuple(shots), **fields))  # type: ignore[arg-type]


def other_scenes(scenes: Scenes, chance: random.Random, *, gates: bool = False) -> Scenes:
    """*scenes* as somebody rewrote them in one or two places."""
    rows = [list(scene) for scene in scenes]
    for _ in range(chance.randint(1, 2)):
        scene = chance.choice(rows)
        place = chance.randrange(len(scene))
        match chance.randrange(6):
            case 0:
                scene[place] = a_line(chance, gates=gates)
            case 1:
                scene.insert(place, a_line(chance, gates=gates))
            case 2 if len(scene) > 1:
                scene.pop(place)
            case 3:
                chance.shuffle(rows)
            case 4:
                chance.shuffle(scene)
            case _ if len(rows) < 3:
                rows.append([a_line(chance, gates=gates)])
    return tuple(tuple(row[:4]) for row in rows)


def a_line(chance: random.Random, *, gates: bool = False) -> Line:
    """Any shot; prompts are few, so that they come back, and stand twice in one film."""
    takes = chance.choice((1, 1, 2))
    return Line(
        prompt=chance.choice("abcde"), cut=chance.random() < 0.2, takes=takes, gated=gates and chance.random() < 0.2
    )


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a job was asked for, and the job whose last frame it was given."""

    prompt: str
    frame: str | None


@dataclass(kw_only=True)
class AmendWorld(World):
    """Submits are prepared from the run as it was, as those of real workers are, and say which frame they hand on."""

    prompts: dict[str, Order] = field(default_factory=dict)

    def submit(self, step: Step) -> Iterator[None]:
        run = self.run
        shot = run.shot(step.shot_id)
        if shot is None or step not in steps_due(run, self.now):
            return
        source = run.shot(shot.source) if shot.source else None
        handing = picked_take(source) if source else None
        clip = handing.video if handing else None
        frame = clip.path if clip else None
        first = FirstFrame(url=f"{frame}.png", source="upload", take=handing.number) if handing else None
        yield
        about = {"shot_id": step.shot_id, "take": step.take, "intent": f"i{self.chance.random()}"}
        self.record(events.Submitting(**about, seed=None, first_frame=first, turn=shot.turns))  # type: ignore[arg-type]
        mine = self.run.take(step.shot_id, step.take)
        if mine is None or mine.intent != about["intent"]:
            return
        yield
        job = Job(
            id=f"job{len(self.jobs) + 1}",
            shot_id=step.shot_id,
            take=step.take,
            ends_at=self.now + self.chance.uniform(1, 200),
            fails=self.happens(self.failure),
        )
        self.jobs.append(job)
        self.prompts[job.id] = Order(prompt=shot.input["prompt"], frame=frame)
        yield
        if self.happens(self.loss):
            self.save(events.SubmitLost(**about, problem=LOST))  # type: ignore[arg-type]
        else:
            self.save(events.Submitted(**about, job_id=job.id))  # type: ignore[arg-type]

    def amend(self, run: Run, *, revision: int | None = None) -> bool:
        """A person gives another storyboard, and gives it again since the answer was lost."""
        event = events.Amended(target=run, revision=revision)
        did = self.record(event)
        assert not self.record(events.Amended(target=run)) or not did, "the same storyboard changes something"
        if revision is not None:
            self.history.append(event)
        return did

    def approve_all(self) -> None:
        """What waits for an approval gets it, until nothing does."""
        for _ in range(50):
            self.settle()
            gates = [shot for shot in self.run.story if shot.gated and not shot.approved and shot.takes_wanted]
            if not [self.record(events.Approved(shot_id=shot.id)) for shot in gates]:
                return
