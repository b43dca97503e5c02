"""What the tests of the door and of signatures share: plain connections, and receivers that ask for a proof."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from framerelay.store.tasks import QUEUE, unpack
from tests.security.signing import DONE, KEY, NOWHERE, STANDARD, TAKE

ANSWER_WITHIN_S = 90.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a receiver said until it closed the connection; *head* without the date, which is no secret."""

    status: int
    head: tuple[str, ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """The first header of that name."""
        values = (line.partition(":")[2].strip() for line in self.head if line.lower().startswith(name.lower() + ":"))
        return next(values, None)


def parse_answer(raw: bytes) -> Answer:
    """*raw* taken apart; status 0 if nothing was said."""
    head, _, body = raw.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    status = int(lines[0].split(" ")[1]) if raw else 0
    return Answer(status=status, head=tuple(line for line in lines if not line.lower().startswith("date:")), body=body)


@pytest.fixture
def connect_to() -> Callable[[Any], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]:
    """``reader, writer = await connect_to(relay)``: a plain connection."""

    async def connect(relay: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        place = urlsplit(relay.settings.listen_url)
        return await asyncio.open_connection(place.hostname, place.port)

    return connect


@pytest.fixture
def talk(connect_to: Any) -> Callable[..., Awaitable[Answer]]:
    """``await talk(relay, raw)``: the answer to these bytes, read until the receiver closes the connection."""

    async def say(relay: Any, raw: bytes) -> Answer:
        reader, writer = await connect_to(relay)
        writer.write(raw)
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                return parse_answer(await reader.read())
        finally:
            writer.close()

    return say


@pytest.fixture
def post() -> Callable[..., bytes]:
    """``post(path, body, "Name: value")``: the bytes of one request after which the connection is closed."""

    def request(path: str, body: bytes = b"{}", *headers: str, method: str = "POST") -> bytes:
        lines = [f"{method} {path} HTTP/1.1", "Host: relay", "Connection: close", *headers]
        if not any(line.lower().startswith(("content-length", "transfer-encoding")) for line in headers):
            lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + body

    return request


@pytest.fixture
def verifying(tmp_path: Path, start_relay: Any) -> Callable[..., Any]:
    """``async with verifying(yaml, key) as relay``: a receiver alone, under that settings file and secret."""

    def start(text: str = f"verify: {STANDARD}", key: bytes = KEY) -> Any:
        (tmp_path / "framerelay.yaml").write_text(text, encoding="utf-8")
        (tmp_path / "key").write_text("the key", encoding="ascii")
        (tmp_path / "secret").write_text("whsec_" + base64.b64encode(key).decode() + "\n", encoding="ascii")
        return start_relay(NOWHERE, worker=False)

    return start


@pytest.fixture
def call() -> Callable[..., Any]:
    """``await call(relay, body, headers)``: one callback, at the take's address or another."""

    async def send(relay: Any, body: bytes = DONE, headers: Any = None, address: Any = TAKE) -> Any:
        path = f"/webhook/{relay.tokens.mint(address)}"
        return await relay.api.post(path, content=body, headers=headers or {})

    return send


@pytest.fixture
def callbacks_of() -> Callable[..., Any]:
    """``await callbacks_of(relay)``: what ``GET /v1/callbacks`` shows, newest first."""

    async def ask(relay: Any) -> list[dict[str, Any]]:
        answer = await relay.api.get("/v1/callbacks", params={"limit": 200})
        callbacks: list[dict[str, Any]] = answer.json()["data"]
        return callbacks

    return ask


@pytest.fixture
def tasks(redis: Any) -> Callable[..., Any]:
    """``await tasks()``: the names of the tasks that wait for a worker."""

    async def ask() -> list[str]:
        return [
            unpack(await redis.get(b"{framerelay}:arq:job:" + task))["f"] for task in await redis.zrange(QUEUE, 0, -1)
        ]

    return ask
