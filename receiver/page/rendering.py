"""How a page is answered: its template filled in, with headers of its own, and its errors in words."""

import re
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final
from urllib.parse import quote

import jinja2
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from framerelay.api.access import Names, Right
from framerelay.receiver.access import SAFE, Handler, require
from framerelay.receiver.answers import NO_SUCH_ADDRESS, foreseen, refused
from framerelay.receiver.fields import check
from framerelay.receiver.page.static_files import address_of
from framerelay.receiver.state import state_of
from framerelay.runs.errors import FrameRelayError, RunNotFound
from framerelay.runs.text import duration, number_of, sentence

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:{storage}; "
    "media-src 'self'{storage}; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS: Final = {
    # Without a referrer browsers say that a form came from "null", and it would be taken for another site's.
    "Referrer-Policy": "same-origin",
    "Vary": "Accept, Cookie",
}
NO_NAMES: Final = Names()
HEADINGS: Final = {
    401: "Log in",
    403: "Not allowed",
    404: "Not here",
    409: "Not possible now",
    422: "That was not understood",
    429: "Too many tries",
    503: "Not possible at the moment",
}


def page(
    path: str,
    handler: Handler,
    *,
    methods: Sequence[str] = ("GET",),
    open_to_all: bool = False,
    names: Names = NO_NAMES,
) -> Route:
    """
    A route of the page: rights as everywhere (`receiver.access`), errors as pages for whoever reads HTML.

    *names*: what its query, and the form that is sent to it, may name.
    """
    right = Right.READ if SAFE.issuperset(methods) else Right.OPERATE

    async def answer(request: Request) -> Response:
        try:
            if not open_to_all:
                await require(request, right)
            await check(request, names)
            return await handler(request)
        except (HTTPException, FrameRelayError) as error:
            if "text/html" not in request.headers.get("accept", ""):
                raise
            return await _error_page(request, error)

    return Route(path, answer, methods=list(methods), name=handler.__name__)


async def render_page(request: Request, template: str, *, status: int = 200, **values: Any) -> Response:
    """*template* filled in, beside the event loop: a long run takes some milliseconds, and callbacks come meanwhile."""
    access = state_of(request).key_check.access(request)
    common = {
        "now": time.time(),
        "session": access is not None and access.by_cookie,
        "may_act": access is not None and access.right is Right.OPERATE,
        "path": request.url.path,
    }
    text = await run_in_threadpool(_templates.get_template(template).render, {**common, **values})
    headers = {**HEADERS, "Content-Security-Policy": await _policy(request)}
    return Response(text, status_code=status, media_type="text/html", headers=headers)


async def _policy(request: Request) -> str:
    """What the page may load: our own, and pictures and clips from the object storage where we send readers there."""
    origin = None
    with suppress(FrameRelayError):
        origin = await state_of(request).media.origin()
    return POLICY.format(storage=f" {origin}" if origin else "")


async def _error_page(request: Request, error: HTTPException | FrameRelayError) -> Response:
    """What the API would answer, as a page: without a key it is the form that asks for one."""
    plain = await (refused if isinstance(error, HTTPException) else foreseen)(request, error)
    status = plain.status_code
    if status == 401:
        answer = await login_form(request, status=401, is_wrong=request.method == "POST")
    else:
        words = error.detail if isinstance(error, HTTPException) else error.message
        words = NO_SUCH_ADDRESS if status == 404 and isinstance(error, HTTPException) else words
        run = None if isinstance(error, RunNotFound) else request.path_params.get("run")
        heading = HEADINGS.get(status, "It did not work")
        answer = await render_page(
            request,
            "error.html",
            status=status,
            heading=heading,
            words=words,
            back=f"/runs/{quote(run)}" if run else "/",
        )
    for name in ("Retry-After", "WWW-Authenticate"):
        if name in plain.headers:
            answer.headers[name] = plain.headers[name]
    return answer


async def login_form(
    request: Request, *, status: int = 200, is_wrong: bool = False, is_spent: bool = False
) -> Response:
    """The form that asks for the key; *is_wrong*: the one before did not fit. *is_spent*: the link was used before."""
    here = "/" if request.url.path in ("/login", "/logout") or request.method == "POST" else request.url.path
    next_path = getattr(request.state, "wanted", here)
    return await render_page(
        request, "login.html", status=status, is_wrong=is_wrong, is_spent=is_spent, next_path=next_path
    )


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.0f} kB"


def _ago(seconds: float) -> str:
    """``just now``, ``6 min ago``; from an hour on as `duration` says it."""
    if seconds < 3600:
        return f"{int(seconds // 60)} min ago" if seconds >= 60 else "just now"
    return f"{duration(seconds)} ago"


def _clock(seconds: float, form: str = "%H:%M:%S") -> str:
    return time.strftime(form, time.gmtime(seconds))


def _language(text: str) -> str | None:
    """Which of the languages that share their signs *text* is in, so that it is drawn by the right font."""
    return next((name for name, signs in _SIGNS.items() if signs.search(text)), None)


_SIGNS: Final = {
    "ja": re.compile("[\u3041-\u30ff\uff66-\uff9f]"),
    "ko": re.compile("[\u1100-\u11ff\uac00-\ud7af]"),
    "zh": re.compile("[\u3400-\u9fff\uf900-\ufaff]"),
}


def _environment() -> jinja2.Environment:
    """Everything is escaped, and a name that is missing is a mistake."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("framerelay.receiver.page"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.add_extension("jinja2.ext.i18n")
    environment.install_null_translations(newstyle=True)  # type: ignore[attr-defined]
    environment.filters.update(duration=duration, ago=_ago, megabytes=_megabytes, clock=_clock, language=_language)
    environment.filters.update(sentence=sentence)
    environment.globals.update(number_of=number_of)
    environment.globals.update(static=address_of)
    return environment


_templates: Final = _environment()
