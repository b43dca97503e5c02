"""How a page is answered: its template filled in, with its own headers, and its errors in words."""

import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, ParamSpec
from urllib.parse import quote

import jinja2
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from framerelay.api.access import Names, Right
from framerelay.api.forecast import about
from framerelay.languages import measures
from framerelay.languages.catalogs import joint, translate, translate_exactly, translate_many
from framerelay.languages.reader import ENGLISH, FULL_STOP, NAMES, language
from framerelay.receiver.access import SAFE, Handler, require
from framerelay.receiver.answers import NO_SUCH_ADDRESS, answer_known_error, answer_refusal
from framerelay.receiver.fields import check
from framerelay.receiver.page.static_files import address_of
from framerelay.receiver.page.wording import translate_values
from framerelay.receiver.state import state_of
from framerelay.runs.errors import FrameRelayError, RunNotFound, StoreUnavailable
from framerelay.runs.text import amount_words, duration, number_of, range_words, sentence
from framerelay.store.tally import InstallationTally, installation_tally

P = ParamSpec("P")

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:{storage}; "
    "media-src 'self'{storage}; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS: Final = {
    # Without a referrer, browsers say that a form came from "null", and it would be taken for another site's.
    "Referrer-Policy": "same-origin",
    "Vary": "Accept, Accept-Language, Cookie",
}
NO_NAMES: Final = Names()
APART: Final = ("/webhook/", "/v1/", "/media/", "/static/")
PARTS: Final = ("strip.html", "plan.html")  # Of an open page: they do not contain the page names with their counts.
HEADINGS: Final = {
    401: "Log in",
    403: "Not allowed",
    404: "Not found",
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
    A route of the page: access as everywhere (`receiver.access`), errors as pages for browsers.

    *names*: the names allowed in its query, and in the form that is sent to it.
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
            return await error_page(request, error)

    return Route(path, answer, methods=list(methods), name=handler.__name__)


async def render_page(request: Request, template: str, *, status: int = 200, **values: Any) -> Response:
    """*template* filled in, off the event loop: a long run takes some milliseconds, and callbacks wait."""
    access = state_of(request).key_check.access(request)
    session = access is not None and access.by_cookie
    common = {
        "tally": await _tally(request) if session and template not in PARTS else None,
        "now": time.time(),
        "session": session,
        "may_act": access is not None and access.right is Right.OPERATE,
        "path": request.url.path,
        "lang": language(),
        "languages": NAMES,
    }
    text = await fill(template, **{**common, **translate_values(values)})
    headers = {**HEADERS, "Content-Security-Policy": await _policy(request)}
    return Response(text, status_code=status, media_type="text/html", headers=headers)


async def fill(template: str, **values: Any) -> str:
    """*template* filled in with only *values*."""
    return await run_in_threadpool(lambda: _templates.get_template(template).render(values))


async def _tally(request: Request) -> InstallationTally | None:
    """The counts next to the page names; an error page is shown without Redis, too."""
    with suppress(StoreUnavailable):
        return await installation_tally(state_of(request).watch_redis)
    return None


async def _policy(request: Request) -> str:
    """What the page may load: our own files, and pictures and clips from object storage if readers are sent there."""
    origin = None
    with suppress(FrameRelayError):
        origin = await state_of(request).media.origin()
    return POLICY.format(storage=f" {origin}" if origin else "")


async def error_page(request: Request, error: HTTPException | FrameRelayError) -> Response:
    """What the API would answer, as a page: without a key it is the form that asks for one."""
    plain = await (answer_refusal if isinstance(error, HTTPException) else answer_known_error)(request, error)
    status = plain.status_code
    if status == 401:
        answer = await login_form(request, status=401, is_wrong=request.method == "POST")
    else:
        words = error.detail if isinstance(error, HTTPException) else error.message
        words = NO_SUCH_ADDRESS if status == 404 and isinstance(error, HTTPException) else words
        run = None if isinstance(error, RunNotFound) else _run_of(request)
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


def _run_of(request: Request) -> str | None:
    """The run that the address is about; for a file, that of its folder."""
    folder = request.path_params.get("path", "").partition("/")[0]
    return request.path_params.get("run") or (folder if folder.startswith("run_") else None)


async def refused_page(request: Request, error: Exception) -> Response:
    """For addresses without a route: a page for browsers, otherwise as `answers.answer_refusal`."""
    reads_html = "text/html" in request.headers.get("accept", "")
    if isinstance(error, HTTPException) and reads_html and not request.url.path.startswith(APART):
        return await error_page(request, error)
    return await answer_refusal(request, error)


async def login_form(
    request: Request, *, status: int = 200, is_wrong: bool = False, is_spent: bool = False
) -> Response:
    """The form that asks for the key; *is_wrong*: the previous one was wrong. *is_spent*: the link was used before."""
    here = "/" if request.url.path in ("/login", "/logout") or request.method == "POST" else request.url.path
    next_path = getattr(request.state, "next_path", here)
    return await render_page(
        request, "login.html", status=status, is_wrong=is_wrong, is_spent=is_spent, next_path=next_path
    )


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.0f} kB"


def _gigabytes(size: int) -> str:
    return f"{size / (1 << 30):.1f} GB" if size >= 1 << 30 else f"{size / (1 << 20):.0f} MB"


def _ago(seconds: float) -> str:
    """``just now``, ``6 min ago``; from an hour on in the form of `duration`."""
    if seconds < 3600:
        return f"{int(seconds // 60)} min ago" if seconds >= 60 else "just now"
    return f"{duration(seconds)} ago"


MOMENTS: Final = {
    "clock": "%H:%M:%S",
    "date": "%Y-%m-%d %H:%M",
    "day": "%m-%d %H:%M:%S",
    "exact": "%Y-%m-%d %H:%M:%S",
}


def _clock(seconds: float, form: str = "%H:%M:%S") -> str:
    return time.strftime(form, time.gmtime(seconds))


def _moment(seconds: float, form: str) -> str:
    """A time in UTC, as shown if no script converts it to the reader's zone; *form*: one of `MOMENTS`."""
    return _clock(seconds, MOMENTS[form]) if language() == ENGLISH else measures.moment(seconds, form, language())


def _currency(currency: str) -> str:
    """``USD``, or its name in the reader's language."""
    return currency if language() == ENGLISH else measures.currency_name(currency, language())


def _language(text: str) -> str | None:
    """Which of the languages that share their characters *text* is in, so that it is drawn in the right font."""
    return next((name for name, signs in _SIGNS.items() if signs.search(text)), None)


_SIGNS: Final = {
    "ja": re.compile("[\u3041-\u30ff\uff66-\uff9f]"),
    "ko": re.compile("[\u1100-\u11ff\uac00-\ud7af]"),
    "zh": re.compile("[\u3400-\u9fff\uf900-\ufaff]"),
}


def _in_language(say: Callable[P, str]) -> Callable[P, str]:
    """*say* in the reader's language."""

    def answer(*args: P.args, **kwargs: P.kwargs) -> str:
        return translate(say(*args, **kwargs))

    return answer


def _sentence(message: str) -> str:
    """*message* on its own, for its reader; an id at its beginning stays lower case."""
    words = translate(sentence(message))
    if words.endswith(".") and not message.endswith(".") and _SIGNS["zh"].search(words):
        words = words[:-1] + FULL_STOP
    is_raised = language() != ENGLISH and words[:1] == message[:1].upper()
    return message[:1] + words[1:] if is_raised else words


def _environment() -> jinja2.Environment:
    """Everything is escaped, and a missing name is an error."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("framerelay.receiver.page"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.add_extension("jinja2.ext.i18n")
    environment.install_gettext_callables(translate_exactly, translate_many, newstyle=True)  # type: ignore[attr-defined]
    environment.filters.update(megabytes=_megabytes, gigabytes=_gigabytes, clock=_clock)
    environment.filters.update(moment=_moment, currency=_currency)
    environment.filters.update(language=_language, translate=translate)
    environment.filters.update(duration=_in_language(duration), ago=_in_language(_ago), sentence=_sentence)
    environment.filters.update(about=_in_language(about))
    environment.globals.update(number_of=_in_language(number_of), range_words=_in_language(range_words))
    environment.globals.update(amount_words=_in_language(amount_words))
    environment.globals.update(static=address_of, joint=joint)
    return environment


_templates: Final = _environment()
