"""Callback addresses as senders spell them: a slash too many is no other address, and some look before they send."""

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
    """Takes slashes too many out of the path to a callback address: a base that ends in one is often joined so."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "http" and (spelt := _SPELT.fullmatch(scope["path"])):
            scope["path"] = f"/webhook/{spelt[1]}"
        await self._app(scope, receive, send)


async def look(request: Request) -> Response:
    """
    ``GET /webhook/{token}``: 200 at an address of ours, for senders that look before they use one; nothing is kept.

    It counts as a POST does, and tells no more: any other address is the same 404. Raises: HTTPException 404, 429.
    """
    state = state_of(request)
    address = state.tokens.read(request.path_params["token"], now=time.time())
    if address is None:
        state.limits.count_stranger(request)
        raise HTTPException(404)
    state.limits.count_callback(address)
    return JSONResponse({"status": "ok"})
