"""What was sent to a receiver of the user's own."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from framerelay.api.shapes.fields import Seconds
from framerelay.runs.notice_kinds import NoticeType, NotificationState
from framerelay.runs.wire_names import WIRE_NAMES


class Delivery(Struct, kw_only=True):
    """One try to deliver a notification."""

    at: Seconds
    status: Annotated[int | None, Meta(description="Of the answer; null if none came.")]
    outcome: Annotated[str, Meta(description="The result, in words.")]
    took_ms: int


class Notification(Struct, kw_only=True, rename=WIRE_NAMES):
    """Something that was sent to the notify_url of a run, or is to be."""

    id: Annotated[str, Meta(description="The webhook-id of every try.", pattern="^ntf_[0-9a-f]{24}$")]
    object: Literal["notification"]
    type: NoticeType
    created: Annotated[float, Meta(description="When it happened: seconds since 1970, UTC.")]
    run_id: str
    shot_id: str | None
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
