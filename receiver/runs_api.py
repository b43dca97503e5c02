"""The run API: start, read, watch, decide."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, Final

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from framerelay.api import shapes
from framerelay.api.access import PICTURE_BYTES_MAX, VIDEO_BYTES_MAX
from framerelay.api.views import callback_view, outlook_view, run_view
from framerelay.receiver.answers import shape_answer
from framerelay.receiver.beginning import begin_run, start_answer
from framerelay.receiver.deciding import decide, intend, stored_run
from framerelay.receiver.decision_fields import budget_of, change_of, revision_of, yes_no
from framerelay.receiver.door.body import read_body
from framerelay.receiver.fields import fields_of
from framerelay.receiver.plan import apply_plan_headers, read_board
from framerelay.receiver.run_query import run_query_of
from framerelay.receiver.state import State, state_of
from framerelay.runs import events
from framerelay.runs.decisions import Decision
from framerelay.runs.errors import Conflict, RequestInvalid, RunNotFound, StoreUnavailable
from framerelay.runs.model import Run, RunId
from framerelay.runs.standing import has_ended
from framerelay.store.files import is_video, storing
from framerelay.store.progress import check_revision
from framerelay.store.removal import remove as remove_run
from framerelay.store.run_files import file_at, missing_words, task_to_make_again

PAGE_MAX: Final = 200
NAME: Final = re.compile(r"[!-~]{1,200}")
EVENT_ID: Final = re.compile(r"[0-9]{1,18}(-[0-9]{1,18})?")

log = structlog.get_logger()


async def start(request: Request) -> Response:
    """
    ``POST /v1/runs``: a storyboard becomes a run; the same ``Idempotency-Key`` always gives the same one.

    Raises: KeyMissing; RequestInvalid for that key with another storyboard (a different ``Max-Jobs`` is no difference).
    """
    state = state_of(request)
    board = await read_board(request)
    key = request.headers.get("idempotency-key")
    run = await begin_run(state, apply_plan_headers(request, board), original=board, key=_key(key) if key else None)
    return start_answer(state, run)


async def read(request: Request) -> Response:
    """``GET /v1/runs/{id}``."""
    state = state_of(request)
    return shape_answer(await _whole_view(state, await _run(state, request)))


async def list_runs(request: Request) -> Response:
    """``GET /v1/runs?limit=&after=&status=&label=&q=&needs=``: newest first; ``next``: the *after* of the next."""
    state = state_of(request)
    limit, after = page_of(request)
    runs = await state.store.runs(limit=limit + 1, after=after, query=run_query_of(request))
    if not runs and after is not None and await state.store.load(RunId(after)) is None:
        raise RunNotFound(after)  # It was removed since: nobody must take this for the end of the list.
    more = runs[limit - 1].id if len(runs) > limit else None
    return shape_answer(shapes.Runs(object="list", data=[_view(state, run) for run in runs[:limit]], next=more))


async def cancel(request: Request) -> Response:
    """``POST /v1/runs/{id}/cancel``: nothing more is submitted; jobs under way are followed, and their clips kept."""
    return await _act(request, events.RunCancelled())


async def remove(request: Request) -> Response:
    """``DELETE /v1/runs/{id}``: a finished run is removed, with its history and its files."""
    state = state_of(request)
    run = await _run(state, request)
    await remove_run(state.store, state.media, run)
    return shape_answer(shapes.Removed(id=run.id, object="run", removed=True))


async def approve(request: Request) -> Response:
    """``POST /v1/runs/{id}/shots/{shot}/approve`` ``{"prompt", "seed", "input": {…}}``: approve a shot, changed."""
    return await _act(request, events.Approved(shot_id=request.path_params["shot"], **change_of(fields_of(request))))


async def pick(request: Request) -> Response:
    """``POST /v1/runs/{id}/shots/{shot}/pick`` ``{"take": 2}``: the take to continue from."""
    number = fields_of(request).get("take")
    if not isinstance(number, int) or isinstance(number, bool):
        raise RequestInvalid('give the number of a take: {"take": 1}', param="take")
    return await _act(request, events.Picked(shot_id=request.path_params["shot"], take=number))


async def resume(request: Request) -> Response:
    """
    ``POST /v1/runs/{id}/resume`` ``{"budget": {"jobs": 15, "money": 80}}``: continue from what is there, with new
    limits if some are given; ``submits_to_come`` says what that may cost.

    A film whose file is gone is made again, under the same name; the run stays as it is.
    """
    state = state_of(request)
    jobs, money = budget_of(fields_of(request))
    run = await _run(state, request)
    if jobs is not None or money is not None:
        return await _act(request, events.Resumed(budget_jobs=jobs, budget_money=money))
    if run.film is None or await state.media.has(run.film.path) or (film := file_at(run, run.film.path)) is None:
        return await _act(request, events.Resumed())
    check_revision(run, revision_of(fields_of(request)))
    if not all([await state.media.has(clip.path) for clip in film.made_of]):
        raise Conflict(missing_words(film))
    await state.store.enqueue([task_to_make_again(run, film)])
    return shape_answer(_view(state, run))


async def retake(request: Request) -> Response:
    """
    ``POST /v1/runs/{id}/shots/{shot}/retake`` ``{"prompt", "seed", "input": {…}, "following": true}``: one more take,
    within the budget, and with ``following`` one of each shot that is made from it.

    With ``{"dry_run": true}`` it only says what that would spend and leave stale.
    """
    body = fields_of(request)
    asks, following = yes_no(body, "dry_run"), yes_no(body, "following")
    event = events.Retaken(shot_id=request.path_params["shot"], **change_of(body), following=following)
    return await (_preview if asks else _act)(request, event)


async def adopt(request: Request) -> Response:
    """``POST /v1/jobs/adopt`` ``{"job_id": …, "run": …, "shot": …}``: a job that was paid for belongs to this shot."""
    body = fields_of(request)
    job_id, run_id, shot_id = (_read_id(body, name) for name in ("job_id", "run", "shot"))
    return await _act(request, events.Adopted(shot_id=shot_id, job_id=job_id), run_id)


async def watch(request: Request) -> Response:
    """
    ``GET /v1/runs/{id}/events``: server-sent events, one for each change, from the first or from ``Last-Event-ID``.

    The stream ends when the run has ended; a reader that reconnects then gets 204, which tells it to stay away.
    """
    state = state_of(request)
    run = await _run(state, request)
    after = request.headers.get("last-event-id") or request.query_params.get("after") or "0"
    if not EVENT_ID.fullmatch(after):
        raise RequestInvalid("it is not the id of an event", param="Last-Event-ID")
    if has_ended(run) and after != "0" and not await state.history.history(run.id, after=after):
        return Response(status_code=204)
    return _Stream(state, run.id, after)


class _Stream(StreamingResponse):
    """The events of a run, if one of the limited seats is free. Raises: Busy, before anything is sent."""

    def __init__(self, state: State, run_id: str, after: str) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # For proxies that buffer what they pass on.
        super().__init__(_events(state, run_id, after), media_type="text/event-stream", headers=headers)
        self._slots = state.streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Until the run has ended or the reader has left."""
        with self._slots.slot():
            await super().__call__(scope, receive, send)


async def callbacks(request: Request) -> Response:
    """``GET /v1/callbacks?limit=&after=``: what came in, newest first."""
    state = state_of(request)
    limit, after = page_of(request)
    records = await state.inbox.recent(limit=limit + 1, after=after)
    more = records[limit - 1].id if len(records) > limit else None
    views = [callback_view(each, secrets=state.secrets) for each in records[:limit]]
    return shape_answer(shapes.Callbacks(object="list", data=views, next=more))


async def give_file(request: Request) -> Response:
    """``POST /v1/files`` with a picture or a video as the body: kept here; a storyboard names it as ``file:…``."""
    content = await read_body(request, bytes_max=VIDEO_BYTES_MAX)
    if len(content) > PICTURE_BYTES_MAX and not is_video(content):
        raise HTTPException(413, f"a picture may have {PICTURE_BYTES_MAX} bytes at most")
    with storing():
        path = await asyncio.to_thread(state_of(request).files.keep_picture, content)
    await state_of(request).media.keep(path)
    return shape_answer(shapes.File(object="file", name=f"file:{path}", bytes=len(content)), status=201)


async def _events(state: State, run_id: str, after: str) -> AsyncIterator[str]:
    """The run's history from *after* on; it ends without Redis, and the reader reconnects later."""
    ended = False
    with suppress(StoreUnavailable):
        while True:
            lines = await state.history.history(run_id, after=after, wait_s=0.0 if ended else 3.0)
            for line in lines:
                after = line.id
                data = json.dumps(line.fields, ensure_ascii=False)
                yield f"id: {line.id}\nevent: {line.fields['event']}\ndata: {data}\n\n"
            if ended and not lines:
                return
            run = await state.history.load(run_id)
            ended = run is None or has_ended(run)
            if not lines:
                yield ": still here\n\n"


async def _act(request: Request, event: Decision, run_id: str | None = None) -> Response:
    """A person's decision about the run of the address: refused for an older revision, or if it changes nothing."""
    state = state_of(request)
    run = await decide(state, run_id or request.path_params["run"], event, revision=revision_of(fields_of(request)))
    return shape_answer(await _whole_view(state, run))


async def _preview(request: Request, event: events.Retaken) -> Response:
    """What that decision would do; refused if the decision itself would be."""
    run, retake = await intend(
        state_of(request), request.path_params["run"], event, revision=revision_of(fields_of(request))
    )
    return shape_answer(outlook_view(run, retake))


async def _run(state: State, request: Request) -> Run:
    return await stored_run(state, request.path_params["run"])


def _read_id(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise RequestInvalid(f"{name} is missing, or is not an id", param=name)
    return value


def page_of(request: Request) -> tuple[int, str | None]:
    """``limit`` and ``after`` of a list. Raises: RequestInvalid."""
    limit = request.query_params.get("limit", "20")
    if not re.fullmatch("[0-9]{1,3}", limit) or not 1 <= int(limit) <= PAGE_MAX:
        raise RequestInvalid(f"limit is not a number from 1 to {PAGE_MAX}", param="limit")
    return int(limit), request.query_params.get("after")


def _key(key: str) -> str:
    if not 1 <= len(key) <= 200 or not key.isprintable():
        raise RequestInvalid("the key is not 1 to 200 printable characters", param="Idempotency-Key")
    return key


def _view(state: State, run: Run) -> shapes.Run:
    return run_view(run, base_url=state.settings.reachable_url)


async def _whole_view(state: State, run: Run) -> shapes.Run:
    """With the positions of its shots in their providers' queues, which are not stored with the run."""
    positions = await state.store.places.positions(run)
    return run_view(run, base_url=state.settings.reachable_url, positions=positions)
