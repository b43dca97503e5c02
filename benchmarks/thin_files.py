"""
A folder of files at the end of a slow line, in a separate process: `python -m benchmarks.thin_files FOLDER MBIT_S`.

Answers Range and If-Range as object stores do, each request a round trip late; 0 Mbit/s means a line that is
as fast as this machine. It prints its address and ends with its standard input.
"""

import asyncio
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import uvloop
from starlette.applications import Starlette
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from benchmarks.thin_provider import Thin, serve

ROUND_TRIP_S = 0.02


@asynccontextmanager
async def thin_files(folder: Path, mbit_s: float) -> AsyncIterator[str]:
    """The address under which the files of *folder* can be fetched."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.thin_files", str(folder), str(mbit_s), stdin=PIPE, stdout=PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield (await process.stdout.readline()).decode().strip()
    finally:
        process.stdin.close()
        await process.wait()


async def _serve(folder: Path, mbit_s: float) -> None:
    files = StaticFiles(directory=folder)

    async def far_away(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(ROUND_TRIP_S)
        await files(scope, receive, send)

    app = Starlette()
    app.mount("/", far_away)
    if mbit_s:
        app.add_middleware(Thin, mbit_s)
    await serve(app, thin=bool(mbit_s))


if __name__ == "__main__":
    uvloop.run(_serve(Path(sys.argv[1]), float(sys.argv[2])))
