"""What a job cost according to its provider: for the take, the metrics, and the readers of the run."""

from dataclasses import replace
from typing import Any, Final

import msgspec
import structlog

from framerelay.config.metrics import COST
from framerelay.config.traces import traceparent
from framerelay.processors.deps import Deps
from framerelay.runs import events
from framerelay.runs.changes import input_of
from framerelay.runs.content import content_key
from framerelay.runs.events import Event
from framerelay.runs.model import Run, Take
from framerelay.upstream.clip_terms import ClipTerms
from framerelay.upstream.job import JobReport
from framerelay.upstream.prices import cost, unpaid
from framerelay.upstream.profile import Profile
from framerelay.upstream.quotes import terms_of

USAGE_BYTES_MAX: Final = 4096  # Of JSON. It goes with every save of its run, and an answer may have four megabytes.

log = structlog.get_logger()


def with_cost(deps: Deps, run: Run, take: Take, event: Event, report: JobReport, callback_at: float | None) -> Event:
    """*event* with the job's cost, if the provider reports it, the time of a callback about its clip, and a trace."""
    if not isinstance(event, events.Rendered | events.JobEnded):
        return event
    if isinstance(event, events.Rendered):
        event = replace(event, callback_at=callback_at, trace=traceparent())
    if take.maker is None:
        return event
    profile = deps.clients.of_maker(take.maker).profile
    terms = _terms(profile, run, event.shot_id, take)
    model = terms.model if terms else take.maker.model
    bill = cost(profile, deps.clients.price_of(replace(take.maker, model=model)), report, terms)
    if bill is None and isinstance(event, events.JobEnded) and take.cost is not None:
        bill = unpaid(profile, report, currency=take.cost.currency)
    return replace(event, cost=bill)


def _terms(profile: Profile, run: Run, shot_id: str, take: Take) -> ClipTerms | None:
    """What *take* was asked for; None if its shot now asks for something else."""
    shot = run.shot(shot_id)
    if shot is None or take.maker is None:
        return None
    made_of = replace(shot, input=dict(input_of(shot, take.number)))
    return terms_of(profile, take.maker.model, made_of) if take.key == content_key(run, made_of) else None


def count_cost(take: Take | None, event: Event) -> None:
    """Counted in the metrics once its clip is rendered."""
    if isinstance(event, events.Rendered) and take is not None and take.cost is not None and take.maker is not None:
        label = "yes" if take.cost.estimated else "no"
        COST.add(take.maker.provider, take.cost.currency, label, by=take.cost.amount)


def usage_of(report: JobReport) -> dict[str, Any]:
    """What the job used, in the provider's own words; beyond a few, they are left out: they are stored with the run."""
    cost = {} if report.cost is None else {"cost": report.cost}
    size = len(msgspec.json.encode(report.usage))
    if size > USAGE_BYTES_MAX:
        log.warning("usage_left_out", job_id=next(iter(report.job_ids), None), bytes=size, most=USAGE_BYTES_MAX)
        return cost
    return {**report.usage, **cost}
