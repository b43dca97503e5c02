"""A whole story in which everything goes wrong, told by a provider that repeats secrets: nothing that stays has one."""

import asyncio
import contextlib
import io
import json
import logging
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from starlette.applications import Starlette
from starlette.datastructures import Secret
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

import framerelay.media.download
import framerelay.processors.hook
import framerelay.receiver.beginning
from framerelay.cli.http import listening_on, serving
from framerelay.cli.serve import running_receiver, running_worker
from framerelay.config.keys import Keys
from framerelay.config.logs import configure_logging
from framerelay.config.settings import Settings
from framerelay.runs.tokens import HookAddress, TakeAddress, Tokens
from tests.security.redis_dump import everything_in

pytestmark = pytest.mark.anyio

UPSTREAM_KEY = "canary-upstream-key/of.no+usual=shape"
API_KEY = "canary-api-key-of-no-usual-shape"
SECRET = "canary-secret-that-signs-addresses"
QUERY = "X-Amz-Credential=canary-credential%2Fus&X-Amz-Signature=canary-signature"
SIGNED = f"https://cdn.example.com/clip.mp4?{QUERY}"
BEARER = "Bearer canary-bearer.token"
PASSWORD = "canary-password"
CANARIES = (UPSTREAM_KEY, API_KEY, SECRET, "canary-credential", "canary-signature", "canary-bearer", PASSWORD)
GOSSIP = f"we got {BEARER}, Authorization: Bearer {UPSTREAM_KEY}, for {SIGNED} of https://me:{PASSWORD}@a.example/"
RUN = "run_" + "b" * 24


def board(prompt: str, shots: int = 1) -> dict[str, Any]:
    shots_of = [{"id": f"s{n + 1}", "prompt": prompt} for n in range(shots)]
    return {"title": prompt, "model": "seedance-1.5-pro-1080p", "shots": shots_of}


@dataclass
class Gossip:
    """The sandbox behind a gateway that signs what it names, and tells all it knows where a prompt asks for it."""

    url: str = ""
    echo_url: str = ""
    prompts: dict[str, str] = field(default_factory=dict)
    signed_fetches: int = 0

    def job(self, job_id: str, plain: bytes) -> Response:
        match self.prompts.get(job_id):
            case "fail":
                error = {"code": GOSSIP, "message": GOSSIP}
                return JSONResponse({"id": job_id, "status": "failed", "error": error})
            case "status":
                return JSONResponse({"id": job_id, "status": GOSSIP})
            case "inside":
                inside = f"https://10.0.0.1/v.mp4?{QUERY}"
                return JSONResponse({"id": job_id, "status": "succeeded", "video_url": inside})
            case "broken":
                echo = f"{self.echo_url}/v.mp4?{QUERY}"
                return JSONResponse({"id": job_id, "status": "succeeded", "video_url": echo})
        body = re.sub(rb'(/outputs/[^"]+)', rb"\1?" + QUERY.encode(), plain)
        return Response(body, media_type="application/json")


@asynccontextmanager
async def gossiping(sandbox: str) -> AsyncIterator[Gossip]:
    gossip = Gossip()

    async def forward(request: Request) -> Response:
        gossip.signed_fetches += QUERY in str(request.url)
        body = await request.body()
        prompt = json.loads(body)["input"]["prompt"] if request.url.path == "/v1/jobs" else ""
        if prompt == "refuse":
            return JSONResponse({"error": {"code": "InvalidParameter", "message": GOSSIP}}, 400)
        if prompt == "unknown":
            return Response(GOSSIP, 200, headers={"X-Request-Id": UPSTREAM_KEY})
        own_headers = {
            name: request.headers[name] for name in ("authorization", "content-type", "host") if name in request.headers
        }
        answer = await http.request(request.method, request.url.path, content=body, headers=own_headers)
        if prompt:
            gossip.prompts[answer.json()["id"]] = prompt
        if request.method == "GET" and request.url.path.startswith("/v1/jobs/"):
            return gossip.job(request.url.path.rpartition("/")[2], answer.content)
        return Response(answer.content, answer.status_code, media_type=answer.headers["content-type"])

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            writer.write(b"HTTP/1.1 200 OK\r\n" + await reader.readuntil(b"\r\n\r\n"))
            await writer.drain()
        writer.close()

    app = Starlette(routes=[Route("/{path:path}", forward, methods=["GET", "POST"])])
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(httpx.AsyncClient(base_url=sandbox, trust_env=False))
        listener = stack.enter_context(listening_on("127.0.0.1", 0))
        await stack.enter_async_context(serving(app, listener))
        echoing = await stack.enter_async_context(await asyncio.start_server(echo, "127.0.0.1", 0))
        gossip.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        gossip.echo_url = f"http://127.0.0.1:{echoing.sockets[0].getsockname()[1]}"
        yield gossip


@dataclass(frozen=True, kw_only=True)
class House:
    """A receiver and a worker under canary keys, and all that they log."""

    settings: Settings
    api: httpx.AsyncClient
    tokens: Tokens
    log_stream: io.StringIO

    async def run(self, prompt: str, shots: int = 1) -> str:
        return str((await self.api.post("/v1/runs", json=board(prompt, shots))).raise_for_status().json()["id"])

    async def shot(self, run_id: str) -> dict[str, Any]:
        shot: dict[str, Any] = (await self.api.get(f"/v1/runs/{run_id}")).json()["shots"][0]
        return shot


@asynccontextmanager
async def a_house(upstream: str, redis_url: str, folder: Path, log_stream: io.StringIO) -> AsyncIterator[House]:
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(listening_on("127.0.0.1", 0))
        settings = Settings(
            upstream_url=upstream,
            upstream_key=Secret(UPSTREAM_KEY),
            api_key=(Secret(API_KEY),),
            secret=Secret(SECRET),
            port=listener.getsockname()[1],
            data_dir=folder / "data",
            config_file=folder / "framerelay.yaml",
            trusted_hosts=frozenset({"127.0.0.1"}),
            lookup_after_s=0.3,
            log_level="debug",
        )
        configure_logging(settings, stream=log_stream)
        keys = Keys(api_key=Secret(API_KEY), secret=Secret(SECRET), new_api_key=False)
        await stack.enter_async_context(running_receiver(settings, keys, redis_url, listener))
        await stack.enter_async_context(running_worker(settings, keys, redis_url))
        headers = {"Authorization": f"Bearer {API_KEY}"}
        api = httpx.AsyncClient(base_url=settings.listen_url, headers=headers, trust_env=False, timeout=120)
        await stack.enter_async_context(api)
        yield House(settings=settings, api=api, tokens=Tokens(SECRET), log_stream=log_stream)


@pytest.fixture
def log_stream() -> Iterator[io.StringIO]:
    """What this process logs; the logging of the tests is put back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    levels = {name: logging.getLogger(name).level for name in logging.root.manager.loggerDict}
    yield io.StringIO()
    structlog.reset_defaults()
    root.handlers = handlers
    root.setLevel(level)
    for name in logging.root.manager.loggerDict:
        logging.getLogger(name).setLevel(levels.get(name, logging.NOTSET))


async def test_nothing_that_stays_holds_a_secret(
    start_provider: Any,
    redis_url: str,
    redis: Any,
    tmp_path: Path,
    log_stream: io.StringIO,
    monkeypatch: pytest.MonkeyPatch,
    wait_until: Any,
) -> None:
    """Logs, runs, events, callbacks, every answer, names and contents of files, Redis: all are searched for each."""
    monkeypatch.setattr(framerelay.media.download, "PAUSE_S", 0.001)
    async with (
        start_provider(options={"key": UPSTREAM_KEY}) as provider,
        gossiping(provider.url) as gossip,
        a_house(gossip.url, redis_url, tmp_path, log_stream) as house,
    ):
        run_ids = [await house.run("film", shots=2)]
        run_ids += [await house.run(prompt) for prompt in ("refuse", "unknown", "fail", "status", "inside", "broken")]
        answers, tokens = await _everybody_knocks(house)
        await _something_breaks(house, gossip, monkeypatch, wait_until)

        await wait_until(
            lambda: _all_is_over(house, run_ids), "every run has come to its end or its trouble", within_s=120
        )
        pages = await _everything_shown(house, run_ids)
        dump = await everything_in(redis)
        places = {
            "log": log_stream.getvalue(),
            "api": pages,
            "answers": "\n".join(answers),
            "redis": dump,
            "files": "\n".join(str(path) for path in (tmp_path / "data").rglob("*")),
            "contents": _contents(tmp_path / "data"),
        }

    for place, text in places.items():
        assert list(_leaks(_without_what_must_work(place, text), (*CANARIES, *tokens))) == [], place
    events = {json.loads(line)["event"] for line in places["log"].splitlines()}
    assert {"task_done", "task_surprised", "request_surprised", "callback_received", "callback_refused"} <= events
    assert gossip.signed_fetches >= 2, "the signed addresses were needed, and worked"
    assert "canary-signature" in dump, "they are where the worker finds them"


def _leaks(text: str, canaries: tuple[str, ...]) -> Iterator[str]:
    """Where a canary is in *text*, with what is around it."""
    for canary in canaries:
        for match in re.finditer(re.escape(canary), text):
            yield text[max(0, match.start() - 80) : match.end() + 20]


def _without_what_must_work(place: str, text: str) -> str:
    """In Redis a run holds the addresses of its clips, which have to be fetched, whatever is in them."""
    if place != "redis":
        return text
    must_work = re.compile(r"(video_url|provider_frame_url).{1,12}?https?://[^'\"\\]*")
    return "\n".join(must_work.sub("", line) if "{framerelay}:run:" in line else line for line in text.split("\n"))


async def _all_is_over(house: House, run_ids: list[str]) -> bool:
    """The film is there, and every other run says what happened to it, in the provider's words where it has some."""
    film, refused_shot, unknown, failed_shot, status, inside, broken_shot = [
        await house.shot(run_id) for run_id in run_ids
    ]
    words_of_shots = [
        shot["error"] or [take["error"] for take in shot["takes"]]
        for shot in (refused_shot, unknown, failed_shot, inside, broken_shot)
    ]
    words = [take["provider_status"] for take in status["takes"]]
    return (
        film["status"] == "done"
        and all(map(_says_something, words_of_shots))
        and any("we got" in (word or "") for word in words)
    )


def _says_something(errors: Any) -> bool:
    return any(errors) if isinstance(errors, list) else bool(errors)


async def _everybody_knocks(house: House) -> tuple[list[str], list[str]]:
    """Callbacks and requests with secrets in every corner; the answers to them, and the tokens that were used."""
    take = house.tokens.mint(TakeAddress(run_id=RUN, shot_id="s1", take=1))
    hook = house.tokens.mint(HookAddress(hook="mine"))
    headers = {"Authorization": BEARER, "Cookie": f"session={PASSWORD}", "X-Api-Key": UPSTREAM_KEY, "Referer": SIGNED}
    bodies: list[dict[str, Any]] = [
        {"json": {"id": "job_1", "status": "succeeded", "output": {"videos": [SIGNED]}, "message": GOSSIP}},
        {
            "json": {
                "id": "job_2",
                "status": GOSSIP,
                "token": take,
                "where": f"{house.settings.listen_url}/webhook/{hook}",
            }
        },
        {"json": {SIGNED: {"password": PASSWORD, "callback_url": f"/webhook/{take}"}}},
        {"content": GOSSIP},
        {"content": json.dumps({"id": "job_3", "url": SIGNED}).replace("?", "\\u003f")},
        {"content": b"x", "headers": {**headers, "Content-Encoding": "gzip"}},
    ]
    answers = []
    for path in (f"/webhook/{take}", f"/webhook/{take}x", f"/webhook/{hook}", "/webhook/canary-password"):
        for body in bodies:
            fields = {"headers": headers, **body}
            answers.append(await house.api.post(f"{path}?{QUERY}&token={PASSWORD}", **fields))
    for path in (
        f"/webhook/{take}",
        f"/{PASSWORD}",
        f"/v1/runs/{PASSWORD}",
        f"/media/{RUN}/s1.1.mp4",
        "/v1/callbacks",
        "/readyz",
    ):
        answers.append(await house.api.get(f"{path}?{QUERY}&key={API_KEY}", headers=headers))
        answers.append(
            await house.api.get(f"{path}?expires=9&signature=canary-signature", headers={"Authorization": ""})
        )
    # A client with the key is told what is wrong in its own words; nobody else is, nor is it in the log.
    await house.api.get(f"/v1/runs/{PASSWORD}?{QUERY}")
    await house.api.post("/v1/runs", json=board("x") | {"notify_url": f"ftp://me:{PASSWORD}@a.example/"})
    return [f"{answer.headers} {answer.text}" for answer in answers], [take, hook, take.partition(".")[2]]


async def _something_breaks(house: House, gossip: Gossip, patch: pytest.MonkeyPatch, wait_until: Any) -> None:
    """Surprises on both sides, with all secrets in their words, as a library might put them there."""

    def surprise(*_: Any, **__: Any) -> Any:
        raise RuntimeError(f"{GOSSIP} {API_KEY} {SECRET}") from ValueError(f"{UPSTREAM_KEY} {SIGNED}")

    await wait_until(lambda: gossip.prompts, "there is a job")
    address = "/webhook/" + house.tokens.mint(HookAddress(hook="yours"))
    with patch.context() as context:
        context.setattr(framerelay.receiver.beginning, "run_view", surprise)
        context.setattr(framerelay.processors.hook, "event_of", surprise)
        answer = await house.api.post("/v1/runs", json=board("surprise"))
        await house.api.post(address, json={"id": next(iter(gossip.prompts))})
        await wait_until(lambda: "task_surprised" in house.log_stream.getvalue(), "a task was surprised")
    assert answer.status_code == 500
    assert "canary" not in answer.text


async def _everything_shown(house: House, run_ids: list[str]) -> str:
    """Each page of the API that shows what strangers said."""
    texts = []
    for path in ("/v1/runs", "/v1/callbacks?limit=200", *(f"/v1/runs/{run_id}" for run_id in run_ids)):
        texts.append((await house.api.get(path)).text)
    for run_id in run_ids:
        async with house.api.stream("GET", f"/v1/runs/{run_id}/events") as response:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.3):
                    async for line in response.aiter_lines():
                        texts.append(line)
    for callback in (await house.api.get("/v1/callbacks?limit=200")).json()["data"]:
        texts.append((await house.api.post(f"/v1/callbacks/{callback['id']}/replay")).text)
    return "\n".join(texts)


def _contents(folder: Path) -> str:
    """What the files hold; media are searched as bytes, too."""
    return "\n".join(path.read_bytes().decode("latin-1") for path in folder.rglob("*") if path.is_file())
