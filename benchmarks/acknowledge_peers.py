"""
What acknowledgements are measured against, each on the same uvicorn.

    python -m benchmarks.acknowledge_peers NAME PORT REDIS_SOCKET
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvloop
from arq.connections import ArqRedis
from redis.asyncio import BlockingConnectionPool
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from framerelay.cli.http import listening_on, serving


async def _bare(_: Request) -> Response:
    """202, and nothing is read."""
    return Response(status_code=202)


async def _arq(request: Request) -> Response:
    """What arq's documentation leads to: the body as JSON, `enqueue_job`, an answer."""
    await request.app.state.redis.enqueue_job("callback", await request.json())
    return JSONResponse({"received": True}, status_code=202)


@asynccontextmanager
async def _connection(app: Starlette) -> AsyncIterator[None]:
    pool = BlockingConnectionPool.from_url(f"unix://{sys.argv[3]}", max_connections=50)
    redis = ArqRedis(pool_or_conn=pool, job_serializer=lambda job: json.dumps(job).encode())  # Never pickle a stranger.
    app.state.redis = redis
    yield
    await redis.aclose(close_connection_pool=True)


async def serve(name: str, port: int) -> None:
    """Until it is killed."""
    answer, lifespan = {"bare": (_bare, None), "arq": (_arq, _connection)}[name]
    app = Starlette(routes=[Route("/webhook/{token}", answer, methods=["POST"])], lifespan=lifespan)
    with listening_on("127.0.0.1", port) as listener:
        async with serving(app, listener):
            await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1], int(sys.argv[2])))
