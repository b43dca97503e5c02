"""What happens to a run next, in one sentence, and what a person can decide, with what each decision spends."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from framerelay.api import shapes
from framerelay.api.advice import advice_on
from framerelay.api.forecast import film_in
from framerelay.api.words import coming, frame_for, operator_problem, problem_words, waits_for
from framerelay.receiver.page.strip import TakeCell, shown_take, takes_of
from framerelay.runs import events
from framerelay.runs.costs import Estimate, together
from framerelay.runs.decisions import apply_decision, why_no_other_job, why_not
from framerelay.runs.limits import shortfall, submits_to_come
from framerelay.runs.model import Run, RunStatus, Shot, ShotStatus, TakeStatus
from framerelay.runs.outlook import outlook_on
from framerelay.runs.standing import MOVING, jobs_left, takes_in_play, takes_missing
from framerelay.runs.text import clause, duration, join_names, number_of, range_words, soon

UNDER_WAY: Final = frozenset({"submitting", "generating", "collecting"})
NEED_MAX: Final = 40  # Shots that a retake may help: the outlook of each looks at the whole run.
ASKED_MAX: Final = 12  # Of each kind, in one card; the others follow when these are decided.


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """
    A shot that waits for approval. ``spends``: jobs, and about how much. ``seed``: as text.

    ``begins``: the frame it would begin with; ``clip``: the clip that ends with it, of the shot *source*.
    """

    shot_id: str
    spends: str
    begins: str | None
    source: str | None
    clip: str | None
    prompt: str
    seed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A shot whose takes are done. ``then``: what continues from the one that is picked."""

    shot_id: str
    takes: Sequence[TakeCell]
    then: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LostJob:
    """A shot whose job nobody knows; a person who finds it at the provider can name it. ``then``: otherwise."""

    shot_id: str
    then: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Retake:
    """
    Whether a shot can be made again: ``spends``, ``follows`` and ``stale`` if so, otherwise ``why_not``.

    ``jobs``: what the button says; ``jobs_of_all``: including everything made from it, if anything is, as ``all`` says.
    ``follows``: jobs with which a stopped run continues.
    """

    jobs: str
    spends: str
    follows: str | None
    stale: Sequence[str]
    why_not: str | None
    all: str | None = None
    jobs_of_all: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class More:
    """A budget that is spent: what the whole film still needs, if nothing fails. ``money``: in *currency*."""

    jobs: int
    money: float
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Next:
    """
    One sentence, and the decisions that are open. ``resume``: what it spends; None if there is nothing to resume.
    ``more``: if the budget holds a shot back.

    ``to_retake``: the shots that a retake may help.
    """

    sentence: str
    film_in: str | None = None
    under_way: Sequence[str] = ()
    lost_jobs: Sequence[LostJob] = ()
    to_retake: Sequence[str] = ()
    approvals: Sequence[Approval] = ()
    choices: Sequence[Choice] = ()
    resume: str | None = None
    more: More | None = None
    cancel: str | None = None


def what_is_next(run: Run, view: shapes.Run, *, now: float) -> Next:
    """For *run*, which is *view* in the API."""
    waiting = [shot for shot in view.shots if shot.status == "waiting"]
    in_question = {shot.id for shot in waiting if waits_for(shot) == "answer"}
    in_need = [shot for shot in run.story if shot.status is ShotStatus.FAILED or shot.name in in_question][:NEED_MAX]
    to_retake = [shot.name for shot in in_need if (retake := retake_of(run, shot, now)) and not retake.why_not]
    return Next(
        sentence=next_sentence(view, now=now),
        film_in=film_in(view, now=now),
        under_way=[shot.name for shot in run.story if shot.status in MOVING][:ASKED_MAX],
        lost_jobs=[_lost_job(run, shot, now) for shot in waiting if waits_for(shot) in ("outcome", "answer")][
            :ASKED_MAX
        ],
        to_retake=to_retake[:ASKED_MAX],
        approvals=[_approval(run, view, shot) for shot in waiting if waits_for(shot) == "approval"][:ASKED_MAX],
        choices=_choices(view, [shot.id for shot in waiting if waits_for(shot) == "pick"], now=now),
        resume=_resume(run, now),
        more=_more(run) if any(waits_for(shot) == "budget" for shot in waiting) else None,
        cancel=_cancel(run),
    )


def next_sentence(view: shapes.Run, *, now: float) -> str:
    """What the run that is *view* waits for, without the decisions, which look at all of it."""
    waiting = [shot for shot in view.shots if shot.status == "waiting"]
    return _capital(_sentence(view, waiting, now=now))


def _sentence(run: shapes.Run, waiting: Sequence[shapes.Shot], *, now: float) -> str:
    match run.status:
        case "succeeded" if run.film:
            return f"The film is ready: {_length(run.film.duration_s)} long."
        case "cancelled":
            return f"It was cancelled; nothing more is submitted{_coming_words(run)}."
        case "failed":
            return f"It stopped: {_message(run.error)}. {_capital(advice_on(run.error).words)}."
    turns = _turns(waiting)
    if turns:
        questions = [problem_words(shot) for shot in waiting if waits_for(shot) == "answer"]
        return "; ".join((turns, *questions[:1])) + "."
    to_come = coming(run, now=now)
    return f"Next: {to_come}." if to_come else "Nothing is to come."


def _coming_words(run: shapes.Run) -> str:
    under_way = sum(take.status in UNDER_WAY for shot in run.shots for take in shot.takes)
    return f"; {number_of('clip', under_way)} of jobs that were under way will still be kept" if under_way else ""


def _length(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else duration(seconds)


def _turns(waiting: Sequence[shapes.Shot]) -> str:
    """What a person has to do, each kind in a clause."""
    kinds = {shot.id: waits_for(shot) for shot in waiting}
    problems = [operator_problem(shot) for shot in waiting if waits_for(shot) == "operator"]
    advice = _capital(advice_on(problems[0]).words) if problems else ""
    message = _message(problems[0]) if problems else ""
    clauses = []
    for kind, words in _TURNS.items():
        names = [name for name, each in kinds.items() if each == kind]
        if names:
            one = len(names) == 1
            about = f"shot{'' if one else 's'} {join_names(names, 'and')}" if len(names) < 4 else f"{len(names)} shots"
            fields = {"shots": about, "is_": "is" if one else "are", "s": "s" if one else ""}
            clauses.append(words.format(**fields, its="its" if one else "their", message=message, advice=advice))
    return "; ".join(clauses)


_TURNS: Final = {
    "answer": "{shots} wait{s} for you to say what became of {its} job",
    "approval": "{shots} start{s} when you approve",
    "pick": "{shots} wait{s} for you to pick a take",
    "outcome": "nobody knows if {shots} {is_} made at the provider; it is held, not sent again, and a late callback "
    "still lets it go on",
    "operator": "{shots} wait{s}, the provider says: {message}. {advice}",
    "budget": "the budget is spent before {shots}; with a larger one the run goes on",
    "provider": "{shots} {is_} tried again until the provider is back",
}


def _approval(run: Run, view: shapes.Run, shot: shapes.Shot) -> Approval:
    rules_shot, frame = run.shot_by_name(shot.id), frame_for(view, shot)
    jobs = takes_missing(run, rules_shot) if rules_shot else 1
    source = next((each for each in view.shots if each.id == shot.source), None)
    take = shown_take(source) if source else None
    return Approval(
        shot_id=shot.id,
        spends=_jobs_words(jobs, together([(rules_shot.estimate, jobs)]) if rules_shot else None),
        begins=frame.url if frame else None,
        source=shot.source,
        clip=take.video.url if take and take.video else None,
        prompt=shot.prompt or "",
        seed=str(rules_shot.input.get("seed", "")) if rules_shot else "",
    )


def _choices(run: shapes.Run, names: Sequence[str], *, now: float) -> list[Choice]:
    shots = [shot for shot in run.shots if shot.id in names]
    return [Choice(shot_id=each.id, takes=[*takes_of(run, each, now=now)], then=_then(run, each.id)) for each in shots]


def _lost_job(run: Run, shot: shapes.Shot, now: float) -> LostJob:
    if waits_for(shot) == "answer":
        else_words = "If there is none, retake the shot; should the first job be found after all, both are paid for."
        return LostJob(shot_id=shot.id, then=else_words)
    until = min(take.next_look for take in shot.takes if take.status == "unsure")
    else_words = f"Without it the shot is given up {soon(until - now)}, and made again inside the budget."
    return LostJob(
        shot_id=shot.id, then=else_words if run.terms.unsure == "retake" else "Without it the shot stays held."
    )


def _then(run: shapes.Run, shot_id: str) -> str:
    dependents = [each.id for each in run.shots if each.source == shot_id]
    return (
        f"{join_names(dependents, 'and')} begin{'s' if len(dependents) == 1 else ''} with its last frame"
        if dependents
        else ""
    )


def _resume(run: Run, now: float) -> str | None:
    if why_not(run, events.Resumed(), now):
        return None
    jobs = submits_to_come(apply_decision(run, events.Resumed(), now))
    return f"may spend {number_of('job', jobs)}" if jobs else "spends nothing"


def _more(run: Run) -> More:
    more = shortfall(run)
    return More(jobs=more.jobs, money=math.ceil(more.money * 100) / 100, currency=run.currency or "")


def may_be_lost(shot: Shot) -> bool:
    """Whether a job that a person finds at the provider could still be the one of *shot*."""
    is_over = shot.status is ShotStatus.FAILED or any(
        take.status is TakeStatus.UNSURE or take.question for take in shot.takes
    )
    return is_over and why_no_other_job(shot) is None


def _cancel(run: Run) -> str | None:
    if run.status not in (RunStatus.RUNNING, RunStatus.WAITING):
        return None
    under_way = sum(shot.status in (ShotStatus.SUBMITTING, ShotStatus.GENERATING) for shot in run.story)
    costs = (
        f"; jobs under way for {under_way} of its shots are paid for, and their clips are still kept"
        if under_way
        else ""
    )
    return f"Nothing more is submitted{costs}. Clips that are done stay. It cannot be taken back."


def _may_be_retaken(shot: Shot) -> bool:
    """Whether a person would ask for it: it is done, or failed, or they are asked about a take of it."""
    is_asked = shot.status is ShotStatus.WAITING and any(take.question for take in takes_in_play(shot))
    return is_asked or shot.status in (ShotStatus.DONE, ShotStatus.FAILED)


def retake_of(run: Run, shot: Shot, now: float) -> Retake | None:
    """As its form sends it, with a prompt, which some refusals require; None if nobody would ask for one."""
    if not _may_be_retaken(shot):
        return None
    event = events.Retaken(shot_id=shot.id, prompt=shot.input.get("prompt"))
    alone, whole = outlook_on(run, event), outlook_on(run, replace(event, following=True))
    rest = jobs_left(run)
    rest_words = "" if rest is None else f" of the {rest} that are left"
    others = bool(whole.following)
    return Retake(
        jobs=_jobs_words(alone.jobs, alone.cost),
        spends=_jobs_words(alone.jobs, alone.cost, rest_words),
        follows=_follows(run, event, alone.jobs, now),
        stale=alone.stale,
        why_not=why_not(run, event, now),
        all=f"also {join_names(whole.following, 'and')}: {_jobs_words(whole.jobs, whole.cost, rest_words)} in all"
        if others
        else None,
        jobs_of_all=_jobs_words(whole.jobs, whole.cost) if others else None,
    )


def _jobs_words(jobs: int, cost: Estimate | None, rest_words: str = "") -> str:
    """``1 job of the 3 that are left, about 0.52 USD``."""
    about = f", {range_words(cost.low, cost.high, cost.currency)}" if cost else ""
    return f"{number_of('job', jobs)}{rest_words}{about}"


def _follows(run: Run, event: events.Retaken, jobs: int, now: float) -> str | None:
    """The jobs with which a stopped run would continue, once the retake is done."""
    if run.status is not RunStatus.FAILED:
        return None
    more = submits_to_come(apply_decision(run, event, now)) - jobs
    return f"{number_of('job', more)} more" if more > 0 else None


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _message(problem: shapes.Problem | None) -> str:
    return clause(problem.message) if problem else "nobody knows why"
