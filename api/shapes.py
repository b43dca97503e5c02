"""What the API answers, as types: `api.views` fills them, and ``/openapi.json`` has its schemas from them."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

from framerelay.runs.model import Family, RunStatus, ShotStatus, TakeStatus
from framerelay.runs.notices import NoticeType
from framerelay.store.outbox import NotificationState

Seconds = Annotated[float, Meta(description="Seconds since 1970, UTC.")]
Address = Annotated[str, Meta(description="Below /media; it needs the key, and takes Range.")]
Digest = Annotated[str, Meta(description="SHA-256 of the file, in hex.", pattern="^[0-9a-f]{0,64}$")]


class Problem(Struct, kw_only=True):
    """What went wrong, in words for a person, with a stable code for programs."""

    code: str
    message: str
    family: Family


class Oddity(Struct, kw_only=True):
    """Something odd that a person should know of while the run goes on."""

    code: str
    message: str


class Jobs(Struct, kw_only=True):
    """A number of jobs at the provider, each of them paid; null is no limit."""

    jobs: int | None


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
    source: Annotated[str, Meta(description="given by the storyboard · provider · upload · serve")]


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
    rendered: Annotated[float | None, Meta(description="When we learnt that the job is done.")]
    called_back: Annotated[bool, Meta(description="A callback told how the job ended.")]
    next_look: Annotated[float, Meta(description="When it is looked up or fetched next, if it is still open.")]
    usual_s: Annotated[
        float | None, Meta(description="From submit to result, of jobs of its kind before; null while few were done.")
    ]
    provider_status: Annotated[str | None, Meta(description="The provider's own word, as it came last.")]
    provider_status_known: Annotated[
        bool, Meta(description="false: the last look-up brought a status that is not known here.")
    ]
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


class Shot(Struct, kw_only=True):
    """One clip of the film."""

    id: str
    scene: str
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
    stale: Annotated[bool, Meta(description="Its take began with a frame that is no longer its source's.")]
    continued: Annotated[
        bool, Meta(description="Its clip begins with the end of the clip before it; the film shows that frame once.")
    ]
    held_by: Annotated[Problem | None, Meta(description="Why its submit was put off.")]
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
    """One execution of a storyboard; its shots stand in the order of the film."""

    id: Annotated[str, Meta(pattern="^run_[a-z0-9]{1,40}$")]
    object: Literal["run"]
    title: str
    model: str
    status: RunStatus
    revision: Annotated[int, Meta(description="Counts its changes; give it back with a decision.")]
    created: Annotated[int, Meta(description="Seconds since 1970, UTC.")]
    updated: Annotated[int, Meta(description="Seconds since 1970, UTC.")]
    hook: Annotated[str | None, Meta(description="The hook whose callback made it.")]
    budget: Jobs
    spent: Jobs
    submits_to_come: Annotated[int, Meta(description="What it leads to if nothing fails.")]
    callbacks_missed: Annotated[int, Meta(description="Jobs that ended without a callback.")]
    warnings: list[Oddity]
    shots: list[Shot]
    film: Film | None
    error: Problem | None


class Outlook(Struct, kw_only=True):
    """What a retake would bring about; nothing has happened."""

    object: Literal["outlook"]
    jobs: Annotated[int, Meta(description="So many it leads to if nothing fails, all paid.")]
    stale: Annotated[list[str], Meta(description="Shots that are done and made from the old take.")]
    budget_left: Annotated[int | None, Meta(description="Jobs before it; null is no limit.")]
    would: Annotated[str, Meta(description="In words for a person.")]


class Callback(Struct, kw_only=True):
    """One POST that we received about a job, as it came, without what looks like a secret."""

    id: str
    object: Literal["callback"]
    received: Seconds
    outcome: Annotated[
        str,
        Meta(
            description="accepted · late (its take was settled already) · conflict (an earlier one said otherwise how "
            "the job ended) · replay (a person asked for replay_of again) · refused (not our address) · unreadable · "
            "too_large · encoded · cut_off; more may come"
        ),
    ]
    reason: str | None
    run: str | None
    shot: str | None
    take: int | None
    hook: str | None
    job_id: str | None
    status: Annotated[str | None, Meta(description="The provider's own word.")]
    replay_of: str | None
    repeats: Annotated[int, Meta(description="How often the same came again.")]
    bytes: Annotated[int, Meta(description="The size of the whole body.")]
    body: Annotated[str, Meta(description="Its beginning, as text.")]


class Event(Struct, kw_only=True):
    """The data of one server-sent event: a change of a run, with ids and no addresses."""

    event: Annotated[str, Meta(description="started, submitting, submitted, rendered, collected, …")]
    at: Seconds
    revision: int
    status: Annotated[str, Meta(description="The run's then; where a job ended, how that did.")]
    shot: str | UnsetType = UNSET
    take: int | UnsetType = UNSET
    job_id: str | UnsetType = UNSET
    word: Annotated[str | UnsetType, Meta(description="The provider's own word.")] = UNSET
    seed: int | UnsetType = UNSET
    until: Annotated[float | UnsetType, Meta(description="It was put off until then.")] = UNSET
    first_frame: Annotated[str | UnsetType, Meta(description="Where the first frame came from.")] = UNSET
    seam: Annotated[float | UnsetType, Meta(description="How far the clip's opening is from what was handed on.")] = (
        UNSET
    )
    problem: Annotated[dict[str, str] | UnsetType, Meta(description="Its code and message.")] = UNSET


class Runs(Struct, kw_only=True):
    """A page of runs, newest first."""

    object: Literal["list"]
    data: list[Run]
    next: Annotated[str | None, Meta(description="The after of the next page; null at the end.")]


class Callbacks(Struct, kw_only=True):
    """A page of callbacks, newest first."""

    object: Literal["list"]
    data: list[Callback]
    next: Annotated[str | None, Meta(description="The after of the next page; null at the end.")]


class Removed(Struct, kw_only=True):
    """A run that is gone."""

    id: str
    object: Literal["run"]
    removed: bool


class Replay(Struct, kw_only=True):
    """What a replay would do, or did."""

    object: Literal["replay"]
    id: Annotated[str | None, Meta(description="The callback that it made; null where it was only asked.")]
    replay_of: str
    would: Annotated[str, Meta(description="In words for a person.")]
    may_spend: Annotated[bool, Meta(description="Jobs might be submitted that otherwise were not.")]
    run: str | None
    done: bool


class Release(Struct, kw_only=True):
    """What became of a callback that was in quarantine."""

    object: Literal["release"]
    id: str
    released: Annotated[bool, Meta(description="It proved where it comes from; otherwise it stays.")]
    outcome: str
    repeated: Annotated[bool, Meta(description="Another like it had passed meanwhile.")]
    reason: str | None


class Releases(Struct, kw_only=True):
    """All that were in quarantine, oldest first."""

    object: Literal["list"]
    data: list[Release]


class File(Struct, kw_only=True):
    """A picture that was given."""

    object: Literal["file"]
    name: Annotated[str, Meta(description="To be written as a frame in a storyboard.", pattern="^file:")]
    bytes: int


class PlannedShot(Struct, kw_only=True):
    """A shot as it would be made."""

    id: str
    origin: Annotated[str, Meta(description="continue · bridge · cut · the id of an earlier shot, as written")] = field(
        name="from"
    )
    source: Annotated[str | None, Meta(description="The shot whose last frame it would begin with.")]
    gate: Annotated[str | None, Meta(description="approve: it would wait for a person before it is submitted.")]
    takes: Annotated[int, Meta(description="Jobs that it costs, if nothing fails.")]
    prompt: Annotated[str, Meta(description="As it would be sent, style included.")]


class PlannedScene(Struct, kw_only=True):
    """Shots that hang on each other; scenes go side by side."""

    id: str
    shots: list[PlannedShot]


class Caution(Struct, kw_only=True):
    """Something that is allowed and likely to disappoint; docs/plan.md has all codes."""

    code: str
    place: Annotated[str, Meta(description="Where it can be fixed.", examples=["defaults.watermark"])]
    line: Annotated[int | None, Meta(description="Its line in the text that was sent.")]
    message: str


class Plan(Struct, kw_only=True):
    """What a storyboard would do and cost; nothing was spent or stored."""

    id: Annotated[str, Meta(description="Of exactly this storyboard.", pattern="^plan_[0-9a-f]{24}$")]
    object: Literal["plan"]
    title: str
    model: str
    jobs: Annotated[int, Meta(description="Submits, each of them paid, if nothing fails.")]
    budget: Jobs
    longest_chain: Annotated[int, Meta(description="Shots that are made one after another.")]
    scenes: list[PlannedScene]
    warnings: list[Caution]


class Delivery(Struct, kw_only=True):
    """One try to deliver a notification."""

    at: Seconds
    status: Annotated[int | None, Meta(description="Of the answer; null if none came.")]
    outcome: Annotated[str, Meta(description="What came of it, in words.")]
    took_ms: int


class Notification(Struct, kw_only=True):
    """Something that was told to the notify_url of a run, or is to be."""

    id: Annotated[str, Meta(description="The webhook-id of every try.", pattern="^ntf_[0-9a-f]{24}$")]
    object: Literal["notification"]
    type: NoticeType
    created: Annotated[float, Meta(description="When it happened: seconds since 1970, UTC.")]
    run: str
    shot: str | None
    status: Annotated[str, Meta(description="The shot's for shot.…, else the run's, as it was then.")]
    host: Annotated[str, Meta(description="Of the address; the rest of it is not shown.")]
    state: Annotated[
        NotificationState,
        Meta(description="gone: the receiver answered 410 · refused: we may not contact the address"),
    ]
    next_try: Annotated[float | None, Meta(description="When it is sent next, or again if nobody answers now.")]
    deliveries: Annotated[list[Delivery], Meta(description="Every try, the newest last.")]


class Notifications(Struct, kw_only=True):
    """A page of notifications, newest first."""

    object: Literal["list"]
    data: list[Notification]
    next: Annotated[str | None, Meta(description="The after of the next page; null at the end.")]


class Received(Struct, kw_only=True):
    """A callback is kept; repeated: it was before."""

    received: bool
    repeated: bool


class Health(Struct, kw_only=True):
    """All is well."""

    status: str


class Mistake(Struct, kw_only=True):
    """One thing wrong in a storyboard."""

    place: Annotated[str, Meta(examples=["scenes[0].shots[2].from"])]
    line: int | None
    message: str


class Fault(Struct, kw_only=True):
    """What was wrong with a request."""

    code: Annotated[str, Meta(description="A stable word for programs.")]
    message: Annotated[str, Meta(description="For a person.")]
    param: Annotated[str | None, Meta(description="Where, if it has a place.")]
    mistakes: Annotated[list[Mistake] | UnsetType, Meta(description="All of a storyboard's.")] = UNSET
    candidates: Annotated[list[str] | UnsetType, Meta(description="Of an ambiguous id: the first that it may be.")] = (
        UNSET
    )


class Error(Struct, kw_only=True):
    """The envelope of every error."""

    error: Fault


class NotReady(Struct, kw_only=True):
    """What becomes of callbacks while Redis keeps nothing, and why it does not."""

    status: Annotated[Literal["degraded", "refused"], Meta(description="degraded: they are kept in the spool.")]
    error: Fault


SHAPES: tuple[type[Struct], ...] = (
    *(
        Run,
        Runs,
        Callback,
        Callbacks,
        Event,
        Removed,
        Outlook,
        Replay,
        Release,
        Releases,
        File,
        Plan,
        Notification,
        Notifications,
        Received,
        Health,
        NotReady,
        Error,
    ),
)
