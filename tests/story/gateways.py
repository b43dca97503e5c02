"""The sandbox behind a gateway that answers in manners of its own."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from framerelay.cli.http import listening_on, serving

Json = dict[str, Any]
Change = Callable[[Request, int, Json], Response | Json]
"""Request, status and body of an answer → what a client gets in its place."""


@asynccontextmanager
async def gateway(url: str, change: Change) -> AsyncIterator[str]:
    """The address of a gateway to *url*; what it hands back of the provider went through *change*."""
    async with httpx.AsyncClient(base_url=url, trust_env=False) as http:

        async def forward(request: Request) -> Response:
            headers = {
                name: request.headers[name] for name in ("authorization", "content-type") if name in request.headers
            }
            answer = await http.request(request.method, request.url.path, content=await request.body(), headers=headers)
            if not answer.headers.get("content-type", "").startswith("application/json"):
                return Response(answer.content, answer.status_code, media_type=answer.headers.get("content-type"))
            body = change(request, answer.status_code, answer.json())
            return body if isinstance(body, Response) else JSONResponse(body, answer.status_code)

        app = Starlette(routes=[Route("/{path:path}", forward, methods=["GET", "POST"])])
        with listening_on("127.0.0.1", 0) as listener:
            async with serving(app, listener):
                yield f"http://127.0.0.1:{listener.getsockname()[1]}"
