"""
The notifications that have to be sent, and the outcome of each try; `store.runs` adds them in the step that saves the
change they are about.

    {framerelay}:notification:ID     hash    notice (MessagePack of `Notice`) · state · since · tries
    {framerelay}:deliveries:ID       list    MessagePack of each `Delivery`, the newest last
    {framerelay}:notifications       zset    notifications by time
    {framerelay}:notifications:RUN   zset    those of one run, likewise
    {framerelay}:notifications-due   zset    those that are to be sent, by the time of the next try (ms)

A sender postpones it by a lease; if that process dies, the lease ends and another one sends it again.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from framerelay.runs.notice_kinds import NotificationState
from framerelay.runs.notices import Notice
from framerelay.store.client import RelayRedis, script
from framerelay.store.ids import id_in
from framerelay.store.keys import PREFIX
from framerelay.store.redis_messages import redis_answers
from framerelay.store.tasks import QUEUE, TASK_LIFE_MS, WAKE, Task, pack

NOTIFICATIONS: Final = "{framerelay}:notifications"
NOTIFICATIONS_DUE: Final = "{framerelay}:notifications-due"
KEEP_S: Final = 30 * 86_400.0
DELIVERIES_KEPT: Final = 100
# Wakes one idle worker's sender; a lost one costs seconds, since each sender also looks by itself.
NOTIFY_TASK: Final = Task(id="notify", function="notify", arguments={})


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One try: when, the status of the answer if there was one, the outcome in words, and how long it took."""

    at: float
    status: int | None
    outcome: str
    took_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeClaim:
    """A notice that is ours to send until *lease*; *since*: when its first try was due. *tries*: those since then."""

    notice: Notice
    since: float
    tries: int
    lease: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """A notice and its state; *next_at*: of the next try, if there is one."""

    notice: Notice
    state: NotificationState
    next_at: float | None
    deliveries: tuple[Delivery, ...]


_decode_notice = msgspec.msgpack.Decoder(Notice).decode
_decode_delivery = msgspec.msgpack.Decoder(Delivery).decode


class Outbox:
    """Hands out what is due, and records the outcome. Each method that contacts Redis raises StoreUnavailable."""

    def __init__(self, redis: RelayRedis) -> None:
        self._redis = redis
        self._claim = redis.register_script(script("notices_claim"))
        self._settle = redis.register_script(script("notices_settle"))
        self._again = redis.register_script(script("notices_again", with_enqueue=True))

    async def claim(self, *, room: int, lease_s: float) -> tuple[list[NoticeClaim], float | None]:
        """
        At most *room* notices that are due, ours for *lease_s*; and in how many seconds the next one is due, if any is.

        Raises: StoreUnavailable.
        """
        with redis_answers():
            records, lease, next_in_ms = await self._claim(keys=[NOTIFICATIONS_DUE], args=[room, int(lease_s * 1000)])
        claims = [
            NoticeClaim(notice=_decode_notice(record), since=float(since), tries=int(tries), lease=lease)
            for record, since, tries in zip(records[::3], records[1::3], records[2::3], strict=True)
        ]
        return claims, (max(0.0, next_in_ms / 1000) if next_in_ms is not None else None)

    async def settle(
        self, claim: NoticeClaim, delivery: Delivery, state: NotificationState, *, wait_s: float | None
    ) -> None:
        """
        Record the outcome of a try, and try again in *wait_s*, unless somebody has requested it again since.

        Raises: StoreUnavailable.
        """
        await self._write(claim, pack(delivery), state, wait_s)

    async def put_back(self, claim: NoticeClaim, *, wait_s: float) -> None:
        """It was not sent now; this does not count as a try. Raises: StoreUnavailable."""
        await self._write(claim, b"", NotificationState.WAITING, wait_s)

    async def send_again(self, notification_id: str) -> bool:
        """Have it sent at once and for a day from now, whatever its state; False if it is not kept (any more)."""
        now = time.time()
        now_ms = int(now * 1000)
        task: list[str | bytes] = [NOTIFY_TASK.id, NOTIFY_TASK.definition(now_ms)]
        keys = [_key(notification_id), NOTIFICATIONS_DUE, QUEUE, WAKE]
        with redis_answers():
            return bool(await self._again(keys=keys, args=[notification_id, now, TASK_LIFE_MS, *task]))

    async def find(self, notification_id: str) -> Notification | None:
        """The notification with that id, while it is kept."""
        with redis_answers():
            notifications = await self._read([notification_id])
        return notifications[0] if notifications else None

    async def find_by_name(self, text: str) -> Notification | None:
        """The notification with that id, with an id that begins so, or the newest (``last``). Raises: IdAmbiguous."""
        notification = await self.find(text)
        name = await id_in(self._redis, NOTIFICATIONS, text) if notification is None else None
        return await self.find(name) if name else notification

    async def recent(self, *, limit: int, after: str | None = None, run_id: str | None = None) -> list[Notification]:
        """Notifications, those of *run* or all, newest first, at most *limit*, beginning after the one *after*."""
        index = NOTIFICATIONS if run_id is None else f"{NOTIFICATIONS}:{run_id}"
        with redis_answers():
            start = 0
            if after is not None:
                rank = await self._redis.zrevrank(index, after)
                if rank is None:
                    return []
                start = int(rank) + 1
            ids = await self._redis.zrevrange(index, start, start + limit - 1)
            return await self._read([each.decode() for each in ids])

    async def _write(self, claim: NoticeClaim, delivery: bytes, state: NotificationState, wait_s: float | None) -> None:
        name = claim.notice.id
        keys = [_key(name), f"{PREFIX}deliveries:{name}", NOTIFICATIONS_DUE]
        wait_ms = "" if wait_s is None else int(wait_s * 1000)
        with redis_answers():
            await self._settle(keys=keys, args=[name, claim.lease, delivery, state.value, wait_ms, DELIVERIES_KEPT])

    async def _read(self, ids: Sequence[str]) -> list[Notification]:
        async with self._redis.pipeline(transaction=False) as pipe:
            for name in ids:
                pipe.hmget(_key(name), ["notice", "state"])
                pipe.lrange(f"{PREFIX}deliveries:{name}", 0, -1)
                pipe.zscore(NOTIFICATIONS_DUE, name)
            records = await pipe.execute() if ids else []
        triples = zip(records[::3], records[1::3], records[2::3], strict=True)
        return [_notification(fields[0], fields[1], tries, due) for fields, tries, due in triples if fields[0]]


def entries_of(notices: Sequence[Notice]) -> list[Any]:
    """Ids and records, alternating, as ``save.lua`` takes them."""
    return [value for notice in notices for value in (notice.id, pack(notice))]


def _key(notification_id: str) -> str:
    return f"{PREFIX}notification:{notification_id}"


def _notification(record: bytes, state: bytes, tries: list[bytes], due: float | None) -> Notification:
    return Notification(
        notice=_decode_notice(record),
        state=NotificationState(state.decode()),
        next_at=None if due is None else due / 1000,
        deliveries=tuple(map(_decode_delivery, tries)),
    )
