"""A server that answers 202 and reads nothing, on the same uvicorn: `python -m benchmarks.bare PORT`."""

import asyncio
import sys

import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cli.http import listening_on, serving


async def _accepted(_: Request) -> Response:
    return Response(status_code=202)


async def serve(port: int) -> None:
    """Until it is killed."""
    app = Starlette(routes=[Route("/webhook/{token}", _accepted, methods=["POST"])])
    with listening_on("127.0.0.1", port) as listener:
        async with serving(app, listener):
            await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
