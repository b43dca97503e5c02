"""
What can happen to a run: past-tense facts, each about one shot or take, for `runs.machine.apply`.

A fact says which state it is about, where that can have changed since: the *intent* of a submit, the *turn* of a task,
the id of a job. It is dropped if that is no longer so; None there stands for whatever the state is.
"""

from dataclasses import dataclass, field
from typing import Any

from framerelay.runs.amendment import Amended as Amended
from framerelay.runs.costs import Cost, Quote
from framerelay.runs.maker import Maker
from framerelay.runs.model import Clip, Film, FirstFrame, Frame, Problem, TakeStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeEvent:
    """A fact about one take."""

    shot_id: str
    take: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitting(TakeEvent):
    """Money is about to move: the take exists from here on, and only the execution named *intent* may POST."""

    intent: str
    seed: int | None
    first_frame: FirstFrame | None
    expected_s: float | None = None
    usual_s: float | None = None
    maker: Maker | None = None  # Who will be asked; None: the jobs API of the settings.
    turn: int | None = None  # The shot's, when its inputs were prepared.


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted(TakeEvent):
    """The provider answered with a job, which is paid for; *aliases*: its other ids; *kept*: addresses for later."""

    job_id: str
    word: str | None = None
    intent: str | None = None
    aliases: tuple[str, ...] = ()
    kept: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitRefused(TakeEvent):
    """The provider said no: there is no job, and nothing was paid."""

    problem: Problem
    intent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitPutOff(TakeEvent):
    """The provider was busy or out of reach before it accepted anything: the take never was."""

    problem: Problem
    until: float
    intent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitLost(TakeEvent):
    """Nobody knows if the provider accepted: the take is held."""

    problem: Problem
    intent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceWanted:
    """The provider has as many jobs as it takes: the shot is held, at the longest *until* then; *turn*: the shot's."""

    shot_id: str
    problem: Problem
    until: float
    turn: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceFreed:
    """The provider has room for one more job, and the shot, which was held for that, is next."""

    shot_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparationFailed:
    """
    A shot's inputs could not be made ready (its frame could not be uploaded, say); nothing was submitted.

    *turn*: the shot's, when they were wanted.
    """

    shot_id: str
    problem: Problem
    until: float | None
    turn: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSeen(TakeEvent):
    """
    The job is alive and not finished (asked by GET), or its status *word* is unknown to us (*is_known* is False).

    ``called_back``: asked because a callback told that it has ended, which the provider's own answer does not say yet.
    """

    job_ids: tuple[str, ...]
    word: str | None
    is_known: bool = True
    called_back: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered(TakeEvent):
    """The job is finished and its clip can be fetched (asked by GET, because a callback told so: *called_back*)."""

    job_ids: tuple[str, ...]
    video_url: str
    last_frame_url: str | None = None
    seed: int | None = None
    called_back: bool = False
    usage: dict[str, Any] = field(default_factory=dict)
    cost: Cost | None = None
    callback_at: float | None = None  # When that callback came.
    trace: str | None = None  # What continues that of the look-up.


@dataclass(frozen=True, slots=True, kw_only=True)
class JobNotFound(TakeEvent):
    """The provider was asked for a job with our reference, and has none (yet); *intent*: of the submit it is about."""

    intent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEnded(TakeEvent):
    """The job ended without a clip (likewise); *status* is ``failed``, ``expired`` or ``cancelled``."""

    job_ids: tuple[str, ...]
    status: TakeStatus
    problem: Problem
    called_back: bool = False
    cost: Cost | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CalledBack(TakeEvent):
    """A callback about the job's end came when we knew of it already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PollFailed(TakeEvent):
    """
    The provider could not be asked about *job_id* this time; or it says that it knows no such job (*gone*).

    *strange*: it did answer, and its answer cannot be understood, or names no clip. ``called_back``: likewise.
    """

    problem: Problem
    retry_after_s: float | None = None
    gone: bool = False
    job_id: str | None = None
    called_back: bool = False
    strange: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondJobFound(TakeEvent):
    """The take's address was called about a job that is not the take's own; the provider knows it (asked by GET)."""

    job_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected(TakeEvent):
    """The clip and its last frame are on our disk, whole; the frame is kept, the clip where ``video.kept`` says so."""

    video: Clip
    last_frame: Frame
    provider_frame: Frame | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipKept(TakeEvent):
    """The clip with this *sha256* is in object storage by now, where every machine finds it."""

    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepPutOff(TakeEvent):
    """That clip could not be put there yet; the worker that has it tries again, and says so again before *until*."""

    sha256: str
    problem: Problem
    until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipLost(TakeEvent):
    """That clip was not kept, and the disk that it was on is gone, or is another machine's: it is fetched again."""

    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpeningTaken(TakeEvent):
    """The first frame of its clip is on our disk; *seam*: how far it is from the one handed on, if one was."""

    opening: Frame
    seam: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectPutOff(TakeEvent):
    """The clip could not be fetched this time; *ask_again* wants a look-up first (the address has expired)."""

    problem: Problem
    until: float
    ask_again: bool = False
    turn: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectFailed(TakeEvent):
    """The clip cannot be used, and fetching it again did not help."""

    problem: Problem
    turn: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """The film is on our disk: made of the takes that it names, by the join of that *turn* of the run."""

    film: Film
    turn: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinFailed:
    """The film could not be made in that *turn*; ``until`` is None when trying again will not help."""

    problem: Problem
    until: float | None
    turn: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmMadeAgain:
    """The file of the film at *path* was gone and is there again; another version may have written other bytes."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationSettled:
    """A notification was sent, whatever was answered; or none is sent to where the run wants them (*problem*)."""

    problem: Problem | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Elapsed:
    """Time passed: the machine looks if a deadline did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStarted:
    """Nobody may have listened for a while: what is generating is looked up now, instead of when it was planned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repaired:
    """An early version left the run in a state from which nobody goes on; *join*: or with a film of unknown takes."""

    join: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """Redis came back as an older copy, which does not know what was submitted since (`runs.restoration`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShotChange:
    """
    What a person wants other in the coming takes of a shot: fields of its input in place of those that it has.

    ``prompt`` · ``seed``: None: as it has them. ``quote``: what a take may cost then, where ``input`` names a field.
    """

    shot_id: str
    prompt: str | None = None
    seed: int | None = None
    input: dict[str, Any] = field(default_factory=dict)
    quote: Quote | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Approved(ShotChange):
    """A person let a gated shot go, changed if they said so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picked:
    """A person chose the take to go on from."""

    shot_id: str
    take: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """
    A person fixed what stopped the run: what failed or waits for that is tried again.

    ``budget_jobs`` · ``budget_money``: the whole limits that the run has from now on; None: as they are.
    """

    budget_jobs: int | None = None
    budget_money: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopted:
    """A person knows that this job was submitted for the shot, and paid for."""

    shot_id: str
    job_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Retaken(ShotChange):
    """
    A person wants one more take of a shot that is done or failed, changed if they said so.

    ``following``: and of all shots that are made from it, each when its source's new take is there.
    """

    following: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCancelled:
    """A person stopped the run: nothing more is submitted."""


Event = (
    Submitting
    | Submitted
    | JobNotFound
    | PlaceFreed
    | PlaceWanted
    | SubmitRefused
    | SubmitPutOff
    | SubmitLost
    | PreparationFailed
    | JobSeen
    | Rendered
    | JobEnded
    | CalledBack
    | PollFailed
    | SecondJobFound
    | Collected
    | ClipKept
    | KeepPutOff
    | ClipLost
    | OpeningTaken
    | CollectPutOff
    | CollectFailed
    | Joined
    | JoinFailed
    | FilmMadeAgain
    | NotificationSettled
    | Elapsed
    | WorkerStarted
    | Repaired
    | Restored
    | Approved
    | Picked
    | Resumed
    | Adopted
    | Retaken
    | Amended
    | RunCancelled
)
