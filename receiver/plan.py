"""``POST /v1/plan``: what a storyboard would do and cost; and making sure that only the planned one is started."""

import asyncio
import re
from contextlib import suppress
from dataclasses import replace
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from framerelay.api.views import plan_view
from framerelay.network.policy import TrustedHosts
from framerelay.receiver.answers import shape_answer
from framerelay.receiver.door.body import read_body
from framerelay.receiver.state import State, state_of
from framerelay.runs.errors import NotFound, PlanChanged, RequestInvalid, StorageFailed
from framerelay.store.media_store import MediaStore
from framerelay.storyboards.inputs import REFERENCE_FILES
from framerelay.storyboards.notation import Form
from framerelay.storyboards.plan import Plan, plan_of
from framerelay.storyboards.storyboard import Storyboard, read_storyboard
from framerelay.upstream.abilities import ability_checks
from framerelay.upstream.picture_check import GivenPicture, picture_at
from framerelay.upstream.quotes import with_estimates

STORYBOARD_BYTES_MAX: Final = 1 << 20


async def plan(request: Request) -> Response:
    """``POST /v1/plan``: nothing is spent, nothing is stored."""
    board = await read_board(request)
    return shape_answer(plan_view(await plan_for(state_of(request), board)))


async def plan_for(state: State, board: Storyboard) -> Plan:
    """What *board* would do and cost here, and what its pictures are."""
    checks = ability_checks(board, state.providers, await _pictures_of(board, state.media))
    return await asyncio.to_thread(plan_of, board, more=checks)


async def _pictures_of(board: Storyboard, media: MediaStore) -> dict[str, GivenPicture]:
    """
    What the given pictures are, judged by the beginnings of their files.

    Files that are gone are left out, and so are those that the storage does not return now.
    """
    frames = (frame for shot in board.shots for frame in (shot.first_frame, shot.last_frame))
    references = (
        each for shot in board.shots for field in REFERENCE_FILES.values() for each in shot.input.get(field) or ()
    )
    names = sorted({each for each in (*frames, *references) if each and each.startswith("file:")})
    pictures = await asyncio.gather(*(_picture_of(name.removeprefix("file:"), media) for name in names))
    return {name: picture for name, picture in zip(names, pictures, strict=True) if picture is not None}


async def _picture_of(path: str, media: MediaStore) -> GivenPicture | None:
    with suppress(NotFound, StorageFailed, OSError):
        return await asyncio.to_thread(picture_at, await media.fetch(path))
    return None


async def read_board(request: Request) -> Storyboard:
    """The storyboard that was sent, as YAML if its Content-Type says so. Raises: StoryboardInvalid."""
    body = await read_body(request, bytes_max=STORYBOARD_BYTES_MAX)
    form: Form = "yaml" if "yaml" in request.headers.get("content-type", "").lower() else "json"
    # YAML takes up to seconds; callbacks must not wait for it.
    state = state_of(request)
    trusted_hosts = TrustedHosts(state.settings.trusted_hosts)
    board = await asyncio.to_thread(read_storyboard, body, form=form, allow_paths=False, trusted_hosts=trusted_hosts)
    return with_estimates(board, state.providers)


def apply_plan_headers(request: Request, board: Storyboard) -> Storyboard:
    """
    *board* as the headers ``Plan`` and ``Max-Jobs`` allow it: the one that was planned, with at most that many jobs.

    Raises: as `bound_to`.
    """
    return bound_to(board, plan_id=request.headers.get("plan"), limit=request.headers.get("max-jobs"))


def bound_to(board: Storyboard, *, plan_id: str | None, limit: str | None, param: str = "Max-Jobs") -> Storyboard:
    """
    *board*, if *plan_id* is that of its plan, with *limit* jobs at most; None: any.

    Raises: PlanChanged for another storyboard; RequestInvalid, about *param*, for a limit that is not a number.
    """
    if plan_id is not None and plan_id != plan_of(board).id:
        raise PlanChanged
    if limit is None:
        return board
    if not re.fullmatch("[0-9]{1,6}", limit) or int(limit) < 1:
        raise RequestInvalid("it is not a whole number of jobs, from 1 to 999999", param=param)
    return replace(board, budget_jobs=min(int(limit), board.budget_jobs or int(limit)))
