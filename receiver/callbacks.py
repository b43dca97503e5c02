"""``POST /webhook/{token}``: limit, authenticate, keep, enqueue, answer; nothing slow, nothing believed."""

import asyncio
import hashlib
import secrets
import time
from dataclasses import replace
from typing import Final

import structlog
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from config.logs import bound, redacted
from receiver.answers import NO_SUCH_ADDRESS, code_of, error_answer, refused, try_later
from receiver.bodies import without_secrets
from receiver.body import read_body
from receiver.state import State, state_of
from runs.errors import RequestInvalid, StorageFailed, StoreUnavailable, Unverified
from runs.inbox import Callback
from runs.queue import Task
from runs.redis_words import redis_words
from runs.tokens import Address, HookAddress, ProbeAddress, TakeAddress
from upstream.callback import parse_object
from upstream.job import JobReport, read_job

KEEP_WITHIN_S: Final = 3.0  # Providers wait 5 s; a Redis that hangs must not cost the event its next try.
JOB_ID_CHARS_MAX: Final = 200  # Both go into tasks and log lines, while a body may have a mebibyte.
WORD_CHARS_MAX: Final = 100
PROBED: Final = "sent by `framerelay doctor`"

log = structlog.get_logger()


async def receive(request: Request) -> Response:
    """
    Keep one callback and answer: 200 kept (or before) · 400 not JSON · 401 · 404 unknown token · 413 · 415 · 429 · 503.

    Whatever it says is a hint: the task that it queues asks the provider. A body that is refused is one, too, unless
    it had to prove where it comes from: then nothing comes of it, and it is held in quarantine.
    """
    state = state_of(request)
    address = state.tokens.read(request.path_params["token"], now=time.time())
    if address is None:
        return await _refusal(request, state)
    state.limits.count_callback(address)
    callback, refusal = await _read(request, state, address)
    with bound(run_id=callback.run, shot=callback.shot, take=callback.take, hook=callback.hook):
        if callback.held and refusal:
            return await _held(state, callback, refusal)
        said = {"callback_id": callback.id, "job_id": callback.job_id, "word": callback.word}
        try:
            is_new, spooled = await _keep(state, callback, address)
        except StoreUnavailable as error:
            log.error("callback_received", outcome="not_kept", reason=error.message, **said)
            return try_later(error)
        if spooled:
            log.warning("callback_received", outcome=callback.outcome, repeated=False, spooled=spooled, **said)
        else:
            log.info("callback_received", outcome=callback.outcome, repeated=not is_new, **said)
    return refusal or JSONResponse({"received": True, "repeated": not is_new})


async def _refusal(request: Request, state: State) -> Response:
    """404, or 429 for one more of many; what is kept of it, if anything, is written behind the answer."""
    state.limits.count_stranger(request)
    log.info("callback_refused", reason="unknown_token")
    answer = error_answer(404, "not_found", NO_SUCH_ADDRESS)
    sample = await state.strangers.sample(request)
    if sample is not None:
        sample = without_secrets(sample, None, secrets=state.secrets)
        answer.background = BackgroundTask(state.strangers.keep, sample)
    return answer


async def _held(state: State, callback: Callback, refusal: Response) -> Response:
    """*refusal*, once the callback is in quarantine: what is not kept there, the sender has to send again."""
    said = {"callback_id": callback.id, "outcome": callback.outcome, "reason": callback.reason}
    try:
        kept = await state.quarantine.hold(callback, within_s=KEEP_WITHIN_S)
    except StoreUnavailable as error:
        log.error("callback_held", kept=False, trouble=error.message, **said)
        return try_later(error)
    log.warning("callback_held", kept=kept, **said)
    return refusal


async def _read(request: Request, state: State, address: Address) -> tuple[Callback, Response | None]:
    """What came, and the answer to it if that is not 200; a body that nobody could verify says nothing."""
    callback = Callback(
        id=f"cb_{address.nonce if isinstance(address, ProbeAddress) else secrets.token_hex(10)}",
        received_at=time.time(),
        outcome="accepted",
        body=b"",
        run=address.run if isinstance(address, TakeAddress) else None,
        shot=address.shot if isinstance(address, TakeAddress) else None,
        take=address.take if isinstance(address, TakeAddress) else None,
        hook=address.hook if isinstance(address, HookAddress) else None,
        evidence=state.verification.evidence(address, request.headers.raw),
    )
    try:
        body = await read_body(request, bytes_max=state.settings.callback_bytes_max)
        callback = replace(callback, body=body, received_at=time.time())
        state.verification.check(address, callback)
    except HTTPException as error:
        held = state.verification.recipe_of(address) is not None
        refusal = await refused(request, error)
        return replace(callback, outcome=code_of(error), reason=error.detail, held=held, evidence=()), refusal
    except Unverified as error:
        words, headers = "the callback does not prove where it comes from", {"WWW-Authenticate": "Signature"}
        refusal = error_answer(401, error.code, words, headers=headers)
        return replace(callback, outcome="quarantined", reason=error.message, held=True), refusal
    return interpreted(state, address, callback)


def interpreted(state: State, address: Address, callback: Callback) -> tuple[Callback, Response | None]:
    """What the body of a callback says that needs no more proof, and the answer to it if that is not 200."""
    callback = replace(callback, evidence=())
    try:
        document = parse_object(callback.body)
    except RequestInvalid as error:
        refusal = error_answer(400, "not_json", error.message)
        callback = without_secrets(callback, None, secrets=state.secrets)
        return replace(callback, outcome="unreadable", reason=error.message), refusal
    report = read_job(document)
    callback = without_secrets(callback, document, secrets=state.secrets)
    word = redacted(report.status_word, secrets=state.secrets)[:WORD_CHARS_MAX] if report.status_word else None
    job_id, ending = _job_id(report), _ending(report, address)
    outcome, reason = ("probe", PROBED) if isinstance(address, ProbeAddress) else ("accepted", None)
    return replace(callback, outcome=outcome, reason=reason, job_id=job_id, word=word, ending=ending), None


def _ending(report: JobReport, address: Address) -> str | None:
    """What all callbacks have in common that say how one job ended; reports on the way there differ by nature."""
    if not report.state.is_final or not report.job_ids:
        return None
    return hashlib.sha256(f"{address!r} {report.job_ids[0]}".encode()).hexdigest()


def _job_id(report: JobReport) -> str | None:
    return next((job_id for job_id in report.job_ids if len(job_id) <= JOB_ID_CHARS_MAX), None)


async def _keep(state: State, callback: Callback, address: Address) -> tuple[bool, str | None]:
    """
    In Redis, or else in the spool, with the reason; False for a repeat: the same outcome and body at the same address.

    Raises: StoreUnavailable when neither takes it.
    """
    fingerprint = fingerprint_of(address, callback)
    task = task_for(address, callback)
    try:
        async with asyncio.timeout(KEEP_WITHIN_S):
            return await state.inbox.accept(callback, fingerprint=fingerprint, task=task), None
    except (TimeoutError, StoreUnavailable) as error:
        reason = error.message if isinstance(error, StoreUnavailable) else redis_words(error)
    try:
        await state.spool.keep(callback, fingerprint=fingerprint, task=task)
    except StorageFailed as error:
        raise StoreUnavailable(f"{reason}; {error.message}", retry_after_s=error.retry_after_s or 1) from error
    return True, reason


def fingerprint_of(address: Address, callback: Callback) -> str:
    """The same for all that say the same at the same address."""
    body = callback.sha256 or hashlib.sha256(callback.body).hexdigest()
    return hashlib.sha256(f"{address!r} {callback.outcome}\n{body}".encode()).hexdigest()


def task_for(address: Address, callback: Callback) -> Task | None:
    """The look-up that this callback gives reason for; one about a take is worth it whatever the body says."""
    came = {"callback": callback.id, "received_at": None if callback.replay_of else callback.received_at}
    if isinstance(address, TakeAddress):
        named = {"run": address.run, "shot": address.shot, "take": address.take}
        arguments = {**named, **came, "job_id": callback.job_id, "word": callback.word}
        return Task(id=f"look_up:{callback.id}", function="look_up", arguments=arguments)
    if isinstance(address, ProbeAddress) or callback.job_id is None:
        return None
    arguments = {**came, "hook": address.hook, "job_id": callback.job_id}
    return Task(id=f"hook:{callback.id}", function="hook", arguments=arguments)
