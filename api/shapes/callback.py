"""Callbacks that arrived, and what became of them when a person had them processed again."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from framerelay.api.shapes.fields import Seconds
from framerelay.runs.wire_names import WIRE_NAMES


class Callback(Struct, kw_only=True, rename=WIRE_NAMES):
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
    run_id: str | None
    shot_id: str | None
    take: int | None
    hook: str | None
    job_id: str | None
    status: Annotated[str | None, Meta(description="The provider's own word.")]
    replay_of: str | None
    repeats: Annotated[int, Meta(description="How often the same came again.")]
    bytes: Annotated[int, Meta(description="The size of the whole body.")]
    body: Annotated[str, Meta(description="Its beginning, as text.")]


class Callbacks(Struct, kw_only=True):
    """A page of callbacks, newest first."""

    object: Literal["list"]
    data: list[Callback]
    next: Annotated[str | None, Meta(description="The after of the next page; null at the end.")]


class Replay(Struct, kw_only=True, rename=WIRE_NAMES):
    """What a replay would do, or did."""

    object: Literal["replay"]
    id: Annotated[str | None, Meta(description="The callback that it made; null where it was only asked.")]
    replay_of: str
    would: Annotated[str, Meta(description="In words for a person.")]
    may_spend: Annotated[bool, Meta(description="Jobs might be submitted that otherwise would not be.")]
    run_id: str | None
    done: bool


class Release(Struct, kw_only=True):
    """What became of a callback that was in quarantine."""

    object: Literal["release"]
    id: str
    released: Annotated[bool, Meta(description="It proved where it comes from; otherwise it stays.")]
    outcome: str
    repeated: Annotated[bool, Meta(description="Another like it passed in the meantime.")]
    reason: str | None


class Releases(Struct, kw_only=True):
    """All that were in quarantine, oldest first."""

    object: Literal["list"]
    data: list[Release]


class Received(Struct, kw_only=True):
    """A callback is kept; repeated: it was before."""

    received: bool
    repeated: bool
