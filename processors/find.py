"""Asking the provider for a job by our own reference: a submit broke off, and may have been accepted all the same."""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import structlog

from framerelay.processors.deps import Deps
from framerelay.processors.orders import callback_url
from framerelay.runs import events
from framerelay.runs.errors import FrameRelayError, UpstreamRateLimited
from framerelay.runs.maker import Maker
from framerelay.runs.model import Run, Shot, Take, TakeStatus
from framerelay.runs.restoration import oldest
from framerelay.runs.takes import reference
from framerelay.runs.tokens import TakeAddress, Tokens
from framerelay.store.progress import record
from framerelay.upstream.client import JobsClient
from framerelay.upstream.job import JobReport
from framerelay.upstream.search import LostSubmit

_TOKEN: Final = re.compile(r"/webhook/([A-Za-z0-9_.-]+)")

log = structlog.get_logger()


async def find(deps: Deps, *, run_id: str, shot_id: str, take: int, turn: int) -> str:
    """
    Look for the job of a take whose submit got no answer; returns the outcome for the log.

    A job that is found belongs to the take: it has the reference, which nobody else can know, and belongs to no other
    take. If none is found, it may still appear, so it is looked for again, less and less often; the take stays held,
    and nobody submits it.
    """
    run = await deps.store.load(run_id)
    shot = run.shot(shot_id) if run else None
    unsure = run.take(shot_id, take) if run else None
    if run is None or shot is None or unsure is None or unsure.turns != turn or unsure.status is not TakeStatus.UNSURE:
        return "not_due"
    if unsure.maker is None:
        return "not_due"
    report = await _ask_provider(deps, unsure.maker, _lost_submit(deps, run, shot, unsure, unsure.maker))
    if report is None or _is_another_takes(run, report.job_ids):
        event = events.JobNotFound(shot_id=shot_id, take=take, intent=unsure.intent)
        await record(deps.store, run_id, event)
        return "not_found"
    job_id, *aliases = report.job_ids
    submission = events.Submitted(
        shot_id=shot_id,
        take=take,
        job_id=job_id,
        aliases=tuple(aliases),
        word=report.status_word,
        intent=unsure.intent,
    )
    await record(deps.store, run_id, submission)
    log.info("submit_found", job_id=job_id)
    return "found"


async def _ask_provider(deps: Deps, maker: Maker, submit: LostSubmit) -> JobReport | None:
    """What the provider says about it, if anything. Raises: UpstreamRateLimited before asking, to come again."""
    client, was_asked = deps.clients.of_maker(maker), False
    try:
        async with _turn(deps, maker.provider):
            was_asked = True
            return await client.find_job(submit)
    except FrameRelayError as error:
        if not was_asked:
            raise
        log.warning("search_failed", reason=error.message)
        return None


async def search(deps: Deps, name: str, client: JobsClient, submit: LostSubmit) -> JobReport | None:
    """What the provider *name* says about a submit, taking turns with look-ups. Raises: as `JobsClient.find_job`."""
    async with _turn(deps, name):
        return await client.find_job(submit)


@asynccontextmanager
async def _turn(deps: Deps, name: str) -> AsyncIterator[None]:
    """Raises: UpstreamRateLimited, to come again."""
    per_minute = deps.clients.polls_per_minute(name)
    async with deps.look_up_gate.passing(name, per_minute=per_minute, planned=True) as wait_s:
        if not wait_s:
            yield
            return
    raise UpstreamRateLimited(f"{name} is asked about jobs as often as it may be", retry_after_s=wait_s)


def _lost_submit(deps: Deps, run: Run, shot: Shot, take: Take, maker: Maker) -> LostSubmit:
    """Something that only the submit of *take* can have sent."""
    provider = deps.clients.provider(maker.provider)
    return LostSubmit(
        take=reference(run, shot.id, take),
        callback_url=callback_url(deps, run, shot, take, provider) if provider.calls_back else None,
        model=maker.model,
        since=oldest(run, take),
        is_ours=is_address_of(deps.tokens, run.id, shot.id, take.number) if run.restored else None,
    )


def _is_another_takes(run: Run, job_ids: tuple[str, ...]) -> bool:
    """A job belongs to one take only, whatever the provider says."""
    return any(set(job_ids) & set(take.job_ids) for shot in run.shots for take in shot.takes)


def is_address_of(tokens: Tokens, run_id: str, shot_id: str, number: int) -> Callable[[str], bool]:
    """Tests whether an address is one at which that take is called back, whichever submit it was made for."""

    def is_ours(address: str) -> bool:
        token = _TOKEN.search(address)
        owner = tokens.read(token[1], now=0) if token else None
        return isinstance(owner, TakeAddress) and (owner.run_id, owner.shot_id, owner.take) == (run_id, shot_id, number)

    return is_ours
