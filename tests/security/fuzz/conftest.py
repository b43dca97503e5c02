"""What the fuzz tests share: the application in this process, asked as a server would ask it, and things it knows."""

import asyncio
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
from hypothesis import HealthCheck, Phase, settings
from starlette.applications import Starlette
from starlette.datastructures import Secret

from framerelay.config.keys import Keys
from framerelay.config.settings import Settings
from framerelay.receiver.app import create_app
from framerelay.runs import events
from framerelay.runs.model import Clip, Film, Frame, Problem
from framerelay.runs.tokens import HookAddress, Links, TakeAddress, Tokens
from framerelay.store.client import connect, disconnect
from framerelay.store.progress import record
from framerelay.store.runs import Store

OPERATE, READ, SECRET = "fr_operate_0123456789", "fr_read_0123456789abc", "only for tests"
HOST = "relay.example.com"
WITHIN_S = 90.0
Header = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class FuzzRequest:
    """One request; *target*: path and query as they stand on the wire. *chunks*: the body in the parts that it came."""

    method: str
    target: str
    headers: tuple[Header, ...] = ()
    chunks: tuple[bytes, ...] = (b"",)


@dataclass(slots=True, kw_only=True)
class Door:
    """The receiver as one asks it: no socket and no parser between, so that what it raises comes out here."""

    app: Starlette
    runner: asyncio.Runner
    names: dict[str, list[str]] = field(default_factory=dict)
    request_type: type[FuzzRequest] = FuzzRequest
    requests: int = 0

    def ask(self, request: FuzzRequest) -> httpx.Response:
        """The answer; of a stream of events its beginning, after which the asker hangs up."""
        return self.runner.run(asyncio.wait_for(self._ask(request), WITHIN_S))

    def get(self, target: str) -> httpx.Response:
        """With the key."""
        return self.ask(
            FuzzRequest(method="GET", target=target, headers=((b"authorization", b"Bearer " + OPERATE.encode()),))
        )

    async def _ask(self, request_sent: FuzzRequest) -> httpx.Response:
        self.requests += 1
        waiting = list(request_sent.chunks)
        start = asyncio.Event()
        status, headers, body = 0, [], bytearray()

        async def receive() -> dict[str, Any]:
            if waiting:
                return {"type": "http.request", "body": waiting.pop(0), "more_body": bool(waiting)}
            await start.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            nonlocal status, headers
            if message["type"] == "http.response.start":
                status, headers = message["status"], message["headers"]
            else:
                body.extend(message.get("body", b""))
                start.set()

        await self.app(self._scope(request_sent), receive, send)
        url = httpx.URL(scheme="http", host=HOST, raw_path=request_sent.target.encode("ascii"))
        request = httpx.Request(request_sent.method, url)
        return httpx.Response(status, headers=headers, content=bytes(body), request=request)

    def _scope(self, request: FuzzRequest) -> dict[str, Any]:
        """As uvicorn makes it. Each request comes from another address: who guesses at keys would be held back."""
        path, _, query = request.target.partition("?")
        number = self.requests
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "server": ("127.0.0.1", 8080),
            "client": (f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}", 50000),
            "scheme": "http",
            "method": request.method,
            "root_path": "",
            "path": unquote(path),
            "raw_path": path.encode("ascii"),
            "query_string": query.encode("ascii"),
            "headers": [(b"host", HOST.encode()), *request.headers],
        }


@pytest.fixture
def door(redis_url: str, tmp_path: Path) -> Iterator[Door]:
    """A receiver with runs in every state, callbacks, a clip and a picture; ``door.known`` names them."""
    settings = Settings(data_dir=tmp_path / "data", config_file=tmp_path / "framerelay.yaml")
    keys = Keys(api_key=Secret(OPERATE), read=(Secret(READ),), secret=Secret(SECRET), new_api_key=False)
    with asyncio.Runner() as runner:
        app = create_app(settings, keys, redis_url=redis_url)
        life = app.router.lifespan_context(app)
        runner.run(life.__aenter__())
        door = Door(app=app, runner=runner)
        door.names = runner.run(_furnish(door, redis_url, settings.data_dir / "media"))
        yield door
        runner.run(life.__aexit__(None, None, None))


async def _furnish(door: Door, redis_url: str, media: Path) -> dict[str, list[str]]:
    """Something of every kind, made by the API where it can be."""
    key = (b"authorization", b"Bearer " + OPERATE.encode())

    async def post(target: str, body: bytes, *headers: Header) -> httpx.Response:
        return await door._ask(FuzzRequest(method="POST", target=target, headers=(key, *headers), chunks=(body,)))

    board = b'{"title": "t", "model": "m", "budget": {"jobs": 9}, "shots": [{"id": "s1", "prompt": "a", "takes": 2},'
    board += (
        b'{"id": "s2", "prompt": "b", "from": "cut", "gate": "approve"}, {"id": "s3", "prompt": "c", "from": "cut"}]}'
    )
    runs = [(await post("/v1/runs", board)).json()["id"] for _ in range(6)]
    short = b'{"model": "m", "notify_url": "https://example.com/told", "shots": [{"id": "s1", "prompt": "a"}]}'
    runs += [(await post("/v1/runs", short)).json()["id"] for _ in range(3)]
    redis = connect(redis_url)
    for run, shot_id, take in ((runs[1], "s1", 1), (runs[2], "s1", 1), (runs[2], "s1", 2), (runs[6], "s1", 1)):
        await _render(Store(redis), run, shot_id, take)
    problem = Problem(code="c", message="m")
    await record(Store(redis), runs[3], events.PreparationFailed(shot_id="s3", problem=problem, until=None))
    film = Film(path=f"{runs[6]}/film.mp4", bytes=9, duration_s=5.0, frames=121, copied=True, takes={"s1": 1})
    await record(Store(redis), runs[6], events.Joined(film=film, turn=0))
    await disconnect(redis)
    for run in (runs[4], runs[7]):
        await post(f"/v1/runs/{run}/cancel", b"")
    tokens = [Tokens(SECRET).mint(TakeAddress(run_id=run, shot_id="s1", take=1)) for run in runs[:3]]
    tokens += [Tokens(SECRET).mint(HookAddress(hook="mine")), tokens[0][:-1] + "x", "x"]
    for token in tokens:
        await post(f"/webhook/{token}", b'{"id": "job_1", "status": "succeeded"}')
    callbacks = await door._ask(FuzzRequest(method="GET", target="/v1/callbacks?limit=50", headers=(key,)))
    notifications = await door._ask(FuzzRequest(method="GET", target="/v1/notifications?limit=50", headers=(key,)))
    name = (await post("/v1/files", b"\x89PNG\r\n\x1a\n" + b"p" * 500)).json()["name"].removeprefix("file:")
    (media / runs[6]).mkdir(parents=True)
    (media / runs[6] / "s1.1.mp4").write_bytes(bytes(range(256)) * 9)
    signature = Links(SECRET).sign(f"/media/{name}", expires_at=2**33).partition("?")[2]
    own = ((b"origin", f"http://{HOST}".encode()),)
    session = (await post("/login", f"key={OPERATE}".encode(), *own)).headers["set-cookie"].partition(";")[0]
    return {
        "run": [*runs, *runs[1:4] * 5],  # Those where most can be decided.
        "shot": ["s1", "s1", "s1", "s2", "s3"],
        "callback": [callback["id"] for callback in callbacks.json()["data"]],
        "notification": [each["id"] for each in notifications.json()["data"]],
        "token": tokens,
        "path": [name, f"{runs[6]}/s1.1.mp4"],
        "after": [runs[2], callbacks.json()["data"][0]["id"]],
        "signed": [signature],
        "session": [session],
    }


async def _render(store: Store, run_id: str, shot_id: str, take: int) -> None:
    """What a worker would record about a take, from submit to a clip on our disk."""
    clip = Clip(path="c", sha256="0" * 64, bytes=9, width=1280, height=720, duration_s=5.04, frames=121)
    frame = Frame(path="f", sha256="0" * 64, width=1280, height=720)
    name: dict[str, Any] = {"shot_id": shot_id, "take": take}
    for event in (
        events.Submitting(**name, intent="i", seed=None, first_frame=None),
        events.Submitted(**name, job_id=f"job_{take}"),
        events.Rendered(**name, job_ids=(), video_url="https://v.example.com/v.mp4"),
        events.Collected(**name, video=clip, last_frame=frame),
    ):
        assert (await record(store, run_id, event)).changed, event


@pytest.fixture
def fuzz_settings() -> Callable[..., Any]:
    """
    ``@fuzz_settings(60)``: 60 examples, the same ones each time; ``FUZZ_EXAMPLES``: how many others, always new.
    """

    def profile(examples: int) -> Any:
        many = os.environ.get("FUZZ_EXAMPLES")
        return settings(
            max_examples=int(many) if many else examples,
            derandomize=not many,
            database=None,
            deadline=None,
            phases=[Phase.generate],  # Shrinking would go on for minutes; the request as it is tells enough.
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        )

    return profile
