"""The storyboard of a run, and changing it."""

import asyncio
import re
from dataclasses import replace

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from framerelay.api.amend_view import amend_outlook_view
from framerelay.api.views import run_view
from framerelay.receiver.answers import shape_answer
from framerelay.receiver.deciding import stored_run
from framerelay.receiver.plan import apply_plan_headers, read_board
from framerelay.receiver.provider_keys import check_keys
from framerelay.receiver.state import State, state_of
from framerelay.runs import events
from framerelay.runs.amend import why_no_change
from framerelay.runs.amend_outlook import AmendOutlook, amend_outlook
from framerelay.runs.errors import Conflict, RequestInvalid
from framerelay.runs.model import Run
from framerelay.store.progress import check_revision, record
from framerelay.storyboards.storyboard import Storyboard, start_run
from framerelay.storyboards.writing import write_storyboard

log = structlog.get_logger()


async def storyboard(request: Request) -> Response:
    """``GET /v1/runs/{id}/storyboard``: its current state, as YAML, or as JSON for clients that accept only that."""
    state = state_of(request)
    run = await stored_run(state, request.path_params["run"])
    wording = await state.store.wordings.of(run.id)
    board = await asyncio.to_thread(write_storyboard, run, wording)
    if _wants_json(request):
        return JSONResponse(board.document)
    return Response(board.text, media_type="application/yaml")


async def amend(request: Request) -> Response:
    """
    ``POST /v1/runs/{id}/amend``: the run becomes what a storyboard says; ``?dry_run=true`` only says what would happen.

    Raises: Conflict if nothing would change, or if somebody acted after the ``revision`` that the person looked at;
    KeyMissing for shots that are to be made.
    """
    state = state_of(request)
    board = apply_plan_headers(request, await read_board(request))
    revision, asks = _revision(request), _is_dry(request)
    run = await stored_run(state, request.path_params["run"])
    check_revision(run, revision)
    outlook = await outlook_of(state, run, board)
    if asks:
        return shape_answer(amend_outlook_view(outlook))
    amended_run = await amend_run(state, run, board, revision=revision)
    positions = await state.store.places.positions(amended_run)
    return shape_answer(run_view(amended_run, base_url=state.settings.reachable_url, positions=positions))


async def outlook_of(state: State, run: Run, board: Storyboard) -> AmendOutlook:
    """What giving *board* to *run* would do. Raises: Conflict if nothing would change; KeyMissing."""
    target, now = _target(state, run, board), state.store.clock.now()
    if words := await asyncio.to_thread(why_no_change, run, target, now):
        raise Conflict(words)
    outlook = await asyncio.to_thread(amend_outlook, run, target, now)
    if outlook.to_make:
        await check_keys(state, replace(board, shots=tuple(each for each in board.shots if each.id in outlook.to_make)))
    return outlook


async def amend_run(state: State, run: Run, board: Storyboard, *, revision: int | None) -> Run:
    """*run* after it was given *board*. Raises: Conflict if somebody acted after *revision*, or nothing changes."""
    target = _target(state, run, board)
    event = events.Amended(target=target, revision=revision)
    result = await record(state.store, run.id, event, revision=revision, wording=board.wording)
    if not result.changed:
        raise Conflict(
            why_no_change(result.run, target, state.store.clock.now()) or "somebody acted in the meantime: look again"
        )
    log.info("person_decided", run_id=run.id, shot=None, decision="Amended")
    return result.run


def _target(state: State, run: Run, board: Storyboard) -> Run:
    """What *run* would be if it were started with *board* now; it keeps the terms under which it was begun."""
    new = start_run(board, run_id=run.id, now=run.created_at, terms=run.terms)
    return replace(new, provider=new.provider or state.providers.default)


def _wants_json(request: Request) -> bool:
    accepts = request.headers.get("accept", "").lower()
    return "json" in accepts and "yaml" not in accepts


def _is_dry(request: Request) -> bool:
    text = request.query_params.get("dry_run", "false")
    if text not in ("true", "false"):
        raise RequestInvalid("dry_run is not true or false", param="dry_run")
    return text == "true"


def _revision(request: Request) -> int | None:
    text = request.query_params.get("revision")
    if text is not None and not re.fullmatch("[0-9]{1,15}", text):
        raise RequestInvalid("revision is not a whole number", param="revision")
    return None if text is None else int(text)
