"""Kinds of notifications and what becomes of one; in a separate module, since commands read only this."""

from enum import StrEnum


class NoticeType(StrEnum):
    """What a notification can be about; ``docs/notifications.md`` says when each is sent."""

    RUN_SUCCEEDED = "run.succeeded"
    RUN_FAILED = "run.failed"
    RUN_WAITING = "run.waiting"
    SHOT_SUCCEEDED = "shot.succeeded"
    SHOT_FAILED = "shot.failed"
    BUDGET_REACHED = "budget.reached"


class NotificationState(StrEnum):
    """The state of a notification; only those that wait are sent (again)."""

    WAITING = "waiting"
    """It is to be sent, or sent again."""
    DELIVERED = "delivered"
    """Its receiver answered 2xx."""
    GONE = "gone"
    """Its receiver answered 410: it wants no more notifications."""
    REFUSED = "refused"
    """It was not sent: the address is not one that we may contact."""
    GIVEN_UP = "given_up"
    """Nobody accepted it within a day."""
