"""What is shown in the place of a missing picture or clip: words, for a person rather than a program."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from framerelay.languages.reader import language
from framerelay.receiver.page.rendering import error_page, fill
from framerelay.runs.errors import FrameRelayError

# A separate image takes no rules from the page, and needs permission for its own style.
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "Vary": "Accept, Accept-Language, Cookie",
}


async def stand_in(request: Request, plain: Response, error: FrameRelayError) -> Response:
    """
    The answer that the file is missing, in a form that the client can show; *plain*: as programs get it.

    A browser that asks for a picture gets one with the words in it, under the same status; it shows that whatever the
    status is, in the space of the picture. A browser that followed a link gets a page.
    """
    accept = request.headers.get("accept", "")
    if accept.startswith("image/"):
        text = await fill("gone.svg", lang=language(), words=error.message, is_coming=plain.status_code == 503)
        headers = {**HEADERS, **{name: plain.headers[name] for name in ("Retry-After",) if name in plain.headers}}
        return Response(text, plain.status_code, headers, media_type="image/svg+xml")
    if "text/html" in accept:
        return await error_page(request, error)
    return plain
