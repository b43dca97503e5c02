"""Starting a run: from a storyboard that was sent, or from a draft that is promoted."""

import secrets
from dataclasses import replace
from typing import Final

import structlog
from msgspec import UNSET
from starlette.requests import Request
from starlette.responses import Response

from framerelay.api import shapes
from framerelay.api.views import cost_range, run_view
from framerelay.receiver.answers import shape_answer
from framerelay.receiver.deciding import stored_run
from framerelay.receiver.decision_fields import budget_of, revision_of, yes_no
from framerelay.receiver.fields import fields_of
from framerelay.receiver.provider_keys import check_keys
from framerelay.receiver.state import State, state_of
from framerelay.runs.costs import Estimate, together
from framerelay.runs.errors import Conflict
from framerelay.runs.model import Run, RunId
from framerelay.runs.promotion import final_shots, why_not_promoted, words_of_promotion
from framerelay.store.progress import check_revision
from framerelay.store.progress import start as start_run_now
from framerelay.storyboards.plan import plan_id
from framerelay.storyboards.storyboard import Storyboard, start_run
from framerelay.storyboards.terms import terms_of
from framerelay.upstream.quotes import with_estimates

ID_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz234567"

log = structlog.get_logger()


async def begin_run(
    state: State, board: Storyboard, *, original: Storyboard, key: str | None, promoted_from: RunId | None = None
) -> Run:
    """
    A new run of *board*; or the one that *key* made before, from the same *original*.

    Raises: KeyMissing; RequestInvalid for that key with another storyboard; Conflict for a run that was removed.
    """
    run_id = RunId("run_" + "".join(secrets.choice(ID_LETTERS) for _ in range(24)))
    if key is not None:
        run_id = await state.store.asked_before(key, run_id, plan=plan_id(original))
    run = await state.store.load(run_id)
    if run is None:
        await check_keys(state, board)
        new = start_run(board, run_id=run_id, now=state.store.clock.now(), terms=terms_of(state.settings))
        new = replace(new, provider=new.provider or state.providers.default, promoted_from=promoted_from)
        run = await start_run_now(state.store, new, wording=original.wording)
        log.info("run_started", run_id=run.id, shots=len(run.shots), title=run.title)
    return run


async def promote(request: Request) -> Response:
    """
    ``POST /v1/runs/{id}/promote`` ``{"budget": {…}}``: the final of a draft, as a separate run.

    Promoting the same takes again gives the same run. With ``{"dry_run": true}`` it says what that would spend.
    Raises: Conflict while the draft is not settled; StoryboardInvalid if a money budget cannot be enforced; KeyMissing.
    """
    state, fields = state_of(request), fields_of(request)
    (jobs, money), asks, revision = budget_of(fields), yes_no(fields, "dry_run"), revision_of(fields)
    draft = await stored_run(state, request.path_params["run"])
    check_revision(draft, revision)
    board = final_of(state, draft, jobs=jobs, money=money)
    return shape_answer(_outlook(board)) if asks else start_answer(state, await begin_final(state, draft, board))


def final_of(state: State, draft: Run, *, jobs: int | None = None, money: float | None = None) -> Storyboard:
    """
    What the final of *draft* would be, with its prices; limits that are not given are taken from the draft.

    Raises: Conflict if it cannot be promoted; StoryboardInvalid if a money budget cannot be enforced.
    """
    if words := why_not_promoted(draft):
        raise Conflict(words)
    return with_estimates(_final_board(draft, jobs, money), state.providers)


async def begin_final(state: State, draft: Run, board: Storyboard) -> Run:
    """The run of *board*, the final of *draft*: whatever its limits, the same takes are paid for once."""
    same = replace(board, budget_jobs=None, budget_money=None)
    key = f"promote-{draft.id}-{plan_id(same)}"
    return await begin_run(state, board, original=same, key=key, promoted_from=draft.id)


def start_answer(state: State, run: Run) -> Response:
    """Where it is, and its status."""
    view = run_view(run, base_url=state.settings.reachable_url)
    return shape_answer(view, status=201, headers={"Location": f"/v1/runs/{run.id}"})


def _final_board(draft: Run, jobs: int | None, money: float | None) -> Storyboard:
    """In the form in which it would have been read."""
    return Storyboard(
        title=draft.title,
        model=draft.model,
        provider=draft.provider,
        budget_jobs=draft.budget_jobs if jobs is None else jobs,
        budget_money=draft.budget_money if money is None else money,
        currency=draft.currency,
        notify_url=draft.notify_url,
        shots=final_shots(draft),
        document={},
        labels=draft.labels,
    )


def final_words(board: Storyboard) -> str:
    """What making *board*, the final of a draft, would do, in a sentence for the person who pays."""
    return words_of_promotion(
        board.title, board.shots, _cost_of(board), budget_jobs=board.budget_jobs, budget_money=board.budget_money
    )


def _cost_of(board: Storyboard) -> Estimate | None:
    return together((shot.estimate, 1) for shot in board.shots)


def _outlook(board: Storyboard) -> shapes.Outlook:
    return shapes.Outlook(
        object="outlook",
        jobs=len(board.shots),
        stale=[],
        budget_left=board.budget_jobs,
        cost=cost_range(_cost_of(board)) or UNSET,
        would=final_words(board),
    )
