"""Redis came back as an older copy: runs that were not over are marked, and their providers asked before a submit."""

from typing import Final

import structlog

from framerelay.processors.deps import Deps
from framerelay.processors.find import is_address_of, search
from framerelay.processors.orders import Preparation
from framerelay.runs import events
from framerelay.runs.errors import FrameRelayError, Transient
from framerelay.runs.model import Problem, Run, RunStatus, Shot
from framerelay.runs.restoration import HELD
from framerelay.store.progress import record
from framerelay.store.runs import Store
from framerelay.upstream.job import JobReport
from framerelay.upstream.search import LostSubmit, shows_addresses

PAGE: Final = 100
OPEN: Final = (RunStatus.RUNNING, RunStatus.WAITING, RunStatus.FAILED)

log = structlog.get_logger()


async def mark_restored(store: Store) -> int:
    """
    Mark every run for which something can still be submitted, before any worker does; returns how many.

    Raises: StoreUnavailable. Calling it again marks them again, and those that were started in the meantime.
    """
    ids: list[str] = []
    for status in OPEN:
        after: str | None = None
        while page := await store.runs(limit=PAGE, after=after, status=status):
            ids += [run.id for run in page]
            after = page[-1].id
    marks = [(await record(store, run_id, events.Restored())).changed for run_id in ids]
    log.warning("runs_restored", runs=sum(marks), advice="what may have been submitted since is held")
    return sum(marks)


async def ask(deps: Deps, run: Run, shot: Shot, number: int, ready: Preparation) -> JobReport | Problem | None:
    """
    Whether a take that is in doubt was submitted before: its job; None if surely not; otherwise why it must be held.

    Raises: Transient, if the provider cannot be asked now.
    """
    if not shows_addresses(ready.client.profile):
        return HELD
    since = run.restored.since if run.restored else deps.store.clock.now()
    is_ours = is_address_of(deps.tokens, run.id, shot.id, number)
    model = ready.maker.model
    submit = LostSubmit(take="", callback_url=None, model=model, since=since, is_ours=is_ours, or_never=True)
    try:
        return await search(deps, ready.provider.name, ready.client, submit)
    except Transient:
        raise
    except FrameRelayError as error:
        log.warning("search_failed", reason=error.message)
        return HELD
