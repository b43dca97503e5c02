"""
What can happen to a run: facts in the past tense, each about one shot or take, for `runs.machine.apply`.

A fact says which state it is about, if that may have changed since: the *intent* of a submit, the *turn* of a task, the
id of a job. It is dropped if that no longer matches; None there matches any state.
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
    """Money is about to be spent: the take exists from here on, and only the execution named *intent* may POST."""

    intent: str
    seed: int | None
    first_frame: FirstFrame | None
    expected_s: float | None = None
    usual_s: float | None = None
    maker: Maker | None = None  # Who will be asked; None: the jobs API of the settings.
    turn: int | None = None  # The shot's turn when its inputs were prepared.


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
    """The provider was busy or out of reach before it accepted anything: the take never existed."""

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
    """The provider has as many jobs as it takes: the shot is held *until* then at the latest; *turn*: the shot's."""

    shot_id: str
    problem: Problem
    until: float
    turn: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceFreed:
    """The provider can take one more job, and the shot that was held because of that is next."""

    shot_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparationFailed:
    """
    The inputs of a shot could not be prepared (its frame could not be uploaded, for example); nothing was submitted.

    *turn*: the shot's, when they were needed.
    """

    shot_id: str
    problem: Problem
    until: float | None
    turn: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSeen(TakeEvent):
    """
    The job is alive and not finished (according to a GET), or its status *word* is unknown to us (*is_known* is False).

    ``called_back``: asked because a callback reported its end, which the provider's own answer does not confirm yet.
    """

    job_ids: tuple[str, ...]
    word: str | None
    is_known: bool = True
    called_back: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered(TakeEvent):
    """The job is finished and its clip can be fetched (according to a GET; *called_back*: prompted by a callback)."""

    job_ids: tuple[str, ...]
    video_url: str
    last_frame_url: str | None = None
    seed: int | None = None
    called_back: bool = False
    usage: dict[str, Any] = field(default_factory=dict)
    cost: Cost | None = None
    callback_at: float | None = None  # When that callback arrived.
    trace: str | None = None  # The trace context that continues that of the look-up.


@dataclass(frozen=True, slots=True, kw_only=True)
class JobNotFound(TakeEvent):
    """The provider was asked for a job with our reference, and has none (yet); *intent*: of the submit in question."""

    intent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEnded(TakeEvent):
    """The job ended without a clip (according to a GET); *status* is ``failed``, ``expired`` or ``cancelled``."""

    job_ids: tuple[str, ...]
    status: TakeStatus
    problem: Problem
    called_back: bool = False
    cost: Cost | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CalledBack(TakeEvent):
    """A callback about the end of the job arrived when we already knew of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PollFailed(TakeEvent):
    """
    The provider could not be asked about *job_id* this time; or it says that it knows no such job (*gone*).

    *strange*: it did answer, but its answer cannot be understood, or names no clip. ``called_back``: as in `JobSeen`.
    """

    problem: Problem
    retry_after_s: float | None = None
    gone: bool = False
    job_id: str | None = None
    called_back: bool = False
    strange: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondJobFound(TakeEvent):
    """A callback to the take's address was about a job that is not the take's own; the provider knows it (by GET)."""

    job_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected(TakeEvent):
    """The clip and its last frame are on our disk, whole; the frame is kept, and so is the clip if ``video.kept``."""

    video: Clip
    last_frame: Frame
    provider_frame: Frame | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipKept(TakeEvent):
    """The clip with this *sha256* is now in object storage, where every machine finds it."""

    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepPutOff(TakeEvent):
    """The clip could not be stored there yet; the worker that has it tries again, and reports again before *until*."""

    sha256: str
    problem: Problem
    until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipLost(TakeEvent):
    """The clip was not kept, and the disk it was on is gone or belongs to another machine: it is fetched again."""

    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpeningTaken(TakeEvent):
    """The first frame of its clip is on our disk; *seam*: how far it is from the one handed on, if there was one."""

    opening: Frame
    seam: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectPutOff(TakeEvent):
    """The clip could not be fetched this time; *ask_again* requests a look-up first (the address has expired)."""

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
    """The film is on our disk: made from the takes that it names, by the join of that *turn* of the run."""

    film: Film
    turn: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinFailed:
    """The film could not be made in that *turn*; ``until`` is None if trying again will not help."""

    problem: Problem
    until: float | None
    turn: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmMadeAgain:
    """The file of the film at *path* was gone and was made again; a different version may have written other bytes."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationSettled:
    """A notification was sent, whatever the answer; or none can be sent to the run's address (*problem*)."""

    problem: Problem | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Elapsed:
    """Time passed: the machine checks if a deadline did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStarted:
    """Nobody may have listened for a while: generating takes are looked up now, instead of when it was planned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repaired:
    """An early version left the run in a state that nothing continues; *join*: or with a film of unknown takes."""

    join: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """Redis came back as an older copy, which does not know what was submitted since (`runs.restoration`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShotChange:
    """
    What a person wants to be different in the coming takes of a shot: fields that replace those of its input.

    ``prompt`` · ``seed``: None: unchanged. ``quote``: what a take may then cost, if ``input`` names a field.
    """

    shot_id: str
    prompt: str | None = None
    seed: int | None = None
    input: dict[str, Any] = field(default_factory=dict)
    quote: Quote | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Approved(ShotChange):
    """A person approved a gated shot, with changes if they made any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picked:
    """A person chose the take to continue from."""

    shot_id: str
    take: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """
    A person fixed what stopped the run: whatever failed or waits because of that is tried again.

    ``budget_jobs`` · ``budget_money``: the total limits of the run from now on; None: unchanged.
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
    A person wants one more take of a shot that is done or failed, with changes if they made any.

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
