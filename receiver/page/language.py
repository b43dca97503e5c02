"""The switch at the end of each page: the choice is stored in the browser."""

from typing import Final
from urllib.parse import quote, urlsplit

from starlette.requests import Request
from starlette.responses import Response

from framerelay.api.access import Names
from framerelay.languages.reader import COOKIE, LANGUAGES, language_of_tag
from framerelay.receiver.fields import fields_of
from framerelay.runs.errors import RequestInvalid

LANGUAGE_NAMES: Final = Names(fields=("lang",), as_form=True)
KEPT_S: Final = 365 * 86_400


async def choose_language(request: Request) -> Response:
    """
    ``POST /language``: ``lang``, one of `LANGUAGES`; 303 to the page where it was chosen.

    Raises: RequestInvalid.
    """
    code = language_of_tag(fields_of(request).get("lang"))
    if code is None:
        raise RequestInvalid(f"lang is not one of {', '.join(LANGUAGES)}", param="lang")
    answer = Response(status_code=303, headers={"Location": _place_before(request)})
    answer.set_cookie(COOKIE, code, max_age=KEPT_S, httponly=True, samesite="lax", secure=request.url.scheme == "https")
    return answer


def _place_before(request: Request) -> str:
    """Where the browser says that it was, if that is one of our pages that can be visited again."""
    try:
        before = urlsplit(request.headers.get("referer", ""))
    except ValueError:
        return "/"
    is_ours = before.netloc == request.url.netloc and before.path.startswith("/") and not before.path.startswith("//")
    query = f"?{before.query}" if before.query else ""
    return f"{quote(before.path, safe='/%')}{query}" if is_ours and before.path != "/login" else "/"
