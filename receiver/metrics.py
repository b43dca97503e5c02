"""
``GET /metrics`` in Prometheus's text format: what this process has counted since its start, and what is in Redis.

Labels are only words of ours, never ids or anything that came from outside. It costs one round trip to Redis; without
Redis it still answers, with what the receiver itself knows.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from framerelay.config.exposition import KIND, figure, gauge, labels_text
from framerelay.config.metrics import of_this_process
from framerelay.receiver.state import state_of
from framerelay.runs.errors import StoreUnavailable
from framerelay.store.figures import Figures, Waiting, figures
from framerelay.store.places import Places
from framerelay.store.spool import SpoolReport

OUTCOMES: Final = ("kept", "repeated", "spooled", "refused", "held", "limited", "not_kept")


async def serve(request: Request) -> Response:
    """The metrics; a read-only key is enough."""
    state = state_of(request)
    try:
        redis_figures, places = await figures(state.watch_redis), await Places(state.watch_redis).tally()
    except StoreUnavailable:
        redis_figures, places = None, {}
    lines = [
        *_of_this_receiver(state.counts, state.spool.report),
        *_of_redis(redis_figures),
        *_of_places(places),
        *of_this_process(disk_free_bytes=await state.disk.free_bytes()),
    ]
    return Response("\n".join(lines) + "\n", media_type=KIND)


def _of_this_receiver(counts: Counter[str], spool: SpoolReport) -> Iterator[str]:
    by_outcome = {f'{{outcome="{outcome}"}}': counts[outcome] for outcome in OUTCOMES}
    yield from figure("callbacks_total", "counter", "Callbacks that came to this receiver, by what it did.", by_outcome)
    yield from gauge("spool_files", "Callbacks in the spool, not yet handed to Redis.", {"": spool.files})
    yield from gauge("spool_bytes", "Their size.", {"": spool.bytes})
    yield from gauge("spool_oldest_seconds", "Age of the oldest of them; 0 if there is none.", {"": spool.oldest_s})


def _of_redis(redis_figures: Figures | None) -> Iterator[str]:
    yield from gauge("redis_up", "Whether Redis answered just now.", {"": int(redis_figures is not None)})
    if redis_figures is None:
        return
    runs = {f'{{status="{status.value}"}}': number for status, number in redis_figures.runs.items()}
    yield from gauge("runs", "Runs that are kept, by status.", runs)
    yield from _waiting("queue", "Tasks that wait or run", redis_figures.tasks)
    late = {labels_text(("tasks",), (name,)): round(late_s, 3) for name, late_s in redis_figures.late_s.items()}
    yield from gauge("tasks_late_seconds", "For how long the first task of a class should have run.", late)
    yield from _waiting("runs_due", "Runs that will be looked at", redis_figures.runs_due)
    yield from _waiting("notifications_due", "Notifications to be sent", redis_figures.notifications)
    failing = {"": redis_figures.notifications_later}
    yield from gauge("notifications_failing", "Notifications that wait for another try, or are being sent.", failing)
    yield from gauge("callbacks_stored", "Callbacks that can be read again.", {"": redis_figures.callbacks})
    yield from gauge("quarantine", "Callbacks in quarantine.", {"": redis_figures.quarantine})
    twice = {"": redis_figures.paid_twice}
    yield from figure("paid_twice_suspected_total", "counter", "Takes of which a second job was found.", twice)


def _of_places(places: Mapping[str, tuple[int, int]]) -> Iterator[str]:
    """By provider, whose names the operator chose."""
    labels = {name: labels_text(("provider",), (name,)) for name in places}
    jobs = {labels[name]: inside for name, (inside, _) in places.items()}
    waiting = {labels[name]: number for name, (_, number) in places.items()}
    yield from gauge("provider_jobs", "Jobs in flight, by provider.", jobs)
    yield from gauge("provider_held_shots", "Shots that wait for a free place, by provider.", waiting)


def _waiting(name: str, about: str, waiting: Waiting) -> Iterator[str]:
    yield from gauge(name, f"{about}.", {"": waiting.number})
    late = {"": round(waiting.late_s, 3)}
    yield from gauge(f"{name}_late_seconds", f"{about}: for how long the first of them should have.", late)
