"""``POST /webhook/{token}``: limit, authenticate, keep, enqueue, answer; nothing slow, nothing trusted."""

import hashlib
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import structlog
from msgspec.structs import replace
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send
from structlog.typing import FilteringBoundLogger

from framerelay.config.metrics import ACKNOWLEDGE
from framerelay.receiver.answers import NO_SUCH_ADDRESS, answer_refusal, code_of, error_answer, try_later
from framerelay.receiver.callbacks.reading import (
    acknowledgement_at,
    callback_at,
    fingerprint_of,
    interpret,
    is_stranger,
    reply_at,
    reply_of,
    strangers_status,
    task_for,
    trace,
)
from framerelay.receiver.callbacks.redaction import without_secrets
from framerelay.receiver.door.body import read_body
from framerelay.receiver.state import State, state_of
from framerelay.runs.errors import StorageFailed, StoreUnavailable, Unverified
from framerelay.runs.tokens import Address
from framerelay.store.inbox import KEEP_WITHIN_S, Callback
from framerelay.upstream.signatures import collect

KEPT: Final = JSONResponse({"received": True, "repeated": False})
REPEATED: Final = JSONResponse({"received": True, "repeated": True})

log: FilteringBoundLogger = structlog.get_logger()
_log = logging.getLogger(__name__)


class CallbackEndpoint:
    """The route's endpoint: an ASGI application, which saves thousands a second two of Starlette's wrappers."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One callback."""
        answer = await receive_callback(Request(scope, receive, send))
        await answer(scope, receive, send)


async def receive_callback(request: Request) -> Response:
    """
    Keep one callback and answer: 200 kept (or kept before) · 400 not JSON · 401 · 404 unknown token · 413 · 415 · 429 ·
    503.

    Whatever it says is a hint: the task that it queues asks the provider. A refused body is a hint, too, unless it had
    to prove where it comes from: then it has no effect, and is held in quarantine.
    """
    state = state_of(request)
    address = state.tokens.read(request.scope["path_params"]["token"], now=time.time())
    if address is None:
        return await _refusal(request, state)
    _count(state, state.limits.count_callback, address)
    callback, refusal, reply = await _read(request, state, address)
    if callback.held and refusal:
        return await _quarantine(state, callback, await _answer_to_stranger(state, address, callback) or refusal)
    if reply is not None and callback.job_id is None:
        return reply
    _count(state, state.limits.count_body, address, len(callback.body))
    answer = await _accept(state, callback, address)
    if answer.status_code != 200:
        return answer
    stranger = None if refusal or reply else await _answer_to_stranger(state, address, callback)
    return refusal or reply or stranger or acknowledgement_at(state, address) or answer


async def _answer_to_stranger(state: State, address: Address, callback: Callback) -> Response | None:
    """
    The answer that a provider wants for a callback about an unknown job, such as a test from its console.

    It may be unsigned, and is kept like any other: the answer does not change what follows from it.
    """
    status = strangers_status(state, address)
    if status is None or callback.outcome not in ("accepted", "quarantined"):
        return None
    with suppress(StoreUnavailable):
        return reply_of(status) if await is_stranger(state, address, callback.body) else None
    return None


def _count(state: State, limit: Callable[..., None], *what: object) -> None:
    try:
        limit(*what)
    except HTTPException:
        state.counts["limited"] += 1
        raise


async def _accept(state: State, callback: Callback, address: Address) -> Response:
    """Keep *callback* in Redis, or else in the spool, log it, and return the answer."""
    callback, span = trace(callback)
    fingerprint, task = fingerprint_of(address, callback), task_for(address, callback)
    try:
        is_new = await state.inbox.accept(callback, fingerprint=fingerprint, task=task)
    except StoreUnavailable as error:
        return await spool(state, callback, address, error.message)
    finally:
        if span is not None:
            span.end()
    return acknowledge(state, callback, is_new=is_new)


async def spool(state: State, callback: Callback, address: Address, reason: str) -> Response:
    """Keep on disk what Redis does not take, for the *reason* given; 503 if the disk does not take it either."""
    fingerprint, task = fingerprint_of(address, callback), task_for(address, callback)
    try:
        await state.spool.keep(callback, fingerprint=fingerprint, task=task)
    except StorageFailed as error:
        both = StoreUnavailable(f"{reason}; {error.message}", retry_after_s=error.retry_after_s or 1)
        log.error("callback_received", **_fields(callback) | {"outcome": "not_kept"}, reason=both.message)
        state.counts["not_kept"] += 1
        return try_later(both)
    state.counts["spooled"] += 1
    ACKNOWLEDGE.observe(time.time() - callback.received_at)
    log.warning("callback_received", **_fields(callback), repeated=False, spooled=reason)
    return KEPT


def acknowledge(
    state: State, callback: Callback, *, is_new: bool, log_line: Callable[[], None] | None = None
) -> Response:
    """200 for what is in Redis, and a log line about it; *log_line*: a quicker way to write that, if there is one."""
    state.counts["kept" if is_new else "repeated"] += 1
    ACKNOWLEDGE.observe(time.time() - callback.received_at)
    if log_line is not None:
        log_line()
    elif _log.isEnabledFor(logging.INFO):
        log.info("callback_received", **_fields(callback), repeated=not is_new)
    return KEPT if is_new else REPEATED


def _fields(callback: Callback) -> dict[str, Any]:
    """What a log line says about *callback*, apart from what became of it."""
    what = {"job_id": callback.job_id, "word": callback.word, "outcome": callback.outcome}
    if callback.run_id is not None:
        ids = {"run_id": callback.run_id, "shot": callback.shot_id, "take": callback.take}
    else:
        ids = {} if callback.hook is None else {"hook": callback.hook}
    return {"callback_id": callback.id, **ids, **what}


async def _refusal(request: Request, state: State) -> Response:
    """404, or 429 after too many of them; if a sample of it is kept, it is written after the answer."""
    state.counts["refused"] += 1
    state.limits.count_stranger(request)
    log.info("callback_refused", reason="unknown_token")
    answer = error_answer(404, "not_found", NO_SUCH_ADDRESS)
    sample = await state.strangers.sample(request)
    if sample is not None:
        clean_body = without_secrets(sample.body, None, secrets=state.secrets)
        sha256 = hashlib.sha256(sample.body).hexdigest()
        sample = replace(sample, body=clean_body, size=len(sample.body), sha256=sha256)
        answer.background = BackgroundTask(state.strangers.keep, sample)
    return answer


async def _quarantine(state: State, callback: Callback, refusal: Response) -> Response:
    """*refusal*, once the callback is in quarantine: if it is not kept there, the sender has to send it again."""
    fields = _fields(callback) | {"reason": callback.reason}
    try:
        is_kept = await state.quarantine.hold(callback, within_s=KEEP_WITHIN_S)
    except StoreUnavailable as error:
        log.error("callback_held", kept=False, trouble=error.message, **fields)
        state.counts["not_kept"] += 1
        return try_later(error)
    state.counts["held"] += 1
    log.warning("callback_held", kept=is_kept, **fields)
    return refusal


def _target_of(request: Request) -> bytes:
    """Path and query as they were in the request."""
    path, query = request.scope.get("raw_path") or request.url.path.encode(), request.scope["query_string"]
    return bytes(path) + (b"?" + query if query else b"")


async def _read(request: Request, state: State, address: Address) -> tuple[Callback, Response | None, Response | None]:
    """
    The callback, its answer if that is not 200, and the reply to a challenge in it, if there is one.

    A body that could not be verified tells us nothing. A challenge is sent back as it came, not in the form that may be
    kept.
    """
    callback = callback_at(address, time.time())
    recipe = state.verification.recipe_of(address)
    if recipe is not None:
        callback = replace(callback, evidence=collect(recipe, request.headers.raw, target=_target_of(request)))
    try:
        body = await read_body(request, bytes_max=state.settings.callback_bytes_max)
        callback = replace(callback, body=body, received_at=time.time())
        if recipe is not None:
            state.verification.check(recipe, callback)
    except HTTPException as error:
        refusal = await answer_refusal(request, error)
        return (
            replace(callback, outcome=code_of(error), reason=error.detail, held=recipe is not None, evidence=()),
            refusal,
            None,
        )
    except Unverified as error:
        words, headers = "the callback does not prove where it comes from", {"WWW-Authenticate": "Signature"}
        refusal = error_answer(401, error.code, words, headers=headers)
        return replace(callback, outcome="quarantined", reason=error.message, held=True), refusal, None
    return *interpret(state, address, callback), reply_at(state, address, body)
