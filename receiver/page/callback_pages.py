"""The callbacks as a table, and one of them: as it came, and what a person can do about it."""

import json
import time
from typing import Any, Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from framerelay.api import shapes
from framerelay.api.views import callback_view
from framerelay.receiver.callbacks.release import release_each, release_one
from framerelay.receiver.callbacks.replay import ReplayOffer, kept_callback, replay_offer
from framerelay.receiver.fields import fields_of
from framerelay.receiver.page.health import health_of
from framerelay.receiver.page.list_page import look_through
from framerelay.receiver.page.rendering import render_page
from framerelay.receiver.state import State, state_of
from framerelay.runs.errors import Conflict, RequestInvalid
from framerelay.store.inbox import Callback

CALLBACKS_A_PAGE: Final = 50
RUNS_LOOKED_AT: Final = 100
OUTCOMES: Final = ("accepted", "late", "conflict", "quarantined", "refused", "unreadable", "replay", "probe")
OTHERS: Final = ("too_large", "encoded", "cut_off")  # Rare: only found by their name.
WITHIN_H: Final = (1, 24, 168)


async def show_callbacks(request: Request) -> Response:
    """``GET /callbacks?outcome=&run=&hours=&after=``: their state, and what came in. Raises: RequestInvalid."""
    state, query = state_of(request), request.query_params
    outcome, run, hours = query.get("outcome", ""), query.get("run", "").strip(), query.get("hours", "")
    if outcome and outcome not in (*OUTCOMES, *OTHERS):
        raise RequestInvalid(f"outcome is not one of {', '.join((*OUTCOMES, *OTHERS))}", param="outcome")
    if hours and hours not in map(str, WITHIN_H):
        raise RequestInvalid(f"hours is not one of {', '.join(map(str, WITHIN_H))}", param="hours")
    since = time.time() - int(hours) * 3600 if hours else 0.0
    page = await look_through(
        lambda limit, after: state.inbox.recent(limit=limit, after=after),
        name=lambda each: each.id,
        is_match=lambda each: outcome in ("", each.outcome) and (each.run_id or "").startswith(run),
        is_past=lambda each: each.received_at < since,
        limit=CALLBACKS_A_PAGE,
        after=query.get("after"),
    )
    newest = await state.inbox.recent(limit=RUNS_LOOKED_AT)
    runs = await state.store.runs(limit=RUNS_LOOKED_AT)
    pairs = [("outcome", outcome), ("run", run), ("hours", hours)]
    return await render_page(
        request,
        "callbacks.html",
        health=health_of(newest, runs),
        callbacks=[callback_view(each, secrets=state.secrets) for each in page.items],
        titles={run.id: run.title for run in runs},
        older=urlencode([pair for pair in (*pairs, ("after", page.more)) if pair[1]]) if page.more else None,
        outcomes=OUTCOMES,
        outcome=outcome,
        run=run,
        hours=hours,
        within=WITHIN_H,
        is_narrowed=bool(outcome or run or hours),
    )


async def show_callback(request: Request) -> Response:
    """``GET /callbacks/{callback}``: as it was received, and what processing it again would do. Raises: NotFound."""
    state = state_of(request)
    callback = await kept_callback(state, request.path_params["callback"])
    view = callback_view(callback, secrets=state.secrets)
    offer, why_not = await _offer(state, callback)
    run = await state.store.load(callback.run_id) if callback.run_id else None
    return await render_page(
        request,
        "callback.html",
        callback=view,
        body=format_body(view),
        offer=offer,
        why_not=why_not,
        held=callback.held,
        title=run.title if run else None,
    )


async def act_on_callback(request: Request) -> Response:
    """``POST /callbacks/{callback}/act``: replay or release; 303 to the resulting callback. Raises: as those."""
    state, action = state_of(request), fields_of(request).get("action")
    text = request.path_params["callback"]
    if action == "replay":
        offer = await replay_offer(state, await kept_callback(state, text))
        await offer.accept(state)
        return _to(f"/callbacks/{offer.callback.id}")
    if action == "release":
        release = await release_one(state, text)
        return _to("/callbacks" if release.repeated else f"/callbacks/{release.id}")
    raise RequestInvalid("there is no such action", param="action")


async def release_callbacks(request: Request) -> Response:
    """``POST /callbacks/release``: everything in quarantine; 303 to what is still there."""
    await release_each(state_of(request))
    return _to("/callbacks?outcome=quarantined")


def format_body(callback: shapes.Callback) -> str:
    """The body, indented if it is JSON and shown whole."""
    try:
        value: Any = json.loads(callback.body)
    except ValueError:
        return callback.body
    return json.dumps(value, indent=2, ensure_ascii=False)


async def _offer(state: State, callback: Callback) -> tuple[ReplayOffer | None, str | None]:
    try:
        return await replay_offer(state, callback), None
    except Conflict as error:
        return None, error.message


def _to(place: str) -> Response:
    return Response(status_code=303, headers={"Location": place})
