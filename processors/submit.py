"""Submitting a take: inputs ready → intent stored → one POST → its outcome."""

import asyncio
import secrets
import time
from collections.abc import Awaitable
from contextlib import suppress
from itertools import count
from typing import Final, TypedDict

import structlog

from framerelay.config.metrics import HOP, JOBS
from framerelay.config.traces import note, span
from framerelay.processors import places, restoration
from framerelay.processors.deps import Deps
from framerelay.processors.missing import look_again_s
from framerelay.processors.orders import Preparation, order_of, prepare
from framerelay.processors.problems import problem, problem_of
from framerelay.processors.waits import retry_wait_s
from framerelay.runs import events
from framerelay.runs.errors import (
    CopiesMissing,
    FrameRelayError,
    NotFound,
    OutcomeUnknown,
    RequestInvalid,
    StorageFailed,
    StoreUnavailable,
    Transient,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamUnavailable,
)
from framerelay.runs.events import Event
from framerelay.runs.model import Family, Problem, Run, Shot, Take
from framerelay.runs.restoration import is_in_doubt
from framerelay.runs.standing import picked_take
from framerelay.runs.steps import Step, StepName, is_to_come_at, steps_due
from framerelay.store.progress import EventResult, record
from framerelay.upstream.job import JobReport

LAST_WORD_S: Final = 1.5  # Of the time that a container has to end; what is not saved by then becomes `unsure`.
NOTHING_LEFT: Final = Problem(code="stopped", message="the worker was stopped before the submit left; it is sent again")
OTHER_KEY: Final = Problem(
    code="key_changed", message="the key was refused and has changed since; it is sent again with the new one"
)
CUT_OFF: Final = Problem(
    code="outcome_unknown",
    message="the worker was stopped while the submit was under way; it is held and not sent again",
)

log = structlog.get_logger()


class _About(TypedDict):
    """Which submit an event is about; typed, so that a field that no event has is caught before it runs."""

    shot_id: str
    take: int
    intent: str


async def submit(deps: Deps, *, run_id: str, shot_id: str, take: int, turn: int) -> str:
    """
    Submit one take if the run still asks for it; returns the outcome for the log.

    Uploads come before the intent: they cost nothing and may be repeated. After the intent there is exactly one POST,
    whatever happens to this process. If it is cancelled (a deploy), it says at once what that means.
    """
    run = await deps.store.load(run_id)
    shot = run.shot(shot_id) if run else None
    if run is None or shot is None:
        return "not_due"
    step = Step(name=StepName.SUBMIT, run_id=run.id, shot_id=shot_id, take=take, turn=turn)
    if step not in steps_due(run, deps.store.clock.now()):
        await _without_place(deps, run, shot_id, take, run.provider_of(shot))
        return "not_due"
    before = _take_before(run, shot)
    parent = before.trace if before else None
    with span("submit", parent=parent, run_id=run_id, shot=shot_id, take=take):
        outcome = await _submit_now(deps, run, shot, take)
        note(outcome=outcome)
        return outcome


async def _submit_now(deps: Deps, run: Run, shot: Shot, take: int) -> str:
    """Like `submit`, for a take that is due."""
    try:
        provider = deps.clients.provider(run.provider_of(shot))
        if not await places.enter(deps, run, shot, take, provider):
            return "no_place"
        ready = await prepare(deps, run, shot)
        doubt = await restoration.ask(deps, run, shot, take, ready) if is_in_doubt(run, shot) else None
    except FrameRelayError as error:
        return await _put_off(deps, run, shot, take, error)
    try:
        new_take = await _intend(deps, run, shot, take, ready)
    except CopiesMissing:
        return "put_off"
    if new_take is None:
        now = await deps.store.load(run.id) or run
        await _without_place(deps, now, shot.id, take, run.provider_of(shot))
        return "not_due"
    if doubt is not None:
        return await _settle_doubt(deps, run, shot, new_take, doubt)
    return await _post(deps, run, shot, new_take, ready)


async def _settle_doubt(deps: Deps, run: Run, shot: Shot, take: Take, doubt: JobReport | Problem) -> str:
    """The take was submitted before, and an older copy of Redis does not know of it; or nobody knows if it was."""
    about: _About = {"shot_id": shot.id, "take": take.number, "intent": take.intent}
    if isinstance(doubt, Problem):
        await _record_until_saved(deps, run, events.SubmitLost(**about, problem=doubt))
        return "held"
    job_id, *aliases = doubt.job_ids
    await _record_until_saved(
        deps, run, events.Submitted(**about, job_id=job_id, aliases=tuple(aliases), word=doubt.status_word)
    )
    log.warning("forgotten_job", job_id=job_id, advice="its submit was not on record; it was paid for, and is kept")
    return "found"


async def _without_place(deps: Deps, run: Run, shot_id: str, take: int, name: str | None) -> None:
    """A place at *name* that it got before somebody decided otherwise is given back; one that is still wanted stays."""
    with suppress(FrameRelayError):
        provider = deps.clients.provider(name)
        if not is_to_come_at(run, provider.name, shot_id, take):
            await places.leave(deps, run, shot_id, take, provider)


async def _put_off(deps: Deps, run: Run, shot: Shot, take: int, error: FrameRelayError) -> str:
    run_id = run.id
    with suppress(FrameRelayError):  # At a provider that does not exist, nobody has a place.
        await places.leave(deps, run, shot.id, take, deps.clients.provider(run.provider_of(shot)))
    if await _may_pass(deps, error):
        await record(
            deps.store,
            run_id,
            events.PreparationFailed(shot_id=shot.id, problem=OTHER_KEY, until=deps.store.clock.now()),
        )
        return "put_off"
    wait_s = await look_again_s(deps, error, run_id, shot.id)
    if isinstance(error, Transient):
        wait_s = retry_wait_s(shot.turns, retry_after_s=error.retry_after_s)
    until = deps.store.clock.now() + wait_s if wait_s is not None else None
    problem = problem_of(error)
    event = events.PreparationFailed(shot_id=shot.id, problem=problem, until=until, turn=shot.turns)
    await record(deps.store, run_id, event)
    return "impossible" if until is None else "put_off"


async def _intend(deps: Deps, run: Run, shot: Shot, number: int, ready: Preparation) -> Take | None:
    """
    Store that this execution, and no other, is about to POST; None if the run no longer wants it.

    The name of the intent decides who won if the answer to our own save was lost.
    Raises: CopiesMissing if too few replicas of Redis have it: a failover may forget it, so it is taken back.
    """
    intent, pace = secrets.token_hex(8), await deps.pace.usual_times(run, shot)
    event = events.Submitting(
        shot_id=shot.id,
        take=number,
        intent=intent,
        seed=_seed(shot, number),
        first_frame=ready.first,
        expected_s=pace.slowest_s,
        usual_s=pace.usual_s,
        maker=ready.maker,
        turn=shot.turns,
    )
    saving = asyncio.create_task(_save_intent(deps, run, shot, event))
    try:
        result = await asyncio.shield(saving)
    except asyncio.CancelledError:
        await _in_time(_take_back(deps, run, shot, number, saving, intent))
        raise
    take = result.run.take(shot.id, number)
    return take if take is not None and take.intent == intent and not take.job_ids else None


async def _save_intent(deps: Deps, run: Run, shot: Shot, event: events.Submitting) -> EventResult:
    """
    The intent, saved, and confirmed by replicas of Redis if the settings ask for it.

    If it is found saved, it is ours, and the answer to our save was lost: what replicas have of it is not known.
    Raises: CopiesMissing, once it is taken back.
    """
    try:
        result = await record(deps.store, run.id, event, copied=True)
        take = result.run.take(event.shot_id, event.take)
        if deps.settings.redis_copies and not result.changed and take is not None and take.intent == event.intent:
            raise CopiesMissing("the connection to Redis broke, and nobody knows what its copies have")
    except CopiesMissing as error:
        log.warning("submit_not_copied", reason=error.message)
        until = deps.store.clock.now() + retry_wait_s(shot.turns)
        words = problem_of(CopiesMissing(f"{error.message}; nothing was sent, and it is tried again"))
        about: _About = {"shot_id": event.shot_id, "take": event.take, "intent": event.intent}
        await _record_until_saved(deps, run, events.SubmitPutOff(**about, problem=words, until=until))
        raise
    return result


async def _take_back(
    deps: Deps, run: Run, shot: Shot, number: int, saving: asyncio.Task[EventResult], intent: str
) -> None:
    """The intent may be saved or not; if it is, and is ours, nobody else has sent anything for it."""
    with suppress(CopiesMissing):
        await saving
    current = await deps.store.load(run.id)
    take = current.take(shot.id, number) if current else None
    if take is not None and take.intent == intent:
        until = deps.store.clock.now()
        event = events.SubmitPutOff(shot_id=shot.id, take=number, intent=intent, problem=NOTHING_LEFT, until=until)
        await record(deps.store, run.id, event)


async def _in_time(saving: Awaitable[object], *, job_id: str | None = None) -> None:
    """Save the outcome of a cancelled submit, if Redis accepts it soon; otherwise the log names its job."""
    try:
        async with asyncio.timeout(LAST_WORD_S):
            await saving
    except (FrameRelayError, TimeoutError) as error:
        reason = str(error) or "Redis did not take it in time"
        log.warning("submit_cut_short", told=False, job_id=job_id, reason=reason)


async def _post(deps: Deps, run: Run, shot: Shot, take: Take, ready: Preparation) -> str:
    leaving = asyncio.Event()
    _count_hop(run, shot, take.number)
    about: _About = {"shot_id": shot.id, "take": take.number, "intent": take.intent}
    try:
        outcome, event = await _post_once(deps, run, shot, take, ready, leaving)
    except asyncio.CancelledError:
        loss = events.SubmitLost(**about, problem=CUT_OFF)
        put_off = events.SubmitPutOff(**about, problem=NOTHING_LEFT, until=deps.store.clock.now())
        await _in_time(record(deps.store, run.id, loss if leaving.is_set() else put_off))
        raise
    saving = asyncio.create_task(_record_until_saved(deps, run, event))
    try:
        after = await asyncio.shield(saving)
    except asyncio.CancelledError:
        await _in_time(saving, job_id=_job_id(event))
        saving.cancel()
        raise
    if isinstance(event, events.Submitted):
        JOBS.add(ready.provider.name)
        with suppress(StoreUnavailable):
            await places.note_acceptance(deps, run, shot, take.number, ready.provider)
    if after.cancelled and isinstance(event, events.Submitted):
        log.warning("job_of_cancelled_run", job_id=event.job_id, advice="it was paid for; its clip is kept")
    return outcome


def _count_hop(run: Run, shot: Shot, number: int) -> None:
    """From the callback about the clip before until now, if only our own work lay in between."""
    source, before = run.shot(shot.source) if shot.source else None, _take_before(run, shot)
    is_held = number > 1 or shot.turns > 0 or shot.held_by is not None
    if source is None or before is None or before.callback_at is None or is_held:
        return
    if not (shot.gated or source.gated or source.takes_wanted > 1):  # Otherwise a person was waited for.
        HOP.observe(time.time() - before.callback_at)


def _take_before(run: Run, shot: Shot) -> Take | None:
    """The take whose clip *shot* begins with."""
    source = run.shot(shot.source) if shot.source else None
    return picked_take(source) if source else None


async def _record_until_saved(deps: Deps, run: Run, event: Event) -> Run:
    """
    *event*, recorded; if Redis does not accept it, tried again and again: a job that the provider made must not be
    lost.

    Returns the run as it is then. Raises: RunNotFound, if it was removed in the meantime.
    """
    for tries in count():
        try:
            return (await record(deps.store, run.id, event)).run
        except StoreUnavailable as error:
            log.error("submit_not_saved_yet", job_id=_job_id(event), reason=error.message)
            await asyncio.sleep(retry_wait_s(tries))
    raise AssertionError  # Not reached: the tries have no end.


def _job_id(event: Event) -> str | None:
    return event.job_id if isinstance(event, events.Submitted) else None


async def _post_once(
    deps: Deps, run: Run, shot: Shot, take: Take, ready: Preparation, leaving: asyncio.Event
) -> tuple[str, Event]:
    """The outcome of the one POST, in a word and as an event."""
    about: _About = {"shot_id": shot.id, "take": take.number, "intent": take.intent}
    try:
        answer = await ready.client.submit(await order_of(deps, run, shot, take, ready), leaving=leaving)
    except RequestInvalid as error:  # No request can be made from it.
        return "refused", events.SubmitRefused(**about, problem=problem_of(error))
    except UpstreamRateLimited as error:
        until = deps.store.clock.now() + await _rest_s(deps, run, shot, take, ready, error)
        return "put_off", events.SubmitPutOff(**about, problem=problem_of(error), until=until)
    except UpstreamUnavailable as error:
        until = deps.store.clock.now() + retry_wait_s(shot.turns, retry_after_s=error.retry_after_s)
        return "put_off", events.SubmitPutOff(**about, problem=problem_of(error), until=until)
    except UpstreamRejected as error:
        if await _may_pass(deps, error):
            return "put_off", events.SubmitPutOff(**about, problem=OTHER_KEY, until=deps.store.clock.now())
        return "refused", events.SubmitRefused(**about, problem=problem_of(error))
    except (StorageFailed, NotFound) as error:  # A picture was to be read once more: nothing was sent.
        until = deps.store.clock.now() + retry_wait_s(shot.turns)
        return "put_off", events.SubmitPutOff(**about, problem=problem_of(error), until=until)
    except OutcomeUnknown as error:
        return "outcome_unknown", events.SubmitLost(**about, problem=problem_of(error))
    except Exception as error:  # Whatever it was: its meaning depends on whether anything was sent.
        log.exception("submit_failed", left=leaving.is_set())
        return "failed", _failure_event(about, error, is_sent=leaving.is_set())
    addresses = {name: url for name, url in answer.addresses.items() if ready.client.is_own(url)}
    event = events.Submitted(
        **about, job_id=answer.job_id, aliases=answer.aliases, word=answer.status_word, kept=addresses
    )
    return "submitted", event


def _failure_event(about: _About, error: Exception, *, is_sent: bool) -> Event:
    """What an unforeseen failure means: a request that could not be made was accepted by nobody."""
    words = error.message if isinstance(error, FrameRelayError) else type(error).__name__
    if is_sent:
        message = f"the submit left, and its answer could not be read ({words})"
        return events.SubmitLost(**about, problem=problem("outcome_unknown", message, Family.SERVER))
    message = f"no request could be made of it, and nothing was sent ({words})"
    return events.SubmitRefused(**about, problem=problem("request_invalid", message, Family.REQUEST_INVALID))


async def _rest_s(
    deps: Deps, run: Run, shot: Shot, take: Take, ready: Preparation, error: UpstreamRateLimited
) -> float:
    """
    Seconds until the shot asks for a place again, after a 429: none while other jobs are in flight there.

    Then the end of one of them frees a place, not the clock.
    """
    with suppress(StoreUnavailable):
        rest_s = await places.note_refusal(
            deps, run, shot, take.number, ready.provider, retry_after_s=error.retry_after_s
        )
        if rest_s == 0:
            return 0.0
    return retry_wait_s(shot.turns, retry_after_s=error.retry_after_s)


async def _may_pass(deps: Deps, error: FrameRelayError) -> bool:
    """It was refused because of its key, and somebody has corrected that since: it is sent again with the new one."""
    return problem_of(error).family is Family.ACCOUNT and await deps.has_another_key()


def _seed(shot: Shot, number: int) -> int | None:
    """Each take has a seed of its own, counted up from the one given; -1 is the provider's word for any."""
    seed = shot.input.get("seed")
    return seed + number - shot.seed_at if isinstance(seed, int) and seed >= 0 else None
