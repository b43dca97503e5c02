"""``POST /webhook/{token}``: limit, authenticate, keep, enqueue, answer; nothing slow, nothing believed."""

import asyncio
import hashlib
import logging
import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import structlog
from msgspec import UNSET, UnsetType
from msgspec.structs import replace
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send
from structlog.typing import FilteringBoundLogger

from framerelay.config.log_lines import CleanLine, Lines
from framerelay.config.logs import lines_at, redacted
from framerelay.receiver.answers import NO_SUCH_ADDRESS, code_of, error_answer, refused, surprise, try_later
from framerelay.receiver.bodies import all_without_secrets, without_secrets
from framerelay.receiver.body import read_body
from framerelay.receiver.state import State, state_of
from framerelay.runs.errors import RequestInvalid, StorageFailed, StoreUnavailable, Unverified
from framerelay.runs.tokens import Address, HookAddress, ProbeAddress, TakeAddress
from framerelay.store.inbox import KEEP_WITHIN_S, Callback
from framerelay.store.tasks import Task
from framerelay.upstream.callback import parse_object
from framerelay.upstream.job import JobNews, read_news
from framerelay.upstream.signatures import collect
from framerelay.upstream.wire import JobState

ADDRESSES: Final = "/webhook/"
JOB_ID_CHARS_MAX: Final = 200  # Both go into tasks and log lines, while a body may have a mebibyte.
WORD_CHARS_MAX: Final = 100
ID_BYTES: Final = 10
READ_TOGETHER_MAX: Final = 16  # Redis is given those while the next are read; each by itself would cost more.
PROBED: Final = "sent by `framerelay doctor`"

KEPT: Final = JSONResponse({"received": True, "repeated": False})
REPEATED: Final = JSONResponse({"received": True, "repeated": True})

Answer = Callable[[Response | None], None]
Taker = Callable[[str, bytes, Answer], None]
TAKER: Final = "take_callback"

log: FilteringBoundLogger = structlog.get_logger()


class Callbacks:
    """The route's endpoint: an ASGI application, which spares thousands a second two wrappers of Starlette's."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One callback."""
        answer = await received(Request(scope, receive, send))
        await answer(scope, receive, send)


async def received(request: Request) -> Response:
    """
    Keep one callback and answer: 200 kept (or before) · 400 not JSON · 401 · 404 unknown token · 413 · 415 · 429 · 503.

    Whatever it says is a hint: the task that it queues asks the provider. A body that is refused is one, too, unless
    it had to prove where it comes from: then nothing comes of it, and it is held in quarantine.
    """
    state = state_of(request)
    address = state.tokens.read(request.scope["path_params"]["token"], now=time.time())
    if address is None:
        return await _refusal(request, state)
    _count(state, state.limits.count_callback, address)
    callback, refusal = await _read(request, state, address)
    if callback.held and refusal:
        return await _held(state, callback, refusal)
    _count(state, state.limits.count_body, address, len(callback.body))
    answer = await _answered(state, callback, address)
    return refusal if refusal and answer.status_code == 200 else answer


def _count(state: State, limit: Callable[..., None], *what: object) -> None:
    try:
        limit(*what)
    except HTTPException:
        state.counts["limited"] += 1
        raise


class ShortWay:
    """
    The same for callbacks that came whole, without a request around them: thousands a second are spared that.

    Those that came in one round of the loop are read together, some at a time. What that earns: `receiver.protocol`.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._came: list[tuple[str, bytes, Answer]] = []
        self._slow = set[asyncio.Task[None]]()
        self._lines: Lines | None = None

    def take(self, token: str, body: bytes, answer: Answer) -> None:
        """Call *answer* when *body* is kept; with None, soon, if nothing was done and it has to go the long way."""
        if not self._came:
            asyncio.get_running_loop().call_soon(self._read_some)
        self._came.append((token, body, answer))

    def _read_some(self) -> None:
        came, self._came = self._came[:READ_TOGETHER_MAX], self._came[READ_TOGETHER_MAX:]
        if self._came:
            asyncio.get_running_loop().call_soon(self._read_some)
        now, self._lines = time.time(), lines_at(logging.INFO)
        shown = all_without_secrets([body for _, body, _ in came], secrets=self._state.secrets)
        names = random_ids(len(came))
        for (token, body, answer), kept, name in zip(came, shown, names, strict=True):
            try:
                is_taken = self._read(token, body, kept, answer, now, name)
            except Exception:  # It comes again on the long way, where there is a log and an answer for it.
                is_taken = False
            if not is_taken:
                answer(None)

    def _read(self, token: str, body: bytes, shown: bytes | None, answer: Answer, now: float, name: str) -> bool:
        state = self._state
        address = state.tokens.read(token, now=now)
        if address is None or state.verification.recipe_of(address) is not None:
            return False
        callback, refusal = interpreted(state, address, _came(address, now, body, name), shown)
        if refusal is not None or not state.limits.lets_in(address, len(callback.body)):
            return False
        state.inbox.give(
            callback,
            fingerprint=fingerprint_of(address, callback),
            task=task_for(address, callback),
            told=partial(self._told, callback, address, answer, shown is not None and _is_clean(callback)),
        )
        return True

    def _told(
        self, callback: Callback, address: Address, answer: Answer, is_clean: bool, kept: bool | Exception
    ) -> None:
        if isinstance(kept, bool):
            self._state.counts["kept" if kept else "repeated"] += 1
            if self._lines is not None and is_clean:
                self._lines.add_clean(_clean_line(callback, is_new=kept))
            elif self._lines is not None:
                log.info("callback_received", **_fields(callback), repeated=not kept)
            answer(KEPT if kept else REPEATED)
            return
        task = asyncio.create_task(self._say(callback, address, kept, answer))
        self._slow.add(task)
        task.add_done_callback(self._slow.discard)

    async def _say(self, callback: Callback, address: Address, trouble: Exception, answer: Answer) -> None:
        try:
            answer(await _answered(self._state, callback, address, trouble))
        except Exception as error:
            answer(surprise(error))


async def _answered(state: State, callback: Callback, address: Address, trouble: Exception | None = None) -> Response:
    """The answer, as soon as *callback* lies in Redis or, where that has *trouble*, in the spool; and a line for it."""
    try:
        if trouble is not None:
            raise trouble
        task = task_for(address, callback)
        is_new = await state.inbox.accept(callback, fingerprint=fingerprint_of(address, callback), task=task)
        return _acknowledged(state, callback, is_new=is_new)
    except StoreUnavailable as error:
        reason = error.message
    try:
        await _spool(state, callback, address, reason)
    except StoreUnavailable as error:
        log.error("callback_received", **_fields(callback) | {"outcome": "not_kept"}, reason=error.message)
        state.counts["not_kept"] += 1
        return try_later(error)
    return _acknowledged(state, callback, is_new=True, spooled=reason)


def _acknowledged(
    state: State,
    callback: Callback,
    *,
    is_new: bool,
    spooled: str | None = None,
) -> Response:
    """200, and a line about it; *spooled*: why Redis does not have it."""
    state.counts["spooled" if spooled else "kept" if is_new else "repeated"] += 1
    if spooled:
        log.warning("callback_received", **_fields(callback), repeated=False, spooled=spooled)
    else:
        log.info("callback_received", **_fields(callback), repeated=not is_new)
    return KEPT if is_new else REPEATED


class CallbackLine(CleanLine, kw_only=True):
    """``callback_received`` of a callback that was kept, as `_fields` has it."""

    callback_id: str
    job_id: str | None
    word: str | None
    outcome: str
    repeated: bool
    run_id: str | UnsetType = UNSET
    shot: str | UnsetType = UNSET
    take: int | UnsetType = UNSET
    hook: str | UnsetType = UNSET


def _clean_line(callback: Callback, *, is_new: bool) -> CallbackLine:
    return CallbackLine(
        event="callback_received",
        level="info",
        callback_id=callback.id,
        job_id=callback.job_id,
        word=callback.word,
        outcome=callback.outcome,
        repeated=not is_new,
        run_id=callback.run or UNSET,
        shot=callback.shot or UNSET,
        take=UNSET if callback.take is None else callback.take,
        hook=callback.hook or UNSET,
    )


def _is_clean(callback: Callback) -> bool:
    """
    Whether nothing has to be taken out of a line about it, where nothing but queries had to be taken out of its body.

    All that a stranger chose of the line stood in the body; what had a query there has one here.
    """
    return "?" not in f"{callback.job_id}{callback.word}"


def _fields(callback: Callback) -> dict[str, Any]:
    """What a line says of *callback*, beside what became of it."""
    what = {"job_id": callback.job_id, "word": callback.word, "outcome": callback.outcome}
    if callback.run is not None:
        named = {"run_id": callback.run, "shot": callback.shot, "take": callback.take}
    else:
        named = {} if callback.hook is None else {"hook": callback.hook}
    return {"callback_id": callback.id, **named, **what}


async def _refusal(request: Request, state: State) -> Response:
    """404, or 429 for one more of many; what is kept of it, if anything, is written behind the answer."""
    state.counts["refused"] += 1
    state.limits.count_stranger(request)
    log.info("callback_refused", reason="unknown_token")
    answer = error_answer(404, "not_found", NO_SUCH_ADDRESS)
    sample = await state.strangers.sample(request)
    if sample is not None:
        shown = without_secrets(sample.body, None, secrets=state.secrets)
        sha256 = hashlib.sha256(sample.body).hexdigest()
        sample = replace(sample, body=shown, size=len(sample.body), sha256=sha256)
        answer.background = BackgroundTask(state.strangers.keep, sample)
    return answer


async def _held(state: State, callback: Callback, refusal: Response) -> Response:
    """*refusal*, once the callback is in quarantine: what is not kept there, the sender has to send again."""
    said = _fields(callback) | {"reason": callback.reason}
    try:
        kept = await state.quarantine.hold(callback, within_s=KEEP_WITHIN_S)
    except StoreUnavailable as error:
        log.error("callback_held", kept=False, trouble=error.message, **said)
        state.counts["not_kept"] += 1
        return try_later(error)
    state.counts["held"] += 1
    log.warning("callback_held", kept=kept, **said)
    return refusal


async def _read(request: Request, state: State, address: Address) -> tuple[Callback, Response | None]:
    """What came, and the answer to it if that is not 200; a body that nobody could verify says nothing."""
    callback = _came(address, time.time())
    recipe = state.verification.recipe_of(address)
    if recipe is not None:
        callback = replace(callback, evidence=collect(recipe, request.headers.raw))
    try:
        body = await read_body(request, bytes_max=state.settings.callback_bytes_max)
        callback = replace(callback, body=body, received_at=time.time())
        if recipe is not None:
            state.verification.check(recipe, callback)
    except HTTPException as error:
        refusal = await refused(request, error)
        held = recipe is not None
        return replace(callback, outcome=code_of(error), reason=error.detail, held=held, evidence=()), refusal
    except Unverified as error:
        words, headers = "the callback does not prove where it comes from", {"WWW-Authenticate": "Signature"}
        refusal = error_answer(401, error.code, words, headers=headers)
        return replace(callback, outcome="quarantined", reason=error.message, held=True), refusal
    return interpreted(state, address, callback)


def random_ids(number: int) -> Sequence[str]:
    """So many ids of callbacks; asking the kernel for each would cost more than making it."""
    digits = os.urandom(ID_BYTES * number).hex()
    return [f"cb_{digits[at : at + 2 * ID_BYTES]}" for at in range(0, len(digits), 2 * ID_BYTES)]


def _came(address: Address, now: float, body: bytes = b"", name: str | None = None) -> Callback:
    """Something to this address, of which nothing is known yet; under the id *name*, or one of its own."""
    name = name or random_ids(1)[0]
    match address:
        case TakeAddress(run=run, shot=shot, take=take):
            return Callback(id=name, received_at=now, outcome="accepted", body=body, run=run, shot=shot, take=take)
        case HookAddress(hook=hook):
            return Callback(id=name, received_at=now, outcome="accepted", body=body, hook=hook)
        case ProbeAddress(nonce=nonce):
            return Callback(id=f"cb_{nonce}", received_at=now, outcome="probe", body=body, reason=PROBED)


def interpreted(
    state: State, address: Address, callback: Callback, shown: bytes | None = None
) -> tuple[Callback, Response | None]:
    """
    What the body of a callback says that needs no more proof, and the answer to it if that is not 200.

    *shown*: the body as it may be kept if it is JSON, where that is known already.
    """
    body = callback.body
    sha256 = hashlib.sha256(body).hexdigest()
    try:
        document = parse_object(body)
    except RequestInvalid as error:
        shown = without_secrets(body, None, secrets=state.secrets)
        said = {"outcome": "unreadable", "reason": error.message, "evidence": ()}
        refusal = error_answer(400, "not_json", error.message)
        return replace(callback, body=shown, size=len(body), sha256=sha256, **said), refusal
    news = read_news(document)
    job_id = _job_id(news)
    return replace(
        callback,
        body=without_secrets(body, document, secrets=state.secrets) if shown is None else shown,
        size=len(body),
        sha256=sha256,
        evidence=(),
        job_id=job_id,
        word=_shown(news, state),
        ending=f"{address.name}:{job_id}" if job_id and news.state.is_final else None,
    ), None


def _shown(news: JobNews, state: State) -> str | None:
    """The status word, which a stranger may have chosen unless it is one that we know."""
    if news.status_word is None or news.state is not JobState.UNKNOWN:
        return news.status_word
    return str(redacted(news.status_word, secrets=state.secrets))[:WORD_CHARS_MAX]


def _job_id(news: JobNews) -> str | None:
    for job_id in news.job_ids:
        if len(job_id) <= JOB_ID_CHARS_MAX:
            return job_id
    return None


async def _spool(state: State, callback: Callback, address: Address, reason: str) -> None:
    """
    Keep on disk what Redis does not take, for the *reason* given.

    Raises: StoreUnavailable when the disk does not take it either.
    """
    try:
        fingerprint, task = fingerprint_of(address, callback), task_for(address, callback)
        await state.spool.keep(callback, fingerprint=fingerprint, task=task)
    except StorageFailed as error:
        raise StoreUnavailable(f"{reason}; {error.message}", retry_after_s=error.retry_after_s or 1) from error


def fingerprint_of(address: Address, callback: Callback) -> str:
    """The same for all that say the same at the same address."""
    return f"{address.name}:{callback.outcome}:{callback.sha256}"


def task_for(address: Address, callback: Callback) -> Task | None:
    """The look-up that this callback gives reason for; one about a take is worth it whatever the body says."""
    came = {"callback": callback.id, "received_at": None if callback.replay_of else callback.received_at}
    if isinstance(address, TakeAddress):
        named = {"run": address.run, "shot": address.shot, "take": address.take}
        arguments = {**named, **came, "job_id": callback.job_id, "word": callback.word}
        if address.ends_at is not None:
            arguments["ends_at"] = address.ends_at
        return Task(id=f"look_up:{address.run}:{callback.id}", function="look_up", arguments=arguments)
    if isinstance(address, ProbeAddress) or callback.job_id is None:
        return None
    arguments = {**came, "hook": address.hook, "job_id": callback.job_id, "word": callback.word}
    return Task(id=f"hook:{callback.id}", function="hook", arguments=arguments)
