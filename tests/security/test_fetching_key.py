"""The key that spends money: it goes to the upstream's own origin, and nowhere else, and no answer gets it told on."""

import asyncio
import base64
import contextlib
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from starlette.applications import Starlette
from starlette.datastructures import Secret
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from framerelay.cli.http import listening_on, serving
from framerelay.runs.errors import FrameRelayError, OutcomeUnknown
from framerelay.upstream.client import JobsClient
from framerelay.upstream.order import Order

pytestmark = pytest.mark.anyio

KEY = "canary/key+of=no.usual-shape"
ONE = {"title": "one", "model": "seedance-1.5-pro-1080p", "shots": [{"id": "s1", "prompt": "a car"}]}
Call = Callable[[JobsClient, Path], Awaitable[object]]
CALLS: dict[str, Call] = {
    "submit": lambda client, _: client.submit(Order(model="m", input={"prompt": "rain"}, take="take-1")),
    "look_up": lambda client, _: client.get_job("job_1"),
    "upload": lambda client, picture: client.upload(picture, kind="image", purpose="reference"),
}


@dataclass
class Host:
    """``heads``: what it was sent, request by request."""

    url: str = ""
    heads: list[str] = field(default_factory=list)


@asynccontextmanager
async def a_host(answer: bytes = b"") -> AsyncIterator[Host]:
    """Answers every connection with the same bytes."""
    host = Host()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            host.heads.append(head)
            length = re.search(r"(?i)^content-length: (\d+)", head, re.MULTILINE)
            await reader.readexactly(int(length[1]) if length else 0)
            writer.write(answer)
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listener:
        host.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        yield host


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A file to upload; nobody looks at it."""
    path = tmp_path / "frame.png"
    path.write_bytes(b"png")
    return path


def http_response(status: str, body: bytes, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", "Connection: close", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirect_of_the_upstream_is_not_followed(status: int, call: Call, picture: Path) -> None:
    """Neither to another host nor to another path: the key stays with the address that it was given for."""
    async with a_host() as other:
        for location in (f"{other.url}/v1/jobs", other.url.replace("http:", ""), "/elsewhere"):
            answer = http_response(f"{status} X", b"{}", f"Location: {location}")
            async with a_host(answer) as upstream, JobsClient(upstream.url, KEY) as client:
                with pytest.raises(FrameRelayError):
                    await call(client, picture)
            assert [f"authorization: bearer {KEY}" in head.lower() for head in upstream.heads] == [True]
    assert other.heads == []


async def test_address_in_an_answer_is_not_opened(picture: Path) -> None:
    """What an upload or a job names is handed on, or fetched by the guarded client, which has no key."""
    async with a_host() as other:
        answers = {
            "upload": {"url": f"{other.url}/file.png"},
            "look_up": {
                "id": "job_1",
                "status": "succeeded",
                "video_url": f"{other.url}/v.mp4",
                "next": f"{other.url}/n",
            },
            "submit": {"id": "job_1", "status_url": f"{other.url}/v1/jobs/job_1"},
        }
        for name, answer in answers.items():
            headers = (
                f"Content-Location: {other.url}",
                f"Link: <{other.url}>; rel=next",
                f"Refresh: 0; url={other.url}",
            )
            raw = http_response("200 OK", json.dumps(answer).encode(), *headers)
            async with a_host(raw) as upstream, JobsClient(upstream.url, KEY) as client:
                await CALLS[name](client, picture)
            assert len(upstream.heads) == 1
    assert other.heads == []


async def test_clip_on_the_upstreams_own_host_is_fetched_without_the_key(start_provider: Any, start_relay: Any) -> None:
    """One origin for jobs and outputs, as with a gateway: /v1 gets the key, a clip's address never does."""
    authorizations: dict[str, list[str | None]] = {}
    async with (
        start_provider(options={"key": KEY}) as provider,
        a_gateway(provider.url, authorizations) as gateway,
        start_relay(gateway, upstream_key=Secret(KEY)) as relay,
    ):
        run = await relay.wait_for_end(await relay.run(ONE))
    assert run["status"] == "succeeded", run["error"]
    assert authorizations.keys() == {"v1", "outputs"}
    assert set(authorizations["v1"]) == {f"Bearer {KEY}"}
    assert set(authorizations["outputs"]) == {None}


@asynccontextmanager
async def a_gateway(url: str, authorizations: dict[str, list[str | None]]) -> AsyncIterator[str]:
    """The provider behind one origin for all; notes which key each request has."""
    async with httpx.AsyncClient(base_url=url, trust_env=False) as http:

        async def forward(request: Request) -> Response:
            kind = request.url.path.split("/")[1]
            authorizations.setdefault(kind, []).append(request.headers.get("authorization"))
            names = ("authorization", "content-type", "host")
            headers = {name: value for name, value in request.headers.items() if name in names}
            answer = await http.request(request.method, request.url.path, content=await request.body(), headers=headers)
            return Response(answer.content, answer.status_code, media_type=answer.headers["content-type"])

        app = Starlette(routes=[Route("/{path:path}", forward, methods=["GET", "POST"])])
        with listening_on("127.0.0.1", 0) as listener:
            async with serving(app, listener):
                yield f"http://127.0.0.1:{listener.getsockname()[1]}"


ECHOES = {
    "message": http_response(
        "401 X", json.dumps({"error": {"code": "Auth", "message": f"no such key: {KEY}"}}).encode()
    ),
    "code": http_response("401 X", json.dumps({"error": {"code": KEY, "message": "no"}}).encode()),
    "slashes": http_response("401 X", json.dumps({"message": KEY}).replace("/", "\\/").encode()),
    "percent": http_response("400 X", json.dumps({"message": quote(KEY, safe="")}).encode()),
    "text": http_response("500 X", json.dumps({"error": f"Authorization: Bearer {KEY}"}).encode()),
    "request id": http_response("400 X", b"{}", f"X-Request-Id: {KEY}"),
    "no JSON": http_response("200 OK", f"{KEY} is not known".encode()),
    "names": http_response("200 OK", json.dumps({KEY: {KEY: 1}}).encode()),
    "status": http_response("200 OK", json.dumps({"status": KEY, "id": KEY}).encode()),
    "no HTTP": f"HTTP/1.1 200 OK\r\nAuthorization Bearer {KEY}\r\n\r\n".encode(),
    "status line": f"{KEY} HTTP/1.1\r\n\r\n".encode(),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("answer", ECHOES.values(), ids=ECHOES)
async def test_answer_that_repeats_the_key_is_read_without_it(answer: bytes, call: Call, picture: Path) -> None:
    """Refusals do that, and what they say is kept with the run, logged and shown."""
    async with a_host(answer) as upstream, JobsClient(upstream.url, KEY) as client:
        try:
            text = repr(await call(client, picture))
        except FrameRelayError as error:
            text = f"{error!r} {error.__dict__} {error.message}"
    assert KEY not in text
    assert quote(KEY, safe="") not in text
    assert KEY.replace("/", "\\/") not in text
    assert len(upstream.heads) == 1


async def test_credentials_of_the_machine_do_not_replace_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A netrc or a proxy of the environment changes neither the key nor who gets it."""
    (tmp_path / ".netrc").write_text("default login other password other\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    async with a_host() as proxy, a_host(http_response("200 OK", b'{"id": "job_1"}')) as upstream:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        async with JobsClient(upstream.url, KEY) as client:
            await client.get_job("job_1")
    assert proxy.heads == []
    assert f"authorization: bearer {KEY}" in upstream.heads[0].lower()
    assert base64.b64encode(b"other:other").decode() not in upstream.heads[0]


@pytest.mark.parametrize(
    "job_id", ["//evil.example/x", "@evil.example", "..%2f..", "x\r\nHost: evil.example", "?x=1", "\\evil", "#"]
)
async def test_job_id_cannot_lead_the_key_away(job_id: str) -> None:
    """Ids come out of callbacks, which anybody may write."""
    async with a_host(http_response("200 OK", b'{"id": "job_1"}')) as upstream, JobsClient(upstream.url, KEY) as client:
        await client.get_job(job_id)
    (head,) = upstream.heads
    assert head.startswith("GET /v1/jobs/")
    assert "/" not in head.split()[1].removeprefix("/v1/jobs/")
    assert head.lower().count("host:") == 1


async def test_submit_whose_answer_is_broken_stays_unknown() -> None:
    """Taking the key out of words must not change what they mean: the POST may have been accepted."""
    async with a_host(ECHOES["no HTTP"]) as upstream, JobsClient(upstream.url, KEY) as client:
        with pytest.raises(OutcomeUnknown, match="illegal header line"):
            await client.submit(Order(model="m", input={}, take="take-1"))
