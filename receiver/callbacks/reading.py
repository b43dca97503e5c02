"""What a callback says, and the look-up that it gives reason for; nothing slow, nothing trusted."""

import hashlib
import json
import os
import re
from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec.structs import replace
from opentelemetry.trace import Span
from starlette.responses import JSONResponse, Response

from framerelay.config.logs import redact
from framerelay.config.traces import begin, traceparent
from framerelay.receiver.answers import error_answer
from framerelay.receiver.callbacks.redaction import without_paths, without_secrets
from framerelay.receiver.state import State
from framerelay.runs.errors import RequestInvalid
from framerelay.runs.model import RunId
from framerelay.runs.tokens import Address, HookAddress, ProbeAddress, TakeAddress
from framerelay.runs.wire_names import WIRE_NAMES
from framerelay.store.inbox import Callback
from framerelay.store.tasks import Task
from framerelay.upstream.callback import parse_object
from framerelay.upstream.job import JobNews, read_news
from framerelay.upstream.profile import Profile
from framerelay.upstream.reading import challenge_in, read_callback_news
from framerelay.upstream.senders import profile_at
from framerelay.upstream.wire import JobState

JOB_ID_CHARS_MAX: Final = 200  # Both go into tasks and log lines, while a body may be as large as a mebibyte.
WORD_CHARS_MAX: Final = 100
ID_BYTES: Final = 10
PROBED: Final = "sent by `framerelay doctor`"


def random_ids(number: int) -> Sequence[str]:
    """*number* ids for callbacks; asking the kernel for each one would cost more than making it."""
    digits = os.urandom(ID_BYTES * number).hex()
    return [f"cb_{digits[at : at + 2 * ID_BYTES]}" for at in range(0, len(digits), 2 * ID_BYTES)]


def callback_at(address: Address, now: float, body: bytes = b"", callback_id: str | None = None) -> Callback:
    """A callback to this address, of which nothing is known yet; under *callback_id*, or a new id."""
    name = callback_id or random_ids(1)[0]
    if isinstance(address, TakeAddress):
        return Callback(
            id=name,
            received_at=now,
            outcome="accepted",
            body=body,
            run_id=address.run_id,
            shot_id=address.shot_id,
            take=address.take,
            provider=address.provider,
        )
    if isinstance(address, HookAddress):
        return Callback(id=name, received_at=now, outcome="accepted", body=body, hook=address.hook)
    return Callback(id=f"cb_{address.nonce}", received_at=now, outcome="probe", body=body, reason=PROBED)


def interpret(
    state: State, address: Address, callback: Callback, clean_body: bytes | None = None
) -> tuple[Callback, Response | None]:
    """
    What the body of a callback says if it needs no more proof, and the answer to it if that is not 200.

    *clean_body*: the body as it may be kept if it is JSON, if that has been computed already.
    """
    body = callback.body
    sha256 = hashlib.sha256(body).hexdigest()
    try:
        document = parse_object(body)
    except RequestInvalid as error:
        clean_body = without_secrets(body, None, secrets=state.secrets)
        what = {"outcome": "unreadable", "reason": error.message, "evidence": ()}
        refusal = error_answer(400, "not_json", error.message)
        return replace(callback, body=clean_body, size=len(body), sha256=sha256, **what), refusal
    profile = _profile_at(state, address)
    public = without_paths(document, profile.redact) if profile is not None and profile.redact else document
    if public is not document and public != document:
        clean_body = without_secrets(json.dumps(public, ensure_ascii=False).encode(), public, secrets=state.secrets)
    news = read_news(document) if profile is None else read_callback_news(profile, document)
    job_id = _job_id(news)
    return replace(
        callback,
        body=without_secrets(body, document, secrets=state.secrets) if clean_body is None else clean_body,
        size=len(body),
        sha256=sha256,
        evidence=(),
        job_id=job_id,
        reference=news.reference if job_id is None and _is_reference(news.reference) else None,
        word=_status_word(news, state),
        state=None if profile is None else news.state.value,
        ending=f"{address.name}:{job_id}" if job_id and news.state.is_final else None,
    ), None


def _profile_at(state: State, address: Address) -> Profile | None:
    """The profile by which a callback there is read; None: leniently."""
    if isinstance(address, TakeAddress):
        return profile_at(state.providers, address.provider) if address.provider is not None else None
    return profile_at(state.providers, state.providers.default) if isinstance(address, HookAddress) else None


def reply_at(state: State, address: Address, body: bytes) -> Response | None:
    """
    What the provider at *address* must be answered besides a 200, if anything: a challenge in *body*, sent back.

    A challenge arrives while the create is under way, and says nothing about a job.
    """
    profile = _profile_at(state, address)
    challenge = profile.callback.challenge if profile else None
    if profile is None or challenge is None:
        return None
    try:
        echo = challenge_in(profile, parse_object(body))
    except RequestInvalid:
        return None
    return JSONResponse({challenge.path: echo}) if echo is not None else None


def acknowledgement_at(state: State, address: Address) -> Response | None:
    """The exact answer that the provider at *address* wants for a callback that was kept; None: any 200."""
    profile = _profile_at(state, address)
    answer = profile.callback.answer if profile else None
    if answer is None or (answer.body is None and answer.status == 200):
        return None
    return reply_of(answer.status, answer.body)


def reply_of(status: int, body: str | None = None) -> Response:
    """An answer as a profile gives it; without a *body*, our own, if that *status* has one at all."""
    if body is not None:
        return Response(body, status, media_type="text/plain")
    return (
        Response(status_code=status)
        if status in (204, 205)
        else JSONResponse({"received": True, "repeated": False}, status)
    )


def strangers_status(state: State, address: Address) -> int | None:
    """What to answer a callback to a take's *address* that is about an unknown job, if the profile says."""
    profile = _profile_at(state, address) if isinstance(address, TakeAddress) else None
    return profile.callback.strangers if profile else None


async def is_stranger(state: State, address: Address, body: bytes) -> bool:
    """
    Whether *body* arrived at a take whose job is known, and names a different one, or no job of ours: a test, for
    example.

    Raises: StoreUnavailable.
    """
    profile = _profile_at(state, address)
    if profile is None or not isinstance(address, TakeAddress):
        return False
    try:
        news = read_callback_news(profile, parse_object(body))
    except RequestInvalid:
        return False
    run = await state.store.load(RunId(address.run_id))
    take = run.take(address.shot_id, address.take) if run else None
    return take is not None and bool(take.job_ids) and not set(news.job_ids) & set(take.job_ids)


def wants_own_answer(state: State, address: Address) -> bool:
    """Whether the provider may want a different answer than ours to callbacks there: those take the regular path."""
    profile = _profile_at(state, address)
    return profile is not None and (
        profile.callback.challenge is not None
        or profile.callback.strangers not in (None, 200)
        or acknowledgement_at(state, address) is not None
    )


def _status_word(news: JobNews, state: State) -> str | None:
    """The status word, which a stranger may have chosen unless it is one that we know."""
    if news.status_word is None or news.state is not JobState.UNKNOWN:
        return news.status_word
    return str(redact(news.status_word, secrets=state.secrets))[:WORD_CHARS_MAX]


def _is_reference(text: str | None) -> bool:
    """Whether *text* may be one of our ids: a UUID; nothing else goes into a task."""
    return text is not None and re.fullmatch("[0-9a-f-]{36}", text) is not None


def _job_id(news: JobNews) -> str | None:
    for job_id in news.job_ids:
        if len(job_id) <= JOB_ID_CHARS_MAX:
            return job_id
    return None


def trace(callback: Callback) -> tuple[Callback, Span | None]:
    """*callback* with its trace, and the span from its arrival until it is kept; who keeps it ends the span."""
    span = begin("callback", began=callback.received_at, callback_id=callback.id, **_about(callback))
    return (callback, None) if span is None else (replace(callback, trace=traceparent(span)), span)


def _about(callback: Callback) -> dict[str, str | int | None]:
    return {"run_id": callback.run_id, "shot": callback.shot_id, "take": callback.take, "hook": callback.hook}


def fingerprint_of(address: Address, callback: Callback) -> str:
    """Equal for callbacks that say the same at the same address."""
    return f"{address.name}:{callback.outcome}:{callback.sha256}"


class LookUpArguments(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename={**WIRE_NAMES, "reference": "named"}
):
    """What `processors.look_up` is given by a callback."""

    run_id: str
    shot_id: str
    take: int
    callback: str
    received_at: float | None
    job_id: str | None
    word: str | None
    ends_at: int | None = None
    reference: str | None = None
    state: str | None = None
    trace: str | None = None


class HookArguments(msgspec.Struct, frozen=True, kw_only=True):
    """What `processors.hook` is given by a callback."""

    callback: str
    received_at: float | None
    hook: str
    job_id: str
    word: str | None


def task_for(address: Address, callback: Callback) -> Task | None:
    """The look-up that this callback gives reason for; a callback about a take always does, whatever its body says."""
    received_at = None if callback.replay_of else callback.received_at
    if isinstance(address, TakeAddress):
        look_up = LookUpArguments(
            run_id=address.run_id,
            shot_id=address.shot_id,
            take=address.take,
            callback=callback.id,
            received_at=received_at,
            job_id=callback.job_id,
            word=callback.word,
            ends_at=address.ends_at,
            reference=callback.reference,
            state=callback.state,
            trace=callback.trace,
        )
        return Task(id=f"look_up:{address.run_id}:{callback.id}", function="look_up", arguments=look_up)
    if isinstance(address, ProbeAddress) or callback.job_id is None:
        return None
    hook = HookArguments(
        callback=callback.id, received_at=received_at, hook=address.hook, job_id=callback.job_id, word=callback.word
    )
    return Task(id=f"hook:{callback.id}", function="hook", arguments=hook)
