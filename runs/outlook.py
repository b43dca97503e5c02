"""
What a decision would do and cost, before it is made; and which shots no longer fit what they began with.

Pure questions about a run; the decisions themselves are in `runs.decisions`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from framerelay.runs.costs import MICROS, Balance, Estimate, together
from framerelay.runs.decisions import all_dependents, retake
from framerelay.runs.events import Retaken
from framerelay.runs.model import FirstFrame, Run, Shot, ShotStatus
from framerelay.runs.standing import budget_left, picked_take, takes_in_play, takes_to_come
from framerelay.runs.text import join_names, number_of, range_words

# Of 255, mean of all pixels and channels. The sandbox's clips open 1 to 2 levels from the frame that they were given
# (encoding), a different picture is 20 to 25 away, a shift of 2 in 256 pixels 11; 8 in brightness alone is a visible
# jump.
SEAM_LEVELS_MAX: Final = 8.0


def stale_shots(run: Run) -> frozenset[str]:
    """The ids of all stale shots at once; a source comes before its dependents."""
    stale: set[str] = set()
    for shot in run.story:
        first, source = _first_frame(shot), run.shot(shot.source) if shot.source else None
        if first and source and (source.id in stale or _is_of_another(shot) or has_moved_on(source, first)):
            stale.add(shot.id)
    return frozenset(stale)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetakeOutlook:
    """
    What a retake would do: how many paid *jobs* if nothing fails, and about what they *cost* (None: not known).

    ``following``: the shots that are made again with it, in their order. ``stale``: those that are left stale.
    ``approvals``: those that wait for a person first.
    """

    jobs: int
    cost: Estimate | None
    following: tuple[str, ...]
    stale: tuple[str, ...]
    approvals: tuple[str, ...]


def outlook_on(run: Run, event: Retaken) -> RetakeOutlook:
    """What *event* would do, without asking if it is possible now. For a shot that does not exist: nothing."""
    shot = run.shot(event.shot_id)
    if shot is None:
        return RetakeOutlook(jobs=0, cost=None, following=(), stale=(), approvals=())
    after = retake(run, shot, event, run.updated_at)
    jobs = {
        now.id: takes_to_come(after, now) - takes_to_come(run, was)
        for was, now in zip(run.shots, after.shots, strict=True)
    }
    made_from_it = [after.shots[run.index.places[each.id]] for each in all_dependents(run, shot)]
    followers = [each for each in made_from_it if each.following is not None]
    return RetakeOutlook(
        jobs=sum(jobs.values()),
        cost=together((each.estimate, jobs[each.id]) for each in after.shots if jobs[each.id] > 0),
        following=tuple(each.name for each in followers if jobs[each.id] > 0),  # Others are yet to be made anyway.
        stale=tuple(each.name for each in made_from_it if each.status is ShotStatus.DONE and each.following is None),
        approvals=tuple(each.name for each in followers if each.gated),
    )


def words_of_retake(run: Run, event: Retaken) -> str:
    """What *event* would do, in a sentence for the person who pays."""
    outlook, balance = outlook_on(run, event), budget_left(run)
    price = number_of("job", outlook.jobs) + (
        "" if balance.jobs is None else f" of the {balance.jobs} left in the budget"
    )
    if (cost := outlook.cost) is not None:
        price += f", {range_words(cost.low, cost.high, cost.currency)}"
    others = f", and with it {join_names(outlook.following, 'and')}" if outlook.following else ""
    twice = _second_job_words(run, event.shot_id)
    sentence = f"shot {run.name_of(event.shot_id)} is made again{others}, for {price}{twice}"
    return "; ".join(filter(None, (sentence, _stop_words(outlook, balance), _stale_words(outlook.stale))))


def _stop_words(outlook: RetakeOutlook, balance: Balance) -> str:
    """Where those that follow stop before the end."""
    stops = []
    if outlook.approvals:
        wait = "waits" if len(outlook.approvals) == 1 else "wait"
        stops.append(f"{join_names(outlook.approvals, 'and')} {wait} for your approval first")
    short_of_jobs = balance.jobs is not None and balance.jobs < outlook.jobs
    high = round(outlook.cost.high * MICROS) if outlook.cost else 0
    if short_of_jobs or (balance.micros is not None and balance.micros < high):
        stops.append("the budget is spent before all of it, and the run waits then")
    return "; ".join(stops)


def _stale_words(stale: Sequence[str]) -> str:
    if not stale:
        return ""
    are, they = ("is", "it is") if len(stale) == 1 else ("are", "they are")
    return f"{join_names(stale, 'and')} {are} made from the old take, and {are} stale until {they} retaken as well"


def _second_job_words(run: Run, shot_id: str) -> str:
    """What a retake may cost beyond its own job: a person was asked about one that may have been accepted."""
    shot = run.shot(shot_id)
    in_doubt = shot is not None and any(take.question for take in takes_in_play(shot))
    return "; if the job that nobody knows of was accepted after all, both are paid for" if in_doubt else ""


def has_moved_on(source: Shot, first: FirstFrame) -> bool:
    """Whether *source* would now hand on the end of another take, or is being made again."""
    number = take_behind(source, first)
    if number is None:
        return False
    now = picked_take(source)
    return number <= source.set_aside if now is None else now.number != number


def is_continued(run: Run, shot: Shot) -> bool:
    """Whether *shot* begins with the last frame of the very clip before it: the film shows that frame once."""
    place, take = run.index.places[shot.id], picked_take(shot)
    if not place or take is None or shot.source != (before := run.shots[place - 1]).id:
        return False
    return not (take.first_frame and has_moved_on(before, take.first_frame))


def seams_that_jump(run: Run) -> list[tuple[str, float]]:
    """The shots whose clip opens further than `SEAM_LEVELS_MAX` from the frame that was handed on, and how far."""
    seams = [(shot.name, take.seam) for shot in run.story if (take := picked_take(shot)) and take.seam is not None]
    return [(shot_id, levels) for shot_id, levels in seams if levels > SEAM_LEVELS_MAX]


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondJob:
    """Two jobs were made for one take: ``take`` has the ``first`` one (None: unknown), ``kept_as`` the ``second``."""

    shot_id: str
    take: int
    first: str | None
    second: str | None
    kept_as: int


def second_jobs(run: Run) -> list[SecondJob]:
    """What was paid for twice."""
    return [job for shot in run.shots for job in _second_jobs_of(run, shot)]


def new_second_jobs(before: Run, after: Run, shot_id: str) -> list[SecondJob]:
    """What was paid for twice in that shot, known in *after* but not in *before*."""
    old, shot = before.shot(shot_id), after.shot(shot_id)
    numbers = {take.number for take in old.takes} if old else set()
    return [job for job in _second_jobs_of(after, shot) if job.kept_as not in numbers] if shot else []


def _second_jobs_of(run: Run, shot: Shot) -> list[SecondJob]:
    return [
        SecondJob(
            shot_id=shot.name,
            take=take.twin_of,
            first=first.job_id if (first := run.take(shot.id, take.twin_of)) else None,
            second=take.job_id,
            kept_as=take.number,
        )
        for take in shot.takes
        if take.twin_of is not None
    ]


def clips_that_are_odd(run: Run) -> list[tuple[str, str]]:
    """The shots whose clip is unusual, and each note about it (see model.Clip)."""
    clips = [(shot.name, take.video) for shot in run.story if (take := picked_take(shot)) and take.video is not None]
    return [(shot_id, note) for shot_id, clip in clips for note in clip.notes]


def _first_frame(shot: Shot) -> FirstFrame | None:
    """What the take that *shot* continues with began with."""
    take = picked_take(shot)
    return take.first_frame if take else None


def _is_of_another(shot: Shot) -> bool:
    """Whether another shot handed the take that *shot* continues with its first frame than would do so now."""
    take = picked_take(shot)
    return take is not None and take.source not in (None, shot.source)


def take_behind(source: Shot, first: FirstFrame) -> int | None:
    """The take of *source* whose last frame is *first*, if that can be known."""
    return first.take or _take_of(source, first)


def _take_of(source: Shot, first: FirstFrame) -> int | None:
    """Early versions did not record it: the take that the file or address belongs to, if that can be known."""
    for take in source.takes:
        ours = take.last_frame is not None and first.path == take.last_frame.path
        if ours or first.url == take.provider_frame_url:
            return take.number
    return None
