"""
A new film: a storyboard as it is typed, with its plan, and its start, bound to that plan.

The form that is filled in shot by shot (`static/new.js`) writes the same text; everything here only works on the text.
"""

import asyncio
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from framerelay.api import shapes
from framerelay.api.views import plan_view
from framerelay.network.policy import TrustedHosts
from framerelay.receiver.answers import answer_known_error
from framerelay.receiver.beginning import begin_run
from framerelay.receiver.deciding import stored_run
from framerelay.receiver.fields import fields_of
from framerelay.receiver.page.rendering import render_page
from framerelay.receiver.plan import STORYBOARD_BYTES_MAX, bound_to, plan_for
from framerelay.receiver.state import State, state_of
from framerelay.runs.errors import FrameRelayError, Mistake, StoryboardInvalid
from framerelay.runs.model import Run, RunId
from framerelay.store.pace import Pace
from framerelay.storyboards.documents import read_document
from framerelay.storyboards.inputs import GIVEN
from framerelay.storyboards.notation import Form
from framerelay.storyboards.storyboard import Storyboard, read_storyboard, start_run
from framerelay.storyboards.terms import terms_of
from framerelay.storyboards.writing import write_storyboard
from framerelay.upstream.quotes import with_estimates

FIELDS: Final = ("storyboard", "files", "plan", "max_jobs", "nonce", "action")
FORM_BYTES_MAX: Final = 4 * STORYBOARD_BYTES_MAX  # A form encodes a Chinese character of three bytes as nine.
FILES_MAX: Final = 500
MODELS_MAX: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmForm:
    """What was typed. ``files``: uploaded pictures, by their names: ``{"street.png": "file:given/…"}``."""

    text: str = ""
    files: dict[str, str] = field(default_factory=dict)
    plan_id: str | None = None
    max_jobs: str = ""
    nonce: str = field(default_factory=lambda: secrets.token_hex(8))

    @property
    def form(self) -> Form:
        """The empty form."""
        return "json" if self.text.lstrip().startswith("{") else "yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class FormReview:
    """
    What is known about the form. ``plan``: once it has no mistakes. ``pictures``: what it names, and the name under
    which it was uploaded; None: not yet. ``takes_s``: how long its longest chain takes, if similar jobs were done
    before.

    ``document``: its plain values, as far as it can be read. ``trouble``: what prevented its start.
    """

    plan: shapes.Plan | None = None
    mistakes: tuple[Mistake, ...] = ()
    pictures: dict[str, str | None] = field(default_factory=dict)
    takes_s: float | None = None
    document: dict[str, Any] | None = None
    trouble: str | None = None

    @property
    def missing(self) -> list[str]:
        """Pictures that have to be uploaded first."""
        return [name for name, address in self.pictures.items() if address is None]


async def show_new(request: Request) -> Response:
    """``GET /new?from=RUN``: empty, or with the current storyboard of a run. Raises: NotFound; Conflict."""
    state, source = state_of(request), request.query_params.get("from")
    if not source:
        return await _page(request, FilmForm(), FormReview())
    run = await stored_run(state, source)
    board = await asyncio.to_thread(write_storyboard, run, await state.store.wordings.of(run.id))
    film_form = FilmForm(text=board.text)
    return await _page(request, film_form, await review_of(state, film_form), source=run)


async def show_plan(request: Request) -> Response:
    """``POST /new/plan``: what the form would do and cost, as a part of the page. Nothing is spent or stored."""
    film_form = _film_form(fields_of(request))
    review = await review_of(state_of(request), film_form)
    return await render_page(request, "plan.html", film_form=film_form, review=review)


async def start_new(request: Request) -> Response:
    """``POST /new``: ``action=start`` makes a run of the plan that was shown; if that is impossible, it says so."""
    state, fields = state_of(request), fields_of(request)
    film_form = _film_form(fields)
    review = await review_of(state, film_form)
    if fields.get("action") != "start" or not film_form.plan_id or review.plan is None or review.missing:
        return await _page(request, film_form, review)
    try:
        run = await _begin(state, film_form)
    except FrameRelayError as error:
        plain = await answer_known_error(request, error)
        trouble = replace(review, trouble=error.message)
        return await _page(request, film_form, trouble, status=plain.status_code)
    return Response(status_code=303, headers={"Location": f"/runs/{run.id}"})


async def review_of(state: State, film_form: FilmForm) -> FormReview:
    """*film_form* read, priced and planned; every mistake is part of the answer."""
    if not film_form.text.strip():
        return FormReview()
    document = await asyncio.to_thread(_document, film_form)
    pictures: dict[str, str | None] = {}
    try:
        board = await asyncio.to_thread(_board, state, film_form, pictures)
        plan = plan_view(await plan_for(state, board))
    except StoryboardInvalid as error:
        return FormReview(mistakes=error.mistakes, pictures=pictures, document=document)
    except FrameRelayError as error:
        return FormReview(trouble=error.message, pictures=pictures, document=document)
    takes_s = None if any(address is None for address in pictures.values()) else await _takes_s(state, board)
    return FormReview(plan=plan, pictures=pictures, document=document, takes_s=takes_s)


async def _begin(state: State, film_form: FilmForm) -> Run:
    """Once for each plan of this page, however often its button is pressed."""
    board = await asyncio.to_thread(_board, state, film_form, {})
    order = bound_to(board, plan_id=film_form.plan_id, limit=film_form.max_jobs or None, param="max_jobs")
    key = f"page-{film_form.nonce}-{film_form.plan_id}-{film_form.max_jobs}"
    return await begin_run(state, order, original=board, key=key)


def _board(state: State, film_form: FilmForm, pictures: dict[str, str | None]) -> Storyboard:
    """As the API would read it, with the pictures that it names; these are added to *pictures*."""
    trusted_hosts = TrustedHosts(state.settings.trusted_hosts)
    board = read_storyboard(film_form.text, form=film_form.form, trusted_hosts=trusted_hosts)
    pictures.update({name: _address_of(name, film_form.files) for name in board.local_files()})
    names = {name: address for name, address in pictures.items() if address}
    if names:
        board = board.with_files(names)
    if names and len(names) == len(pictures):
        wording = board.wording
        text = wording.text if wording else json.dumps(board.document)
        again: Form = "yaml" if wording and wording.form == "yaml" else "json"
        board = read_storyboard(text, form=again, allow_paths=False, trusted_hosts=trusted_hosts)
    return with_estimates(board, state.providers)


def _address_of(name: str, files: Mapping[str, str]) -> str | None:
    """By its whole name, or else by the last part: a picture that was dropped has no folder."""
    return files.get(name) or files.get(PurePosixPath(name.replace("\\", "/")).name)


def _document(film_form: FilmForm) -> dict[str, Any] | None:
    try:
        value = read_document(film_form.text, form=film_form.form).value
    except StoryboardInvalid:
        return None
    return value if isinstance(value, dict) else None


async def _takes_s(state: State, board: Storyboard) -> float | None:
    """Along its longest chain, based on earlier jobs; None if too few of one kind were done."""
    run = start_run(board, run_id=RunId("run_planned"), now=0.0, terms=terms_of(state.settings))
    pace, usual, ends = Pace(state.watch_redis), dict[str, float | None](), dict[str, float]()
    for shot in run.story:
        kind = json.dumps([run.model_of(shot), {name: shot.input.get(name) for name in _PACE}], default=str)
        if kind not in usual:
            usual[kind] = (await pace.usual_times(run, shot)).usual_s
        if (seconds := usual[kind]) is None:
            return None
        ends[shot.id] = ends.get(shot.source or "", 0.0) + seconds
    return max(ends.values(), default=None)


_PACE: Final = ("resolution", "duration", "frames", "service_tier")


def _film_form(fields: Mapping[str, str]) -> FilmForm:
    text = fields.get("storyboard", "").replace("\r\n", "\n")
    nonce = fields.get("nonce", "")
    return FilmForm(
        text=text,
        files=_files(fields.get("files", "")),
        plan_id=fields.get("plan") or None,
        max_jobs=fields.get("max_jobs", "").strip(),
        nonce=nonce if nonce.isalnum() and len(nonce) <= 32 else secrets.token_hex(8),
    )


def _files(text: str) -> dict[str, str]:
    """What a script of ours wrote; anything else in it is ignored."""
    try:
        value = json.loads(text or "{}")
    except ValueError:
        return {}
    pairs = list(value.items())[:FILES_MAX] if isinstance(value, dict) else []
    return {name: file for name, file in pairs if isinstance(file, str) and GIVEN.fullmatch(file)}


async def _page(
    request: Request, film_form: FilmForm, review: FormReview, *, source: Run | None = None, status: int = 200
) -> Response:
    providers = state_of(request).providers
    own = [one for one in providers.with_key()]
    models = dict.fromkeys(model for one in own for model in one.profile.models)
    return await render_page(
        request,
        "new.html",
        status=status,
        film_form=film_form,
        review=review,
        source=source,
        files=json.dumps(film_form.files),
        providers=list(dict.fromkeys((providers.default, *providers.entries))),
        models=list(models)[:MODELS_MAX],
    )
