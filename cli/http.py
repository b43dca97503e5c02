"""An ASGI application on a socket of ours, under uvicorn, ended when its block ends."""

import asyncio
import errno
import resource
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import uvicorn
from starlette.applications import Starlette

from framerelay.cli.errors import CommandError

BACKLOG: Final = 2048
GOODBYE_S: Final = 4
FILES_MAX: Final = 65_536


@asynccontextmanager
async def serving(
    app: Starlette, listener: socket.socket, *, protocol: Callable[..., asyncio.Protocol] | None = None
) -> AsyncIterator[asyncio.Task[None]]:
    """
    Serve *app* on *listener*; the block begins when it answers, and its task ends early only if the server fails.

    *protocol*: one that is built for strangers; None for servers that only trusted clients reach.
    """
    _allow_files()
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=protocol or "httptools",  # type: ignore[arg-type]  # It is called, whether it is a class or not.
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GOODBYE_S,
        proxy_headers=False,
    )
    server = _Server(config)
    running = asyncio.create_task(server.serve(sockets=[listener]))
    ready = asyncio.create_task(server.ready.wait())
    await asyncio.wait([ready, running], return_when=asyncio.FIRST_COMPLETED)
    ready.cancel()
    try:
        yield running
    finally:
        server.should_exit = True
        await asyncio.wait([running])


class _Server(uvicorn.Server):
    """Reports when it is ready; signals are handled by us, since the worker in the same process has to end, too."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextmanager
def listening_on(host: str, port: int) -> Iterator[socket.socket]:
    """Bound first, so that a port in use stops the start before anything else has begun."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, asyncio turns TCP_NODELAY on; without it each answer of a plain loop takes 44 ms.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen(BACKLOG)
        except OSError as error:
            raise CommandError(_bind_words(host, port, error)) from error
        yield listener


def _allow_files() -> None:
    """As many open files as this user may have: many systems start with 1,024, and each connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = FILES_MAX if hard == resource.RLIM_INFINITY else min(hard, FILES_MAX)
    if soft != resource.RLIM_INFINITY and soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


def _bind_words(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} of {host} is in use: another receiver or sandbox may be running; "
            "end it, or choose another port (FRAMERELAY_PORT, or --port of the sandbox)"
        )
    return f"cannot listen on {host}:{port}: {(error.strerror or str(error)).lower()}"
