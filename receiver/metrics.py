"""
``GET /metrics`` in Prometheus's text format: what this receiver has counted since its start, and what lies in Redis.

Labels are words of ours alone, never ids or anything that came from outside. It costs one round trip to Redis; without
Redis it still answers, with what the receiver knows by itself.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from framerelay.receiver.state import state_of
from framerelay.runs.errors import StoreUnavailable
from framerelay.store.figures import Figures, Waiting, figures
from framerelay.store.places import Places

KIND: Final = "text/plain; version=0.0.4; charset=utf-8"
OUTCOMES: Final = ("kept", "repeated", "spooled", "refused", "held", "limited", "not_kept")


async def serve(request: Request) -> Response:
    """The figures; they need a key that reads."""
    state = state_of(request)
    try:
        redis_figures, places = await figures(state.watch_redis), await Places(state.watch_redis).tally()
    except StoreUnavailable:
        redis_figures, places = None, {}
    lines = [*_of_this_receiver(state.counts, state.spool.files), *_of_redis(redis_figures), *_of_places(places)]
    return Response("\n".join(lines) + "\n", media_type=KIND)


def _of_this_receiver(counts: Counter[str], spooled: int) -> Iterator[str]:
    by_outcome = {f'outcome="{outcome}"': counts[outcome] for outcome in OUTCOMES}
    yield from _metric(
        "callbacks_total", "counter", "Callbacks that came to this receiver, by what it did.", by_outcome
    )
    yield from _metric("spool_files", "gauge", "Callbacks in the spool, not yet handed to Redis.", {"": spooled})


def _of_redis(redis_figures: Figures | None) -> Iterator[str]:
    yield from _metric("redis_up", "gauge", "Whether Redis answered just now.", {"": int(redis_figures is not None)})
    if redis_figures is None:
        return
    runs = {f'status="{status.value}"': number for status, number in redis_figures.runs.items()}
    yield from _metric("runs", "gauge", "Runs that are kept, by status.", runs)
    yield from _waiting("queue", "Tasks that wait or run", redis_figures.tasks)
    yield from _waiting("runs_due", "Runs that will be looked at", redis_figures.runs_due)
    yield from _waiting("notifications_due", "Notifications to be sent", redis_figures.notifications)
    yield from _metric("callbacks_stored", "gauge", "Callbacks that can be read again.", {"": redis_figures.callbacks})
    twice = {"": redis_figures.paid_twice}
    yield from _metric("paid_twice_suspected_total", "counter", "Takes of which a second job was found.", twice)
    yield from _metric("quarantine", "gauge", "Callbacks in quarantine.", {"": redis_figures.quarantine})


def _of_places(places: Mapping[str, tuple[int, int]]) -> Iterator[str]:
    """By providers, whose names the operator chose."""
    jobs = {f'provider="{name}"': inside for name, (inside, _) in places.items()}
    waiting = {f'provider="{name}"': waiting for name, (_, waiting) in places.items()}
    yield from _metric("provider_jobs", "gauge", "Jobs in flight, by provider.", jobs)
    yield from _metric("provider_held_shots", "gauge", "Shots that wait for a free place, by provider.", waiting)


def _waiting(name: str, about: str, waiting: Waiting) -> Iterator[str]:
    yield from _metric(name, "gauge", f"{about}.", {"": waiting.number})
    late = {"": round(waiting.late_s, 3)}
    yield from _metric(f"{name}_late_seconds", "gauge", f"{about}: for how long the first of them should have.", late)


def _metric(name: str, kind: str, about: str, values: Mapping[str, float]) -> Iterator[str]:
    yield f"# HELP framerelay_{name} {about}"
    yield f"# TYPE framerelay_{name} {kind}"
    for labels, value in values.items():
        yield f"framerelay_{name}{{{labels}}} {value}" if labels else f"framerelay_{name} {value}"
