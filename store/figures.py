"""How much of everything is in Redis, at a cost that does not grow with it: for the operator."""

import time
from dataclasses import dataclass
from typing import Final

from framerelay.runs.model import RunStatus
from framerelay.store.client import RelayRedis
from framerelay.store.inbox import CALLBACKS, QUARANTINE
from framerelay.store.outbox import NOTIFICATIONS_DUE
from framerelay.store.redis_messages import redis_answers
from framerelay.store.runs import COUNTS, RUNS
from framerelay.store.tasks import DUE, HEAVY, QUEUE

OLDEST: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """How many wait, and how late (s) the first of them is; 0 if none is late."""

    number: int
    late_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """
    ``tasks`` · ``runs_due`` · ``notifications``: those that are scheduled, and how late the first of each is.
    ``late_s``: for each class of tasks (``light`` · ``heavy``), how late the first is; among the `OLDEST` only.
    ``notifications_later``: those due later, since they were tried and failed, or are being sent.
    ``callbacks`` · ``quarantine``: how many are kept. ``paid_twice``: takes for which a second job was found, ever.
    """

    runs: dict[RunStatus, int]
    tasks: Waiting
    late_s: dict[str, float]
    runs_due: Waiting
    notifications: Waiting
    notifications_later: int
    callbacks: int
    quarantine: int
    paid_twice: int


async def figures(redis: RelayRedis) -> Figures:
    """The current figures, by Redis's own clock. Raises: StoreUnavailable."""
    queues = (QUEUE, DUE, NOTIFICATIONS_DUE)
    with redis_answers():
        async with redis.pipeline(transaction=False) as pipe:
            pipe.time()
            for status in RunStatus:
                pipe.zcard(f"{RUNS}:{status.value}")
            for queue in queues:
                pipe.zcard(queue)
                pipe.zrange(queue, 0, 0, withscores=True)
            now = time.time() * 1000
            pipe.zrangebyscore(QUEUE, "-inf", now, start=0, num=OLDEST, withscores=True)
            pipe.zcount(NOTIFICATIONS_DUE, f"({now}", "+inf")
            pipe.zcard(CALLBACKS)
            pipe.llen(QUARANTINE)
            pipe.hget(COUNTS, "paid_twice")
            (seconds, micros), *numbers = await pipe.execute()
    counts, rest = numbers[: len(RunStatus)], numbers[len(RunStatus) :]
    now_ms = seconds * 1000 + micros / 1000
    waiting = [_waiting(rest[2 * place], rest[2 * place + 1], now_ms) for place in range(len(queues))]
    return Figures(
        runs=dict(zip(RunStatus, counts, strict=True)),
        tasks=waiting[0],
        late_s=_late_s(rest[-5], now_ms),
        runs_due=waiting[1],
        notifications=waiting[2],
        notifications_later=rest[-4],
        callbacks=rest[-3],
        quarantine=rest[-2],
        paid_twice=int(rest[-1] or 0),
    )


def _late_s(due: list[tuple[bytes, float]], now_ms: float) -> dict[str, float]:
    """For each class of tasks; *due*: their ids and times, the oldest first."""
    late_s = {"light": 0.0, "heavy": 0.0}
    for name, due_ms in reversed(due):
        kind = "heavy" if name.decode().partition(":")[0] in HEAVY else "light"
        late_s[kind] = max(0.0, (now_ms - due_ms) / 1000)
    return late_s


def _waiting(number: int, first: list[tuple[bytes, float]], now_ms: float) -> Waiting:
    return Waiting(number=number, late_s=max(0.0, (now_ms - first[0][1]) / 1000) if first else 0.0)
