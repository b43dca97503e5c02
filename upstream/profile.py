"""
A provider's profile: everything FrameRelay knows about a provider's API, as data.

The structs are the format: `profile_file` checks a file against them line by line, and their JSON Schema is what
editors use. ``docs/profiles.md`` explains each key with examples.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal

import msgspec
from msgspec import field

from framerelay.upstream.profile_media import Media
from framerelay.upstream.profile_models import Model
from framerelay.upstream.profile_words import (
    Codes,
    Fact,
    FamilyName,
    Frames,
    PathText,
    Section,
    StateName,
    Template,
    TemplateText,
    Text,
)
from framerelay.upstream.wire import JobState


class Auth(Section, frozen=True, kw_only=True):
    """How the key is sent: as a header, or by a named hook (``jwt_hs256``)."""

    header: str = "Authorization"
    value: str = "Bearer {key}"
    hook: Literal["jwt_hs256"] | None = None


class ErrorPaths(Section, frozen=True, kw_only=True):
    """Where an answer says what went wrong; ``where``: the part of the request that it is about."""

    code: PathText | None = None
    message: PathText | None = None
    where: PathText | None = None


class Already(Section, frozen=True, kw_only=True):
    """A refusal with a special meaning ("this job exists"), by its code and words; ``*`` matches anything."""

    code: Codes | None = None
    says: str | None = None


class Create(Section, frozen=True, kw_only=True):
    """
    The one request that spends money.

    ``post``: its path or address; ``without``: another path for when a word has no value (``first_frame``); ``by``:
    paths by which frames are given (``both``, ``first``, ``last``, ``none``), in place of ``post``: combinations that
    are not listed cannot be made. ``body`` and ``query``: templates.
    ``values``: for each word a map, a format (``"{}s"``) or ``drop``. ``id``: the path of the job's id in the answer;
    ``keep``: addresses in the answer that are used later. ``ok_if``: paths that must have these values, otherwise it is
    a refusal, whatever the HTTP status. ``refused``: HTTP statuses of 5xx that certainly accepted nothing; ``unknown``:
    codes after which it may have been.
    """

    post: TemplateText
    without: dict[str, TemplateText] = field(default_factory=dict)
    by: dict[Frames, TemplateText] = field(default_factory=dict)
    body: Template = None
    query: dict[str, TemplateText] = field(default_factory=dict)
    headers: dict[str, TemplateText] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    exclusive: list[list[str]] = field(default_factory=list)
    id: PathText | None = None
    also_id: PathText | None = None
    status: PathText | None = None
    keep: dict[str, PathText] = field(default_factory=dict)
    ok_if: dict[PathText, Text] = field(default_factory=dict)
    already: Already | None = None
    unknown: Codes | None = None


class BatchRules(Section, frozen=True, kw_only=True):
    """Many jobs in one look-up: at most ``ids``, joined by ``join``; each of ``records`` has its id at ``key``."""

    ids: int
    records: PathText
    key: PathText
    join: str = ","


class Get(Section, frozen=True, kw_only=True):
    """
    The look-up: a path with ``{id}``, or an address from the answer to the create (``{kept.status}``).

    ``fallback``: another path, for when that answer was lost. ``absent: not_found``: an answer without a record means
    that there is no such job; ``absent_if``: this refusal does.
    """

    get: TemplateText
    fallback: TemplateText | None = None
    record: PathText | None = None
    absent: Literal["not_found"] | None = None
    absent_if: Already | None = None
    ok_if: dict[PathText, Text] | None = None
    batch: BatchRules | None = None


class StateRule(Section, frozen=True, kw_only=True):
    """A state by what a record contains: any value at ``has``, a match (``says``, ``equals``) at ``path``, or both."""

    state: StateName
    has: PathText | None = None
    path: PathText | None = None
    says: str | None = None
    equals: Text | None = None


class Then(Section, frozen=True, kw_only=True):
    """A second GET, once the job is done; ``http_error: failed``: an error answer there means that the job failed."""

    get: TemplateText
    fallback: TemplateText | None = None
    clip: PathText
    last_frame: PathText | None = None
    http_error: Literal["failed", "retry"] = "retry"
    facts: dict[Fact, PathText] = field(default_factory=dict)


class Times(Section, frozen=True, kw_only=True):
    """When the job was made and last changed, in ``s`` or ``ms`` since 1970, or as text (``iso``)."""

    unit: Literal["s", "ms", "iso"] = "s"
    created: PathText | None = None
    updated: PathText | None = None


class Read(Section, frozen=True, kw_only=True, dict=True):
    """
    What a record says. Without it, answers are read leniently, like those of the jobs API and similar gateways.

    ``clip_at``: where the clip is if a job is done and names none. ``facts``: ``duration frames fps seed ratio
    resolution cost usage model reference``, by their paths; ``cost_unit``: the unit of the cost (``USD``, ``credits``,
    ``tokens``). ``decode``: values that are JSON in a text.
    ``failed_if``: paths where any value makes the job failed, whatever its status. ``status_family``: what a status
    word says about the reason.
    """

    status: PathText | None = None
    states: dict[str, StateName] = field(default_factory=dict)
    states_if: list[StateRule] = field(default_factory=list)
    failed_if: list[PathText] = field(default_factory=list)
    status_family: dict[str, FamilyName] = field(default_factory=dict)
    id: PathText | None = None
    clip: PathText | None = None
    clip_at: TemplateText | None = None
    last_frame: PathText | None = None
    error: ErrorPaths | None = None
    facts: dict[Fact, PathText] = field(default_factory=dict)
    cost_unit: str | None = None
    times: Times | None = None
    decode: dict[PathText, Literal["json"]] = field(default_factory=dict)
    then: Then | None = None

    @cached_property
    def state_of(self) -> Mapping[str, JobState]:
        """``states`` by words in lower case."""
        return {str(word).strip().lower(): JobState(state) for word, state in self.states.items()}


class Signature(Section, frozen=True, kw_only=True):
    """How a callback proves who sent it: a scheme of ``docs/verification.md``, and the usual variable of its secret."""

    scheme: str
    secret_env: str | None = None
    required: bool = False
    options: dict[str, Any] = field(default_factory=dict)


class Reply(Section, frozen=True, kw_only=True):
    """What we must answer a callback with, and how soon."""

    status: int = 200
    within_s: float | None = None
    body: str | None = None


class Repeats(Section, frozen=True, kw_only=True):
    """How often a callback is sent again if it was not answered."""

    tries: int | None = None
    hours: float | None = None
    known: bool = False


class Challenge(Section, frozen=True, kw_only=True):
    """A question sent to the address before the job exists: the value at ``path`` is sent back unchanged."""

    path: PathText
    echo: bool = True
    within_s: float | None = None


class CallbackRules(Section, frozen=True, kw_only=True):
    """
    Where a callback goes and how its body is read.

    ``on``: the address is sent with the create (``create`` in the body, ``query``), is set in the account, or there are
    no callbacks (``none``: the job is polled). ``body``: it looks like the whole look-up answer (``get``) or like its
    record (``get_record``); ``root``: where the record is in it. Anything given here replaces what `Read` says.
    """

    on: Literal["create", "query", "account", "none"] = "create"
    body: Literal["get", "get_record"] = "get"
    root: PathText | None = None
    id: PathText | None = None
    also_id: PathText | None = None
    reference: PathText | None = None
    status: PathText | None = None
    states: dict[str, StateName] | None = None
    clip: PathText | None = None
    error: ErrorPaths | None = None
    events: list[str] = field(default_factory=list)
    signature: Signature | Literal["none"] = "none"
    answer: Reply | None = None
    repeats: Repeats | None = None
    strangers: int | None = None
    challenge: Challenge | None = None


class Reference(Section, frozen=True, kw_only=True):
    """
    Our own reference, sent with the create and looked up by ``get``; ``twice``: what a second create with it does.

    A job is ours only if it shows the reference: at ``facts.reference`` of `Read`, or anywhere if that is not given.
    """

    sent_as: str
    get: TemplateText | None = None
    record: PathText | None = None
    twice: Literal["refused", "same_job", "unknown"] = "unknown"


class Listing(Section, frozen=True, kw_only=True):
    """The provider's own list of jobs, in which a submit with an unknown outcome may be found."""

    get: TemplateText | None = None
    post: TemplateText | None = None
    body: Template = None
    items: PathText = "items"
    next: PathText | None = None
    created: PathText | None = None
    reference: PathText | None = None
    days: int | None = None


class Recover(Section, frozen=True, kw_only=True):
    """How a job is found if its create was not answered."""

    reference: Reference | Literal["none"] = "none"
    list: Listing | Literal["none"] = "none"


class Cancel(Section, frozen=True, kw_only=True):
    """The request that cancels a job, and the states in which that is possible."""

    delete: TemplateText | None = None
    put: TemplateText | None = None
    post: TemplateText | None = None
    only: list[StateName] = field(default_factory=list)


class DownloadRules(Section, frozen=True, kw_only=True):
    """Where clips are: with or without the key, at which hosts, for how many seconds, and if a look-up renews them."""

    auth: bool = False
    hosts: list[str] = field(default_factory=list)
    lives_s: int | None = None
    expiry_query: list[str] = field(default_factory=list)
    get_renews: bool | None = None


class Billing(Section, frozen=True, kw_only=True):
    """What a job costs if it made no clip: nothing if it ended as one of ``free``; otherwise its estimate."""

    free: list[Literal["failed", "expired", "cancelled"]] = field(default_factory=list)


class Poll(Section, frozen=True, kw_only=True):
    """When a job without callbacks is looked up: after ``first_s``, then every ``every_s``, with growing intervals."""

    first_s: float = 20.0
    every_s: float = 15.0
    max_per_minute: float | None = None


class LimitRules(Section, frozen=True, kw_only=True):
    """Jobs at once; ``over``: what happens to one more (``queued`` by the provider, or ``refused`` with ``code``)."""

    concurrent: int | None = None
    submits_per_minute: float | None = None
    over: Literal["queued", "refused"] | None = None
    code: Codes | None = None


class ErrorRule(Section, frozen=True, kw_only=True):
    """
    One rule: if everything it names matches, the failure is of its family.

    ``http``: a status, or ``4xx``, ``5xx``. ``code``, ``says``, ``where``: alternatives with ``|``, ``*`` for anything,
    without regard to case.
    """

    family: FamilyName
    http: Codes | None = None
    code: Codes | None = None
    says: str | None = None
    where: str | None = None


class Example(Section, frozen=True, kw_only=True):
    """A body that was recorded or documented, and what has to be read from it."""

    body: Any
    read_as: Literal["create", "get", "callback"] = field(name="as")
    http: int = 200
    source: str | None = None
    recorded: bool = False
    expect: dict[str, Any] = field(default_factory=dict)


class Profile(Section, frozen=True, kw_only=True, dict=True):
    """
    One provider; ``docs/profiles.md`` explains each section.

    ``own_address``: every customer has another one, and ``base`` is an example. ``guessed``: places that nobody
    documents.
    """

    profile: Literal[1]
    id: str
    title: str
    base: str
    create: Create
    get: Get
    extends: str | None = None
    own_address: bool = False
    checked: str | None = None
    source: str | None = None
    guessed: list[str] = field(default_factory=list)
    hosts: list[str] = field(default_factory=list)
    key_env: list[str] = field(default_factory=list)
    auth: Auth = field(default_factory=Auth)
    headers: dict[str, TemplateText] = field(default_factory=dict)
    media: Media = field(default_factory=Media)
    read: Read | None = None
    callback: CallbackRules = field(default_factory=CallbackRules)
    recover: Recover = field(default_factory=Recover)
    cancel: Cancel | Literal["none"] = "none"
    download: DownloadRules = field(default_factory=DownloadRules)
    billing: Billing = field(default_factory=Billing)
    poll: Poll = field(default_factory=Poll)
    limits: LimitRules = field(default_factory=LimitRules)
    errors: list[ErrorRule] = field(default_factory=list)
    models: dict[str, Model] = field(default_factory=dict)
    redact: list[PathText] = field(default_factory=list)
    examples: list[Example] = field(default_factory=list)

    @cached_property
    def read_of_callback(self) -> Read:
        """`Read` with what a callback overrides; made once, since each callback is read by it."""
        read, rules = self.read or Read(), self.callback
        return msgspec.structs.replace(
            read,
            status=rules.status or read.status,
            states=read.states if rules.states is None else rules.states,
            states_if=read.states_if if rules.status is None else [],
            id=rules.id or read.id,
            clip=rules.clip or read.clip,
            error=rules.error or read.error,
        )
