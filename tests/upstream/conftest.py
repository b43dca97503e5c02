"""A provider that answers as it is told, behind a real uvicorn on a port of its own."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send


@dataclass
class Provider:
    """``answers`` are given in turn, the last one for ever; ``requests`` holds (method, raw path, headers, body)."""

    url: str = ""
    answers: list[Response] = field(default_factory=list)
    requests: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    wait_s: float = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answers, requests, request = self.answers, self.requests, Request(scope, receive)
        requests.append((request.method, scope["raw_path"].decode(), dict(request.headers), await request.body()))
        if self.wait_s:  # The client may be gone by now, and the next test begun: its answers are not taken.
            await asyncio.sleep(self.wait_s)
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        await answer(scope, receive, send)


@pytest.fixture(scope="session")
def serving() -> Iterator[Provider]:
    """One server for all tests: starting and stopping costs uvicorn 0.2 s each."""
    provider = Provider()
    server = uvicorn.Server(uvicorn.Config(provider, log_config=None, lifespan="off", timeout_graceful_shutdown=1))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        provider.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield provider
        server.should_exit = True
        thread.join(timeout=90)
        assert not thread.is_alive()


@pytest.fixture
def provider(serving: Provider) -> Provider:
    serving.answers, serving.requests, serving.wait_s = [], [], 0.0
    return serving
