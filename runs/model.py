"""
A run and what it is made of: scenes of shots, shots of takes; all values, no behavior beyond questions.

Times are seconds since 1970 (UTC), as in the jobs API. Files are named by their path in the media folder.
"""

from dataclasses import dataclass, field, replace
from typing import Any, NewType

from framerelay.runs.costs import Cost, Estimate
from framerelay.runs.earlier_input import EarlierInput
from framerelay.runs.maker import Maker
from framerelay.runs.overview import Overview
from framerelay.runs.reaction import Reaction
from framerelay.runs.statuses import Family as Family
from framerelay.runs.statuses import From as From
from framerelay.runs.statuses import RunStatus as RunStatus
from framerelay.runs.statuses import ShotStatus as ShotStatus
from framerelay.runs.statuses import TakeStatus as TakeStatus

RunId = NewType("RunId", str)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """A storyboard as a person wrote it; *form*: ``yaml`` or ``json``."""

    text: str
    form: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What went wrong, in words for a person, with a stable *code* for programs."""

    code: str
    message: str
    family: Family = Family.UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """
    A video that we keep. *duration_s* is that of the picture.

    *notes*: what is odd about its pictures (media.model.ClipFacts); clips collected by earlier versions have none.
    *kept*: it is where every machine finds it; otherwise it is only on the disk of the worker that fetched it.
    """

    path: str
    sha256: str
    bytes: int
    width: int
    height: int
    duration_s: float
    frames: int
    notes: tuple[str, ...] = ()
    kept: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A still that we keep, as PNG."""

    path: str
    sha256: str
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstFrame:
    """
    What a take was given to begin with.

    ``source``: ``given`` by the storyboard · ``provider`` (its own last frame) · ``upload`` · ``serve`` (by us) ·
    ``inline`` (in the request itself).
    ``path``: our file, if it is one. ``take``: of the shot that handed it on, the take whose last frame it is.
    """

    url: str
    source: str
    path: str | None = None
    take: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """
    One attempt at a shot: one submit, one job, one payment.

    ``maker``: who was asked for it, and is asked about it whatever the settings say later; None: the jobs API.
    ``kept``: addresses for that, from the submit's answer. ``find_at``: when the job is looked for by our reference.
    ``trace``: the trace context after the callback about its clip, which arrived at ``callback_at``. ``usage``: what it
    used, in the provider's words; ``cost``: that in money, or what was reserved for it; None: no price is known.
    ``key`` · ``source``: what it was asked for (`runs.content`), and the shot that handed it its first frame.
    ``spare``: its shot now asks for something else; it does not count unless a person picks it, or the shot asks for
    the same again.
    """

    number: int
    status: TakeStatus
    intent: str
    submitted_at: float
    due_at: float
    turns: int = 0
    fetches: int = 0
    seed: int | None = None
    job_ids: tuple[str, ...] = ()
    first_frame: FirstFrame | None = None
    word: str | None = None
    video_url: str | None = None
    provider_frame_url: str | None = None
    expected_s: float | None = None
    usual_s: float | None = None
    rendered_at: float | None = None
    callback_at: float | None = None
    trace: str | None = None
    ended_at: float | None = None
    called_back: bool = False
    told_at: float | None = None
    strange_since: float | None = None
    question: Problem | None = None
    adopted: bool = False
    video: Clip | None = None
    last_frame: Frame | None = None
    provider_frame: Frame | None = None
    opening: Frame | None = None
    seam: float | None = None
    error: Problem | None = None
    twin_of: int | None = None
    maker: Maker | None = None
    kept: dict[str, str] = field(default_factory=dict)
    find_at: float | None = None
    usage: dict[str, Any] = field(default_factory=dict)
    cost: Cost | None = None
    key: str | None = None
    source: str | None = None
    spare: bool = False

    @property
    def job_id(self) -> str | None:
        """The provider's id for this take's job, once it is known."""
        return self.job_ids[0] if self.job_ids else None

    @property
    def is_refused(self) -> bool:
        """Whether the provider refused its submit; should it name a job of it all the same, that one is kept."""
        return self.status is TakeStatus.FAILED and not self.job_ids


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """
    One clip of the film.

    ``id``: in addresses, files and events; never changes. ``alias``: what a person calls it, if an amended storyboard
    gave it another id. ``dropped``: no longer part of the film; its takes are kept.
    ``origin``: ``continue``, ``bridge``, ``cut`` or the id of an earlier shot, as written. ``source``: the shot whose
    last frame this one begins with. ``input``: the fields for the jobs API, including the prompt with style.
    ``provider`` · ``model``: if they differ from the run's. ``extra``: raw fields for the provider, sent unchanged.
    ``estimate``: what a take of it may cost; None: no price is known. ``first_frame`` · ``last_frame``: a URL or
    ``file:NAME``. ``due_at`` · ``turns`` · ``held_by``: a submit was put off until then, how many times, and why.
    ``error``: it cannot be submitted at all. ``set_aside``: a person went on without the takes up to this number; they
    only count as spent.
    ``seed_at``: the take that has the seed of ``input``. ``following``: a person wants it made again when its source
    hands on a different take than this one (0: none); None: nobody does. ``final``: in a draft, the fields that differ
    in its final (None: no such field). ``earlier``: the input of takes made before ``input`` was changed.
    """

    id: str
    scene: str
    origin: str
    source: str | None
    input: dict[str, Any]
    provider: str | None = None
    model: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    estimate: Estimate | None = None
    first_frame: str | None = None
    last_frame: str | None = None
    takes_wanted: int = 1
    pick_first: bool = False
    gated: bool = False
    approved: bool = False
    picked: int | None = None
    due_at: float = 0.0
    turns: int = 0
    held_by: Problem | None = None
    error: Problem | None = None
    set_aside: int = 0
    seed_at: int = 1
    following: int | None = None
    reaction: Reaction | None = None
    final: dict[str, Any] | None = None
    earlier: tuple[EarlierInput, ...] = ()
    takes: tuple[Take, ...] = ()
    status: ShotStatus = ShotStatus.PENDING
    alias: str | None = None
    dropped: bool = False

    @property
    def name(self) -> str:
        """Its id as a person knows it."""
        return self.alias or self.id


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """
    The clips of a run joined into one file; ``copied``: no picture was encoded again, otherwise ``reason`` says why.

    ``takes``: for each shot, the take it was made from; None: an early version joined it. ``sha256``: of the file, hex.
    ``warnings``: what it lacks of its clips, in words that name the shot.
    """

    path: str
    bytes: int
    duration_s: float
    frames: int
    copied: bool
    reason: str | None = None
    takes: dict[str, int] | None = None
    sha256: str | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The settings that a run was started under; they stay with it, so that they apply until its end."""

    lookup_after_s: float = 100.0
    submit_timeout_s: float = 60.0
    unsure_hold_s: float = 172_800.0
    unsure: str = "retake"
    ask_after_s: float = 900.0
    provider_frame_first: bool = True
    retakes: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """
    An index over exactly these ``shots`` of a run, so that none has to be searched for.

    ``places``: the position of each, by its id. ``dependents``: the positions of those that begin with its last frame.
    ``length``: how many belong to the film; those after them are dropped.
    ``overview``: None until the run is settled.
    """

    shots: tuple[Shot, ...] = ()
    places: dict[str, int] = field(default_factory=dict)
    dependents: dict[str, tuple[int, ...]] = field(default_factory=dict)
    length: int = 0
    overview: Overview | None = None

    @classmethod
    def of(cls, shots: tuple[Shot, ...]) -> "Index":
        """An index built from scratch."""
        dependents: dict[str, tuple[int, ...]] = {}
        for place, shot in enumerate(shots):
            if shot.source is not None:
                dependents[shot.source] = (*dependents.get(shot.source, ()), place)
        places = {shot.id: place for place, shot in enumerate(shots)}
        return cls(shots=shots, places=places, dependents=dependents, length=sum(not shot.dropped for shot in shots))

    def with_shots(self, *new: Shot) -> "Index":
        """With *new* in place of the shots with the same ids: only an amendment changes order and sources."""
        shots = list(self.shots)
        for shot in new:
            shots[self.places[shot.id]] = shot
        return replace(self, shots=tuple(shots), overview=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Restoration:
    """Redis came back ``at`` that time, as a copy that does not know what happened after ``since``."""

    at: float
    since: float


_NO_SHOTS = Index()


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """
    One execution of a storyboard; ``shots`` are in the order of the film, followed by those that were dropped.

    ``provider``: the storyboard's; None: that of the settings. ``budget_money``: in units of ``currency``.
    ``news``: the last revision in which more changed than the first frame of a clip; None: stored by an early version.
    ``due_at`` · ``turns``: the film is not joined before then; a join that was begun under another turn no longer
    counts. ``join_error``: it is impossible.
    ``untold``: why nothing is sent to ``notify_url``, if it is refused; runs are stored under this name.
    ``labels``: the storyboard's.
    ``promoted_from``: the draft that it is the final of. ``index`` is derived from the shots and not stored.
    """

    id: RunId
    title: str
    model: str
    created_at: float
    updated_at: float
    shots: tuple[Shot, ...]
    terms: Terms
    revision: int = 0
    news: int | None = None
    status: RunStatus = RunStatus.RUNNING
    budget_jobs: int | None = None
    budget_money: float | None = None
    currency: str | None = None
    notify_url: str | None = None
    hook: str | None = None
    cancelled: bool = False
    film: Film | None = None
    due_at: float = 0.0
    turns: int = 0
    join_error: Problem | None = None
    error: Problem | None = None
    untold: Problem | None = None
    provider: str | None = None
    restored: Restoration | None = None
    labels: dict[str, str] = field(default_factory=dict)
    is_draft: bool = False
    promoted_from: RunId | None = None
    index: Index = field(default=_NO_SHOTS, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.index.shots is not self.shots:
            object.__setattr__(self, "index", Index.of(self.shots))

    def with_shots(self, *new: Shot) -> "Run":
        """The run with *new* in place of its shots with the same ids."""
        index = self.index.with_shots(*new)
        return replace(self, shots=index.shots, index=index)

    @property
    def story(self) -> tuple[Shot, ...]:
        """The shots of the film, in its order."""
        return self.shots[: self.index.length]

    @property
    def archive(self) -> tuple[Shot, ...]:
        """The shots that were dropped."""
        return self.shots[self.index.length :]

    def name_of(self, shot_id: str) -> str:
        """What a person calls the shot with that id; the id itself if there is no such shot."""
        shot = self.shot(shot_id)
        return shot.name if shot else shot_id

    def shot_by_name(self, name: str) -> Shot | None:
        """The shot of the film that a person calls *name*."""
        return next((shot for shot in self.story if shot.name == name), None)

    def shot(self, shot_id: str) -> Shot | None:
        """The shot with that id, if the run has it."""
        place = self.index.places.get(shot_id)
        return None if place is None else self.shots[place]

    def provider_of(self, shot: Shot) -> str | None:
        """The provider of *shot*; None: that of the settings."""
        return shot.provider or self.provider

    def model_of(self, shot: Shot) -> str:
        """The model that makes *shot*."""
        return shot.model or self.model

    def take(self, shot_id: str, number: int) -> Take | None:
        """The take with that number, if the shot has it."""
        shot = self.shot(shot_id)
        return next((take for take in shot.takes if take.number == number), None) if shot else None
