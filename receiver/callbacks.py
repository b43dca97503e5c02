"""``POST /webhook/{token}``: limit, authenticate, keep, enqueue, answer; nothing slow, nothing believed."""

import asyncio
import hashlib
import secrets
import time
from typing import Final

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from config.logs import bound
from receiver.answers import error_answer
from receiver.body import read_body
from receiver.state import State, state_of
from runs.errors import RequestInvalid, StoreUnavailable
from runs.inbox import Callback
from runs.queue import Task
from runs.tokens import HookAddress, TakeAddress
from upstream.callback import read_callback
from upstream.job import JobReport

KEEP_WITHIN_S: Final = 3.0  # Providers wait 5 s; a Redis that hangs must not cost the event its next try.

log = structlog.get_logger()


async def receive(request: Request) -> Response:
    """
    Keep one callback and answer: 200 kept (or kept before) · 400 not JSON · 404 unknown token · 413 · 415 · 503.

    Whatever it says is a hint: the task that it queues asks the provider.
    """
    state = state_of(request)
    address = state.tokens.read(request.path_params["token"])
    if address is None:
        log.info("callback_refused", reason="unknown_token")
        return error_answer(404, "not_found", "there is no such address")
    body = await read_body(request, bytes_max=state.settings.callback_bytes_max)
    callback, report = _read(address, body)
    with bound(run_id=callback.run, shot=callback.shot, take=callback.take, hook=callback.hook):
        is_new = await _keep(state, callback, _task(address, callback, report))
        log.info(
            "callback_received",
            callback_id=callback.id,
            outcome=callback.outcome,
            job_id=callback.job_id,
            word=callback.word,
            repeated=not is_new,
        )
    if report is None:
        return error_answer(400, "not_json", callback.reason or "the body is not a JSON object")
    return JSONResponse({"received": True, "repeated": not is_new})


def _read(address: TakeAddress | HookAddress, body: bytes) -> tuple[Callback, JobReport | None]:
    report, reason = None, None
    try:
        report = read_callback(body)
    except RequestInvalid as error:
        reason = error.message
    callback = Callback(
        id=f"cb_{secrets.token_hex(10)}",
        received_at=time.time(),
        outcome="accepted" if report else "unreadable",
        body=body,
        run=address.run if isinstance(address, TakeAddress) else None,
        shot=address.shot if isinstance(address, TakeAddress) else None,
        take=address.take if isinstance(address, TakeAddress) else None,
        hook=address.hook if isinstance(address, HookAddress) else None,
        job_id=report.job_ids[0] if report and report.job_ids else None,
        word=report.status_word if report else None,
        reason=reason,
    )
    return callback, report


def _task(address: TakeAddress | HookAddress, callback: Callback, report: JobReport | None) -> Task | None:
    """The look-up that this callback gives reason for; one about a take is worth it whatever the body says."""
    if isinstance(address, TakeAddress):
        named = {"run": address.run, "shot": address.shot, "take": address.take}
        arguments = {**named, "job_id": callback.job_id, "word": callback.word}
        return Task(id=f"look_up:{callback.id}", function="look_up", arguments=arguments)
    if callback.job_id is None:
        return None
    arguments = {"hook": address.hook, "job_id": callback.job_id}
    return Task(id=f"hook:{callback.id}", function="hook", arguments=arguments)


async def _keep(state: State, callback: Callback, task: Task | None) -> bool:
    owner = callback.hook or f"{callback.run}:{callback.shot}:{callback.take}"
    fingerprint = hashlib.sha256(f"{owner}\n".encode() + callback.body).hexdigest()
    try:
        async with asyncio.timeout(KEEP_WITHIN_S):
            return await state.inbox.accept(callback, fingerprint=fingerprint, task=task)
    except TimeoutError:
        raise StoreUnavailable("Redis does not answer in time", retry_after_s=1) from None
