"""A callback at a hook: a job that somebody else submitted becomes a run of its own."""

from dataclasses import replace
from typing import Final

from arq.worker import Retry

from framerelay.processors.deps import Deps
from framerelay.processors.look_up import AT_WORK, GONE, event_of, look_up
from framerelay.processors.waits import retry_wait_s
from framerelay.runs.errors import FrameRelayError, Transient, UpstreamRejected
from framerelay.runs.model import RunId
from framerelay.store.progress import start
from framerelay.storyboards.hooks import START, Hook, hook_run
from framerelay.storyboards.terms import terms_of
from framerelay.upstream.quotes import with_estimates
from framerelay.upstream.wire import read_state

LAGS_MAX: Final = 6  # After 1, 2, 4 … 32 s.
LAGS_S: Final = 1.0


async def hook(
    deps: Deps,
    *,
    hook: str,
    job_id: str,
    callback: str | None = None,
    received_at: float | None = None,
    word: str | None = None,
    tries: int = 1,
) -> str:
    """
    Accept the job *job_id*: the first callback about it makes the run, later ones look it up again.

    *word*: the status that the callback named.
    Raises: arq.Retry while the provider cannot be asked; nothing is opened or spent on a callback's word alone.
    """
    run_id = RunId(deps.tokens.hook_run(hook, job_id))
    if await deps.store.load(run_id) is not None:
        return await look_up(
            deps,
            run_id=run_id,
            shot_id=START,
            take=1,
            job_id=job_id,
            word=word,
            callback=callback,
            received_at=received_at,
            tries=tries,
        )
    try:
        report = await deps.clients.of(None).get_job(job_id)
    except Transient as error:
        raise Retry(defer=retry_wait_s(tries, retry_after_s=error.retry_after_s)) from error
    except UpstreamRejected as error:
        if error.status in GONE and tries <= LAGS_MAX:  # Its look-ups may lag behind its callbacks.
            raise Retry(defer=LAGS_S * 2.0 ** (tries - 1)) from error
        return error.code
    except FrameRelayError as error:
        return error.code
    definition = _with_estimates(deps, deps.hooks.get(hook) or Hook(name=hook))
    model = report.model or "unknown"
    run = hook_run(
        definition, run_id=run_id, job_id=job_id, model=model, now=deps.store.clock.now(), terms=terms_of(deps.settings)
    )
    has_ended = read_state(word) not in AT_WORK
    first = event_of(report, shot_id=START, take=1, job_id=job_id, called_back=True, has_ended=has_ended)
    await start(deps.store, run, first=first)
    return "started"


def _with_estimates(deps: Deps, definition: Hook) -> Hook:
    """The hook with what each shot of its storyboard may cost."""
    board, providers = definition.storyboard, deps.clients.providers
    return definition if board is None else replace(definition, storyboard=with_estimates(board, providers))
