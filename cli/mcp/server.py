"""`mcp`: the tools of `cli.mcp.tools` for AI assistants, over standard input and output or streamable HTTP."""

import asyncio
import functools
import hmac
import inspect
import logging
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

import anyio
import click
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from mcp.server.fastmcp import FastMCP
from mcp.server.fastmcp.exceptions import ToolError
from mcp.server.transport_security import TransportSecuritySettings
from mcp.types import ToolAnnotations
from pydantic import AnyHttpUrl, ValidationError

from framerelay.cli.errors import CommandError, os_words
from framerelay.cli.http import listening_on, serving
from framerelay.cli.mcp.tools import Tools
from framerelay.config.env_file import SettingInvalid
from framerelay.config.keys import find_api_key, is_loopback, weakness
from framerelay.config.settings import Settings, from_environment
from framerelay.runs.errors import FrameRelayError
from framerelay.storyboards.parts import unknown

P = ParamSpec("P")
T = TypeVar("T")

INSTRUCTIONS: Final = """
FrameRelay makes films of chained video clips: each shot begins with the last frame of the one before it. Every take is
a paid job at a video API. plan_film is free and comes first: show the person what it costs. start_film spends, at most
max_jobs jobs. Rendering takes minutes; no tool waits for it: film_status answers at once, with the film strip as a
picture. Approving, picking, retaking, amending and cancelling are the person's decisions. film_result gives the files.
""".strip()
LOOK: Final = ToolAnnotations(readOnlyHint=True, openWorldHint=False)
SPEND: Final = ToolAnnotations(readOnlyHint=False, destructiveHint=False, idempotentHint=True, openWorldHint=True)
ONCE: Final = ToolAnnotations(readOnlyHint=False, destructiveHint=True, idempotentHint=True, openWorldHint=True)

_TOOL_FOR: Final = {"`framerelay runs` lists": "list_films lists", "`framerelay show RUN` names": "film_status names"}
log = logging.getLogger(__name__)


def serve_mcp(*, http: bool, host: str, port: int, names: Sequence[str], pictures: Path | None) -> int:
    """Serve until standard input ends, or with *http* until SIGINT or SIGTERM; returns the exit code."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="framerelay mcp: %(message)s")
    if http:
        with listening_on(host, port) as listener:
            return asyncio.run(_serve_http(from_environment(), listener, host, names, pictures))
    if sys.stdin.isatty():
        click.echo(
            "This waits for an MCP client on standard input: docs/mcp.md shows how to add it. Ctrl-C ends it.", err=True
        )
    # A thread that reads standard input cannot be woken; nothing is held here that would have to be closed.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    anyio.run(create_server(pictures).run_stdio_async)
    return 0


async def _serve_http(
    settings: Settings, listener: socket.socket, host: str, names: Sequence[str], pictures: Path | None
) -> int:
    keys = _keys(settings, host)
    port = listener.getsockname()[1]
    hosts = [f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]", host)]
    security = TransportSecuritySettings(
        allowed_hosts=[*hosts, *names],
        allowed_origins=[*(f"http://{name}" for name in hosts), *(f"https://{name}" for name in names)],
    )
    auth = AuthSettings(issuer_url=AnyHttpUrl(f"http://{hosts[0]}"), resource_server_url=None)
    server = create_server(
        pictures,
        stateless_http=True,
        json_response=True,
        transport_security=security,
        auth=auth,
        token_verifier=KeyVerifier(keys),
    )
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with serving(server.streamable_http_app(), listener):
        place = f"[{host}]" if ":" in host else host
        click.echo(f"The MCP server answers at http://{place}:{port}/mcp, with the API key as Bearer.", err=True)
        await stop.wait()
    return 0


class KeyVerifier:
    """Admits clients that have the API key of the receiver: what is spent here is spent there."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = [key.encode() for key in keys]

    async def verify_token(self, token: str) -> AccessToken | None:
        """The client with a correct key; None for any other."""
        fitting = [key for key in self._keys if hmac.compare_digest(token.encode(), key)]
        return AccessToken(token=token, client_id="framerelay", scopes=[]) if fitting else None


class Server(FastMCP):
    """The SDK's server; an error is one sentence that says what to do."""

    async def call_tool(self, name: str, arguments: dict[str, Any]) -> Any:
        """As the SDK does it, but an argument that the tool does not have is refused. Raises: ToolError."""
        tool = self._tool_manager.get_tool(name)
        parameters = tool.parameters["properties"] if tool else arguments
        for each in arguments:
            if each not in parameters:
                raise ToolError(unknown(each, parameters, kind="argument"))
        try:
            return await super().call_tool(name, arguments)
        except ToolError as error:
            raise ToolError(_message(error)) from error


def create_server(pictures: Path | None, **options: Any) -> Server:
    """The server with its tools; *options* are the SDK's own."""
    server = Server("FrameRelay", instructions=INSTRUCTIONS, log_level="WARNING", **options)
    server._mcp_server.version = version("framerelay")  # Otherwise clients are told the SDK's own.
    tools = Tools(pictures)
    for tool, title, annotations in (
        (tools.plan_film, "Plan a film (free)", LOOK),
        (tools.start_film, "Start a planned film (spends)", SPEND),
        (tools.list_films, "Films, newest first", LOOK),
        (tools.film_status, "Where a film stands", LOOK),
        (tools.approve_shot, "Approve a shot (spends)", SPEND),
        (tools.pick_take, "Pick a take", SPEND),
        (tools.retake_shot, "Make a shot again (asks first, then spends)", ONCE),
        (tools.continue_film, "Let a film go on (spends)", SPEND),
        (tools.promote_film, "Make the final of a draft (asks first, then spends)", SPEND),
        (tools.film_storyboard, "The storyboard of a film", LOOK),
        (tools.amend_film, "Give a film another storyboard (asks first, then spends)", ONCE),
        (tools.cancel_film, "Cancel a film", ONCE),
        (tools.film_result, "The film and its clips", LOOK),
    ):
        about = inspect.cleandoc(tool.__doc__ or "")
        server.add_tool(_in_thread(tool), title=title, description=about, annotations=annotations)
    for definition in server._tool_manager.list_tools():
        definition.parameters["additionalProperties"] = False
    return server


def _in_thread(tool: Callable[P, T]) -> Callable[P, Awaitable[T]]:
    """*tool* in a thread, so that one slow answer holds up no other client."""

    @functools.wraps(tool)
    async def call(*args: P.args, **kwargs: P.kwargs) -> T:
        return await anyio.to_thread.run_sync(functools.partial(tool, *args, **kwargs))

    return call


def _keys(settings: Settings, host: str) -> list[str]:
    """The keys that give access to it. Raises: CommandError, SettingInvalid."""
    receiver_key = find_api_key(settings)
    keys = [str(key) for key in settings.api_key] or ([str(receiver_key)] if receiver_key else [])
    if not keys:
        raise CommandError(
            "over HTTP it asks for the receiver's API key: set FRAMERELAY_API_KEY, or run it where the receiver runs"
        )
    for key in settings.api_key if not is_loopback(host) else ():
        if reason := weakness(key):
            raise SettingInvalid(f"FRAMERELAY_API_KEY: {reason}, and this server can be reached from elsewhere")
    return keys


def _by_tools(message: str) -> str:
    """*message* with the tool that helps instead of the command, which an assistant does not type."""
    for command, tool in _TOOL_FOR.items():
        message = message.replace(command, tool)
    return message


def _message(error: ToolError) -> str:
    match error.__cause__:
        case ValidationError() as wrong:
            places = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in wrong.errors()]
            return f"the arguments do not fit the tool's schema: {'; '.join(places)}"
        case CommandError() | FrameRelayError() | SettingInvalid() as cause:
            return _by_tools(str(cause))
        case OSError() as trouble:
            return os_words(trouble)
        case None:
            return str(error)
        case defect:
            log.error("a tool failed", exc_info=defect)
            return f"FrameRelay's MCP server has a defect ({type(defect).__name__}); its log has the details"
