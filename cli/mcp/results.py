"""The answers of the MCP tools: typed, short, with a sentence on what to do next. Made from the JSON of the run API."""

import time
from collections.abc import Iterator
from typing import Annotated, Any, Final

from pydantic import BaseModel, Field

from framerelay.api import shapes
from framerelay.api.advice import Remedy, advice_on
from framerelay.api.lines import run_line
from framerelay.api.words import operator_problem, problem_words, shot_words, waits_for
from framerelay.cli.outlook import more_budget, outlook
from framerelay.runs.text import printable, sentence


class ToolPlannedShot(BaseModel):
    """One clip of the film to be."""

    id: str
    scene: str
    begins_with: Annotated[str | None, Field(description="The shot whose last frame it begins with.")]
    waits_for_approval: bool
    takes: Annotated[int, Field(description="Jobs that it costs if nothing fails.")]
    prompt: str | None


class FilmPlan(BaseModel):
    """What a storyboard would do and cost. Nothing was spent."""

    plan_id: Annotated[str, Field(description="Of exactly this storyboard; start_film asks for it.")]
    title: str
    model: str
    jobs: Annotated[int, Field(description="Paid jobs at the provider, if none fails.")]
    budget_jobs: Annotated[int | None, Field(description="The storyboard's own hard limit.")]
    longest_chain: Annotated[int, Field(description="Shots that are made one after another: what its time hangs on.")]
    shots: list[ToolPlannedShot]
    warnings: list[str]
    next: str


class ToolShot(BaseModel):
    """Where one shot stands."""

    id: str
    scene: str
    status: str
    words: Annotated[str, Field(description="What it is doing, for a person.")]
    takes: Annotated[list[str], Field(description="Its takes, as `1 done`; each one was a paid job.")]
    picked: Annotated[int | None, Field(description="The take that the film goes on from.")]
    stale: Annotated[bool, Field(description="Made from a frame that its source no longer ends on.")]


class FilmStatus(BaseModel):
    """Where a film stands."""

    run: Annotated[str, Field(description="Its id, for all other tools.")]
    title: str
    status: Annotated[str, Field(description="running · waiting · succeeded · failed · cancelled")]
    jobs_spent: int
    jobs_allowed: Annotated[int | None, Field(description="The hard limit; null is none.")]
    shots: list[ToolShot]
    warnings: list[str]
    next: Annotated[list[str], Field(description="What happens next, or which tool to call.")]
    page: Annotated[str, Field(description="Where a person watches it; it asks for the API key.")]
    strip: Annotated[str | None, Field(description="What the picture that comes with this answer shows.")] = None


class FilmLine(BaseModel):
    """One film of a list."""

    run: str
    title: str
    status: str
    words: Annotated[str, Field(description="How many of its shots are done, and how old it is.")]


class Films(BaseModel):
    """Films, newest first."""

    films: list[FilmLine]


class RetakeAnswer(BaseModel):
    """What a retake would cost and make stale; or that it was begun."""

    begun: bool
    jobs: Annotated[int, Field(description="Paid jobs that it leads to.")]
    following: Annotated[list[str], Field(description="Shots that are made again with it.")]
    stale: Annotated[list[str], Field(description="Later shots that would no longer fit, made from the old take.")]
    budget_left: Annotated[int | None, Field(description="Jobs that the film may still spend; null is no limit.")]
    outlook_id: Annotated[str, Field(description="Of exactly this outlook; give it back to confirm.")]
    words: str
    next: str


class FilmBoard(BaseModel):
    """The storyboard of a film as it is now."""

    run: str
    storyboard: Annotated[dict[str, Any], Field(description="Change it, and give it to amend_film, whole.")]
    next: str


class AmendAnswer(BaseModel):
    """What another storyboard would make of a film, each shot in one list; or that it was begun."""

    begun: bool
    keep: Annotated[list[str], Field(description="Stay as they are.")]
    change: Annotated[list[str], Field(description="Asked for something else, and made for it.")]
    add: list[str]
    drop: Annotated[list[str], Field(description="Leave the film; what was paid for is kept.")]
    stale: Annotated[list[str], Field(description="Made again, since what they begin with is.")]
    jobs: Annotated[int, Field(description="Paid jobs from then on to the end of the film.")]
    outlook_id: Annotated[str, Field(description="Of exactly this outlook; give it back to confirm.")]
    words: str
    next: str


class PromotionAnswer(BaseModel):
    """What the final of a draft would cost; or that it was begun, and as which run."""

    begun: bool
    run: Annotated[str | None, Field(description="The final's run, once it is begun.")]
    jobs: Annotated[int, Field(description="Paid jobs that it leads to.")]
    outlook_id: Annotated[str, Field(description="Of exactly this outlook; give it back to confirm.")]
    words: str
    next: str


class ClipLink(BaseModel):
    """A file, by what can be opened."""

    url: Annotated[str, Field(description="A link that works without a key until `links_end`, unless that is null.")]
    path: Annotated[str | None, Field(description="Where it lies, if on this machine.")]
    bytes: int
    sha256: str | None
    duration_s: float


class ClipOf(BaseModel):
    """The clip of a shot as it is in the film."""

    shot: str
    take: int
    job_id: str | None
    seed: int | None
    video: ClipLink


class FilmResult(BaseModel):
    """The film and the clips that it is made of, as a manifest."""

    run: str
    title: str
    status: str
    film: ClipLink | None
    clips: list[ClipOf]
    links_end: Annotated[str | None, Field(description="When the links end; null: they ask for the API key as Bearer.")]
    next: str


def plan_answer(plan: shapes.Plan) -> FilmPlan:
    """The plan of `POST /v1/plan`, with what to say to `start_film`."""
    return FilmPlan(
        plan_id=plan.id,
        title=printable(plan.title),
        model=plan.model,
        jobs=plan.jobs,
        budget_jobs=plan.budget.jobs,
        longest_chain=plan.longest_chain,
        shots=[
            ToolPlannedShot(
                id=shot.id,
                scene=scene.id,
                begins_with=shot.source,
                waits_for_approval=bool(shot.gate),
                takes=shot.takes,
                prompt=shot.prompt,
            )
            for scene in plan.scenes
            for shot in scene.shots
        ],
        warnings=[f"{warning.place}: {warning.message}" for warning in plan.warnings],
        next=f"Show the person what it costs. Then start_film with this storyboard, plan_id {plan.id} and the most "
        f"jobs that may be spent: {plan.jobs} if nothing fails.",
    )


def status_answer(run: shapes.Run, *, page: str, strip: str | None = None) -> FilmStatus:
    """A run as it stands now."""
    now = time.time()
    return FilmStatus(
        run=run.id,
        title=printable(run.title),
        status=run.status,
        jobs_spent=run.spent.jobs,
        jobs_allowed=run.budget.jobs,
        shots=[_shot(run, shot, now) for shot in run.shots],
        warnings=[warning.message for warning in run.warnings],
        next=list(dict.fromkeys(next_words(run, now=now))),
        page=page,
        strip=strip,
    )


def films_answer(page: shapes.Runs) -> Films:
    """A page of `GET /v1/runs`."""
    now = time.time()
    return Films(
        films=[
            FilmLine(run=run.id, title=printable(run.title), status=run.status, words=run_line(run, now=now))
            for run in page.data
        ]
    )


def _shot(run: shapes.Run, shot: shapes.Shot, now: float) -> ToolShot:
    return ToolShot(
        id=shot.id,
        scene=shot.scene,
        status=shot.status,
        words=shot_words(run, shot, now=now),
        takes=[f"{take.number} {take.status}" for take in shot.takes],
        picked=shot.picked,
        stale=shot.stale,
    )


def next_words(run: shapes.Run, *, now: float) -> Iterator[str]:
    """What happens next, or whose turn it is, with the tool to call."""
    if run.error and run.error.code not in ("approval_needed", "pick_needed"):
        yield sentence(run.error.message)
    for shot in run.shots:
        if shot.status == "waiting":
            yield _turn(run, shot)
        if shot.following:
            yield f"{shot.id} is made again when the new take of {shot.source} is there."
        elif shot.stale:
            yield f"{shot.id} is stale: ask the person, then retake_shot if it should fit again."
    match run.status:
        case "running":
            yield from (line for line in outlook(run, now=now) if line.startswith("next: "))
            yield "Nothing to do while it runs; ask film_status again in a minute."
        case "succeeded" if run.pass_ == "draft":  # noqa: S105  (no password)
            yield "The draft is ready: film_result gives its address; promote_film makes the final of it."
        case "succeeded":
            yield "The film is ready: film_result gives its address."
        case "failed":
            yield _after_failure(run)
        case "cancelled":
            yield "It was cancelled; film_result gives the clips that were made."


def _turn(run: shapes.Run, shot: shapes.Shot) -> str:
    """What lets a waiting shot continue; a person's decision is asked of a person."""
    name = shot.id
    match waits_for(shot):
        case "approval":
            return f"{name} waits for a yes: show the person the strip, then approve_shot, or cancel_film."
        case "pick":
            takes = [str(take.number) for take in shot.takes if take.status == "done"]
            return f"{name} waits for a choice of its takes {', '.join(takes)}: ask the person, then pick_take."
        case "answer":
            return (
                f"A person is asked about {name}: {printable(problem_words(shot))}. They adopt its job (`framerelay "
                f"adopt JOB_ID --run {run.id} --shot {name}`), or make it again (`framerelay retake {run.id} "
                f"{name}`)."
            )
        case "outcome":
            return (
                f"Nobody knows if the submit of {name} was accepted, so it is held and not paid for again. A late "
                f"callback lets it go on; a person can bring its job in by `framerelay adopt JOB_ID --run {run.id} "
                f"--shot {name}`."
            )
        case "operator":
            return f"{name} is held for a person: {_advice(run, operator_problem(shot))}."
        case "budget":
            how = f"continue_film, or `{more_budget(run)}`"
            return f"{name} is past the budget: a person decides if more may be spent ({how})."
        case _:
            return f"{name} is tried again by itself when the provider is back."


def _after_failure(run: shapes.Run) -> str:
    shot_ids = [shot.id for shot in run.shots if shot.status == "failed"]
    if not shot_ids:
        return f"For a person: {_advice(run, run.error)}; nothing rendered is paid for again."
    return f"It failed at {shot_ids[0]}: {_advice(run, run.error)}."


def _advice(run: shapes.Run, problem: shapes.Problem | None) -> str:
    advice = advice_on(problem)
    return advice.words + _HOW[advice.remedy].format(run=run.id)


_HOW: Final = {
    Remedy.RESUME: " (`framerelay resume {run}`)",
    Remedy.RETAKE: " (retake_shot)",
    Remedy.PROMPT: " (retake_shot with another prompt)",
    Remedy.NONE: "",
}


def retake_answer(outlook: shapes.Outlook, *, shot_id: str, outlook_id: str, begun: bool) -> RetakeAnswer:
    """An outlook as the API gives it, before or after it was confirmed."""
    confirm = f"To do it: the same call with outlook_id {outlook_id} and max_jobs of at least {outlook.jobs}."
    return RetakeAnswer(
        begun=begun,
        jobs=outlook.jobs,
        following=list(outlook.following),
        stale=list(outlook.stale),
        budget_left=outlook.budget_left,
        outlook_id=outlook_id,
        words=outlook.would,
        next=f"{shot_id} is made again; film_status shows it." if begun else confirm,
    )


def amend_answer(outlook: shapes.AmendOutlook, *, outlook_id: str, begun: bool) -> AmendAnswer:
    """An outlook as the API gives it, before or after it was confirmed."""
    confirm = f"To do it: the same call with outlook_id {outlook_id} and max_jobs of at least {outlook.jobs}."
    return AmendAnswer(
        begun=begun,
        keep=outlook.keep,
        change=outlook.change,
        add=outlook.add,
        drop=outlook.drop,
        stale=outlook.stale,
        jobs=outlook.jobs,
        outlook_id=outlook_id,
        words=outlook.would,
        next="The film is made so; film_status shows it." if begun else confirm,
    )


def promotion_answer(outlook: shapes.Outlook, *, outlook_id: str, run: shapes.Run | None = None) -> PromotionAnswer:
    """The same for the final of a draft; *run*: the one that was begun."""
    confirm = f"To do it: the same call with outlook_id {outlook_id} and max_jobs of at least {outlook.jobs}."
    return PromotionAnswer(
        begun=run is not None,
        run=run.id if run else None,
        jobs=outlook.jobs,
        outlook_id=outlook_id,
        words=outlook.would,
        next=confirm if run is None else f"film_status of {run.id} shows it.",
    )


def clips_of(run: shapes.Run) -> Iterator[tuple[shapes.Shot, shapes.Take, shapes.Video]]:
    """Each shot that has a clip, with the take that counts: the picked one, else the last that is done."""
    for shot in run.shots:
        clips = [(take, take.video) for take in shot.takes if take.video]
        of_film = [(take, video) for take, video in clips if take.number == shot.picked]
        for take, video in (of_film or clips)[-1:]:
            yield shot, take, video
