"""Handlers as arq runs them: their log context, their log line, their metrics, and how their errors are treated."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final, NoReturn

import structlog
from arq.worker import Retry, func

from framerelay.config.logs import log_context
from framerelay.config.metrics import QUEUE_WAIT, TASK
from framerelay.config.traces import note, span
from framerelay.processors.deps import Deps
from framerelay.processors.in_use import DepsInUse
from framerelay.processors.waits import retry_wait_s
from framerelay.runs.errors import FrameRelayError, Transient
from framerelay.store.tasks import IDS
from framerelay.upstream.wire import JobState

TOO_NEW_S: Final = 3.0  # A task that this version does not know is left to others for this long.
SURPRISES_MAX: Final = 5  # Tries of a task that fails in an unforeseen way; after that its state asks again.
WORDS: Final = (
    *("not_due", "no_news", "no_job_id", "no_place", "not_found", "found", "foreign_job", "forgotten_job", "late"),
    *(
        "submitted",
        "put_off",
        "refused",
        "failed",
        "impossible",
        "outcome_unknown",
        "collected",
        "kept",
        "lost",
        "joined",
    ),
    *("looked_at", "out_of_date", "made_again", "started", "woken", "gave_up", "cancelled"),
)
TRACED: Final = ("look_up", "hook", "find", "join")

log = structlog.get_logger()

TaskHandler = Callable[..., Awaitable[str]]


def as_task(name: str, handler: TaskHandler, in_use: DepsInUse) -> Callable[..., Coroutine[Any, Any, None]]:
    """
    *handler* as arq runs it: with its log context, its log line, and the treatment of its errors.

    One with a parameter ``tries`` is told how often the task was tried, and decides itself when it is retried.
    """

    parameters = inspect.signature(handler).parameters
    asks_how_often = "tries" in parameters

    async def run(context: dict[str, Any], **values: Any) -> None:
        arguments = {IDS.get(name, name): value for name, value in values.items()}
        tries = context["job_try"]
        parent = arguments.pop("trace", None)
        if strays := arguments.keys() - parameters.keys():
            _put_back(context, name, f"it has arguments that are not known here: {', '.join(sorted(strays))}")
        if asks_how_often:
            arguments["tries"] = tries
        began = time.monotonic()
        waited_ms = max(0, int(time.time() * 1000) - context["score"])
        with log_context(
            task=name,
            run_id=arguments.get("run_id"),
            shot=arguments.get("shot_id") or None,
            take=arguments.get("take") or None,
        ):
            QUEUE_WAIT.observe(waited_ms / 1000, name)
            outcome = "put_off"
            try:
                async with in_use.lend() as deps:
                    with _span(name, parent, arguments):
                        outcome = await _outcome(handler, deps, arguments, tries)
                        note(outcome=_label(outcome))
            except asyncio.CancelledError:
                outcome = "cancelled"
                raise
            finally:
                TASK.observe(time.monotonic() - began, name, _label(outcome))
            took_ms = round((time.monotonic() - began) * 1000, 1)
            log.info("task_done", outcome=outcome, waited_ms=waited_ms, took_ms=took_ms, **_again(tries))

    run.__qualname__ = name
    return run


class Functions(dict[str, Any]):
    """By their names; arq would discard tasks that are not known here."""

    def __missing__(self, name: str) -> Any:
        return func(_unknown(name), name=name)


def _unknown(name: str) -> Callable[..., Coroutine[Any, Any, None]]:
    async def put_back(context: dict[str, Any], *_: Any, **__: Any) -> None:
        _put_back(context, name, "it is not known here")

    return put_back


def _put_back(context: dict[str, Any], name: str, reason: str) -> NoReturn:
    """A newer version queued it, and its worker will do it; here it does not count as a try. Raises: arq.Retry."""
    context["spare"](context["job_id"])
    log.warning("task_too_new", task=name, reason=reason)
    raise Retry(defer=TOO_NEW_S)


def _span(name: str, parent: str | None, arguments: dict[str, Any]) -> AbstractContextManager[None]:
    """For a task that continues a callback's trace, or begins one; others read theirs in the run."""
    if name not in TRACED:
        return nullcontext()
    run_id, shot, take = (arguments.get(each) for each in ("run_id", "shot_id", "take"))
    return span(name, parent=parent, run_id=run_id, shot=shot, take=take)


async def _outcome(handler: TaskHandler, deps: Deps, arguments: dict[str, Any], tries: int) -> str:
    """
    Run the handler. Problems that may pass are retried; so are unforeseen ones, but not forever.

    Raises: arq.Retry. A cancelled task (a deploy) goes back to the queue, and no try is counted.
    """
    try:
        return await handler(deps, **arguments)
    except Retry as again:
        log.info("task_put_off", wait_s=round((again.defer_score or 0) / 1000, 1))
        raise
    except Transient as error:
        log.warning("task_put_off", reason=error.message)
        raise Retry(defer=retry_wait_s(tries, retry_after_s=error.retry_after_s)) from error
    except FrameRelayError as error:
        log.error("task_failed", code=error.code, reason=error.message)
        return error.code
    except Exception as error:
        log.exception("task_surprised", reason=str(error))
        if tries >= SURPRISES_MAX:
            return "gave_up"
        raise Retry(defer=retry_wait_s(tries)) from error


def _again(tries: int) -> dict[str, int]:
    return {"tried": tries} if tries > 1 else {}


def _label(outcome: str) -> str:
    """*outcome* if it is one of our words: a provider's word, or a number, would create metrics without end."""
    word = outcome.partition(",")[0]  # What was done in one step, such as a clip that is collected and kept.
    return word if word in _LABELS else "done"


def _codes(kind: type[FrameRelayError]) -> Iterator[str]:
    yield kind.code
    for each in kind.__subclasses__():
        yield from _codes(each)


_LABELS: Final = frozenset((*WORDS, *_codes(FrameRelayError), *(state.value for state in JobState)))
