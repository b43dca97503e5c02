"""What the API answers, as types: `api.views` fills them, and ``/openapi.json`` has its schemas from them."""

from msgspec import Struct

from framerelay.api.shapes.callback import Callback, Callbacks, Received, Release, Releases, Replay
from framerelay.api.shapes.error import Error, Fault, Health, Mistake, NotReady
from framerelay.api.shapes.event import Event
from framerelay.api.shapes.notification import Delivery, Notification, Notifications
from framerelay.api.shapes.plan import Caution, File, Plan, PlannedScene, PlannedShot
from framerelay.api.shapes.run import (
    Film,
    FirstFrame,
    Frame,
    Jobs,
    Oddity,
    Outlook,
    Problem,
    Removed,
    Run,
    Runs,
    Seam,
    Shot,
    Spent,
    Take,
    Video,
)

__all__ = [
    "SHAPES",
    "Callback",
    "Callbacks",
    "Caution",
    "Delivery",
    "Error",
    "Event",
    "Fault",
    "File",
    "Film",
    "FirstFrame",
    "Frame",
    "Health",
    "Jobs",
    "Mistake",
    "NotReady",
    "Notification",
    "Notifications",
    "Oddity",
    "Outlook",
    "Plan",
    "PlannedScene",
    "PlannedShot",
    "Problem",
    "Received",
    "Release",
    "Releases",
    "Removed",
    "Replay",
    "Run",
    "Runs",
    "Seam",
    "Shot",
    "Spent",
    "Take",
    "Video",
]

SHAPES: tuple[type[Struct], ...] = (
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
)
