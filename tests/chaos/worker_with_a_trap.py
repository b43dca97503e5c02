"""
Receiver or worker of FrameRelay, with a trap that kills it at an exact point, or with a safeguard switched off.

    worker_with_a_trap.py receiver|worker --marks FOLDER [--trap POINT [--gently]] [--doubled SHARE]
                          [--broken SAFEGUARD]

The product has no hooks for this: functions are wrapped from outside before it starts. A trap goes off once; its mark
in FOLDER says that it did. It is a SIGKILL, or gently a SIGTERM, as at a deploy. A submit's margin is cut from 30 s to
2 s, the time for which a worker that was killed is thought alive from 6 s to 3 s: the waits are shorter, the rules are
the same. The share SHARE of a worker's tasks comes twice, side by side.
"""

import argparse
import asyncio
import os
import random
import re
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial, wraps
from pathlib import Path
from typing import Any, Final

import httpx
from process import TOLD_BY_TRAP
from starlette.responses import Response

import framerelay.processors.submit
import framerelay.processors.worker
import framerelay.receiver.callbacks.batch
import framerelay.receiver.callbacks.receiving
import framerelay.runs.machine
import framerelay.runs.takes
import framerelay.store.progress
import framerelay.store.runs
import framerelay.store.spool
from framerelay.cli.main import cli
from framerelay.media.decoder import Decoder
from framerelay.processors.worker import RelayWorker
from framerelay.runs import events
from framerelay.runs.errors import OutcomeUnknown
from framerelay.store.inbox import Inbox, OnKept
from framerelay.store.progress import record
from framerelay.store.runs import Store
from framerelay.store.spool import Spool
from framerelay.upstream.client import JobsClient
from framerelay.upstream.order import Order

Spring = Callable[[], None]


def main(words: list[str]) -> None:
    """Set the trap, break what is to be broken, and be the program."""
    options = argparse.ArgumentParser()
    options.add_argument("role", choices=["receiver", "worker"])
    options.add_argument("--marks", type=Path, required=True)
    options.add_argument("--trap", choices=[*RECEIVER_POINTS, *WORKER_POINTS])
    options.add_argument("--gently", action="store_true")
    options.add_argument("--doubled", type=float, default=0.0)
    options.add_argument("--broken", choices=[*SAFEGUARDS, "redis_keeps_nothing"])
    settings = options.parse_args(words)
    framerelay.runs.machine.SUBMIT_MARGIN_S = 2.0  # type: ignore[misc]  # Final in the product, shorter here.
    framerelay.processors.worker.LEASE_S, framerelay.processors.worker.RENEW_S = 3.0, 1.0  # type: ignore[misc]
    for name in ("submit", "look_up", "collect", "opening", "join", "hook", "sweep"):
        _double(name, settings.doubled)
    if settings.broken in SAFEGUARDS:
        SAFEGUARDS[settings.broken]()
    if settings.trap:
        spring = partial(_end_once, settings.marks / f"trap.{settings.trap}", gently=settings.gently)
        {**RECEIVER_POINTS, **WORKER_POINTS}[settings.trap](spring)
    cli([settings.role], prog_name="framerelay")


def _end_once(mark: Path, *, gently: bool) -> None:
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:
        return
    if gently:
        sys.stderr.write(f"{TOLD_BY_TRAP}\n")
    os.kill(os.getpid(), signal.SIGTERM if gently else signal.SIGKILL)


# --- tasks that come twice -----------------------------------------------------------------------------------------


def _double(name: str, share: float) -> None:
    """
    As when a worker slept for longer than its lease: the same task runs twice at once.

    Both begin in one breath, so both have loaded the run before either can save it.
    """
    whole = getattr(framerelay.processors.worker, name)

    @wraps(whole)  # The worker reads which arguments a task takes.
    async def run_twice(deps: Any, **arguments: Any) -> Any:
        if random.random() >= share:
            return await whole(deps, **arguments)
        twins = await asyncio.gather(*(whole(deps, **arguments) for _ in range(2)), return_exceptions=True)
        for outcome in twins:
            if isinstance(outcome, BaseException):
                raise outcome
        return twins[0]

    setattr(framerelay.processors.worker, name, run_twice)


# --- points at which it dies ---------------------------------------------------------------------------------------


def _after(owner: Any, name: str, spring: Spring) -> None:
    whole = getattr(owner, name)

    async def spring_after(*arguments: Any, **options: Any) -> Any:
        result = await whole(*arguments, **options)
        spring()
        return result

    setattr(owner, name, spring_after)


def _during(owner: Any, name: str, spring: Spring) -> None:
    """A few milliseconds after it began."""
    whole = getattr(owner, name)

    async def spring_during(*arguments: Any, **options: Any) -> Any:
        asyncio.get_running_loop().call_later(0.005, spring)
        result = await whole(*arguments, **options)
        spring()
        return result

    setattr(owner, name, spring_during)


def _mid_last_frame(spring: Spring) -> None:
    """While the clip comes, or, if the decoder had other work, when it is whole."""
    _during(Decoder, "follow", spring)
    _during(Decoder, "examine", spring)


def _after_saved(event: str, spring: Spring) -> None:
    """When Redis has the change, and before anything else."""
    save = Store.save

    async def trapped(self: Store, run: Any, **options: Any) -> bool:
        is_saved = await save(self, run, **options)
        if is_saved and options["event"]["event"] == event:
            spring()
        return is_saved

    Store.save = trapped  # type: ignore[method-assign]


def _after_answer(spring: Spring) -> None:
    acknowledge = framerelay.receiver.callbacks.receiving.acknowledge

    def trapped(*arguments: Any, **options: Any) -> Response:
        asyncio.get_running_loop().call_later(0.05, spring)  # The answer has left by then.
        return acknowledge(*arguments, **options)

    for module in (framerelay.receiver.callbacks.receiving, framerelay.receiver.callbacks.batch):
        module.acknowledge = trapped  # type: ignore[attr-defined]  # The route's, and the fast path's.


def _after_spooled_answer(spring: Spring) -> None:
    """Its callback is on disk and nowhere else."""
    spool = framerelay.receiver.callbacks.receiving.spool

    async def spring_instead(*arguments: Any) -> Response:
        response = await spool(*arguments)
        if response.status_code == 200:
            asyncio.get_running_loop().call_later(0.05, spring)
        return response

    for module in (framerelay.receiver.callbacks.receiving, framerelay.receiver.callbacks.batch):
        module.spool = spring_instead  # type: ignore[attr-defined]


def _before_given(spring: Spring) -> None:
    _on_giving(lambda give, *arguments, **options: spring() or give(*arguments, **options))


def _after_given(spring: Spring) -> None:
    """Redis has the callback, and its sender does not know yet."""

    def give_and_die(give: Callable[..., Any], *arguments: Any, on_kept: OnKept, **options: Any) -> Any:
        def die_and_tell(outcome: bool | BaseException) -> None:
            if isinstance(outcome, bool):
                spring()
            on_kept(outcome)

        return give(*arguments, on_kept=die_and_tell, **options)

    _on_giving(give_and_die)


def _on_giving(do: Callable[..., Any]) -> None:
    whole = Inbox.give

    def trapped(self: Inbox, *arguments: Any, **options: Any) -> Any:
        return do(partial(whole, self), *arguments, **options)

    Inbox.give = trapped  # type: ignore[method-assign]


def _mid_drain(spring: Spring) -> None:
    """Redis has taken callbacks from the spool, and their files are still there."""
    remove = framerelay.store.spool._remove_all

    def trapped(paths: list[Path]) -> None:
        if paths:
            spring()
        remove(paths)

    framerelay.store.spool._remove_all = trapped


def _mid_download(spring: Spring) -> None:
    whole = httpx.Response.aiter_raw

    async def spring_while_reading(self: httpx.Response, chunk_size: int | None = None) -> Any:
        async for part in whole(self, chunk_size):
            if self.request.url.path.endswith(".mp4"):
                yield part[: len(part) // 2]
                spring()
                yield part[len(part) // 2 :]
            else:
                yield part

    httpx.Response.aiter_raw = spring_while_reading  # type: ignore[method-assign]


RECEIVER_POINTS: Final[dict[str, Callable[[Spring], None]]] = {
    "before_accept": _before_given,
    "after_accept": _after_given,
    "after_200": _after_answer,
    "after_spooled_200": _after_spooled_answer,
    "mid_drain": _mid_drain,
}
WORKER_POINTS: Final[dict[str, Callable[[Spring], None]]] = {
    "after_upload": partial(_after, JobsClient, "upload"),
    "after_intent_saved": partial(_after_saved, "submitting"),
    "after_post_sent": partial(_after, JobsClient, "submit"),
    "after_submitted_saved": partial(_after_saved, "submitted"),
    "after_look_up_saved": partial(_after_saved, "rendered"),
    "mid_download": _mid_download,
    "mid_last_frame": _mid_last_frame,
    "after_collect_saved": partial(_after_saved, "collected"),
    "mid_join": partial(_during, Decoder, "join"),
}


# --- safeguards that can be switched off ---------------------------------------------------------------------------


def _save_without_looking() -> None:
    """The last writer wins; each write is a little late, so that twins have both loaded what they change."""
    script = framerelay.store.runs.script

    def blind(name: str, **options: bool) -> str:
        text = script(name, **options)
        variant = re.sub(r"if \(held\S* or ''\) ~= ARGV\[1\] then", "if false then", text)
        if name == "save" and variant == text:
            raise SystemExit("save.lua no longer compares revisions where this switch expects it")
        return variant

    framerelay.store.runs.script = blind
    save = Store.save

    async def late(self: Store, run: Any, **options: Any) -> bool:
        await asyncio.sleep(0.1)
        return await save(self, run, **options)

    Store.save = late  # type: ignore[method-assign]


def _submit_again() -> None:
    once = JobsClient.submit

    async def submit(self: JobsClient, *arguments: Any, **options: Any) -> Any:
        try:
            return await once(self, *arguments, **options)
        except OutcomeUnknown:
            return await once(self, *arguments, **options)

    JobsClient.submit = submit  # type: ignore[method-assign]


def _post_before_intent() -> None:
    """The intent is stored half a second after the answer, not before the POST."""
    intend, post = framerelay.processors.submit._intend, JobsClient.submit
    waiting: dict[str, Callable[[], Awaitable[Any]]] = {}

    async def pretend(deps: Any, run: Any, shot: Any, number: int, ready: Any) -> Any:
        event = events.Submitting(shot_id=shot.id, take=number, intent="late", seed=None, first_frame=ready.first)
        take = framerelay.runs.machine.apply(run, event, deps.store.clock.now()).take(shot.id, number)
        if take is not None:
            waiting[framerelay.runs.takes.reference(run, shot.id, take)] = partial(record, deps.store, run.id, event)
        return take

    async def submit(self: JobsClient, order: Order, **options: Any) -> Any:
        try:
            return await post(self, order, **options)
        finally:
            await asyncio.sleep(0.5)
            if late := waiting.pop(order.take, None):
                await late()

    assert intend is not pretend
    framerelay.processors.submit._intend = pretend
    JobsClient.submit = submit  # type: ignore[method-assign]


def _no_sweep() -> None:
    async def sweep(deps: Any) -> str:
        return "switched off"

    framerelay.processors.worker.sweep = sweep


def _answer_before_kept() -> None:
    """The callback is gathered in memory and written a moment after its 200, as faster receivers do it."""

    def promise(give: Callable[..., Any], *arguments: Any, on_kept: OnKept, **options: Any) -> Any:
        unheard = partial(give, *arguments, on_kept=lambda _: None, **options)
        asyncio.get_running_loop().call_later(0.3, unheard)
        on_kept(True)
        return object()

    _on_giving(promise)


def _spool_forgets() -> None:
    async def keep(self: Spool, *arguments: Any, **options: Any) -> None:
        """Answered, and nowhere."""

    Spool.keep = keep  # type: ignore[method-assign]


def _no_drain() -> None:
    async def drain(self: Spool, inbox: Inbox) -> int:
        return 0

    Spool.drain = drain  # type: ignore[method-assign]


def _no_goodbye() -> None:
    """A worker that is told to end drops what it holds."""

    async def stop(self: RelayWorker, *, grace_s: float, heavy_grace_s: float = 0.0) -> None:
        os._exit(3)

    RelayWorker.stop = stop  # type: ignore[method-assign]


def _ended_is_over() -> None:
    """A run that has ended drops what it hears of its jobs."""
    whole = framerelay.runs.machine.apply

    def deaf(run: Any, event: Any, now: float) -> Any:
        over = run.cancelled or run.film
        return run if over and isinstance(event, events.TakeEvent) else whole(run, event, now)

    framerelay.store.progress.apply = deaf


def _any_film_will_do() -> None:
    """A film counts, of whichever takes it is; and joining takes a moment, in which a person may decide."""
    whole, join = framerelay.runs.machine.apply, Decoder.join

    def gullible(run: Any, event: Any, now: float) -> Any:
        if isinstance(event, events.Joined):
            framerelay.runs.machine.picks = lambda _: event.film.takes
            event = replace(event, turn=run.turns)
        return whole(run, event, now)

    async def slow(self: Decoder, *arguments: Any) -> Any:
        film = await join(self, *arguments)
        await asyncio.sleep(2.0)
        return film

    framerelay.store.progress.apply = gullible
    Decoder.join = slow  # type: ignore[method-assign]


SAFEGUARDS: Final[dict[str, Callable[[], None]]] = {
    "save_without_looking": _save_without_looking,
    "submit_again": _submit_again,
    "post_before_intent": _post_before_intent,
    "no_sweep": _no_sweep,
    "answer_before_kept": _answer_before_kept,
    "spool_forgets": _spool_forgets,
    "no_drain": _no_drain,
    "no_goodbye": _no_goodbye,
    "ended_is_over": _ended_is_over,
    "any_film_will_do": _any_film_will_do,
}

if __name__ == "__main__":
    main(sys.argv[1:])
