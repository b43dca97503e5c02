"""Runs in words for a person: what state a shot is in, and for how long."""

import statistics
from typing import Final

from msgspec.structs import replace

from framerelay.api import shapes
from framerelay.runs.machine import NO_PLACE
from framerelay.runs.takes import FOR_A_PERSON
from framerelay.runs.text import amount_words, clause, duration, join_names, ordinal, soon

IN_QUEUE: Final = frozenset({"queued", "pending", "submitted", "created"})
FRAMES: Final = {
    "given": "the given picture",
    "provider": "the provider's last frame",
    "upload": "our last frame, uploaded",
    "serve": "our last frame, served",
    "inline": "our last frame, inside the request",
}


def shot_words(run: shapes.Run, shot: shapes.Shot, *, now: float) -> str:
    """What a shot is doing, and since when."""
    match shot.status:
        case "pending":
            return _pending(run, shot, now)
        case "done":
            return _done_words(run, shot)
        case "waiting":
            return _waiting(shot)
        case "failed":
            return f"failed: {problem_words(shot)}"
        case "submitting" | "generating" | "collecting":
            return "; ".join(_takes_words(run, shot, now))
        case "cancelled" if any(take.status in ("submitting", "generating", "collecting") for take in shot.takes):
            return "cancelled; its job was under way, and its clip is kept when it is done"
        case "cancelled" if any(take.status == "unsure" for take in shot.takes):
            return f"cancelled; {problem_words(shot)}"
        case status:
            return str(status)


def problem_words(shot: shapes.Shot) -> str:
    """What last went wrong with a shot, without the period."""
    errors = [error for take in shot.takes if (error := take.question or take.error)]
    problem = shot.error or (errors[-1] if errors else None) or shot.held_by
    return clause(problem.message) if problem else "the budget is spent"


def usual_s(run: shapes.Run, take: shapes.Take | None = None) -> float | None:
    """
    Seconds from submit to result, of *take* or any: as earlier jobs of its kind, or else as the takes of this run.

    None if there is nothing to go by. In a run that has many takes under way, the first to finish are the fastest.
    """
    if take and take.usual_s:
        return float(take.usual_s)
    usuals = [each.usual_s for shot in run.shots for each in shot.takes if each.usual_s]
    shots = run.shots[1:] if run.hook else run.shots  # A hook's first job was submitted elsewhere.
    took = [take.rendered - take.submitted for shot in shots for take in shot.takes if take.rendered]
    return statistics.median(usuals or took) if usuals or took else None


def share_done(run: shapes.Run, shot: shapes.Shot, *, now: float) -> float | None:
    """How much of the usual time a generating shot has behind it, 0 to 1; None if nothing is known to go by."""
    takes = [take for take in shot.takes if take.status == "generating"]
    shares = [(now - take.submitted) / usual for take in takes if (usual := usual_s(run, take))]
    return min(1.0, max(0.0, min(shares))) if shares else None


def coming(run: shapes.Run, *, now: float) -> str | None:
    """The next thing that a run waits for, the nearest of several; None if there is none."""
    if all(shot.status == "done" for shot in run.shots):
        return "the clips are joined into the film"
    collecting, generating, submitting, pending = (
        [shot for shot in run.shots if shot.status == status]
        for status in ("collecting", "generating", "submitting", "pending")
    )
    if collecting:
        return _follows(run, collecting[0]) or f"shot {collecting[0].id} is done"
    if len(generating) == 1 and (follows := _follows(run, generating[0])):
        return f"{_callback_words(generating, now)}, then {follows}"
    if generating:
        return _callback_words(generating, now)
    if submitting:
        return f"the provider's answer about {submitting[0].id}"
    return f"shot {pending[0].id} is submitted" if pending else None


def _callback_words(shots: list[shapes.Shot], now: float) -> str:
    looks = [take.next_look for shot in shots for take in shot.takes if take.status == "generating"]
    names = [shot.id for shot in shots]
    about = join_names(names, "or") if len(names) < 4 else f"one of {len(names)} shots"
    return f"a callback about {about} (else a look-up {soon(min(looks) - now)})"


def _follows(run: shapes.Run, shot: shapes.Shot) -> str | None:
    """What begins with its last frame, or is made from the last clip."""
    dependents = [other.id for other in run.shots if other.source == shot.id and not other.takes]
    if dependents:
        return f"shot{'s' if len(dependents) > 1 else ''} {join_names(dependents, 'and')}"
    return "the film" if all(other.status == "done" or other is shot for other in run.shots) else None


def place_words(shot: shapes.Shot) -> str:
    """What a shot without a place at its provider waits for: ``waits for a free place at fal, 3rd``."""
    words = clause(shot.held_by.message) if shot.held_by else ""
    position = shot.queue_position
    return words.removeprefix("it ") + (f", {ordinal(position)}" if isinstance(position, int) else "")


def _pending(run: shapes.Run, shot: shapes.Shot, now: float) -> str:
    if shot.held_by and shot.held_by.code == NO_PLACE:
        return place_words(shot)
    if shot.held_by:
        again = shot.next_try
        when = "tried again by itself" if again is None else f"tried again {soon(again - now)}"
        return f"put off: {clause(shot.held_by.message)}; {when}"
    if run.status in ("failed", "cancelled"):
        return "not made"
    source = _source(run, shot)
    if source and source.status != "done":
        return f"waits for the last frame of {source.id}"
    return "about to be submitted"


def _source(run: shapes.Run, shot: shapes.Shot) -> shapes.Shot | None:
    return next((other for other in run.shots if other.id == shot.source), None)


def _done_words(run: shapes.Run, shot: shapes.Shot) -> str:
    take = _film_take(shot)
    first = take.first_frame
    seam = f", seam {take.seam.difference:.1f} of 255" if take.seam else ""
    origin = f"; begins with {_frame(shot.source, first)}{seam}" if first else ""
    return f"{result_words(shot)}{origin}{'' if shot.following else _stale(run, shot)}"


def stale_source(run: shapes.Run, shot: shapes.Shot) -> str | None:
    """The shot that has to be made again before *shot* can fit, if its source itself is stale; otherwise None."""
    source = _source(run, shot)
    return source.id if source and source.stale else None


def _stale(run: shapes.Run, shot: shapes.Shot) -> str:
    if not shot.stale:
        return ""
    first = stale_source(run, shot)
    return f"; stale, since {first} is" if first else f"; stale: {shot.source} has changed since"


def result_words(shot: shapes.Shot) -> str:
    """What was made of a shot that is done."""
    take = _film_take(shot)
    which = f"take {take.number} of {len(shot.takes)}, " if len(shot.takes) > 1 else ""
    if shot.alternative_since is not None and take.number >= shot.alternative_since:
        which += "made of its on_moderated, "
    video = take.video
    if video is None:  # Every take that is done has one.
        return "done"
    again = f"; made again when the new take of {shot.source} is there" if shot.following else ""
    return f"done: {which}{video.duration_s:.2f} s, {video.width}x{video.height}{again}"


def cost_words(run: shapes.Run) -> str | None:
    """``about 2.10 of 12.00 USD``, and what jobs in flight may take; None if no price is known or nothing has begun."""
    cost, budget = run.cost, run.budget.money
    if not isinstance(cost, shapes.RunCost) or not (cost.spent or cost.reserved):
        return None
    amount = amount_words(cost.spent, cost.currency)
    if isinstance(budget, int | float):
        amount = f"{amount.removesuffix(f' {cost.currency}')} of {amount_words(budget, cost.currency)}"
    rest = f", {amount_words(cost.reserved, cost.currency)} more in flight" if cost.reserved else ""
    return f"{'about ' if cost.estimated else ''}{amount} spent{rest}"


def begun_from(shot: shapes.Shot, take: shapes.Take) -> str | None:
    """Which picture *take* was given to begin with."""
    first = take.first_frame
    return FRAMES[first.source if shot.source else "given"] if first else None


def frame_for(run: shapes.Run, shot: shapes.Shot) -> shapes.Frame | None:
    """What *shot* would begin with: the last frame of its source's picked take, our copy before the provider's."""
    source = next((each for each in run.shots if each.id == shot.source), None)
    takes = [take for take in source.takes if take.number == source.picked] if source else []
    return next((take.last_frame or take.provider_frame for take in takes), None)


def _film_take(shot: shapes.Shot) -> shapes.Take:
    return next((take for take in shot.takes if take.number == shot.picked), shot.takes[-1])


def _frame(source: str | None, first: shapes.FirstFrame) -> str:
    if source is None:
        return "the given picture"
    return f"{source}'s last frame{', as the provider gave it' if first.source == 'provider' else ''}"


def _waiting(shot: shapes.Shot) -> str:
    match waits_for(shot):
        case "approval":
            return "waits for your approval"
        case "pick":
            return f"waits for your pick of {len(shot.takes)} takes"
        case _:
            return f"waits: {problem_words(shot)}"


def waits_for(shot: shapes.Shot) -> str:
    """
    What lets a waiting shot continue: ``answer`` (to a take's question), ``approval``, ``pick``, ``outcome``,
    ``operator``, ``provider``, ``budget``.
    """
    takes = [take for take in shot.takes if take.number > shot.set_aside]
    if any(take.question for take in takes):
        return "answer"
    if _refused_look(shot):
        return "operator"
    if any(take.status == "unsure" for take in takes):
        return "outcome"
    if any(take.status == "done" for take in shot.takes):
        return "pick"
    if shot.gate and not shot.approved:
        return "approval"
    if not shot.held_by:
        return "budget"
    return "operator" if shot.held_by.family in FOR_A_PERSON else "provider"


def operator_problem(shot: shapes.Shot) -> shapes.Problem | None:
    """Why the provider accepts no submit, or does not tell us about a job, until a person acts there."""
    return _refused_look(shot) or shot.held_by


def _refused_look(shot: shapes.Shot) -> shapes.Problem | None:
    errors = [take.error for take in shot.takes if take.status == "generating" and take.number > shot.set_aside]
    return next((error for error in errors if error and error.family in FOR_A_PERSON), None)


def _takes_words(run: shapes.Run, shot: shapes.Shot, now: float) -> list[str]:
    """One clause for each take, those under way first; takes that do the same share one."""
    takes = sorted(shot.takes, key=lambda take: take.status in ("failed", "expired", "cancelled"))
    if len(takes) == 1:
        return [take_words(run, takes[0], now=now)]
    numbers: dict[str, list[str]] = {}
    for take in takes:
        numbers.setdefault(take_words(run, take, now=now), []).append(str(take.number))
    return [f"take{'s' if len(same) > 1 else ''} {join_names(same, 'and')} {words}" for words, same in numbers.items()]


def take_words(run: shapes.Run, take: shapes.Take, *, now: float) -> str:
    """What one take is doing, and since when."""
    if take.twin_of:
        return f"a second job of take {take.twin_of}: {take_words(run, replace(take, twin_of=None), now=now)}"
    since = _since(now - take.submitted)
    match take.status:
        case "submitting":
            return f"being submitted{since}"
        case "generating":
            return _generating(run, take, now)
        case "collecting" if take.error:
            return f"fetching put off: {clause(take.error.message)}; again {soon(take.next_look - now)}"
        case "collecting":
            return f"fetching the clip and its last frame{_since(now - (take.rendered or now))}"
        case "failed" | "unsure" if take.error:
            return f"{'failed' if take.status == 'failed' else 'held'}: {clause(take.error.message)}"
        case status:
            return str(status)


def _generating(run: shapes.Run, take: shapes.Take, now: float) -> str:
    age, usual = now - take.submitted, usual_s(run, take)
    trouble = f" ({clause(take.error.message)}; asked again {soon(take.next_look - now)})" if take.error else ""
    if not trouble and not take.provider_status_known:
        word = take.provider_status or ""
        trouble = f' (the provider says "{word}", which is not known here; asked again {soon(take.next_look - now)})'
    if (take.provider_status or "").lower() in IN_QUEUE:
        return f"queued at the provider{_since(age)}{trouble}"
    if usual is None or usual < 1:
        return f"generating{_since(age)}{trouble}"
    if age < 1:
        return f"generating, about {duration(usual)}{trouble}"
    of = f" of about {duration(usual)}" if age <= usual else f", usually about {duration(usual)}"
    return f"generating, {duration(age)}{of}{trouble}"


def _since(seconds: float) -> str:
    return f", {duration(seconds)}" if seconds >= 1 else ""
