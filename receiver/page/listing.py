"""The runs on a page: first those that wait for a person, then all others; and what can be done about them there."""

import time
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from framerelay.api import shapes
from framerelay.api.views import UNREACHABLE, run_view
from framerelay.receiver.deciding import stored_run
from framerelay.receiver.page.next import next_sentence
from framerelay.receiver.page.rendering import render_page
from framerelay.receiver.page.strip import latest_frame, opening_of, shape_of
from framerelay.receiver.run_query import run_query_of
from framerelay.receiver.state import State, state_of
from framerelay.runs.attention import needs_person
from framerelay.runs.errors import RequestInvalid
from framerelay.runs.model import Run, RunStatus
from framerelay.runs.standing import has_ended
from framerelay.runs.text import amount_words
from framerelay.store.progress import check_revision
from framerelay.store.removal import remove
from framerelay.store.run_index import RunQuery

RUNS_A_PAGE: Final = 20
NEEDS_MAX: Final = 50  # Of those that wait for a person, on top; a link leads to the others.
SORTED_MAX: Final = 200  # Sorting by anything other than time has no index: only this many of the newest are sorted.
SORTS: Final[dict[str, tuple[Callable[[Run, shapes.Run], Any], bool]]] = {
    "changed": (lambda run, view: run.updated_at, True),
    "title": (lambda run, view: run.title.casefold(), False),
    "jobs": (lambda run, view: view.spent.jobs, True),
    "cost": (lambda run, view: view.cost.spent if isinstance(view.cost, shapes.RunCost) else -1.0, True),
}


async def list_runs(request: Request) -> Response:
    """``GET /?status=&label=&q=&needs=&sort=&after=``: runs, newest first. Raises: RequestInvalid."""
    state, selection = state_of(request), run_query_of(request)
    after, text = request.query_params.get("after"), request.query_params.get("q", "").strip()
    sort = request.query_params.get("sort", "")
    if sort and sort not in SORTS:
        raise RequestInvalid(f"sort is not one of {', '.join(SORTS)}", param="sort")
    is_front = selection == RunQuery() and not after and not sort
    waiting = await state.store.runs(limit=NEEDS_MAX, query=RunQuery(needs_person=True)) if is_front else []
    runs, more = await _page(state, selection, after=after, sort=sort, but={run.id for run in waiting})
    above, below = await run_in_threadpool(lambda: ([_row(run) for run in waiting], [_row(run) for run in runs]))
    labels = [f"{name}:{value}" for name, value in selection.labels]
    pairs = [("status", selection.status or ""), ("needs", "person" if selection.needs_person else ""), ("q", text)]
    pairs += [("label", label) for label in labels]
    return await render_page(
        request,
        "runs.html",
        waiting=above,
        rows=below,
        older=_query(*pairs, ("after", more)) if more else None,
        sorted_by={name: _query(*pairs, ("sort", name)) for name in ("", *SORTS)},
        without={label: _query(*(pair for pair in pairs if pair[1] != label)) for label in labels},
        after=after,
        sort=sort,
        selection=selection,
        text=text,
        labels=labels,
        statuses=list(RunStatus),
        is_narrowed=bool(selection != RunQuery()),
    )


async def remove_run(request: Request) -> Response:
    """``POST /runs/{run}/remove``: a finished run is removed for good; 303 to the list. Raises: NotFound; Conflict."""
    state = state_of(request)
    run = await stored_run(state, request.path_params["run"])
    revision = str(request.state.fields.get("revision", ""))
    check_revision(run, int(revision) if revision.isascii() and revision.isdigit() else None)
    await remove(state.store, state.media, run)
    return Response(status_code=303, headers={"Location": "/"})


async def _page(
    state: State, selection: RunQuery, *, after: str | None, sort: str, but: set[str]
) -> tuple[list[Run], str | None]:
    """Those of this page, and after which the next one begins; *but* those that are shown already."""
    if sort:
        runs = await state.store.runs(limit=SORTED_MAX, query=selection)
        return await run_in_threadpool(_sort, runs, sort), None
    batch = await state.store.runs(limit=RUNS_A_PAGE + len(but) + 1, after=after, query=selection)
    runs = [run for run in batch if run.id not in but]
    return runs[:RUNS_A_PAGE], runs[RUNS_A_PAGE - 1].id if len(runs) > RUNS_A_PAGE else None


def _sort(runs: list[Run], sort: str) -> list[Run]:
    key, backwards = SORTS[sort]
    return sorted(runs, key=lambda run: key(run, run_view(run, base_url="")), reverse=backwards)


def _query(*pairs: tuple[str, str | None]) -> str:
    return urlencode([(name, value) for name, value in pairs if value])


def _row(run: Run) -> dict[str, Any]:
    view = run_view(run, base_url="")
    waits = needs_person(run)
    return {
        "run": view,
        "first": opening_of(view),
        "frame": latest_frame(view),
        "shape": shape_of(view),
        "done": sum(shot.status == "done" for shot in view.shots),
        "cost": _cost(view),
        "unheard": any(warning.code == UNREACHABLE.code for warning in view.warnings),
        "asks": next_sentence(view, now=time.time()) if waits else None,
        "removable": has_ended(run),
    }


def _cost(run: shapes.Run) -> str | None:
    """``2.10 of 12.00 USD``; None if no price is known."""
    cost, money = run.cost, run.budget.money
    if not isinstance(cost, shapes.RunCost):
        return None
    amount = amount_words(cost.spent, cost.currency)
    if isinstance(money, int | float):
        return f"{amount.removesuffix(f' {cost.currency}')} of {amount_words(money, cost.currency)}"
    return amount
