"""Callback addresses as senders spell them: extra slashes make no difference, and some check before they send."""

import re
import time
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from framerelay.receiver.state import state_of

_SPELT: Final = re.compile(r"/+webhook/+([^/]+)/*")


class OneSpelling:
    """Removes extra slashes from the path to a callback address: a base that ends in one is often joined this way."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "http" and (spelt := _SPELT.fullmatch(scope["path"])):
            scope["path"] = f"/webhook/{spelt[1]}"
        await self._app(scope, receive, send)


async def look(request: Request) -> Response:
    """
    ``GET /webhook/{token}``: 200 at an address of ours, for senders that check before they use one; nothing is kept.

    It counts like a POST, and reveals no more: any other address is the same 404. Raises: HTTPException 404, 429.
    """
    state = state_of(request)
    address = state.tokens.read(request.path_params["token"], now=time.time())
    if address is None:
        state.limits.count_stranger(request)
        raise HTTPException(404)
    state.limits.count_callback(address)
    return JSONResponse({"status": "ok"})
