"""The storyboard of a run on the page: read, changed, and applied once its effect has been shown."""

import asyncio
import hashlib
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response

from framerelay.network.policy import TrustedHosts
from framerelay.receiver.amend_api import amend_run, outlook_of
from framerelay.receiver.deciding import stored_run
from framerelay.receiver.door.body import read_body
from framerelay.receiver.fields import check_names
from framerelay.receiver.page.rendering import render_page
from framerelay.receiver.plan import STORYBOARD_BYTES_MAX
from framerelay.receiver.state import State, state_of
from framerelay.runs.amend_outlook import AmendOutlook
from framerelay.runs.errors import Conflict, KeyMissing, Mistake, NotFound, RequestInvalid, StoryboardInvalid
from framerelay.runs.model import Run
from framerelay.runs.text import range_words
from framerelay.store.progress import check_revision
from framerelay.storyboards.storyboard import Storyboard, read_storyboard
from framerelay.storyboards.writing import write_storyboard
from framerelay.upstream.quotes import with_estimates

FIELDS: Final = ("action", "revision", "seen", "text")
FORM_BYTES_MAX: Final = 4 * STORYBOARD_BYTES_MAX  # A form sends a Chinese character as nine bytes.


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """
    A storyboard in the making. ``digest``: of the text whose outlook a person last saw.

    ``notice``: why it cannot be applied to the current run. ``is_now``: the run already has it.
    """

    text: str
    is_now: bool = False
    digest: str = ""
    outlook: AmendOutlook | None = None
    mistakes: tuple[Mistake, ...] = ()
    notice: str | None = None

    @property
    def cost(self) -> str:
        """About how much; empty if no price is known."""
        cost = self.outlook.cost if self.outlook else None
        return range_words(cost.low, cost.high, cost.currency) if cost else ""


async def show_storyboard(request: Request) -> Response:
    """``GET /runs/{run}/storyboard``: the current one. Raises: NotFound; Conflict for a run that began elsewhere."""
    state = state_of(request)
    run = await stored_run(state, request.path_params["run"])
    return await _page(request, run, Proposal(text=await _text_of(state, run), is_now=True))


async def change_storyboard(request: Request) -> Response:
    """
    ``POST /runs/{run}/storyboard``: ``action=look`` says what the text would do; ``action=apply`` does it, if the text
    is the one that was looked at and nobody has changed the run since.
    """
    state, form = state_of(request), await _form(request)
    run = await stored_run(state, request.path_params["run"])
    text = form.get("text", "").replace("\r\n", "\n")
    if form.get("action") != "apply":
        return await _page(request, run, await _proposal(state, run, text))
    if form.get("seen") != _digest(text):
        notice = "the text has changed since you saw what it would do: look at that first"
        return await _page(request, run, await _proposal(state, run, text, notice=notice), status=409)
    try:
        check_revision(run, _revision(form))
        board = await asyncio.to_thread(_read, state, text)
        await outlook_of(state, run, board)
        await amend_run(state, run, board, revision=_revision(form))
    except Conflict:
        now = await stored_run(state, run.id)
        notice = "somebody changed the run in the meantime, so nothing was done: look again at what your text would do"
        return await _page(request, now, await _proposal(state, now, text, notice=notice), status=409)
    return Response(status_code=303, headers={"Location": f"/runs/{run.id}"})


async def _proposal(state: State, run: Run, text: str, *, notice: str | None = None) -> Proposal:
    """*text* with what it would do to *run*, or what is wrong with it."""
    try:
        outlook = await outlook_of(state, run, await asyncio.to_thread(_read, state, text))
    except StoryboardInvalid as error:
        return Proposal(text=text, mistakes=error.mistakes, notice=notice)
    except (Conflict, KeyMissing, NotFound) as error:
        return Proposal(text=text, notice=notice or error.message)
    return Proposal(text=text, digest=_digest(text), outlook=outlook, notice=notice)


def _revision(form: dict[str, str]) -> int:
    text = form.get("revision", "")
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise RequestInvalid("revision is not a whole number", param="revision")
    return int(text)


async def _page(request: Request, run: Run, proposal: Proposal, *, status: int = 200) -> Response:
    return await render_page(request, "storyboard.html", status=status, run=run, proposal=proposal)


async def _text_of(state: State, run: Run) -> str:
    return (await asyncio.to_thread(write_storyboard, run, await state.store.wordings.of(run.id))).text


def _read(state: State, text: str) -> Storyboard:
    trusted_hosts = TrustedHosts(state.settings.trusted_hosts)
    board = read_storyboard(text, form="yaml", allow_paths=False, trusted_hosts=trusted_hosts)
    return with_estimates(board, state.providers)


async def _form(request: Request) -> dict[str, str]:
    """Larger than other forms may be. Raises: RequestInvalid for an unknown field."""
    text = (await read_body(request, bytes_max=FORM_BYTES_MAX)).decode("utf-8", "replace")
    try:
        fields = parse_qs(text, keep_blank_values=True, max_num_fields=len(FIELDS))
    except ValueError:
        raise RequestInvalid(f"the form has more than {len(FIELDS)} fields") from None
    check_names("field", fields, FIELDS)
    return {name: last for name, (*_, last) in fields.items()}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
