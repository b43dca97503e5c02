"""Who may see and act: a key as Bearer or the page's session, compared in constant time, guesses slowed down."""

import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from framerelay.api import shapes
from framerelay.api.access import Right
from framerelay.api.operations import OPERATIONS
from framerelay.receiver.answers import shape_answer
from framerelay.receiver.door.sessions import LIFE_S
from framerelay.receiver.fields import check, fields_of
from framerelay.receiver.state import state_of
from framerelay.runs.errors import StoreUnavailable

Handler = Callable[[Request], Awaitable[Response]]

SAFE: Final = frozenset({"GET", "HEAD"})
_PAGES: Final = "callbacks|notifications|providers|health|new"
PLACE: Final = re.compile(rf"/({_PAGES}|runs/[a-z0-9_]{{1,60}}(/shots/[A-Za-z0-9_-]{{1,80}}|/storyboard)?)?")
CHALLENGE: Final = {"WWW-Authenticate": "Bearer"}  # HTTP requires it in every 401.


def protected_route(path: str, handler: Handler, *, methods: Sequence[str] = ("GET",)) -> Route:
    """A route that needs a key: one that may operate, unless all *methods* only read."""
    right = Right.READ if SAFE.issuperset(methods) else Right.OPERATE
    return api_route(path, handler, methods=methods, right=right)


def api_route(path: str, handler: Handler, *, methods: Sequence[str] = ("GET",), right: Right | None = None) -> Route:
    """
    A route of the API for everybody, or for clients that have *right*.

    Only names listed in its operation are allowed in the query and in a body that is a JSON object (`receiver.fields`).
    """
    (method,) = methods
    names = OPERATIONS[f"{method} {path.replace(':path}', '}')}"].names

    async def answer(request: Request) -> Response:
        if right is not None:
            await require(request, right)
        await check(request, names)
        return await handler(request)

    return Route(path, answer, methods=list(methods), name=handler.__name__)


async def require(request: Request, right: Right) -> None:
    """Raises: HTTPException 401 without a key or session, 403 if it does not grant *right*, 429 after many guesses."""
    key_check = state_of(request).key_check
    access = key_check.access(request)
    if access is None or (access.by_cookie and await _was_ended(request)):
        state_of(request).limits.count_stranger(request)
        await key_check.reject(request)
        raise HTTPException(
            401,
            "this needs the API key as Bearer: FRAMERELAY_API_KEY, or the file api_key in the data folder",
            headers=CHALLENGE,
        )
    if access.right < right:
        raise HTTPException(403, "this key may only read")
    if access.by_cookie and right is not Right.READ and not key_check.is_own_origin(request):
        raise HTTPException(403, "a change was asked for from another site")


async def log_in(request: Request) -> Response:
    """``POST /login``: a form with ``key``; 303 to the page ``next`` with a session, otherwise as `require`."""
    key_check = state_of(request).key_check
    if not key_check.is_own_origin(request):
        raise HTTPException(403, "log in from the page itself")
    form = fields_of(request)
    key = form.get("key", "").strip()
    request.state.next_path = next_place(form.get("next", ""))  # For the form to show again after a wrong key.
    answer = Response(status_code=303, headers={"Location": request.state.next_path})
    if key_check.right_of(key) is None:
        await key_check.delay_guess(request)
        raise HTTPException(401, "this receiver does not accept that key", headers=CHALLENGE)
    key_check.sessions.begin(answer, key)
    return answer


async def invite(request: Request) -> Response:
    """``POST /v1/invitations``: a client with the key gets a link, so nobody types the key into a browser."""
    word = state_of(request).key_check.sessions.invite()
    expires = int(word.partition(".")[0])
    return shape_answer(shapes.Invitation(object="invitation", url=f"/login?once={word}", expires=expires), status=201)


async def log_out(request: Request) -> Response:
    """
    ``POST /logout``: the session is removed, and gives no access wherever else its cookie may be.

    Raises: HTTPException 403 unless our own page asked for it; StoreUnavailable if it cannot be ended everywhere.
    """
    key_check = state_of(request).key_check
    if not key_check.is_own_origin(request):
        raise HTTPException(403, "log out from the page itself")
    if key_check.access(request) is not None:
        await state_of(request).store.is_first_use(key_check.sessions.name_of(request), life_s=LIFE_S)
    answer = Response(status_code=303, headers={"Location": "/"})
    key_check.sessions.end(answer)
    return answer


async def _was_ended(request: Request) -> bool:
    """Whether the session of *request* was logged out; if so, it is removed from it. Without Redis, none was."""
    state = state_of(request)
    with suppress(StoreUnavailable):
        if await state.store.is_used(state.key_check.sessions.name_of(request)):
            request.cookies.clear()
            return True
    return False


def next_place(place: str) -> str:
    """Where to continue: only on one of our own pages."""
    return place if PLACE.fullmatch(place) else "/"
