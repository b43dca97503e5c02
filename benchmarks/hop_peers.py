"""
Two ways in which hops are made elsewhere, each in a separate process that runs until it is stopped.

`python -m benchmarks.hop_peers poller PROVIDER FOLDER`: what the provider's own sample does: submit, ask every ten
seconds, fetch the clip, decode it, upload the last frame, submit. (The sample hands on the provider's own frame, where
there is one.) Three chains, a little apart, so that they share no line.

`python -m benchmarks.hop_peers chain PROVIDER FOLDER REDIS`: a webhook and a chain of four tasks on stock arq: look up,
fetch, take the frame, submit.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any, Final

import av
import httpx
import uvloop
from arq.connections import ArqRedis, RedisSettings, create_pool
from arq.worker import Worker
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from framerelay.cli.http import listening_on, serving

POLL_S: Final = 10.0
APART_S: Final = 2.0


async def poll(provider: str, folder: Path) -> None:
    """Three chains of one hop each."""

    async def chain(number: int) -> None:
        await asyncio.sleep(number * APART_S)
        async with httpx.AsyncClient(base_url=provider, trust_env=False, timeout=30) as http:
            job = await submit(http, {"prompt": f"chain {number}"})
            while (job := (await http.get(f"/v1/jobs/{job['id']}")).json())["status"] != "succeeded":  # noqa: ASYNC110
                await asyncio.sleep(POLL_S)
            clip = await fetch(http, job, folder / f"{number}.mp4")
            frame = await asyncio.to_thread(take_last_frame, clip)
            await submit(http, {"prompt": f"chain {number}", "first_frame_url": await upload(http, frame)})

    await asyncio.gather(*map(chain, range(3)))


async def chain(provider: str, folder: Path, redis_url: str) -> None:
    """The webhook and the worker in one process, as in ours."""
    settings = RedisSettings(unix_socket_path=redis_url.removeprefix("unix://"))
    queue = await create_pool(settings)
    http = httpx.AsyncClient(base_url=provider, trust_env=False, timeout=30)

    async def webhook(request: Request) -> Response:
        await queue.enqueue_job("look_up", (await request.json())["id"])
        return Response(status_code=202)

    with listening_on("127.0.0.1", 0) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/webhook"
        context = {"queue": queue, "http": http, "folder": folder, "callback_url": address}
        worker = Worker([look_up, download, extract, go_on], redis_settings=settings, ctx=context, handle_signals=False)
        async with serving(Starlette(routes=[Route("/webhook", webhook, methods=["POST"])]), listener):
            await submit(http, {"prompt": "first", "callback_url": address})
            await worker.main()


async def look_up(context: dict[str, Any], job_id: str) -> None:
    """First task."""
    job = (await context["http"].get(f"/v1/jobs/{job_id}")).json()
    await _queue(context).enqueue_job("download", job)


async def download(context: dict[str, Any], job: dict[str, Any]) -> None:
    """Second task."""
    clip = await fetch(context["http"], job, context["folder"] / f"{job['id']}.mp4")
    await _queue(context).enqueue_job("extract", str(clip))


async def extract(context: dict[str, Any], clip: str) -> None:
    """Third task."""
    frame = await asyncio.to_thread(take_last_frame, Path(clip))
    await _queue(context).enqueue_job("go_on", str(frame))


async def go_on(context: dict[str, Any], frame: str) -> None:
    """Fourth task."""
    url = await upload(context["http"], Path(frame))
    fields = {"prompt": "next", "first_frame_url": url, "callback_url": context["callback_url"]}
    await submit(context["http"], fields)


def _queue(context: dict[str, Any]) -> ArqRedis:
    queue: ArqRedis = context["queue"]
    return queue


async def submit(http: httpx.AsyncClient, fields: dict[str, Any]) -> dict[str, Any]:
    """The job as the provider answers."""
    job: dict[str, Any] = (await http.post("/v1/jobs", json={"model": "m", "input": fields})).json()
    return job


async def fetch(http: httpx.AsyncClient, job: dict[str, Any], into: Path) -> Path:
    """Where the clip is."""
    async with http.stream("GET", job["output"]["videos"][0]["url"]) as answer:
        with into.open("wb") as file:
            async for part in answer.aiter_bytes():
                file.write(part)
    return into


def take_last_frame(clip: Path) -> Path:
    """By decoding everything, the way that is always right; PyAV and Pillow with what they do by default."""
    with av.open(str(clip)) as container:
        container.streams.video[0].thread_type = "AUTO"
        for frame in container.decode(video=0):
            last = frame
    last.to_image().save(clip.with_suffix(".png"))
    return clip.with_suffix(".png")


async def upload(http: httpx.AsyncClient, frame: Path) -> str:
    """Its URL."""
    content = await asyncio.to_thread(frame.read_bytes)
    files = {"file": (frame.name, content, "image/png")}
    answer = await http.post("/v1/files/upload", data={"kind": "image", "purpose": "reference"}, files=files)
    url: str = answer.json()["data"]["url"]
    return url


if __name__ == "__main__":
    kind, provider_url, folder_name, *rest = sys.argv[1:]
    uvloop.run((poll if kind == "poller" else chain)(provider_url, Path(folder_name), *rest))
