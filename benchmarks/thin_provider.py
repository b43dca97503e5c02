"""
The provider at the end of a slow line, in a separate process: `python -m benchmarks.thin_provider MBIT_S CLIP …`.

All bodies of all connections share the line, so much each way; heads and JSON are too small to count. It prints its
address, reports at ``/seen`` what it saw, and ends when its standard input does.
"""

import asyncio
import socket
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvloop
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from benchmarks.library import Library
from framerelay.cli.http import listening_on, serving

PIECE_BYTES = 8192
BUFFER_BYTES = 64 * 1024
"""Of a socket: what has left and not arrived."""
LATE_S = 0.01
"""A timer that rang so late is caught up with; a line on which nothing came for longer was idle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderLog:
    """What the provider saw: see `Library`; ``uploads``: bytes of each."""

    submits: list[tuple[float, dict[str, Any]]]
    called_back: list[float]
    moments: list[tuple[str, float]]
    uploads: list[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A running one."""

    url: str

    async def log(self) -> ProviderLog:
        """Until now."""
        async with httpx.AsyncClient(trust_env=False) as http:
            return ProviderLog(**(await http.get(f"{self.url}/seen")).json())


@asynccontextmanager
async def thin_provider(mbit_s: float, clip: Path, *, rendering_s: Sequence[float] = ()) -> AsyncIterator[Provider]:
    """Every job's clip is *clip*; the first ones take so long."""
    arguments = [str(mbit_s), str(clip), *map(str, rendering_s)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.thin_provider", *arguments, stdin=PIPE, stdout=PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Provider(url=(await process.stdout.readline()).decode().strip())
    finally:
        process.stdin.close()
        await process.wait()


class Line:
    """One direction of a line."""

    def __init__(self, mbit_s: float) -> None:
        self._byte_s = 8e-6 / mbit_s
        self._free_at = 0.0

    async def carry(self, count: int) -> None:
        """Returns when *count* bytes, and all that were given before them, have arrived."""
        now = time.monotonic()
        begins = self._free_at if now - self._free_at < LATE_S else now
        self._free_at = begins + count * self._byte_s
        if self._free_at > now:
            await asyncio.sleep(self._free_at - now)


class Thin:
    """*app* at the end of a line; ASGI."""

    def __init__(self, app: ASGIApp, mbit_s: float) -> None:
        self._app = app
        self._up, self._down = Line(mbit_s), Line(mbit_s)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""

        async def receive_slowly() -> Message:
            message = await receive()
            await self._up.carry(len(message.get("body", b"")))
            return message

        async def send_slowly(message: Message) -> None:
            body = message.get("body", b"")
            while len(body) > PIECE_BYTES:
                await self._down.carry(PIECE_BYTES)
                await send({**message, "body": body[:PIECE_BYTES], "more_body": True})
                body = body[PIECE_BYTES:]
            if body:
                await self._down.carry(len(body))
            await send({**message, "body": body} if "body" in message else message)

        await self._app(scope, receive_slowly, send_slowly)


async def _serve(mbit_s: float, library: Library) -> None:
    async def log(_: Request) -> JSONResponse:
        uploads = [len(each) for each in library.uploads.values()]
        log = {"submits": library.submits, "called_back": library.called_back, "moments": library.moments}
        return JSONResponse({**log, "uploads": uploads})

    app = library.app()
    app.add_middleware(Thin, mbit_s)
    app.routes.append(Route("/seen", log))
    await serve(app, thin=True)


async def serve(app: ASGIApp, *, thin: bool) -> None:
    """Print the address and answer until the standard input ends; a *thin* line holds little that has not arrived."""
    with listening_on("127.0.0.1", 0) as listener:
        for buffer in (socket.SO_SNDBUF, socket.SO_RCVBUF) if thin else ():
            listener.setsockopt(socket.SOL_SOCKET, buffer, BUFFER_BYTES)
        async with serving(app, listener):
            print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
            await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    uvloop.run(_serve(float(sys.argv[1]), Library([Path(sys.argv[2])], [float(each) for each in sys.argv[3:]])))
