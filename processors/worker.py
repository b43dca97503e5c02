"""
The worker: arq's, changed to wake at once, to hold short leases, and to outlive Redis.

arq looks for tasks twice a second and leaves a killed worker's task alone for longer than its longest timeout. This one
waits on a list that every enqueue pushes to, claims as many tasks as it can run in one script call, and holds its tasks
by leases of seconds, which one command renews while it works.
"""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final

import structlog
from arq import worker as arq_worker
from arq.worker import Worker, func

from framerelay.config.live import LiveSettings
from framerelay.config.waiting import wait_within
from framerelay.processors.again import make_again
from framerelay.processors.catch_up import catch_up
from framerelay.processors.collect import collect
from framerelay.processors.deps import Deps
from framerelay.processors.film import join
from framerelay.processors.find import find
from framerelay.processors.handlers import Functions, TaskHandler, as_task
from framerelay.processors.hook import hook
from framerelay.processors.in_use import DepsInUse
from framerelay.processors.keep import keep
from framerelay.processors.look_up import look_up
from framerelay.processors.opening import opening
from framerelay.processors.repair import repair
from framerelay.processors.retention import run_retention
from framerelay.processors.submit import submit
from framerelay.processors.sweep import sweep
from framerelay.processors.waits import retry_wait_s
from framerelay.runs.errors import StoreUnavailable
from framerelay.runs.machine import AHEAD_S_MAX
from framerelay.store.client import RelayRedis, script
from framerelay.store.keys import PREFIX
from framerelay.store.processes import READ_AGAIN, Presence, Process, this_process
from framerelay.store.redis_messages import REDIS_ERRORS, redis_words
from framerelay.store.runs import Store
from framerelay.store.schema import SCHEMA, SCHEMA_KEY, check
from framerelay.store.scratch import keep_scratch
from framerelay.store.tasks import DUE, HEAVY, QUEUE, TASK_LIFE_MS, WAKE, Task, pack, unpack

WORKER: Final = "{framerelay}:worker"  # The worker that last said that it is there; gone when none is.
LEASE_S: Final = 6.0
RENEW_S: Final = 2.0  # Two renewals may fail before a lease runs out.
IDLE_S: Final = 3  # Tasks without a wake-up (as arq enqueues them) are found after this long at the latest.
WRITE_END_S: Final = 2.0  # How long a stop waits for Redis to record that a task is done, or goes back.
TASK_S_MAX: Final = 3600.0  # A backstop; every call inside a task has its own timeout.
CLASSES: Final = ("all", "light", "heavy")

log = structlog.get_logger()

Chore = Callable[[], Coroutine[Any, Any, None]]


class RelayWorker(Worker):
    """
    Runs our tasks until `stop` is called; built by `create_worker`.

    *redis* serves the scripts; *listening* is a second client whose one connection waits for wake-ups. *tasks*: which
    class it runs, one of `CLASSES`; *heavy_max*: the most `HEAVY` ones at once, and never all of its places. *chores*
    go on in the background for as long as it runs. *on_request* is called when keys are to be read again, before tasks
    that were queued after that are begun; *close* when it stops, after the last task.
    """

    def __init__(
        self,
        functions: list[Any],
        *,
        redis: RelayRedis,
        listening: RelayRedis,
        tasks_max: int,
        tasks: str = "all",
        heavy_max: int = 1,
        chores: Sequence[Chore] = (),
        on_request: Callable[[], Awaitable[None]] | None = None,
        close: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        _prefix_keys_of_arq()
        super().__init__(
            functions,
            queue_name=QUEUE,
            redis_pool=redis,
            handle_signals=False,
            max_jobs=tasks_max,
            job_timeout=TASK_S_MAX,
            keep_result=0,
            max_tries=1_000_000,
            expires_extra_ms=TASK_LIFE_MS,
            job_serializer=pack,
            job_deserializer=unpack,
            log_results=False,
        )
        self.functions = Functions(self.functions)
        self._spare_ids: set[str] = set()  # Tasks that go back without having been tried.
        self.ctx["spare"] = self._spare_ids.add
        self._listening = listening
        self._class = tasks
        most = tasks_max if tasks == "heavy" else max(1, tasks_max - 1)
        self._heavy_max = 0 if tasks == "light" else min(heavy_max, most)
        self._looked_at = time.monotonic()
        self._chores = chores
        self._on_request = on_request
        self._close = close
        self._word = b""  # Of the last time that keys were to be read again.
        self._store = Store(redis)
        self._clock = redis.clock
        self._claim = redis.register_script(script("claim"))
        self._name = secrets.token_hex(6)
        self._due_ms: dict[str, int] = {}  # When each task that runs here was due, in Redis's ms.
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._stopping = False
        self._claims_no_more = asyncio.Event()
        self._endings: set[asyncio.Task[Any]] = set()  # Tasks that record that a task is done, or goes back.

    async def main(self) -> None:
        """Claim, run, wait; continues through any trouble with Redis until `stop`. Raises: SchemaTooNew."""
        renewing = asyncio.create_task(self._renew_leases())
        # A wake-up is meant for workers whose tasks somebody waits for; heavy ones are polled for.
        listening = () if self._class == "heavy" else (self._listen,)
        helpers = [asyncio.create_task(chore()) for chore in (*listening, *self._chores)]
        log.info("worker_ready", worker=self._name, tasks=self._class, tasks_max=self.max_jobs)
        try:
            while not self._stopping:
                self._wake.clear()
                self._looked_at = time.monotonic()
                try:
                    idle_s = await self._start_due()
                except (*REDIS_ERRORS, StoreUnavailable) as error:
                    reason = error.message if isinstance(error, StoreUnavailable) else redis_words(error)
                    log.warning("redis_unavailable", reason=reason)
                    idle_s = 0.25
                await wait_within(self._wake, idle_s)
        finally:
            self._claims_no_more.set()
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
            if self._stopping and self.tasks:
                await asyncio.wait(self.tasks.values())  # Until `stop` has ended them, no other worker may take them.
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)

    def at_work(self) -> tuple[int, int]:
        """How many tasks run here now: those that are not heavy, and those that are."""
        heavy = sum(map(_is_heavy, self.tasks))
        return len(self.tasks) - heavy, heavy

    def still_s(self) -> float:
        """Seconds since it last looked for tasks, which it does every few seconds while it is healthy."""
        return time.monotonic() - self._looked_at

    async def stop(self, *, grace_s: float, heavy_grace_s: float = 0.0) -> None:
        """
        Take nothing new; let running tasks end, then give the rest back to the queue.

        They have *grace_s* for that, heavy ones *heavy_grace_s* if that is longer.
        """
        self._stopping = True
        self._wake.set()
        began = time.monotonic()
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await self._claims_no_more.wait()
        light = [task for name, task in self.tasks.items() if not _is_heavy(name)]
        for tasks, patience_s in ((light, grace_s), (self.tasks.values(), max(grace_s, heavy_grace_s))):
            if tasks:
                await asyncio.wait(tasks, timeout=max(0.0, began + patience_s - time.monotonic()))
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if self._endings:  # arq shields them: a task cancelled while its end is written leaves it behind.
            await asyncio.wait(self._endings, timeout=WRITE_END_S)
            for ending in self._endings:
                ending.cancel()
            await asyncio.gather(*self._endings, return_exceptions=True)
        if self._close:
            await self._close()

    async def finish_failed_job(self, job_id: str, result_data: bytes | None) -> None:
        """arq's own, for what it cannot run at all."""
        self._note_ending()
        await super().finish_failed_job(job_id, result_data)

    def _note_ending(self) -> None:
        ending = asyncio.current_task()
        if ending is not None:
            self._endings.add(ending)
            ending.add_done_callback(self._endings.discard)

    async def finish_job(
        self,
        job_id: str,
        finish: bool,
        result_data: bytes | None,
        result_timeout_s: float | None,
        keep_result_forever: bool,
        incr_score: int | None,
        keep_in_progress: float | None,
    ) -> None:
        """
        A task that is done must not come back: taking it off the queue is tried until Redis has done it.

        One that goes back without a delay was cancelled by a deploy, which does not count as a try. *incr_score* counts
        from when the task was due, as arq knows it.
        """
        self._note_ending()
        due_ms, turns = self._due_ms.get(job_id, 0), 0
        while True:
            self._due_ms.pop(job_id, None)  # A renewal that came after it would put off a task that goes back.
            try:
                async with self.pool.pipeline(transaction=True) as pipe:
                    if finish:
                        pipe.zrem(QUEUE, job_id)
                        pipe.delete(f"{PREFIX}arq:job:{job_id}", f"{PREFIX}arq:retry:{job_id}")
                    else:
                        pipe.zadd(QUEUE, {job_id: due_ms + (incr_score or 0)}, xx=True)
                    if not finish and (incr_score is None or job_id in self._spare_ids):
                        pipe.decr(f"{PREFIX}arq:retry:{job_id}")
                    if not finish and incr_score is None:
                        pipe.rpush(WAKE, 1)
                        pipe.expire(WAKE, 60)
                    await pipe.execute()
                self._spare_ids.discard(job_id)
                return
            except REDIS_ERRORS as error:
                self._due_ms[job_id] = due_ms
                log.warning("redis_unavailable", reason=redis_words(error))
                await asyncio.sleep(retry_wait_s(turns, least_s=0.1))
                turns += 1

    async def _start_due(self) -> float:
        """Start what may start; returns how long to rest if nothing wakes us. Raises: SchemaTooNew."""
        room = self.max_jobs - len(self.tasks)
        if room <= 0:
            return float(IDLE_S)
        _, heavy = self.at_work()
        heavy_room, others = max(0, self._heavy_max - heavy), int(self._class != "heavy")
        arguments: list[str | int] = [room, int(LEASE_S * 1000), int(AHEAD_S_MAX * 1000), SCHEMA]
        arguments += [f",{','.join(HEAVY)},", min(room, heavy_room), others, *self._due_ms]
        keys = [QUEUE, WAKE, DUE, READ_AGAIN, SCHEMA_KEY]
        pairs, now_ms, next_task, next_run, word, refusal = await self._claim(keys=keys, args=arguments)
        check(refusal)
        self._clock.learn(now_ms / 1000)
        if word != self._word:
            self._word = word
            if word and self._on_request:
                await self._on_request()
        for job_id, score in zip(pairs[::2], pairs[1::2], strict=True):
            self._start(job_id.decode(), int(float(score)))
        if next_run and float(next_run) <= now_ms:
            await self._store.enqueue([Task(id="sweep", function="sweep", arguments={})])
        rests_s: list[float] = [(float(moment) - now_ms) / 1000 for moment in (next_task, next_run) if moment]
        return min([IDLE_S, *(rest_s for rest_s in rests_s if rest_s > 0)])

    def _start(self, job_id: str, due_ms: int) -> None:
        if job_id in self._due_ms:
            return  # We slept for longer than its lease, as laptops do, and nobody else took it.
        self._due_ms[job_id] = due_ms
        self.tasks[job_id] = task = asyncio.create_task(self.run_job(job_id, due_ms))
        task.add_done_callback(partial(self._note_end, job_id))

    def _note_end(self, job_id: str, task: asyncio.Task[None]) -> None:
        if self.tasks.get(job_id) is task:  # Otherwise it was queued again and claimed before we got here.
            del self.tasks[job_id]
            self._due_ms.pop(job_id, None)
        if not task.cancelled() and (error := task.exception()):
            reason = redis_words(error) if isinstance(error, REDIS_ERRORS) else repr(error)
            log.warning("task_interrupted", task=job_id, reason=reason)
        self._wake.set()
        self._room.set()

    async def _listen(self) -> None:
        """Every enqueue pushes a token and one idle worker takes it; while none listens, the list keeps it."""
        while True:
            while len(self.tasks) >= self.max_jobs:
                self._room.clear()
                await self._room.wait()
            try:
                if await self._listening.blpop([WAKE], timeout=IDLE_S):  # type: ignore[misc]  # redis-py's sync/async union
                    self._wake.set()
                    if len(self.tasks) >= self.max_jobs:  # It filled up; another worker may have a place.
                        await self._listening.rpush(WAKE, 1)  # type: ignore[misc]
            except REDIS_ERRORS:
                await asyncio.sleep(0.25)

    async def _renew_leases(self) -> None:
        """Its own first: `{framerelay}:worker` tells anybody who asks that a worker runs."""
        while True:
            try:
                async with self.pool.pipeline(transaction=False) as pipe:
                    pipe.set(WORKER, self._name, px=int(LEASE_S * 1000))
                    if self._due_ms:
                        until_ms = (self._clock.now() + LEASE_S) * 1000
                        pipe.zadd(QUEUE, dict.fromkeys(self._due_ms, int(until_ms)), xx=True, gt=True)
                    await pipe.execute()
            except REDIS_ERRORS as error:
                log.warning("leases_not_renewed", reason=redis_words(error))
            await asyncio.sleep(RENEW_S)


def _prefix_keys_of_arq() -> None:
    """
    Put our prefix in front of arq's keys: it has no setting for them, only constants of a module.

    A second call changes nothing.
    """
    for name in ("job_key_prefix", "in_progress_key_prefix", "result_key_prefix", "retry_key_prefix", "abort_jobs_ss"):
        key = getattr(arq_worker, name)
        setattr(arq_worker, name, PREFIX + key.removeprefix(PREFIX))


def _is_heavy(task_id: str) -> bool:
    return task_id.partition(":")[0] in HEAVY


def create_worker(
    deps: Deps, *, redis: RelayRedis, listening: RelayRedis, live: LiveSettings, tasks: str = "all"
) -> RelayWorker:
    """
    A worker for *tasks* of one class or all; it takes changed settings over from *live*, whoever has them read again.
    """
    in_use = DepsInUse(deps, live)
    presence = Presence(redis, lambda: _this_worker(in_use, live))
    handlers: dict[str, TaskHandler] = {
        "submit": submit,
        "look_up": look_up,
        "find": find,
        "collect": collect,
        "keep": keep,
        "opening": opening,
        "join": join,
        "make_again": make_again,
        "hook": hook,
        "sweep": sweep,
        "notify": _notify,
    }
    functions = [func(as_task(name, handler, in_use), name=name) for name, handler in handlers.items()]
    return RelayWorker(
        functions,
        redis=redis,
        listening=listening,
        tasks_max=deps.settings.tasks_max,
        tasks=tasks,
        heavy_max=deps.settings.films_max,
        chores=[
            partial(run_retention, deps),
            partial(keep_scratch, deps.media, deps.store, bytes_max=deps.settings.scratch_bytes_max),
            partial(catch_up, deps),
            partial(repair, deps),
            deps.sender.deliver,
            presence.keep,
        ],
        on_request=live.read_again,
        close=in_use.close,
    )


def _this_worker(in_use: DepsInUse, live: LiveSettings) -> Process:
    """What it says about itself, including the providers that it has keys for, since a worker needs them."""
    providers = in_use.now.clients.providers
    names = [each.name for each in providers.with_key()]
    return this_process(
        "worker", in_use.now.settings, live.keys.secret, keyed=names, key_variables=providers.variables_set
    )


async def _notify(deps: Deps) -> str:
    """A change was saved that has to be sent: this worker's sender looks at once."""
    deps.sender.wake()
    return "woken"
