"""
A copied ledger, written into an empty Redis; the indexes of its runs are rebuilt from the runs.

An index that was read at another moment than its run would hide that run, and whatever it waits for, for good.
"""

import re
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from framerelay.runs.machine import wake_at
from framerelay.runs.model import Run
from framerelay.runs.standing import has_ended
from framerelay.store.client import RedisCommand, RelayRedis
from framerelay.store.inbox import CALLBACKS
from framerelay.store.keys import EARLIER, PREFIX
from framerelay.store.ledger_file import LedgerEntry, run_in
from framerelay.store.outbox import NOTIFICATIONS
from framerelay.store.redis_messages import redis_answers
from framerelay.store.runs import ENDED, REMOVED, RUN_ID, RUNS, RUNS_BY_ID, run_key
from framerelay.store.tasks import DUE

VALUES_AT_ONCE: Final = 1000
BYTES_AT_ONCE: Final = 1 << 20
SCANNED: Final = 1000
_COMMANDS: Final = {"hash": "HSET", "list": "RPUSH", "set": "SADD"}


async def is_blank(redis: RelayRedis) -> bool:
    """Whether no run, callback or notification is kept here; what a first start leaves does not count."""
    keys = (RUNS, CALLBACKS, NOTIFICATIONS, REMOVED)
    with redis_answers():
        if await redis.exists(*keys):
            return False
        for prefix in EARLIER:  # In a cluster they might be elsewhere, where no version of that time could work.
            names = {_old_key(key, prefix).encode() for key in keys}
            async for name in redis.scan_iter(match=f"{prefix}*", count=SCANNED, _type="zset"):
                if name in names:
                    return False
    return True


async def clear(redis: RelayRedis, *, but: str) -> None:
    """Remove every key of ours *but* one, including those of earlier versions. Raises: StoreUnavailable."""
    with redis_answers():
        for prefix in (PREFIX, *EARLIER):
            cursor = 0
            while True:
                cursor, names = await redis.scan(cursor, match=f"{prefix}*", count=SCANNED)
                await _send(redis, [("UNLINK", name) for name in names if name.decode() != but])
                if not cursor:
                    break


async def load_ledger(redis: RelayRedis, entries: Iterable[LedgerEntry], *, prefix: str) -> int:
    """
    Write *entries*, whose keys began with *prefix*, and the indexes of their runs; returns how many keys.

    What has expired since is left out. A second call writes the same again. Raises: StoreUnavailable.
    """
    keys, waiting, size = 0, list[RedisCommand](), 0
    for entry in entries:
        if entry.expires_at_ms is not None and entry.expires_at_ms <= time.time() * 1000:
            continue
        keys += 1
        for command in (*_commands(entry), *_indexes(entry, prefix)):
            waiting.append(command)
            size += sum(len(word) if isinstance(word, bytes | str) else 8 for word in command)
        if size > BYTES_AT_ONCE:
            await _send(redis, waiting)
            waiting, size = [], 0
    await _send(redis, waiting)
    return keys


def runs_in(entries: Iterable[LedgerEntry], *, prefix: str) -> Iterator[Run]:
    """The runs among *entries*, whose keys began with *prefix*."""
    for entry in entries:
        run_id = entry.key.removeprefix(_old_key(run_key(""), prefix))
        if entry.kind == "hash" and RUN_ID.fullmatch(run_id) and (run := run_in(entry)) is not None:
            yield run


async def _send(redis: RelayRedis, commands: Sequence[RedisCommand]) -> None:
    """As a unit; if the connection breaks, all again."""
    with redis_answers():
        for answer in await redis.together(*commands) if commands else ():
            if isinstance(answer, Exception):
                raise answer


def _commands(entry: LedgerEntry) -> Iterator[RedisCommand]:
    """What makes its key; whatever was there before is removed."""
    if entry.kind != "string":
        yield "UNLINK", entry.key
    match entry.kind:
        case "string":
            yield "SET", entry.key, entry.value
        case "stream":
            for id, *fields in entry.value:
                yield "XADD", entry.key, id, *fields
        case "zset":
            for piece in _pieces(entry.value):
                yield "ZADD", entry.key, *(word for pair in zip(piece[1::2], piece[::2], strict=True) for word in pair)
        case kind:
            for piece in _pieces(entry.value):
                yield _COMMANDS[kind], entry.key, *piece
    if entry.expires_at_ms is not None:
        yield "PEXPIREAT", entry.key, entry.expires_at_ms


def _pieces(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for begin in range(0, len(values), VALUES_AT_ONCE):
        yield values[begin : begin + VALUES_AT_ONCE]


def _indexes(entry: LedgerEntry, prefix: str) -> Iterator[RedisCommand]:
    """Where the run in *entry*, if it is one, is indexed: among all, by status, by words, by when it is due or over."""
    run_id = entry.key.removeprefix(_old_key(run_key(""), prefix))
    if entry.kind != "hash" or not RUN_ID.fullmatch(run_id):
        return
    if (run := run_in(entry)) is None:
        return
    fields = dict(zip(entry.value[::2], entry.value[1::2], strict=True))
    runs = _old_key(RUNS, prefix)
    yield "ZADD", runs, run.created_at, run_id
    yield "ZADD", _old_key(RUNS_BY_ID, prefix), 0, run_id
    for name in (run.status.value, *re.findall(r"[^\n]+", fields.get(b"indexes", b"").decode())):
        yield "ZADD", f"{runs}:{name}", run.created_at, run_id
    yield from _times(run, prefix)


def _times(run: Run, prefix: str) -> Iterator[RedisCommand]:
    if has_ended(run):
        yield "ZADD", _old_key(ENDED, prefix), run.updated_at, run.id
    if (moment := wake_at(run, time.time())) is not None:
        yield "ZADD", _old_key(DUE, prefix), int(moment * 1000), run.id


def _old_key(key: str, prefix: str) -> str:
    """*key* as in the version whose keys began with *prefix*; if those are not today's, they are moved later."""
    return prefix + key.removeprefix(PREFIX)
