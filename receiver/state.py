"""What the routes work with; built once in the lifespan of the application."""

from collections import Counter
from dataclasses import dataclass
from typing import cast

from arq.connections import ArqRedis
from starlette.requests import HTTPConnection

from config.live import LiveSettings
from config.settings import Settings
from receiver.gate import Gate
from receiver.limits import Limits, Seats
from receiver.quarantine import Quarantine
from receiver.readiness import Readiness
from receiver.strangers import Strangers
from receiver.verification import Verification
from runs.files import MediaFiles
from runs.inbox import Inbox
from runs.outbox import Outbox
from runs.spool import Spool
from runs.store import Store
from runs.tokens import Links, Tokens


@dataclass(slots=True, kw_only=True)
class State:
    """
    Nothing of it is replaced but ``secrets``, when keys were read again (`receiver.renewal`).

    ``history`` reads through connections of its own, for as many as have a seat among the ``streams``: watchers that
    wait must keep nobody else waiting. ``redis`` is asked for figures.

    ``secrets``: what no answer may show. ``counts``: callbacks by what this process did with them, for `metrics`.
    """

    settings: Settings
    live: LiveSettings
    gate: Gate
    secrets: tuple[str, ...]
    store: Store
    history: Store
    streams: Seats
    inbox: Inbox
    outbox: Outbox
    spool: Spool
    readiness: Readiness
    strangers: Strangers
    limits: Limits
    verification: Verification
    quarantine: Quarantine
    files: MediaFiles
    tokens: Tokens
    links: Links
    redis: ArqRedis
    counts: Counter[str]


def state_of(request: HTTPConnection) -> State:
    """The application's state."""
    return cast(State, request.app.state.receiver)
