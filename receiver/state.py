"""What the routes work with; built once in the lifespan of the application."""

from collections import Counter
from dataclasses import dataclass
from typing import Final, cast

from starlette.requests import HTTPConnection

from framerelay.config.live import LiveSettings
from framerelay.config.settings import Settings
from framerelay.receiver.door.keys import KeyCheck
from framerelay.receiver.door.limits import Limits, Slots
from framerelay.receiver.door.quarantine import Quarantine
from framerelay.receiver.door.strangers import Strangers
from framerelay.receiver.door.verification import Verification
from framerelay.receiver.readiness import Readiness
from framerelay.runs.tokens import Links, Tokens
from framerelay.store.client import RelayRedis
from framerelay.store.disk import Disk
from framerelay.store.files import MediaFiles
from framerelay.store.inbox import Inbox
from framerelay.store.media_store import MediaStore
from framerelay.store.outbox import Outbox
from framerelay.store.runs import Store
from framerelay.store.spool import Spool
from framerelay.upstream.providers import Providers

STATE: Final = "receiver"  # The name under which the application gives it to its connections.


@dataclass(slots=True, kw_only=True)
class State:
    """
    Only ``secrets`` and ``providers`` are ever replaced, when keys are read again (`receiver.renewal`).

    ``history`` reads through its own connections, one for each seat among the ``streams``: watchers that wait must keep
    nobody else waiting. ``watch_redis`` is asked for metrics.

    ``secrets``: what no answer may show. ``counts``: callbacks by what this process did with them, for `metrics`.
    """

    settings: Settings
    live: LiveSettings
    key_check: KeyCheck
    secrets: tuple[str, ...]
    store: Store
    history: Store
    streams: Slots
    inbox: Inbox
    outbox: Outbox
    spool: Spool
    readiness: Readiness
    strangers: Strangers
    limits: Limits
    verification: Verification
    providers: Providers
    quarantine: Quarantine
    files: MediaFiles
    media: MediaStore
    tokens: Tokens
    links: Links
    watch_redis: RelayRedis
    counts: Counter[str]
    disk: Disk


def state_of(request: HTTPConnection) -> State:
    """The application's state."""
    return cast(State, request.app.state.receiver)
