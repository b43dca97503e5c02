"""The pages of one run: its film strip, its decisions, the history of a shot; and the login."""

import re
import time
from dataclasses import replace
from typing import Any, Final, get_args

from starlette.requests import Request
from starlette.responses import Response

from framerelay.api import shapes
from framerelay.api.views import UNREACHABLE, run_view
from framerelay.api.words import cost_words, shot_words
from framerelay.receiver.access import next_place
from framerelay.receiver.beginning import begin_final, final_of, final_words
from framerelay.receiver.deciding import decide, stored_run, stored_shot
from framerelay.receiver.decision_fields import change_of
from framerelay.receiver.door.sessions import INVITED_S
from framerelay.receiver.fields import check_names, fields_of
from framerelay.receiver.page.history import moments_of
from framerelay.receiver.page.next import may_be_lost, retake_of, what_is_next
from framerelay.receiver.page.picks import check_pick, other_picks, undo_address, undo_of
from framerelay.receiver.page.refusals import refusal_words
from framerelay.receiver.page.rendering import login_form, render_page
from framerelay.receiver.page.strip import (
    LIGHT_FROM,
    cell_of,
    clips_of,
    opening_of,
    scenes_of,
    shape_of,
    takes_of,
)
from framerelay.receiver.runs_api import NAME
from framerelay.receiver.state import State, state_of
from framerelay.runs import events
from framerelay.runs.decisions import Decision
from framerelay.runs.errors import Conflict, RequestInvalid, StoryboardInvalid
from framerelay.runs.events import Event
from framerelay.runs.limits import JOBS_MAX
from framerelay.runs.model import Run
from framerelay.runs.promotion import why_not_promoted
from framerelay.runs.standing import MOVING, has_ended
from framerelay.store.progress import check_revision, name_of

# Each decision with the fields of its form; all have these two.
OF_ALL: Final = ("action", "revision")
OF_ONE: Final[dict[str, tuple[str, ...]]] = {
    "cancel": (),
    "promote": (),
    "resume": ("more_jobs", "more_money"),
    "approve": ("shot", "prompt", "seed"),
    "pick": ("shot", "take", "picked", "undo"),
    "adopt": ("shot", "job_id"),
    "retake": ("shot", "prompt", "seed", "following"),
}
FIELDS: Final = (*OF_ALL, *sorted(set().union(*OF_ONE.values())))
EVENT_NAMES: Final = ("started", *map(name_of, get_args(Event)))


async def show_run(request: Request) -> Response:
    """``GET /runs/{run}``: the film strip, and what happens next; the beginning of an id redirects to the whole one."""
    run = await stored_run(state_of(request), request.path_params["run"])
    if run.id != request.path_params["run"]:
        return Response(status_code=303, headers={"Location": f"/runs/{run.id}"})
    return await _run_page(request, run, "run.html")


async def show_strip(request: Request) -> Response:
    """``GET /runs/{run}/strip``: the part of it that changes."""
    run = await stored_run(state_of(request), request.path_params["run"])
    return await _run_page(request, run, "strip.html")


async def act(request: Request) -> Response:
    """
    ``POST /runs/{run}/act``: a decision from a form; 303 back to the place on the run's page where it was made.

    If it is no longer possible, the answer is the run in its current state, with a line that says why.
    Raises: NotFound.
    """
    run = await stored_run(state_of(request), request.path_params["run"])
    try:
        return await _act(request, run)
    except (Conflict, RequestInvalid) as error:
        now = await stored_run(state_of(request), run.id)
        status = 409 if isinstance(error, Conflict) else 422
        return await _run_page(
            request, now, "run.html", notice=refusal_words(error, fields_of(request), now), status=status
        )


async def _act(request: Request, run: Run) -> Response:
    state, form = state_of(request), fields_of(request)
    revision = _number(form, "revision")
    if form.get("action") == "promote":
        check_names("field", form, OF_ALL)
        check_revision(run, revision)
        final = await begin_final(state, run, final_of(state, run))
        return Response(status_code=303, headers={"Location": f"/runs/{final.id}"})
    decision = _decision(form, run)
    if form.get("picked"):
        check_pick(run, form, state.store.clock.now())
        revision = run.revision  # A film that was joined since the page was drawn is no reason to refuse.
    await decide(state, run.id, decision, revision=revision)
    place = f"#shot-{form['shot']}" if form["action"] == "retake" else "#next"
    if isinstance(decision, events.Picked):
        place = undo_address(run, replace(decision, shot_id=stored_shot(run, decision.shot_id))) + place
    return Response(status_code=303, headers={"Location": f"/runs/{run.id}{place}"})


async def show_shot(request: Request) -> Response:
    """``GET /runs/{run}/shots/{shot}``: what happened to it, with the callbacks as they came. Raises: NotFound."""
    state = state_of(request)
    run = await stored_run(state, request.path_params["run"])
    shot = run.shots[run.index.places[stored_shot(run, request.path_params["shot"])]]
    if (run.id, shot.name) != (request.path_params["run"], request.path_params["shot"]):
        return Response(status_code=303, headers={"Location": f"/runs/{run.id}/shots/{shot.name}"})
    now, view = time.time(), await _whole_view(request, run)
    place = next(place for place, each in enumerate(view.shots) if each.id == shot.name)
    shot_view = view.shots[place]
    return await render_page(
        request,
        "shot.html",
        run=view,
        shot=shot_view,
        cell=cell_of(view, shot_view, now=now),
        before=view.shots[place - 1].id if place else None,
        after=view.shots[place + 1].id if place + 1 < len(view.shots) else None,
        words=shot_words(view, shot_view, now=now),
        takes=list(takes_of(view, shot_view, now=now)),
        shape=shape_of(view),
        retake=retake_of(run, shot, now),
        others=other_picks(run, shot, now),
        lost=may_be_lost(shot),
        live=not has_ended(run),
        moments=await moments_of(state, run, shot),
    )


async def log_in_form(request: Request) -> Response:
    """``GET /login``: the form; with ``?once=`` of an invitation a session, the first time, and the page ``next``."""
    once = request.query_params.get("once")
    return await _let_in(request, once) if once and request.method == "GET" else await login_form(request)


async def _let_in(request: Request, once: str) -> Response:
    """A visitor who comes twice in the same browser has a session already."""
    state = state_of(request)
    answer = Response(status_code=303, headers={"Location": next_place(request.query_params.get("next", ""))})
    if state.key_check.access(request) is not None:
        return answer
    name = state.key_check.sessions.invitation(once)
    if name is None or not await state.store.is_first_use(name, life_s=2 * INVITED_S):
        state.limits.count_stranger(request)
        return await login_form(request, status=401, is_spent=True)
    state.key_check.begin_session(answer)
    return answer


def _decision(form: dict[str, str], run: Run) -> Decision:
    action, shot_id = form.get("action"), form.get("shot", "")
    check_names("field", form, (*OF_ALL, *OF_ONE.get(action or "", FIELDS)))
    match action:
        case "cancel":
            return events.RunCancelled()
        case "resume":
            return _resume(form, run)
        case "approve":
            return events.Approved(shot_id=shot_id, **_change(form, run))
        case "pick":
            return events.Picked(shot_id=shot_id, take=_number(form, "take") or 0)
        case "adopt":
            return events.Adopted(shot_id=shot_id, job_id=_job_id(form))
        case "retake":
            return events.Retaken(shot_id=shot_id, **_change(form, run), following=form.get("following") == "yes")
        case _:
            raise RequestInvalid("there is no such decision", param="action")


def _resume(form: dict[str, str], run: Run) -> events.Resumed:
    """Its fields say how much more; the total then follows from the run that was looked at (its revision)."""
    jobs, money = _number(form, "more_jobs"), form.get("more_money", "").strip()
    if jobs is not None and not 0 <= jobs <= JOBS_MAX:
        raise RequestInvalid(f"this is not a number of jobs from 0 to {JOBS_MAX}", param="more_jobs")
    if money and not re.fullmatch(r"[0-9]{1,9}(?:[.,][0-9]{1,6})?", money):
        raise RequestInvalid("this is not an amount of money: write 12.50", param="more_money")
    amount = float(money.replace(",", ".")) if money else None
    return events.Resumed(
        budget_jobs=None if jobs is None else (run.budget_jobs or 0) + jobs,
        budget_money=None if amount is None else (run.budget_money or 0.0) + amount,
    )


def _change(form: dict[str, str], run: Run) -> dict[str, Any]:
    """A prompt or seed that was left unchanged is not a change."""
    shot = run.shot_by_name(form.get("shot", ""))
    seed, prompt = _number(form, "seed"), form.get("prompt", "").replace("\r\n", "\n").strip()
    same = shot is not None and prompt == str(shot.input.get("prompt", "")).strip()
    stays = shot is not None and seed == shot.input.get("seed") and form["action"] == "approve"
    return change_of({"prompt": None if same or not prompt else prompt, "seed": None if stays else seed})


def _job_id(form: dict[str, str]) -> str:
    job_id = form.get("job_id", "").strip()
    if not NAME.fullmatch(job_id):
        raise RequestInvalid("the id of a job has no blanks, as job_… has none", param="job_id")
    return job_id


def _number(form: dict[str, str], name: str) -> int | None:
    text = form.get(name, "").strip()
    if not text:
        return None
    if not (text.removeprefix("-").isascii() and text.removeprefix("-").isdigit() and len(text) <= 15):
        raise RequestInvalid(f"{name} is not a whole number", param=name)
    return int(text)


async def _run_page(
    request: Request, run: Run, template: str, *, notice: str | None = None, status: int = 200
) -> Response:
    """*notice*: why the request was not carried out."""
    now, view = time.time(), await _whole_view(request, run)
    return await render_page(
        request,
        template,
        status=status,
        told=notice,
        run=view,
        now=now,
        done=_done_count(view),
        cost=cost_words(view),
        unheard=_is_unheard(view),
        scenes=scenes_of(view, now=now),
        clips=clips_of(view),
        poster=opening_of(view),
        promotes=_promotion(state_of(request), run),
        shape=shape_of(view),
        next=what_is_next(run, view, now=now),
        undo=undo_of(run, request.query_params, now),
        live=not has_ended(run),
        moving=any(shot.status in MOVING for shot in run.shots),
        event_names=EVENT_NAMES,
        light=len(run.shots) >= LIGHT_FROM,
    )


def _promotion(state: State, run: Run) -> str | None:
    """What the final of a draft would spend; None if there is none to make."""
    if why_not_promoted(run):
        return None
    try:
        return final_words(final_of(state, run))
    except StoryboardInvalid as error:
        return error.mistakes[0].message


async def _whole_view(request: Request, run: Run) -> shapes.Run:
    return run_view(run, base_url="", positions=await state_of(request).store.places.positions(run))


def _done_count(run: shapes.Run) -> int:
    return sum(shot.status == "done" for shot in run.shots)


def _is_unheard(run: shapes.Run) -> bool:
    return any(warning.code == UNREACHABLE.code for warning in run.warnings)
