"""
Runs in Redis: a run and everything that follows from its change are written in one step, or not at all.

    {framerelay}:run:ID          hash    the run, in the fields that `store.layout` names
    {framerelay}:run:ID:events   stream  what happened to it, capped
    {framerelay}:runs            zset    every run by the time it was made
    {framerelay}:runs-by-id      zset    every run, all with the score 0, so that they are in the order of their ids
    {framerelay}:runs:STATUS     zset    those of one status, likewise; a run moves in the step that changes its status
    {framerelay}:runs:…          zset    those with a label, a word, a need: `store.run_index`
    {framerelay}:runs-ended      zset    those that have ended, by their last change
    {framerelay}:runs-removed    zset    those that were removed, until their files surely are gone too
    {framerelay}:due             zset    runs by the time at which they are looked at next
    {framerelay}:asked:KEY       string  the run that an ``Idempotency-Key`` made
    {framerelay}:asked-plan:ID   string  the plan of that run, so that the key makes nothing else
    {framerelay}:used:NAME       string  an invitation to the page that was used, or a session of it that was ended
    {framerelay}:repaired        set     what was done once for all runs that an early version had left
    {framerelay}:counts          hash    how often something happened that should not: paid_twice

What has to be told of a change goes to `store.outbox` in the same step.
"""

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from framerelay.runs.errors import RequestInvalid
from framerelay.runs.machine import AHEAD_S_MAX
from framerelay.runs.model import Run, RunId, RunStatus, Wording
from framerelay.runs.notices import Notice
from framerelay.runs.standing import has_ended
from framerelay.runs.steps import Step
from framerelay.store.client import RelayRedis, script
from framerelay.store.copies import Copies
from framerelay.store.ids import LAST, SHOWN_MAX, is_beginning, only_id
from framerelay.store.keys import PREFIX
from framerelay.store.layout import Memory, fields_of, run_of
from framerelay.store.outbox import KEEP_S, NOTIFICATIONS, NOTIFICATIONS_DUE, NOTIFY_TASK, entries_of
from framerelay.store.places import Places
from framerelay.store.redis_messages import redis_answers
from framerelay.store.run_index import RunQuery, indexes_of
from framerelay.store.tasks import DUE, QUEUE, TASK_LIFE_MS, WAKE, Task, pack, task_of, unpack
from framerelay.store.wordings import Wordings, pack_wording, storyboard_key

RUNS: Final = "{framerelay}:runs"
RUNS_BY_ID: Final = "{framerelay}:runs-by-id"
EVENTS_KEPT: Final = 2000
ASKED_LIFE_MS: Final = 7 * 86_400_000
ENDED: Final = "{framerelay}:runs-ended"
REMOVED: Final = "{framerelay}:runs-removed"
REPAIRED: Final = "{framerelay}:repaired"
COUNTS: Final = "{framerelay}:counts"
# So long a run that was removed is not made again by a repeated request or by a late callback at a hook.
REMOVED_LIFE_MS: Final = 30 * 86_400_000
INDEXED_AT_ONCE: Final = 1000
WALKED_AT_ONCE: Final = 500
RUN_ID: Final = re.compile(r"run_[a-z0-9]{1,40}")
_WANTS_ALL: Final = 2  # What save.lua says where it finds a run in the layout of an early version.


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedEvent:
    """One line of a run's history; *id* orders them and lets a reader resume."""

    id: str
    fields: dict[str, Any]


def run_key(run_id: str) -> str:
    """The key of a run."""
    return f"{PREFIX}run:{run_id}"


def events_key(run_id: str) -> str:
    """The key of its history."""
    return f"{PREFIX}run:{run_id}:events"


def _plan_key(run_id: str) -> str:
    return f"{PREFIX}asked-plan:{run_id}"


class Store:
    """
    Loads and saves runs, the only writer of the keys above; everything that contacts Redis raises StoreUnavailable.

    It remembers the runs that it saved last: one that has not changed since costs a word to load, however long it is.
    *notices_keep_s*: how long the notifications of a run can be read. *copies*: what replicas of Redis must have of
    anything saved ``copied``. ``wordings``: texts of storyboards. ``places``: at providers; a change may free them.
    """

    def __init__(self, redis: RelayRedis, *, notices_keep_s: float = KEEP_S, copies: Copies | None = None) -> None:
        self._redis = redis
        self._copies = copies or Copies(redis, 0)
        self._notices_keep_ms = int(notices_keep_s * 1000)
        self._memory = Memory()
        self.wordings, self.places, self.clock = Wordings(redis), Places(redis), redis.clock
        self._save = redis.register_script(script("save", with_enqueue=True, with_index=True))
        self._enqueue = redis.register_script(script("tasks", with_enqueue=True))
        self._schedule = redis.register_script(script("schedule", with_enqueue=True))
        self._overdue = redis.register_script(script("overdue"))
        self._remove = redis.register_script(script("remove", with_index=True))
        self._index = redis.register_script(script("index_run", with_index=True))

    async def load(self, run_id: str) -> Run | None:
        """The current run; None if there is none, or it was removed."""
        entry = self._memory.find(run_id)
        with redis_answers():
            await self.clock.look(self._redis.time)
            if entry is not None and await self._redis.hget(run_key(run_id), "saved") == entry.save_id:  # type: ignore[misc]  # redis-py's sync/async union
                return entry.run
            fields = await self._redis.hgetall(run_key(run_id))  # type: ignore[misc]  # redis-py's sync/async union
        run = run_of(fields)
        if run is not None and b"saved" in fields:
            self._memory.keep(run, fields[b"saved"])
        else:
            self._memory.forget(run_id)
        return run

    async def save(
        self,
        run: Run,
        *,
        before: Run | None,
        event: dict[str, Any],
        steps: Sequence[Step],
        wake_at: float | None,
        notices: Sequence[Notice] = (),
        copied: bool = False,
        wording: Wording | None = None,
    ) -> bool:
        """
        Write what has changed in *run*, with its event, next wake-up, tasks of *steps* and *notices*, all or nothing.

        *before*: the run that it grew from; None for a new run. *copied*: money is spent after this, so copies of
        Redis must have it. *wording*: the text of its storyboard, if that is new. False if somebody was faster.
        Raises: CopiesMissing, if too few have it; StoreUnavailable: saving it again tells whether it was written.
        """
        copies = self._copies if copied else Copies(self._redis, 0)
        save_id, old_revision = secrets.token_bytes(8), "" if before is None else str(before.revision)
        now_ms = int(self.clock.now() * 1000)
        keys = [run_key(run.id), events_key(run.id), DUE, RUNS, QUEUE, WAKE, ENDED, NOTIFICATIONS, NOTIFICATIONS_DUE]
        keys.append(storyboard_key(run.id))
        follows: list[str | bytes | int | float] = [
            pack(event),
            "" if wake_at is None else int(wake_at * 1000),
            run.id,
            run.created_at,
            EVENTS_KEPT,
            run.revision,
            now_ms,
            TASK_LIFE_MS,
            run.status.value,
            run.updated_at if has_ended(run) else "",
            indexes_of(run),
        ]
        due = [*map(task_of, steps), *([NOTIFY_TASK] if notices else [])]
        tasks = [value for task in due for value in (task.id, task.definition(now_ms))]
        entries = entries_of(notices)
        with redis_answers():
            for base in (before, None):
                fields = ["saved", save_id, *fields_of(run, before=base)]
                counts = [len(fields), len(entries), self._notices_keep_ms, pack_wording(wording)]
                arguments = [old_revision, "some" if base else "all", *follows, *counts, *fields, *entries, *tasks]
                result = await copies.call(self._save, keys, arguments)
                if result.answer != _WANTS_ALL:
                    break
        if result.answer:
            self._memory.keep(run, save_id)
            copies.check(result.copies)
        return bool(result.answer)

    async def enqueue(self, tasks: Sequence[Task], *, rest_s: float = 0.0) -> None:
        """Queue *tasks* without changing a run, to begin after *rest_s*; one that waits or runs is not duplicated."""
        now_ms = int(self.clock.now() * 1000)
        pairs = [value for task in tasks for value in (task.id, task.definition(now_ms))]
        with redis_answers():
            await self._enqueue(keys=[QUEUE, WAKE], args=[int(rest_s * 1000), TASK_LIFE_MS, *pairs])

    async def overdue(self, now: float, *, put_off_s: float, at_most: int) -> list[str]:
        """
        Ids of the runs whose time has come; each is put off, so that nobody else gets it in the meantime.

        So are those whose time is further off than any time that is ever set: the clock was set back since.
        """
        now_ms, put_off_ms, ahead_ms = (int(each * 1000) for each in (now, put_off_s, AHEAD_S_MAX))
        arguments = [now_ms, now_ms + put_off_ms, at_most, now_ms + ahead_ms]
        with redis_answers():
            ids = await self._overdue(keys=[DUE], args=arguments)
        return [run_id.decode() for run_id in ids]

    async def awaiting(self, *, start: int, count: int) -> list[str]:
        """Ids of the runs that are not at rest, by when they are looked at next, from position *start* on."""
        with redis_answers():
            ids = await self._redis.zrange(DUE, start, start + count - 1)
        return [run_id.decode() for run_id in ids]

    async def schedule(self, run: Run, *, steps: Sequence[Step], wake_at: float | None) -> None:
        """Queue *steps* and set when *run* is looked at next, unless somebody has changed it since it was loaded."""
        now_ms = int(self.clock.now() * 1000)
        tasks = [value for task in map(task_of, steps) for value in (task.id, task.definition(now_ms))]
        wake_ms = "" if wake_at is None else int(wake_at * 1000)
        arguments = [str(run.revision), wake_ms, run.id, TASK_LIFE_MS, *tasks]
        with redis_answers():
            await self._schedule(keys=[run_key(run.id), DUE, QUEUE, WAKE], args=arguments)

    async def remove(self, run: Run, *, now: float) -> bool:
        """Forget *run* and its history, not its files; False if it has changed since it was loaded."""
        keys = [run_key(run.id), events_key(run.id), DUE, RUNS, ENDED, REMOVED, storyboard_key(run.id)]
        arguments = [str(run.revision), run.id, run.status.value, now, REMOVED_LIFE_MS]
        with redis_answers():
            return bool(await self._remove(keys=keys, args=arguments))

    async def ended_before(self, moment: float, *, at_most: int) -> list[str]:
        """Ids of runs that ended and have not changed since *moment*, the oldest first."""
        return await self._first_of(ENDED, moment, at_most)

    async def removed_before(self, moment: float, *, at_most: int) -> list[str]:
        """Ids of runs that were removed before *moment* and whose files have not been reported gone."""
        return await self._first_of(REMOVED, moment, at_most)

    async def is_removed(self, run_id: str) -> bool:
        """Whether it existed, and somebody removed it recently."""
        with redis_answers():
            return bool(await self._redis.hget(run_key(run_id), "revision") == b"removed")  # type: ignore[misc]  # redis-py's sync/async union

    async def forget_removal(self, run_id: str) -> None:
        """The files of a removed run need no more attention."""
        with redis_answers():
            await self._redis.zrem(REMOVED, run_id)

    async def _first_of(self, index: str, moment: float, at_most: int) -> list[str]:
        with redis_answers():
            ids = await self._redis.zrangebyscore(index, "-inf", moment, start=0, num=at_most)
        return [run_id.decode() for run_id in ids]

    async def runs(
        self, *, limit: int, after: str | None = None, status: RunStatus | None = None, query: RunQuery | None = None
    ) -> list[Run]:
        """
        Runs, newest first, at most *limit*, beginning after the run *after*; with *status* those that have it, with
        *query* those that match it.

        The cost is that of the page, however many runs are stored; if several conditions are given, that of the rarest
        of them. A run that was saved by a version without the index of statuses is found by its status once it has
        changed.
        """
        names = (query or RunQuery(status=status)).indexes
        with redis_answers():
            first, *others = await self._rarest_first([f"{RUNS}:{name}" for name in names]) or [RUNS]
            start = 0 if after is None else await self._place_behind(after, first)
            runs: list[Run] = []
            while start is not None and (missing := limit - len(runs)) > 0:
                size = WALKED_AT_ONCE if others else missing
                ids = await self._redis.zrevrange(first, start, start + size - 1)
                page = await self._load_all(await self._in_all(ids, others), query, missing)
                runs += page
                start = start + size if len(ids) == size else None
        return runs

    async def _rarest_first(self, indexes: list[str]) -> list[str]:
        if len(indexes) < 2:
            return indexes
        async with self._redis.pipeline(transaction=False) as pipe:
            for index in indexes:
                pipe.zcard(index)
            sizes = await pipe.execute()
        return [index for _, index in sorted(zip(sizes, indexes, strict=True))]

    async def _in_all(self, ids: list[bytes], indexes: list[str]) -> list[bytes]:
        """Those of *ids* that are in all *indexes*."""
        for index in indexes:
            scores = await self._redis.zmscore(index, [run_id.decode() for run_id in ids]) if ids else []
            ids = [run_id for run_id, score in zip(ids, scores, strict=True) if score is not None]
        return ids

    async def _load_all(self, ids: list[bytes], query: RunQuery | None, limit: int) -> list[Run]:
        """At most *limit* of the runs *ids*, those that match *query*; one that has been removed is left out."""
        runs: list[Run] = []
        while ids and len(runs) < limit:
            now, ids = ids[: limit - len(runs)], ids[limit - len(runs) :]
            async with self._redis.pipeline(transaction=False) as pipe:
                for run_id in now:
                    pipe.hgetall(run_key(run_id.decode()))
                records = await pipe.execute()
            runs += [run for run in map(run_of, records) if run is not None and (query is None or query.is_met(run))]
        return runs

    async def index(self, run: Run) -> bool:
        """Add *run*, as it was loaded, to the indexes by which it is found, if a version without them saved it."""
        arguments = (str(run.revision), run.id, run.created_at, indexes_of(run))
        with redis_answers():
            return bool(await self._index(keys=[run_key(run.id), RUNS], args=arguments))

    async def find_by_name(self, text: str) -> Run | None:
        """
        The run whose id is *text*, or begins so; the newest for ``last``. None if there is none.

        Raises: IdAmbiguous with those that begin so; StoreUnavailable.
        """
        run = await self.load(text) if RUN_ID.fullmatch(text) else None
        if run is None and text == LAST:
            return next(iter(await self.runs(limit=1)), None)
        if run is None and is_beginning(text):
            name = only_id(text, await self.ids_beginning(text, at_most=SHOWN_MAX + 1))
            return await self.load(name) if name else None
        return run

    async def ids_beginning(self, text: str, *, at_most: int) -> list[str]:
        """
        Ids of runs that begin with *text*, in order; the cost is that of the answer, however many runs there are.

        Runs that were saved by a version without this index are added to it by the first reader.
        """
        with redis_answers():
            if await self._redis.zcard(RUNS_BY_ID) < await self._redis.zcard(RUNS):
                await self._index_ids()
            beginning = text.encode()
            ids = await self._redis.zrangebylex(
                RUNS_BY_ID, b"[" + beginning, b"(" + beginning + b"\xff", start=0, num=at_most
            )
        return [run_id.decode() for run_id in ids]

    async def _index_ids(self) -> None:
        """A run that is removed in the meantime stays in it, and is not found when it is loaded."""
        start = 0
        while ids := await self._redis.zrange(RUNS, start, start + INDEXED_AT_ONCE - 1):
            await self._redis.zadd(RUNS_BY_ID, dict.fromkeys(ids, 0))
            start += INDEXED_AT_ONCE

    async def _place_behind(self, after: str, index: str) -> int | None:
        """A run that has left the *index* since its page was read still marks the position where it was."""
        rank = await self._redis.zrevrank(index, after)
        if rank is not None:
            return int(rank) + 1
        made_at = await self._redis.zscore(RUNS, after)
        return None if made_at is None else int(await self._redis.zcount(index, f"({made_at!r}", "+inf"))

    async def history(self, run_id: str, *, after: str = "0", wait_s: float = 0.0) -> list[LoggedEvent]:
        """Events after the one named *after*; with *wait_s* it waits that many seconds for the first one."""
        block = int(wait_s * 1000) or None
        with redis_answers():
            streams = await self._redis.xread({events_key(run_id): after}, count=500, block=block)
        return [
            LoggedEvent(id=event_id.decode(), fields=unpack(fields[b"event"]))
            for _, entries in streams or []
            for event_id, fields in entries
        ]

    async def asked_before(self, key: str, run_id: RunId, *, plan: str = "") -> RunId:
        """
        The run that belongs to an ``Idempotency-Key``: *run_id* if the key is new, otherwise the one it made.

        *plan*: the id of what is requested. Raises: RequestInvalid if it was a different one the first time.
        """
        name = f"{PREFIX}asked:{key}"
        with redis_answers():
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.set(_plan_key(run_id), plan, px=ASKED_LIFE_MS)
                pipe.set(name, run_id, nx=True, get=True, px=ASKED_LIFE_MS)
                _, owner = await pipe.execute()
            if owner is None or owner.decode() == run_id:  # Asked twice: the first answer may have been lost.
                return run_id
            earlier = RunId(owner.decode())
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.get(_plan_key(earlier))
                pipe.delete(_plan_key(run_id))
                old_plan, _ = await pipe.execute()
        if old_plan is not None and old_plan.decode() != plan:  # An earlier version stored no plan.
            raise RequestInvalid(
                f"the key was used for another storyboard, of which {earlier} was made: give each its own key",
                param="Idempotency-Key",
            )
        return earlier

    async def is_repaired(self, step: str) -> bool:
        """Whether a worker has been through all stored runs for that *step*. Raises: StoreUnavailable."""
        with redis_answers():
            return bool(await self._redis.sismember(REPAIRED, step))  # type: ignore[misc]  # redis-py's sync/async union

    async def mark_repaired(self, step: str) -> None:
        """No other worker needs to do this."""
        with redis_answers():
            await self._redis.sadd(REPAIRED, step)  # type: ignore[misc]  # redis-py's sync/async union

    async def count(self, what: str) -> None:
        """It happened once more; the operator should know. Raises: StoreUnavailable."""
        with redis_answers():
            await self._redis.hincrby(COUNTS, what, 1)  # type: ignore[misc]  # redis-py's sync/async union

    async def is_first_use(self, name: str, *, life_s: int) -> bool:
        """Whether *name* is used for the first time in *life_s*, at any receiver. Raises: StoreUnavailable."""
        with redis_answers():
            return bool(await self._redis.set(f"{PREFIX}used:{name}", 1, nx=True, ex=life_s))

    async def is_used(self, name: str) -> bool:
        """Whether *name* has been used. Raises: StoreUnavailable."""
        with redis_answers():
            return bool(await self._redis.exists(f"{PREFIX}used:{name}"))
