"""``GET /media/{path}``: clips, frames and films, by Range, for whoever has the key or a signed link."""

import time

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from receiver.access import has_key
from receiver.state import state_of


async def serve(request: Request) -> Response:
    """The file, or the part of it that ``Range`` asks for; 401 without key or link, 404 if there is none."""
    state = state_of(request)
    path = request.path_params["path"]
    query = request.query_params
    opened = state.links.opens(
        f"/media/{path}", expires=query.get("expires", ""), signature=query.get("signature", ""), now=time.time()
    )
    if not opened and not has_key(request):
        raise HTTPException(401, "this needs the API key or a link that has not expired")
    headers = {
        "Cache-Control": "private, max-age=3600",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox",
    }
    return FileResponse(state.files.existing(path), headers=headers)
