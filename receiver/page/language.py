"""The switch at the end of each page: what is chosen there is kept in the browser."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from framerelay.api.access import Names
from framerelay.languages.reader import COOKIE, LANGUAGES, known
from framerelay.receiver.fields import fields_of
from framerelay.runs.errors import RequestInvalid

LANGUAGE_NAMES: Final = Names(fields=("lang", "back"), as_form=True)
KEPT_S: Final = 365 * 86_400


async def choose_language(request: Request) -> Response:
    """
    ``POST /language``: ``lang``, one of `LANGUAGES`, and ``back``, the page that is shown again.

    Raises: RequestInvalid.
    """
    form = fields_of(request)
    code = known(form.get("lang"))
    if code is None:
        raise RequestInvalid(f"lang is not one of {', '.join(LANGUAGES)}", param="lang")
    back = form.get("back", "/")
    is_ours = back.startswith("/") and not back.startswith(("//", "/\\")) and back.isprintable()
    answer = Response(status_code=303, headers={"Location": back if is_ours else "/"})
    answer.set_cookie(COOKIE, code, max_age=KEPT_S, httponly=True, samesite="lax", secure=request.url.scheme == "https")
    return answer
