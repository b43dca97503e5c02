"""What happens to a run next, or what a person can do about it."""

from collections.abc import Callable, Iterator
from typing import Final

from framerelay.api import shapes
from framerelay.api.advice import Remedy, advice_on
from framerelay.api.forecast import film_in
from framerelay.api.words import coming, frame_for, operator_problem, problem_words, waits_for
from framerelay.runs.text import new_submits

Place = Callable[[str], str]

_HOW: Final = {
    Remedy.RESUME: ": framerelay resume {run}",
    Remedy.RETAKE: ": framerelay retake {run} {shot}",
    Remedy.PROMPT: ": framerelay retake {run} {shot} --prompt TEXT",
    Remedy.NONE: "",
}


def outlook(run: shapes.Run, *, now: float, place: Place | None = None) -> list[str]:
    """A line for each thing that is to come; files that help to decide are named if *place* knows where they are."""
    lines: list[str] = []
    for shot in run.shots:
        if shot.status == "waiting":
            lines += [line for line in _turn(run, shot, place) if line not in lines]
    if run.status == "running" and (to_come := coming(run, now=now)):
        lines.append(", ".join(filter(None, (f"next: {to_come}", film_in(run, now=now)))))
    if run.status == "succeeded" and run.pass_ == "draft":  # noqa: S105  (no password)
        lines.append(f"to make the final: framerelay promote {run.id}")
    if run.status == "failed":
        shot_id = next((shot.id for shot in run.shots if shot.status == "failed"), "SHOT")
        lines.append(_advice(run, shot_id, run.error))
    return lines


def _advice(run: shapes.Run, shot_id: str, problem: shapes.Problem | None) -> str:
    advice = advice_on(problem)
    return advice.words + _HOW[advice.remedy].format(run=run.id, shot=shot_id)


def _turn(run: shapes.Run, shot: shapes.Shot, place: Place | None) -> Iterator[str]:
    """What lets a waiting shot continue."""
    match waits_for(shot):
        case "approval":
            yield f"your turn: framerelay approve {run.id} {shot.id}"
            yield from _to_come(run)
            yield from _begins_with(run, shot, place) if place else ()
        case "pick":
            yield f"your turn: framerelay pick {run.id} {shot.id} TAKE"
            yield from _to_come(run)
            yield from _to_pick_from(shot, place) if place else ()
        case "answer":
            yield f"your turn: {problem_words(shot)}"
            yield f"if its job is there: framerelay adopt JOB_ID --run {run.id} --shot {shot.id}"
            yield f"if not: framerelay retake {run.id} {shot.id}"
        case "outcome":
            yield "it is held, not sent again; a late callback still lets it go on"
            yield f"if the provider lists its job: framerelay adopt JOB_ID --run {run.id} --shot {shot.id}"
            yield f"to give it up: framerelay cancel {run.id}"
        case "operator":
            yield _advice(run, shot.id, operator_problem(shot))
        case "budget":
            yield f"your turn: {more_budget(run)}"
            yield _limit_words(run)
        case _:
            yield "it is tried again by itself and goes on when the provider is back"
            yield f"to see it: framerelay show {run.id} --watch"
            yield f"to give it up: framerelay cancel {run.id}"


def more_budget(run: shapes.Run) -> str:
    """The command that lets a run with a spent budget continue, with the limit that holds it."""
    return f"framerelay resume {run.id} {'--money AMOUNT' if _held_by_money(run) else '--budget JOBS'}"


def _limit_words(run: shapes.Run) -> str:
    limit = f"AMOUNT: more than {run.budget.money:g}" if _held_by_money(run) else f"JOBS: more than {run.budget.jobs}"
    return f"  {limit}, for the whole run"


def _held_by_money(run: shapes.Run) -> bool:
    jobs = run.budget.jobs
    return isinstance(run.budget.money, int | float) and (jobs is None or run.spent.jobs < jobs)


def _to_come(run: shapes.Run) -> Iterator[str]:
    """What approving may cost, once for everything that is waited for."""
    if run.submits_to_come:
        yield f"  then {new_submits(run.submits_to_come)} to its end, if nothing fails"


def _begins_with(run: shapes.Run, shot: shapes.Shot, place: Place) -> Iterator[str]:
    if frame := frame_for(run, shot):
        yield f"  {shot.id} begins with {place(frame.url)}"


def _to_pick_from(shot: shapes.Shot, place: Place) -> Iterator[str]:
    for take in shot.takes:
        if take.status == "done" and take.video:
            yield f"  take {take.number}: {place(take.video.url)}"
