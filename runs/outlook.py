"""
What a decision would bring about and cost, before it is made; and which shots no longer fit what they began with.

Pure questions about a run; the decisions themselves are in `runs.decisions`.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Final

from framerelay.runs.costs import Estimate, together
from framerelay.runs.decisions import heirs_begun_anew, heirs_of
from framerelay.runs.model import FirstFrame, Run, Shot, ShotStatus
from framerelay.runs.standing import chosen, counted, jobs_left, takes_missing
from framerelay.runs.text import number_of, range_words

# Of 255, mean of all pixels and channels. The sandbox's clips open 1 to 2 levels from the frame that they were given
# (encoding), another picture is 20 to 25 away, a shift of 2 in 256 pixels 11; 8 in brightness alone is seen as a jump.
SEAM_LEVELS_MAX: Final = 8.0


def stale_shots(run: Run) -> frozenset[str]:
    """The ids of all stale shots in one go; a source stands before the shots that are made from it."""
    stale: set[str] = set()
    for shot in run.shots:
        first, source = _first_frame(shot), run.shot(shot.source) if shot.source else None
        if first and source and (source.id in stale or has_moved_on(source, first)):
            stale.add(shot.id)
    return frozenset(stale)


def stale_after(run: Run, shot_id: str) -> tuple[str, ...]:
    """The shots that a retake of *shot_id* leaves stale, in story order: done, and made from it, directly or not."""
    shot = run.shot(shot_id)
    return tuple(each.id for each in heirs_of(run, shot) if each.status is ShotStatus.DONE) if shot else ()


def jobs_of_retake(run: Run, shot_id: str) -> int:
    """How many jobs a retake adds, if nothing fails: its own, and those of shots that failed from its last frame."""
    shot = run.shot(shot_id)
    if shot is None:
        return 0
    before = sum(takes_missing(run, each) for each in heirs_of(run, shot, past_done=False) if not each.error)
    return 1 + sum(takes_missing(run, each) for each in heirs_begun_anew(run, shot)) - before


def cost_of_retake(run: Run, shot_id: str) -> Estimate | None:
    """What these jobs may cost together; None where a price is not known, or where they are not of one currency."""
    shot = run.shot(shot_id)
    if shot is None:
        return None
    jobs = Counter({shot_id: 1})
    jobs.update({each.id: takes_missing(run, each) for each in heirs_begun_anew(run, shot)})
    heirs = [each for each in heirs_of(run, shot, past_done=False) if not each.error]
    jobs.subtract({each.id: takes_missing(run, each) for each in heirs})
    by_id = {each.id: each.estimate for each in run.shots}
    return together((by_id[name], number) for name, number in jobs.items() if number > 0)


def words_of_retake(run: Run, shot_id: str) -> str:
    """What a retake of *shot_id* would do, in a sentence for the person who pays."""
    spends, left, stale = jobs_of_retake(run, shot_id), jobs_left(run), stale_after(run, shot_id)
    paid = number_of("job", spends) + ("" if left is None else f" of the {left} left in the budget")
    if (cost := cost_of_retake(run, shot_id)) is not None:
        paid += f", {range_words(cost.low, cost.high, cost.currency)}"
    sentence = f"shot {shot_id} is made again, for {paid}{_twice(run, shot_id)}"
    if not stale:
        return sentence
    names = " and ".join(filter(None, (", ".join(stale[:-1]), stale[-1])))
    are, they = ("is", "it is") if len(stale) == 1 else ("are", "they are")
    return f"{sentence}; {names} {are} made from the old take, and {are} stale until {they} retaken as well"


def _twice(run: Run, shot_id: str) -> str:
    """What a retake may cost beyond its own job: a person was asked about one that may have been accepted."""
    shot = run.shot(shot_id)
    in_doubt = shot is not None and any(take.question for take in counted(shot))
    return "; if the job that nobody knows of was accepted after all, both are paid for" if in_doubt else ""


def has_moved_on(source: Shot, first: FirstFrame) -> bool:
    """Whether *source* would hand on the end of another take now, or is being made again."""
    number = first.take or _take_of(source, first)
    if number is None:
        return False
    now = chosen(source)
    return number <= source.set_aside if now is None else now.number != number


def is_continued(run: Run, shot: Shot) -> bool:
    """Whether *shot* begins with the end of the very clip that stands before it: the film shows that frame once."""
    place, take = run.index.places[shot.id], chosen(shot)
    if not place or take is None or shot.source != (before := run.shots[place - 1]).id:
        return False
    return not (take.first_frame and has_moved_on(before, take.first_frame))


def seams_that_jump(run: Run) -> list[tuple[str, float]]:
    """The shots whose clip opens further than `SEAM_LEVELS_MAX` from the frame that was handed on, and how far."""
    seams = [(shot.id, take.seam) for shot in run.shots if (take := chosen(shot)) and take.seam is not None]
    return [(shot_id, levels) for shot_id, levels in seams if levels > SEAM_LEVELS_MAX]


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondJob:
    """
    Two jobs were made for one take: ``take`` has the ``first`` one (None: it is not known), ``kept_as`` the ``second``.
    """

    shot_id: str
    take: int
    first: str | None
    second: str | None
    kept_as: int


def second_jobs(run: Run) -> list[SecondJob]:
    """What was paid for twice."""
    return [
        SecondJob(
            shot_id=shot.id,
            take=take.twin_of,
            first=first.job_id if (first := run.take(shot.id, take.twin_of)) else None,
            second=take.job_id,
            kept_as=take.number,
        )
        for shot in run.shots
        for take in shot.takes
        if take.twin_of is not None
    ]


def clips_that_are_odd(run: Run) -> list[tuple[str, str]]:
    """The shots whose clip is not as clips usually are, and each note of it (see model.Clip)."""
    clips = [(shot.id, take.video) for shot in run.shots if (take := chosen(shot)) and take.video is not None]
    return [(shot_id, note) for shot_id, clip in clips for note in clip.notes]


def _first_frame(shot: Shot) -> FirstFrame | None:
    """What the take began with that *shot* goes on with."""
    take = chosen(shot)
    return take.first_frame if take else None


def _take_of(source: Shot, first: FirstFrame) -> int | None:
    """Early versions did not write it down: the take whose file or address it is, if that can be told."""
    for take in source.takes:
        ours = take.last_frame is not None and first.path == take.last_frame.path
        if ours or first.url == take.provider_frame_url:
            return take.number
    return None
