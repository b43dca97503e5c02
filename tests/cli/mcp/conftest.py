"""The real program `framerelay mcp` beside a receiver, a worker and a sandbox, asked by the SDK's own client."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.memory import create_connected_server_and_client_session
from mcp.types import CallToolResult, ImageContent, TextContent

from framerelay.cli.mcp.server import create_server

FRAMERELAY = str(Path(sys.executable).with_name("framerelay"))
ANSWER_S = 90.0
SOON = httpx.Limits(keepalive_expiry=2.0)  # The server ends an idle connection after 5 s, in this very loop.


@dataclass(frozen=True, slots=True, kw_only=True)
class Assistant:
    """A client that has shaken hands with the server."""

    session: ClientSession

    async def ask(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """The structured answer of a tool; an error is a failure."""
        result = await self.call(tool, **arguments)
        assert not result.isError, text_of(result)
        assert result.structuredContent is not None
        return result.structuredContent

    async def refusal(self, tool: str, **arguments: Any) -> str:
        """What a tool says that refuses."""
        result = await self.call(tool, **arguments)
        assert result.isError, result
        return text_of(result)

    async def call(self, tool: str, **arguments: Any) -> CallToolResult:
        """The whole answer; one that waits for a render would not come in time."""
        return await asyncio.wait_for(self.session.call_tool(tool, arguments), ANSWER_S)

    async def until(self, run_id: str, *statuses: str, within_s: float = 180.0) -> dict[str, Any]:
        """The film when it is in one of these states, asked as an assistant would."""
        deadline = asyncio.get_running_loop().time() + within_s
        while (status := await self.ask("film_status", run=run_id, strip=False))["status"] not in statuses:
            if asyncio.get_running_loop().time() > deadline:
                pytest.fail(f"not {statuses} within {within_s:.0f} s: {status}")
            await asyncio.sleep(0.05)
        return status


def text_of(result: CallToolResult) -> str:
    """The words of an answer."""
    return "\n".join(part.text for part in result.content if isinstance(part, TextContent))


def picture_of(result: CallToolResult) -> str:
    """The one picture of an answer, in base64."""
    [picture] = [part for part in result.content if isinstance(part, ImageContent)]
    assert picture.mimeType == "image/png"
    return picture.data


def environ_for(folder: Path, url: str, **settings: str) -> dict[str, str]:
    """What a client's configuration would set; nothing is inherited but PATH."""
    environ = {f"FRAMERELAY_{name}": value for name, value in settings.items()}
    return {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8", "FRAMERELAY_URL": url, **environ}


@asynccontextmanager
async def _by_stdio(folder: Path, url: str, *options: str, **settings: str) -> AsyncIterator[Assistant]:
    program = StdioServerParameters(
        command=FRAMERELAY, args=["mcp", *options], env=environ_for(folder, url, **settings), cwd=folder
    )
    with (folder / "mcp.log").open("a+", encoding="utf-8") as log:
        async with stdio_client(program, errlog=log) as streams, ClientSession(*streams) as session:
            await session.initialize()
            yield Assistant(session=session)


@asynccontextmanager
async def _in_process(
    url: str, patch: pytest.MonkeyPatch, *, pictures: Path | None = None, **settings: str
) -> AsyncIterator[Assistant]:
    """The same server in this process, for what needs no process of its own: each takes seconds to load."""
    for name, value in {"URL": url, **settings}.items():
        patch.setenv(f"FRAMERELAY_{name}", value)
    async with create_connected_server_and_client_session(create_server(pictures)) as session:
        yield Assistant(session=session)


@asynccontextmanager
async def _http_server(folder: Path, url: str, *options: str, **settings: str) -> AsyncIterator[str]:
    """``framerelay mcp --http`` at a free port; gives its address."""
    words = [FRAMERELAY, "mcp", "--http", "--port", "0", *options]
    process = subprocess.Popen(words, cwd=folder, env=environ_for(folder, url, **settings), stderr=subprocess.PIPE)
    assert process.stderr is not None
    try:
        line = (await asyncio.to_thread(process.stderr.readline)).decode()
        match = re.search(r"http://\S+/mcp", line)
        assert match, line
        yield match[0]
    finally:
        process.send_signal(signal.SIGINT)
        code = await asyncio.to_thread(process.wait, 90)
        process.stderr.close()
    assert code == 0


@asynccontextmanager
async def _by_http(address: str, key: str) -> AsyncIterator[Assistant]:
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        httpx.AsyncClient(headers=headers, trust_env=False, timeout=120, limits=SOON) as http,
        streamable_http_client(address, http_client=http) as (reading, writing, _),
        ClientSession(reading, writing) as session,
    ):
        await session.initialize()
        yield Assistant(session=session)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mcp:
    """The ways to the server, and the helpers above by name."""

    by_stdio: Callable[..., AbstractAsyncContextManager[Assistant]] = _by_stdio
    in_process: Callable[..., AbstractAsyncContextManager[Assistant]] = _in_process
    http_server: Callable[..., AbstractAsyncContextManager[str]] = _http_server
    by_http: Callable[..., AbstractAsyncContextManager[Assistant]] = _by_http
    picture_of: Callable[[CallToolResult], str] = picture_of


@pytest.fixture(scope="session")
def mcp() -> Mcp:
    """``async with mcp.by_stdio(folder, url, API_KEY=…) as assistant``."""
    return Mcp()
