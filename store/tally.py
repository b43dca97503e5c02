"""Counts of what a person may have to look at, in one round trip: the figures next to the page's names."""

import time
from dataclasses import dataclass

from framerelay.runs.model import RunStatus
from framerelay.store.client import RelayRedis
from framerelay.store.inbox import QUARANTINE
from framerelay.store.outbox import NOTIFICATIONS_DUE
from framerelay.store.redis_messages import redis_answers
from framerelay.store.run_index import NEEDS_PERSON
from framerelay.store.runs import RUNS


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallationTally:
    """
    ``all`` · ``by_status`` · ``needs_person``: runs. ``quarantine``: callbacks. ``backlog``: notifications that wait
    for another try, or are being sent.
    """

    all: int
    by_status: dict[RunStatus, int]
    needs_person: int
    quarantine: int
    backlog: int


async def installation_tally(redis: RelayRedis) -> InstallationTally:
    """The current counts; each costs the same however many there are. Raises: StoreUnavailable."""
    with redis_answers():
        async with redis.pipeline(transaction=False) as pipe:
            for status in RunStatus:
                pipe.zcard(f"{RUNS}:{status.value}")
            pipe.zcard(RUNS)
            pipe.zcard(f"{RUNS}:{NEEDS_PERSON}")
            pipe.llen(QUARANTINE)
            pipe.zcount(NOTIFICATIONS_DUE, f"({time.time() * 1000}", "+inf")
            *statuses, every, needs, quarantine, backlog = await pipe.execute()
    return InstallationTally(
        all=every,
        by_status=dict(zip(RunStatus, statuses, strict=True)),
        needs_person=needs,
        quarantine=quarantine,
        backlog=backlog,
    )
