"""A run as a film strip, as pure functions: scenes of shots, each with its seam. Made from the API's JSON."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final

from msgspec import UNSET

from framerelay.api import shapes
from framerelay.api.words import begun_from, result_words, share_done, shot_words, stale_source, take_words
from framerelay.runs.outlook import SEAM_LEVELS_MAX
from framerelay.runs.text import amount_words

LIGHT_FROM: Final = 120  # Shots; from this many on, each is one frame, its state and the beginning of its prompt.
FOLD_FROM: Final = 25  # Shots; from this many on, a finished scene is folded at first.
SQUARE: Final = (0.8, 1.25)  # From 4:5 to 5:4.


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeCell:
    """One take, in words. ``is_chosen``: the film continues from it. ``clip`` · ``first`` · ``frame``: addresses."""

    number: int
    status: str
    words: str
    seed: int | None
    clip: str | None
    first: str | None
    frame: str | None
    cost: str
    is_chosen: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SeamView:
    """
    Where one shot ends and the next begins, as soon as that exists. ``handover``: which picture was handed over.

    ``difference``: of 255; None if it was not measured. ``fits``: whether the pictures belong together, which they no
    longer do once the source was made again.
    """

    source: str
    ends: str | None
    begins: str | None
    fits: bool
    handover: str | None
    difference: float | None

    @property
    def jumps(self) -> bool:
        """Whether the difference is visible."""
        return self.difference is not None and self.difference > SEAM_LEVELS_MAX

    @property
    def speaks(self) -> bool:
        """Whether a person should look at it."""
        return self.jumps or not self.fits


@dataclass(frozen=True, slots=True, kw_only=True)
class ShotCell:
    """
    One shot. ``share``: percent of the usual time. ``jobs``: those that were paid for.

    ``maker``: provider and model, if they differ from those of the run. ``stale_source``: the stale shot that it begins
    with, which has to be made again first.
    """

    id: str
    status: str
    words: str
    prompt: str
    maker: str
    share: int | None
    first: str | None
    last: str | None
    clip: str | None
    takes: Sequence[TakeCell]
    jobs: int
    stale: bool
    stale_source: str | None
    seam: SeamView | None

    @property
    def look(self) -> str:
        """The state shown by its color and icon."""
        return "stale" if self.stale and self.status == "done" else self.status


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A group of the strip. ``is_folded``: it is done, and there is much else to see."""

    id: str
    shots: Sequence[ShotCell]
    is_folded: bool

    @property
    def done_count(self) -> int:
        """How many of its shots are done."""
        return sum(shot.status == "done" for shot in self.shots)


def scenes_of(run: shapes.Run, *, now: float) -> list[Scene]:
    """The groups of the strip, in the order of the film."""
    by_id = {shot.id: shot for shot in run.shots}
    names = {str(shot.scene) for shot in run.shots}
    may_fold = len(names) > 1 and len(run.shots) >= FOLD_FROM
    scenes = []
    for name, group in groupby(run.shots, key=lambda shot: str(shot.scene)):
        shots = list(group)
        folded = may_fold and all(shot.status == "done" and not shot.stale for shot in shots)
        scenes.append(Scene(id=name, shots=[_cell(run, shot, by_id, now) for shot in shots], is_folded=folded))
    return scenes


def clips_of(run: shapes.Run) -> list[tuple[str, str]]:
    """What can be played so far: shot and address of each existing clip, in the order of the film."""
    takes = ((shot.id, shown_take(shot)) for shot in run.shots)
    return [(name, take.video.url) for name, take in takes if take and take.video]


def opening_of(run: shapes.Run) -> str | None:
    """The first frame of the film."""
    take = shown_take(run.shots[0]) if run.shots else None
    return _opening(take) if take else None


def latest_frame(run: shapes.Run) -> str | None:
    """The newest frame."""
    takes = [take for shot in run.shots for take in shot.takes if _frame(take)]
    return _frame(max(takes, key=lambda take: float(take.rendered or 0))) if takes else None


def shape_of(run: shapes.Run) -> str:
    """``tall``, ``square`` or ``wide``: the shape of its frames, if there is one."""
    ratios = (_ratio_of(take.last_frame) for shot in run.shots for take in shot.takes)
    ratio = next(filter(None, ratios), 16 / 9)
    return "tall" if ratio < SQUARE[0] else "wide" if ratio > SQUARE[1] else "square"


def _ratio_of(frame: shapes.Frame | None) -> float | None:
    """Width by height, if they are known."""
    if frame is None or frame.width is UNSET or frame.height is UNSET:
        return None
    return frame.width / frame.height


def shown_take(shot: shapes.Shot) -> shapes.Take | None:
    """The take that represents the shot: the one it continues from, else the newest with a clip, else the newest."""
    takes = shot.takes
    picks = [take for take in takes if take.number == shot.picked]
    with_clip = [take for take in takes if take.video]
    return next(iter([*picks, *with_clip[-1:], *takes[-1:]]), None)


def cell_of(run: shapes.Run, shot: shapes.Shot, *, now: float) -> ShotCell:
    """*shot* as shown in the strip."""
    return _cell(run, shot, {each.id: each for each in run.shots}, now)


def _cell(run: shapes.Run, shot: shapes.Shot, by_id: dict[str, shapes.Shot], now: float) -> ShotCell:
    take = shown_take(shot)
    video = take.video if take else None
    share = share_done(run, shot, now=now)
    words = result_words(shot).removeprefix("done: ") if shot.status == "done" else shot_words(run, shot, now=now)
    takes = [replace(take, words=take.status) if take.words == words else take for take in takes_of(run, shot, now=now)]
    return ShotCell(
        id=shot.id,
        status=shot.status,
        words=words,
        prompt=shot.prompt or "",
        maker=_maker(run, shot),
        share=None if share is None else round(100 * share),
        first=_opening(take) if take else None,
        last=_frame(take) if take else None,
        clip=video.url if video else None,
        takes=takes,
        jobs=sum(each.job_id is not None or each.status in ("submitting", "unsure") for each in shot.takes),
        stale=shot.stale and not shot.following,
        stale_source=stale_source(run, shot),
        seam=_seam(shot, by_id.get(shot.source or ""), take),
    )


def _maker(run: shapes.Run, shot: shapes.Shot) -> str:
    is_usual = (shot.provider, shot.model) == (run.provider, run.model)
    return "" if is_usual else " · ".join(filter(None, (shot.provider, shot.model)))


def takes_of(run: shapes.Run, shot: shapes.Shot, *, now: float) -> Iterator[TakeCell]:
    """The takes of *shot*, oldest first."""
    for take in shot.takes:
        yield TakeCell(
            number=take.number,
            status=take.status,
            words=take_words(run, take, now=now),
            seed=take.seed,
            clip=take.video.url if take.video else None,
            first=_opening(take),
            frame=_frame(take),
            cost=_cost_words(take),
            is_chosen=take.number == shot.picked,
        )


def _cost_words(take: shapes.Take) -> str:
    cost = take.cost
    if cost is None or not (cost.spent or cost.reserved):
        return ""
    return f"{'about ' if cost.estimated else ''}{amount_words(cost.spent or cost.reserved, cost.currency)}"


def _seam(shot: shapes.Shot, source: shapes.Shot | None, take: shapes.Take | None) -> SeamView | None:
    if source is None:
        return None
    source_take = shown_take(source)
    seam = take.seam if take else None
    fits = not shot.stale or (source.stale and source.status == "done" and _is_handed(source_take, take))
    return SeamView(
        source=source.id,
        ends=_frame(source_take) if source_take else None,
        begins=str(take.opening.url) if take and take.opening else None,
        fits=fits,
        handover=begun_from(shot, take) if take and fits else None,
        difference=seam.difference if seam and fits else None,
    )


def _is_handed(source: shapes.Take | None, take: shapes.Take | None) -> bool:
    """Whether *take* began with a last frame of the take *source*: a stale shot may still fit one that is as stale."""
    if not (source and take and take.first_frame):
        return False
    frames = (source.last_frame, source.provider_frame)
    return take.first_frame.url in {frame.url for frame in frames if frame}


def _frame(take: shapes.Take) -> str | None:
    """The last frame of a take, ours before the provider's."""
    frame = take.last_frame or take.provider_frame
    return str(frame.url) if frame else None


def _opening(take: shapes.Take) -> str | None:
    """The first frame of the clip, else the picture it was to begin with, if we have that."""
    frame = take.opening or take.first_frame
    return str(frame.url) if frame and frame.url.startswith("/media/") else None
