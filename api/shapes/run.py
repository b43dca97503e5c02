"""A run and everything that it consists of; what a decision about it would do."""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

from framerelay.api.shapes.fields import Address, Digest, Seconds
from framerelay.runs.model import Family, RunStatus, ShotStatus, TakeStatus


class Problem(Struct, kw_only=True):
    """What went wrong, in words for a person, with a stable code for programs."""

    code: str
    message: str
    family: Family


class Oddity(Struct, kw_only=True):
    """Something odd that a person should know of while the run goes on."""

    code: str
    message: str


class Budget(Struct, kw_only=True):
    """Jobs at the provider, each of them paid, and money in units of the currency; null: no limit."""

    jobs: int | None
    money: float | UnsetType = UNSET
    currency: str | UnsetType = UNSET


class TakeCost(Struct, kw_only=True):
    """What a take cost, or may cost: it is reserved while the job is in flight, and spent when it has ended."""

    spent: float
    reserved: float
    currency: str
    estimated: Annotated[bool, Meta(description="The provider has not said it (yet).")]


class RunCost(TakeCost, kw_only=True):
    """The same of all takes of a run together."""


class Spent(Struct, kw_only=True):
    """The jobs at the provider that were paid for."""

    jobs: int


class Video(Struct, kw_only=True):
    """A clip that we keep."""

    url: Address
    sha256: Digest
    bytes: int
    width: int
    height: int
    duration_s: float
    frames: int
    notes: list[str]


class Frame(Struct, kw_only=True):
    """A still that we keep, as PNG."""

    url: Address
    sha256: Digest
    width: int | UnsetType = UNSET
    height: int | UnsetType = UNSET


class FirstFrame(Struct, kw_only=True):
    """What a take was given to begin with."""

    url: Annotated[str, Meta(description="Ours below /media; another's without its query; data: for one in place.")]
    source: Annotated[
        str, Meta(description="given by the storyboard · provider · upload · serve · inline (in the request)")
    ]


class Seam(Struct, kw_only=True):
    """How a clip goes on from the last frame that it was given."""

    difference: Annotated[
        float,
        Meta(description="Mean absolute difference per channel, of 255, between that frame and the clip's opening."),
    ]


class Take(Struct, kw_only=True):
    """One attempt at a shot: one submit, one job, one payment."""

    number: int
    status: TakeStatus
    job_id: str | None
    seed: int | None
    submitted: Seconds
    rendered: Annotated[float | None, Meta(description="When we learned that the job is done.")]
    called_back: Annotated[bool, Meta(description="A callback said how the job ended.")]
    next_look: Annotated[float, Meta(description="When it is looked up or fetched next, if it is still open.")]
    usual_s: Annotated[
        float | None, Meta(description="From submit to result, of jobs of its kind before; null while few were done.")
    ]
    provider_status: Annotated[str | None, Meta(description="The provider's own word, as it came last.")]
    provider_status_known: Annotated[
        bool, Meta(description="false: the last look-up brought a status that is not known here.")
    ]
    cost: Annotated[TakeCost | None, Meta(description="Null where no price is known.")] = None
    usage: Annotated[
        dict[str, Any], Meta(description="What the provider said that the job took, in its own words.")
    ] = field(default_factory=dict)
    error: Problem | None
    question: Annotated[
        Problem | None, Meta(description="What a person is asked: nothing is heard of it that is understood.")
    ]
    twin_of: Annotated[
        int | None,
        Meta(description="The provider made a second job for the take of that number; this one keeps its clip."),
    ]
    video: Video | None
    first_frame: FirstFrame | None
    last_frame: Frame | None
    provider_frame: Frame | None
    opening: Annotated[Frame | None, Meta(description="The first frame of its clip; a moment later than the clip.")]
    seam: Annotated[Seam | None, Meta(description="Null where nothing was handed on, or not yet.")]
    spare: Annotated[
        bool, Meta(description="Made for what its shot was before an amendment; it counts for nothing unless picked.")
    ] = False


class Shot(Struct, kw_only=True):
    """One clip of the film."""

    id: Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{1,80}$")]
    scene: str
    provider: Annotated[str | None, Meta(description="Null: that of the settings.")] = None
    model: str = ""
    origin: Annotated[str, Meta(description="continue · bridge · cut · the id of an earlier shot, as written")] = field(
        name="from"
    )
    source: Annotated[str | None, Meta(description="The shot whose last frame this one begins with.")]
    status: ShotStatus
    prompt: str | None
    gate: Annotated[str | None, Meta(description="approve: it waits for a person before it is submitted.")]
    approved: bool
    picked: Annotated[int | None, Meta(description="The take that a person chose.")]
    set_aside: Annotated[int, Meta(description="Takes up to this number only count as spent.")]
    takes_wanted: int
    pick: Annotated[
        Literal["first"] | None,
        Meta(description="first: it goes on from the first take that is done; null: a person picks."),
    ]
    following: Annotated[bool, Meta(description="It is made again when the new take of its source is there.")] = False
    alternative_since: Annotated[
        int | None, Meta(description="The first take that is made of its on_moderated; null: it was not needed.")
    ] = None
    stale: Annotated[bool, Meta(description="Its take began with a frame that is no longer its source's.")]
    continued: Annotated[
        bool, Meta(description="Its clip begins with the end of the clip before it; the film shows that frame once.")
    ]
    held_by: Annotated[Problem | None, Meta(description="Why its submit was put off.")]
    queue_position: Annotated[
        int | UnsetType, Meta(description="Its turn, from 1, among all shots that wait for a free place there.")
    ] = UNSET
    next_try: Annotated[float | None, Meta(description="When a submit that was put off is tried again.")]
    error: Problem | None
    takes: list[Take]


class Film(Struct, kw_only=True):
    """The clips of a run, joined; copied: no picture was encoded again, else reason says why."""

    takes: Annotated[
        dict[str, int] | None,
        Meta(
            description="The take of each shot that it is made of; null: an early version joined it, and did not say."
        ),
    ]
    sha256: Annotated[Digest | None, Meta(description="Null: likewise.")]

    url: Address
    bytes: int
    duration_s: float
    frames: int
    copied: bool
    reason: str | None
    warnings: Annotated[list[str], Meta(description="What it lacks of its clips, each in words that name the shot.")]


class Run(Struct, kw_only=True):
    """One execution of a storyboard; its shots are in the order of the film."""

    id: Annotated[str, Meta(pattern="^run_[a-z0-9]{1,40}$")]
    object: Literal["run"]
    title: str
    provider: Annotated[str | None, Meta(description="The storyboard's; null: that of the settings.")] = None
    model: str
    status: RunStatus
    revision: Annotated[int, Meta(description="Counts its changes; give it back with a decision.")]
    created: Annotated[int, Meta(description="Seconds since 1970, UTC.")]
    updated: Annotated[int, Meta(description="Seconds since 1970, UTC.")]
    hook: Annotated[str | None, Meta(description="The hook whose callback made it.")]
    pass_: Annotated[Literal["draft", "final"], Meta(description="draft: small and cheap, to be looked at.")] = field(
        name="pass", default="final"
    )
    promoted_from: Annotated[str | None, Meta(description="The draft that it is the final of.")] = None
    labels: Annotated[dict[str, str], Meta(description="The storyboard's, by which it is found.")] = field(
        default_factory=dict
    )
    budget: Budget
    spent: Spent
    cost: Annotated[
        RunCost | None, Meta(description="Null where the price of a take is not known, or currencies differ.")
    ] = None
    submits_to_come: Annotated[int, Meta(description="What it leads to if nothing fails.")]
    needs: Annotated[
        Literal["person"] | None,
        Meta(description="person: it waits for somebody to decide, or to put something right."),
    ] = None
    callbacks_missed: Annotated[int, Meta(description="Jobs that ended without a callback.")]
    warnings: list[Oddity]
    shots: list[Shot]
    dropped: Annotated[
        list[Shot],
        Meta(description="Shots that an amendment took out of the film, with their takes."),
    ] = field(default_factory=list)
    film: Film | None
    error: Problem | None


class CostRange(Struct, kw_only=True):
    """What something may cost, in units of the currency."""

    low: float
    high: float
    currency: str


class Outlook(Struct, kw_only=True):
    """What a retake, or the final of a draft, would bring about; nothing has happened."""

    object: Literal["outlook"]
    jobs: Annotated[int, Meta(description="How many it leads to if nothing fails, all paid.")]
    following: Annotated[list[str], Meta(description="Shots that are made again with it, in their order.")] = field(
        default_factory=list
    )
    stale: Annotated[list[str], Meta(description="Shots that are done, made from the old take, and stay so.")]
    budget_left: Annotated[int | None, Meta(description="Jobs before it; null: no limit.")]
    cost: Annotated[CostRange | UnsetType, Meta(description="About how much, where a price is known.")] = UNSET
    would: Annotated[str, Meta(description="In words for a person.")]


class Runs(Struct, kw_only=True):
    """A page of runs, newest first."""

    object: Literal["list"]
    data: list[Run]
    next: Annotated[str | None, Meta(description="The after of the next page; null at the end.")]


class Removed(Struct, kw_only=True):
    """A run that is gone."""

    id: str
    object: Literal["run"]
    removed: bool
