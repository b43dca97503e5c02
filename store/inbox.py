"""
The durable inbox: one script call keeps callbacks that arrive together and queues their tasks, before the answers.

No callback waits for others: an idle receiver writes one at a time; under load the next batch gathers while the last
one is synced to disk. A callback counts as kept only when Redis has confirmed it. A batch is stored in one hash: a key
for each callback would take a fifth of Redis's time.

    {framerelay}:callbacks:MS    hash    MessagePack of each `Callback` that was accepted in that millisecond, by its id
    {framerelay}:callback:ID     string  the same for one that was refused or held, which may be removed by itself; and
                                         for each one that a version before schema 4 accepted
    {framerelay}:marks:ID        hash    what was found out about it later: repeats · conflict · late
    {framerelay}:callbacks       zset    callbacks by time
    {framerelay}:refused         list    a sample of those that came to a wrong address, newest first
    {framerelay}:quarantine      list    those that did not prove where they come from, newest first
    {framerelay}:seen:WHAT       string  ID SHA256 of the callback that had this address, outcome and body first
    {framerelay}:ending:JOB      string  ID SHA256 of the callback that first said how this job at this address ended
    {framerelay}:contradiction:SHA256:KEY  string  ID SHA256 of one that disagreed with the first at that key
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import chain, islice, repeat
from typing import Final

import msgspec
from msgspec.structs import replace

from framerelay.runs.errors import CopiesMissing
from framerelay.runs.wire_names import WIRE_NAMES
from framerelay.store.client import PinnedConnection, RelayRedis, script
from framerelay.store.copies import CopiedAnswer, Copies
from framerelay.store.ids import id_in
from framerelay.store.keys import PREFIX
from framerelay.store.redis_messages import REDIS_ERRORS, redis_answers, unavailable
from framerelay.store.tasks import QUEUE, TASK_LIFE_MS, WAKE, Task, pack

CALLBACKS: Final = "{framerelay}:callbacks"
BATCHES: Final = f"{CALLBACKS}:"
REFUSED: Final = "{framerelay}:refused"
PROBE: Final = "{framerelay}:probe"
REFUSED_MAX: Final = 200
REFUSED_BYTES_MAX: Final = 2 << 20
QUARANTINE: Final = "{framerelay}:quarantine"
QUARANTINE_MAX: Final = 200
QUARANTINE_BYTES_MAX: Final = 16 << 20
BATCH_MAX: Final = 256
KEEP_WITHIN_S: Final = 3.0  # Providers wait 5 s; a Redis that hangs must not cost the event its next try.
PROVE_WITHIN_S: Final = 2.0

OnKept = Callable[[bool | BaseException], None]


class Callback(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename=WIRE_NAMES):
    """
    One POST that we received about a job; a struct, since each is written as it is, and there are thousands a second.

    ``outcome``: ``accepted`` · ``unreadable`` (not a JSON object) · ``too_large`` · ``encoded`` · ``cut_off``; when
    read back also ``late`` (its take was settled before it arrived) or ``conflict`` (an earlier one disagrees about how
    the same job ended): looked up like any other.
    ``replay``: a person asked for ``replay_of`` to be processed again. ``refused``: a sample of what came to addresses
    that are not ours. ``probe``: `doctor` sent it, under the id that it chose; it is about no job. ``quarantined``: it
    did not prove where it comes from; a person may have that verified again.
    ``body``: the body without anything that grants access; raw only in quarantine, where it has to be verified again;
    empty for ``too_large``, ``encoded`` and ``cut_off``. ``size`` and ``sha256`` (hex): of the original, once it was
    read.
    ``held``: it has no effect, because it was not verified. ``evidence``: the headers that were to prove it, kept only
    in quarantine.
    ``provider``: who called, if its callbacks are read by its profile; ``state``: what ``word`` means by that.
    ``reference``: our own, if a callback names no job.
    ``trace``: the trace context that continues its trace, if traces are recorded.
    ``ending``: the same for all that say how one job at one address ended; None for all others.
    """

    id: str
    received_at: float
    outcome: str
    body: bytes
    run_id: str | None = None
    shot_id: str | None = None
    take: int | None = None
    provider: str | None = None
    hook: str | None = None
    job_id: str | None = None
    word: str | None = None
    state: str | None = None
    reference: str | None = None
    reason: str | None = None
    ending: str | None = None
    replay_of: str | None = None
    held: bool = False
    evidence: tuple[tuple[str, str], ...] = ()
    size: int | None = None
    sha256: str | None = None
    trace: str | None = None
    repeats: int = 0


_decode_callback = msgspec.msgpack.Decoder(Callback).decode


class Inbox:
    """Keeps callbacks; `accept` returns when Redis has them. Each method that asks Redis raises StoreUnavailable."""

    def __init__(self, redis: RelayRedis, *, keep_s: float, copies: Copies | None = None) -> None:
        self._redis = redis
        self._copies = copies or Copies(redis, 0)
        self._keep_ms = int(keep_s * 1000)
        self._accept = redis.register_script(script("accept", with_enqueue=True))
        self._late = redis.register_script(script("late"))
        self._set_aside = redis.register_script(script("set_aside"))
        self._waiting: dict[_Delivery, None] = {}
        self._patience: dict[_Delivery, None] = {}
        self._impatient: asyncio.TimerHandle | None = None
        self._writer: asyncio.Task[None] | None = None

    async def accept(self, callback: Callback, *, fingerprint: str, task: Task | None) -> bool:
        """
        Keep *callback* and queue its *task*; False if the same *fingerprint* was kept before, for another callback.

        Giving the same callback again is safe. A caller that stops waiting is forgotten, unless the write is under way.
        Raises: CopiesMissing if Redis has it, but too few of its replicas do; StoreUnavailable if it is not certain
        that it was kept, after ``KEEP_WITHIN_S`` at the latest.
        """
        future = asyncio.get_running_loop().create_future()
        delivery = self.give(callback, fingerprint=fingerprint, task=task, on_kept=partial(_settle, future))
        try:
            return bool(await future)
        finally:
            self._waiting.pop(delivery, None)  # While Redis hangs, bodies with an answer would pile up.
            self._patience.pop(delivery, None)

    def give(self, callback: Callback, *, fingerprint: str, task: Task | None, on_kept: OnKept) -> "_Delivery":
        """What `accept` waits for; *on_kept* is called once, with what it returns or raises."""
        words = (
            callback.id,
            callback.sha256 or "",
            pack(callback),
            f"{PREFIX}ending:{callback.ending}" if callback.ending else f"{PREFIX}seen:{fingerprint}",
            task.id if task else "",
            task.definition(int(callback.received_at * 1000)) if task else b"",
        )
        delivery = _Delivery(words=words, on_kept=on_kept, until=time.monotonic() + KEEP_WITHIN_S)
        self._waiting[delivery] = self._patience[delivery] = None
        if self._impatient is None:
            self._impatient = asyncio.get_running_loop().call_later(KEEP_WITHIN_S, self._give_up)
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write())
        return delivery

    async def refuse(self, callback: Callback) -> None:
        """
        Keep a *callback* that came to a wrong address, among the ``REFUSED_MAX`` newest of its kind.

        Raises: StoreUnavailable.
        """
        await self._aside(callback, REFUSED, REFUSED_MAX, REFUSED_BYTES_MAX)

    async def hold(self, callback: Callback) -> None:
        """
        Keep a *callback* in quarantine: the newest ``QUARANTINE_MAX`` and ``QUARANTINE_BYTES_MAX``, and nothing queued.

        Raises: StoreUnavailable.
        """
        await self._aside(callback, QUARANTINE, QUARANTINE_MAX, QUARANTINE_BYTES_MAX)

    async def held_ids(self) -> list[str]:
        """The ids of the callbacks in quarantine, oldest first: the order in which they arrived."""
        with redis_answers():
            ids = await self._redis.lrange(QUARANTINE, 0, -1)  # type: ignore[misc]  # redis-py's union
        return [callback_id.decode() for callback_id in reversed(ids)]

    async def release(self, callback_id: str, *, forget: bool) -> None:
        """Take a callback out of quarantine once accepted; *forget* it if an identical one was accepted before."""
        with redis_answers():
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.lrem(QUARANTINE, 0, callback_id)
                if forget:
                    pipe.zrem(CALLBACKS, callback_id)
                    pipe.delete(callback_key(callback_id), _marks_key(callback_id))
                await pipe.execute()

    async def check_writable(self) -> None:
        """
        Write something and remove it, in one step so that nobody ever sees it, and check that replicas have done so.

        Raises: StoreUnavailable with the reason, in words, why a callback could not be kept now.
        """
        with redis_answers():
            async with asyncio.timeout(PROVE_WITHIN_S + self._copies.disk_s):
                if self._copies.number:
                    await self._copies.prove(("MULTI",), ("SET", PROBE, 1), ("DEL", PROBE), ("EXEC",))
                    return
                async with self._redis.pipeline(transaction=True) as pipe:
                    pipe.set(PROBE, 1)
                    pipe.delete(PROBE)
                    await pipe.execute()

    async def mark_late(self, callback_id: str, reason: str) -> None:
        """The take that the callback is about was settled before it arrived. Raises: StoreUnavailable."""
        with redis_answers():
            await self._late(
                keys=[CALLBACKS, callback_key(callback_id), _marks_key(callback_id)], args=[callback_id, reason]
            )

    async def find(self, callback_id: str) -> Callback | None:
        """The callback with that id, while it is kept."""
        with redis_answers():
            moment = await self._redis.zscore(CALLBACKS, callback_id)
            callbacks = await self._read([(callback_id.encode(), moment)])
        return callbacks[0] if callbacks else None

    async def find_by_name(self, text: str) -> Callback | None:
        """The callback with that id, with an id that begins so, or the newest (``last``). Raises: IdAmbiguous."""
        callback = await self.find(text)
        name = await id_in(self._redis, CALLBACKS, text) if callback is None else None
        return await self.find(name) if name else callback

    async def recent(self, *, limit: int, after: str | None = None) -> list[Callback]:
        """Callbacks, newest first, at most *limit*, beginning after the callback *after*."""
        with redis_answers():
            start = 0
            if after is not None:
                rank = await self._redis.zrevrank(CALLBACKS, after)
                if rank is None:
                    return []
                start = rank + 1
            return await self._read(await self._redis.zrevrange(CALLBACKS, start, start + limit - 1, withscores=True))

    async def between(self, since: float, until: float, *, at_most: int) -> list[Callback]:
        """The first callbacks, at most *at_most*, that were received from *since* to *until*; oldest first."""
        with redis_answers():
            window = int(since * 1000), int(until * 1000)
            return await self._read(
                await self._redis.zrangebyscore(CALLBACKS, *window, start=0, num=at_most, withscores=True)
            )

    async def _read(self, members: Sequence[tuple[bytes, float | None]]) -> list[Callback]:
        """Those of *members*, ids and the time of each in ms, that are kept, in the same order."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for name, moment in ((member.decode(), moment) for member, moment in members):
                pipe.hget(_batch_key(moment), name)
                pipe.get(callback_key(name))
                pipe.hgetall(_marks_key(name))
            answers = await pipe.execute() if members else []
        answers_of_each = zip(answers[::3], answers[1::3], answers[2::3], strict=True)
        return [_callback(batch or alone, marks) for batch, alone, marks in answers_of_each if batch or alone]

    async def _aside(self, callback: Callback, kind: str, number_max: int, bytes_max: int) -> None:
        bounds = [int(time.time() * 1000), self._keep_ms, number_max, bytes_max]
        arguments: list[str | bytes | int] = [*bounds, callback.id, pack(callback)]
        with redis_answers():
            await self._set_aside(keys=[CALLBACKS, kind], args=arguments)

    def _give_up(self) -> None:
        """One timer for all that wait, since separate ones would cost more than the rest of the waiting."""
        now, self._impatient = time.monotonic(), None
        late = []
        for delivery in self._patience:
            if delivery.until > now:
                self._impatient = asyncio.get_running_loop().call_later(delivery.until - now, self._give_up)
                break
            late.append(delivery)
            self._waiting.pop(delivery, None)
        self._report_to(late, repeat(unavailable(TimeoutError())))

    async def _write(self) -> None:
        line = PinnedConnection(self._redis)
        try:
            while self._waiting:
                await self._write_together(line)
        finally:
            self._writer = None  # At once: callbacks that arrive from now on begin another one.
            await line.close()

    async def _write_together(self, line: PinnedConnection) -> None:
        batch = list(islice(self._waiting, BATCH_MAX))
        for delivery in batch:
            del self._waiting[delivery]
        header: list[str | bytes | int] = [int(time.time() * 1000), self._keep_ms, TASK_LIFE_MS]
        words = chain.from_iterable(delivery.words for delivery in batch)
        try:
            result = await self._call_accept(line, [*header, *words])
        except REDIS_ERRORS as error:
            self._report_to(batch, repeat(unavailable(error)))
        except BaseException as error:
            self._report_to(batch, repeat(error))
            raise
        else:
            missing = result.copies < self._copies.number
            words_of_it = repeat(CopiesMissing(self._copies.words(result.copies))) if missing else None
            self._report_to(batch, words_of_it or map(bool, result.answer))

    async def _call_accept(self, line: PinnedConnection, arguments: list[str | bytes | int]) -> CopiedAnswer:
        """The whole batch waits for replicas once."""
        keys = [CALLBACKS, QUEUE, WAKE]
        if self._copies.number:
            return await self._copies.call(self._accept, keys, arguments, carrier=line)
        return CopiedAnswer(answer=await line.call(self._accept, keys, arguments), copies=0)

    def _report_to(self, batch: Iterable["_Delivery"], outcomes: Iterable[bool | BaseException]) -> None:
        """Those that have no answer yet."""
        for delivery, outcome in zip(batch, outcomes, strict=False):
            if self._patience.pop(delivery, False) is None:
                delivery.on_kept(outcome)


class _Delivery(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A callback as the script takes it, and who waits for it until when, by `time.monotonic`."""

    words: tuple[str | bytes, ...]
    on_kept: OnKept
    until: float


def _settle(future: asyncio.Future[bool], outcome: bool | BaseException) -> None:
    if future.done():
        return  # Nobody is waiting any more.
    if isinstance(outcome, bool):
        future.set_result(outcome)
    else:
        future.set_exception(outcome)


def callback_key(callback_id: str) -> str:
    """Where a callback is stored that was not accepted in a batch."""
    return f"{PREFIX}callback:{callback_id}"


def _batch_key(moment: float | None) -> str:
    """Where those are stored that were accepted at *moment*, in ms."""
    return f"{BATCHES}{int(moment or 0)}"


def _marks_key(callback_id: str) -> str:
    return f"{PREFIX}marks:{callback_id}"


def _callback(record: bytes, marks: dict[bytes, bytes]) -> Callback:
    callback = replace(_decode_callback(record), repeats=int(marks.get(b"repeats", 0)))
    if b"conflict" in marks:
        return replace(
            callback, outcome="conflict", reason=f"{marks[b'conflict'].decode()} said otherwise how this job ended"
        )
    if b"late" in marks and callback.outcome == "accepted":
        return replace(callback, outcome="late", reason=marks[b"late"].decode())
    return callback
