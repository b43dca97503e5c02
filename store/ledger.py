"""
The ledger, copied out of a Redis that goes on working.

No two keys are read at the same moment, except those of one run. So things are read after what they grow out of:
callbacks, then the tasks that they asked for, then the runs that those changed, then the notifications about them. So
everything that existed when the copy began is in it, at least in the form it then had: a callback that was answered 2xx
as a callback, as its task, or as a change of its run. Indexes of runs are not copied: they follow from the runs
(`store.ledger_load`).
"""

import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

from framerelay.runs.model import Run, RunStatus
from framerelay.store.client import RelayRedis
from framerelay.store.closed import CLOSED
from framerelay.store.inbox import BATCHES, CALLBACKS, callback_key
from framerelay.store.keys import PREFIX
from framerelay.store.ledger_file import LedgerEntry, run_in
from framerelay.store.outbox import NOTIFICATIONS, NOTIFICATIONS_DUE
from framerelay.store.redis_messages import redis_answers
from framerelay.store.runs import ENDED, RUNS, RUNS_BY_ID, events_key, run_key
from framerelay.store.tasks import DUE, QUEUE, task_keys
from framerelay.store.wordings import storyboard_key

SCANNED: Final = 1000  # Keys examined by one command: about a millisecond.
KEYS_AT_ONCE: Final = 200
RUNS_AT_ONCE: Final = 20  # Read in one transaction.
MEMBERS_AT_ONCE: Final = 1000
LASTING_MS: Final = 60_000  # Keys that expire sooner say who is there now, and are not part of the ledger.
LATE: Final = (CALLBACKS, NOTIFICATIONS, NOTIFICATIONS_DUE)  # After the things that they name.
_LEFT_OUT: Final = frozenset({*LATE, RUNS, RUNS_BY_ID, ENDED, DUE, QUEUE, CLOSED})
_OF_RUNS: Final = tuple(key("*").removeprefix(run_key("*")) for key in (events_key, storyboard_key))

OnEntry = Callable[[LedgerEntry], None]


@dataclass(slots=True, kw_only=True)
class LedgerCounts:
    """What was copied."""

    runs: int = 0
    open_runs: int = 0
    callbacks: int = 0
    tasks: int = 0


async def copy_ledger(redis: RelayRedis, take: OnEntry, *, on_run: Callable[[Run], None]) -> LedgerCounts:
    """
    Give *take* every lasting key of ours, and *on_run* each run among them; programs may work on in the meantime.

    A key may be given twice; the later one applies. Raises: StoreUnavailable.
    """
    counts = LedgerCounts()
    with redis_answers():
        for pattern in (callback_key("*"), f"{BATCHES}*"):
            async for page in _names(redis, pattern):
                entries = await _read(redis, page)
                _all(entries, take)
                counts.callbacks += sum(len(entry.value) // 2 if entry.kind == "hash" else 1 for entry in entries)
        counts.tasks = await _copy_tasks(redis, take)
        async for page in _names(redis, run_key("*")):
            await _copy_runs(redis, [name for name in page if not name.endswith(_OF_RUNS)], take, on_run, counts)
        prefixes = (callback_key(""), BATCHES, run_key(""), f"{RUNS}:")
        async for page in _names(redis, f"{PREFIX}*"):
            rest = [name for name in page if name not in _LEFT_OUT and not name.startswith(prefixes)]
            _all(await _read(redis, rest), take)
        _all(await _read(redis, LATE), take)
    return counts


async def _copy_tasks(redis: RelayRedis, take: OnEntry) -> int:
    """Those in the queue, each with its definition and tries; those that ended in the meantime are left out."""
    queue: list[str | float] = []
    async for members in _members(redis, QUEUE):
        keys = [task_keys(task_id.decode()) for task_id, _ in members]
        entries = {entry.key: entry for entry in await _read(redis, list(chain.from_iterable(keys)))}
        for (definition, _), (task_id, due_ms) in zip(keys, members, strict=True):
            if definition in entries:
                queue += [task_id.decode(), due_ms]
        _all(entries.values(), take)
    if queue:
        take(LedgerEntry(key=QUEUE, kind="zset", value=queue))
    return len(queue) // 2


async def _copy_runs(
    redis: RelayRedis, keys: Sequence[str], take: OnEntry, on_run: Callable[[Run], None], counts: LedgerCounts
) -> None:
    """Each as of one moment, with its history and its text."""
    for begin in range(0, len(keys), RUNS_AT_ONCE):
        for entry in await _read_runs(redis, keys[begin : begin + RUNS_AT_ONCE]):
            take(entry)
            if entry.kind == "hash" and (run := run_in(entry)) is not None:
                counts.runs += 1
                counts.open_runs += is_open(run)
                on_run(run)


async def _read_runs(redis: RelayRedis, keys: Sequence[str]) -> list[LedgerEntry]:
    now_ms = int(time.time() * 1000)
    async with redis.pipeline(transaction=True) as pipe:
        for key in keys:
            run_id = key.removeprefix(run_key(""))
            pipe.pttl(key)
            pipe.hgetall(key)
            pipe.xrange(events_key(run_id))
            pipe.get(storyboard_key(run_id))
        answers = await pipe.execute()
    entries = []
    for number, key in enumerate(keys):
        run_id = key.removeprefix(run_key(""))
        left_ms, fields, events, text = answers[4 * number : 4 * number + 4]
        parts = (
            (key, "hash", fields),
            (events_key(run_id), "stream", events),
            (storyboard_key(run_id), "string", text),
        )
        entries += [_entry(name, kind, value, left_ms, now_ms) for name, kind, value in parts if value]
    return entries


def is_open(run: Run) -> bool:
    """Whether something may still be submitted for it."""
    return run.status not in (RunStatus.SUCCEEDED, RunStatus.CANCELLED)


def _all(entries: Iterable[LedgerEntry], take: OnEntry) -> None:
    for entry in entries:
        take(entry)


async def _names(redis: RelayRedis, pattern: str) -> AsyncIterator[list[str]]:
    """All keys that existed from the first look to the last, in pages."""
    cursor, page = 0, list[str]()
    while True:
        cursor, names = await redis.scan(cursor, match=pattern, count=SCANNED)
        page += [name.decode() for name in names]
        if page and (len(page) >= KEYS_AT_ONCE or not cursor):
            yield page
            page = []
        if not cursor:
            return


async def _read(redis: RelayRedis, keys: Sequence[str]) -> list[LedgerEntry]:
    """What is stored under *keys*; anything that is gone, or soon will be, is left out."""
    entries: list[LedgerEntry] = []
    for begin in range(0, len(keys), KEYS_AT_ONCE):
        entries += await _read_page(redis, keys[begin : begin + KEYS_AT_ONCE])
    return entries


async def _read_page(redis: RelayRedis, keys: Sequence[str]) -> list[LedgerEntry]:
    async with redis.pipeline(transaction=False) as pipe:
        for key in keys:
            pipe.type(key)
        kinds = [kind.decode() for kind in await pipe.execute()]
    there = [(key, kind) for key, kind in zip(keys, kinds, strict=True) if kind in _READS]
    now_ms = int(time.time() * 1000)
    async with redis.pipeline(transaction=False) as pipe:
        for key, kind in there:
            pipe.pttl(key)
            _READS[kind](pipe, key)
        answers = await pipe.execute(raise_on_error=False) if there else []
    entries = []
    for number, (key, kind) in enumerate(there):
        left_ms, value = answers[2 * number : 2 * number + 2]
        if isinstance(value, Exception) or not value:  # It was replaced, or is gone.
            continue
        if kind == "zset":
            value = await _all_members(redis, key, value)
        if left_ms == -1 or left_ms > LASTING_MS:
            entries.append(_entry(key, kind, value, left_ms, now_ms))
    return entries


_READS: Final[dict[str, Callable[[Any, str], Any]]] = {
    "string": lambda pipe, key: pipe.get(key),
    "hash": lambda pipe, key: pipe.hgetall(key),
    "list": lambda pipe, key: pipe.lrange(key, 0, -1),
    "set": lambda pipe, key: pipe.smembers(key),
    "zset": lambda pipe, key: pipe.zscan(key, 0, count=MEMBERS_AT_ONCE),
    "stream": lambda pipe, key: pipe.xrange(key),
}


async def _members(redis: RelayRedis, key: str) -> AsyncIterator[list[tuple[bytes, float]]]:
    cursor = 0
    while True:
        cursor, members = await redis.zscan(key, cursor, count=MEMBERS_AT_ONCE)
        if members:
            yield members
        if not cursor:
            return


async def _all_members(redis: RelayRedis, key: str, first: Any) -> list[tuple[bytes, float]]:
    """A long one in pieces: as a whole it would block Redis."""
    cursor, members = first
    while cursor:
        cursor, more = await redis.zscan(key, cursor, count=MEMBERS_AT_ONCE)
        members += more
    return list(members)


def _entry(key: str, kind: str, value: Any, left_ms: int, now_ms: int) -> LedgerEntry:
    match kind:
        case "hash" | "zset":
            pairs = value.items() if kind == "hash" else value
            value = list(chain.from_iterable(pairs))
        case "set":
            value = list(value)
        case "stream":
            value = [[id, *chain.from_iterable(fields.items())] for id, fields in value]
    return LedgerEntry(key=key, kind=kind, value=value, expires_at_ms=now_ms + left_ms if left_ms > 0 else None)
