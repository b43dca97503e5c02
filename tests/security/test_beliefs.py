"""What a callback can do: give a reason to ask the provider. Whatever it says, the provider's answer is what counts."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from framerelay.cli.http import listening_on, serving
from framerelay.runs.tokens import HookAddress, TakeAddress

pytestmark = pytest.mark.anyio

BOARD = {
    "title": "two",
    "model": "seedance-1.5-pro-1080p",
    "shots": [{"id": "s1", "prompt": "a car"}, {"id": "s2", "prompt": "closer"}],
}
MINE, OTHER, UNKNOWN = "job_1", "job_of_somebody_else", "job_that_never_was"


@dataclass(slots=True)
class Truth:
    """A provider that says what its jobs are, and keeps a list of all that it was asked."""

    url: str
    decoy: str
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    visitors: list[Any] = field(default_factory=list)
    submit_statuses: list[int] = field(default_factory=list)

    async def submit(self, request: Request) -> Response:
        """Makes ``job_1``, ``job_2``, …, and answers as told."""
        self.requests.append("POST /v1/jobs")
        name = f"job_{self.requests.count('POST /v1/jobs')}"
        self.jobs[name] = {"id": name, "object": "job", "status": "running", "model": BOARD["model"]}
        status = self.submit_statuses.pop(0) if self.submit_statuses else 200
        return JSONResponse(self.jobs[name], status_code=status)

    async def look_up(self, request: Request) -> Response:
        self.requests.append(f"GET {request.url.path}")
        job = self.jobs.get(request.path_params["job"])
        return JSONResponse(job or {"error": {"code": "NotFound", "message": "no such job"}}, 200 if job else 404)

    async def anything(self, request: Request) -> Response:
        self.requests.append(f"{request.method} {request.url.path}")
        return Response(status_code=404)


@pytest.fixture
async def truth() -> AsyncIterator[Truth]:
    """The provider, and a decoy: a socket whose address forged callbacks name, and to which nothing may connect."""
    visitors: list[Any] = []

    def visited(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visitors.append(writer.get_extra_info("peername"))
        writer.close()

    decoy = await asyncio.start_server(visited, "127.0.0.1", 0)
    with listening_on("127.0.0.1", 0) as listener:
        here = f"http://127.0.0.1:{listener.getsockname()[1]}"
        there = f"http://127.0.0.1:{decoy.sockets[0].getsockname()[1]}"
        provider = Truth(url=here, decoy=there, visitors=visitors)
        routes = [
            Route("/v1/jobs", provider.submit, methods=["POST"]),
            Route("/v1/jobs/{job}", provider.look_up),
            Route("/{rest:path}", provider.anything, methods=["GET", "POST", "PUT", "DELETE"]),
        ]
        async with serving(Starlette(routes=routes), listener):
            yield provider
    decoy.close()


@pytest.fixture
def under_way(truth: Truth, start_relay: Any, wait_until: Any) -> Callable[..., Any]:
    """``async with under_way() as (relay, run, path)``: a run whose first take is at the provider, and its address."""

    @asynccontextmanager
    async def start() -> AsyncIterator[tuple[Any, str, str]]:
        async with start_relay(truth.url, lookup_after_s=1000.0) as relay:
            run_id = await relay.run(BOARD)

            async def submitted() -> bool:
                takes = (await relay.view(run_id))["shots"][0]["takes"]
                return bool(takes) and takes[0]["status"] in ("generating", "unsure")

            await wait_until(submitted, "the first take is submitted")
            yield relay, run_id, "/webhook/" + relay.tokens.mint(TakeAddress(run_id=run_id, shot_id="s1", take=1))

    return start


async def take_of(relay: Any, run_id: str) -> dict[str, Any]:
    """The first take of the first shot."""
    take: dict[str, Any] = (await relay.view(run_id))["shots"][0]["takes"][0]
    return take


def forged(decoy: str) -> list[dict[str, Any]]:
    """Lies about the take's job, another's, and none at all, in the shapes that we read, with addresses in each."""
    clip, frame = f"{decoy}/clip.mp4", f"{decoy}/last.png"
    lies: list[dict[str, Any]] = []
    for job_id in (MINE, OTHER, UNKNOWN, "../../v1/files/upload", decoy):
        for word in ("succeeded", "failed", "expired", "cancelled", "made up"):
            output = {"task_id": job_id, "status": word, "videos": [{"url": clip}], "last_frame_url": frame}
            lies.append({"id": job_id, "status": word, "output": output, "callback_url": decoy, "polling_url": decoy})
        ark = {"video_url": clip, "last_frame_url": frame, "file_url": clip}
        lies.append({"id": job_id, "status": "succeeded", "content": ark, "error": None})
        lies.append({"data": {"task_id": job_id, "status": "succeeded", "urls": {"get": decoy}, "video_url": clip}})
    return [*lies, {"status": "succeeded", "video_url": clip}, {"url": decoy}, {"challenge": decoy}]


async def test_a_forged_callback_achieves_a_look_up_and_nothing_else(
    under_way: Any, truth: Truth, wait_until: Any
) -> None:
    """The take's own job is asked about, no other; no address of the forger is opened; nothing moves or is paid."""
    truth.jobs[OTHER] = {"id": OTHER, "status": "succeeded", "output": {"videos": [f"{truth.decoy}/other.mp4"]}}
    async with under_way() as (relay, run_id, path):
        truth.requests.clear()
        lies = forged(truth.decoy)
        for lie in lies:
            assert (await relay.api.post(path, json=lie)).status_code == 200
        await wait_until(lambda: len(truth.requests) >= len(lies), "each lie is looked into")
        take, run_json = await take_of(relay, run_id), await relay.view(run_id)

    assert set(truth.requests) == {f"GET /v1/jobs/{MINE}"}
    assert len(truth.requests) == len(lies)
    assert (take["status"], take["job_id"], take["video"], take["error"]) == ("generating", MINE, None, None)
    assert (run_json["status"], run_json["spent"], run_json["shots"][1]["takes"]) == ("running", {"jobs": 1}, [])
    assert truth.visitors == []


async def test_a_forged_all_is_well_delays_nothing(under_way: Any, truth: Truth, wait_until: Any) -> None:
    """Words that a job is still at work are no news; what the provider says at the next look is."""
    async with under_way() as (relay, run_id, path):
        due = (await take_of(relay, run_id))["next_look"]
        for word in ("running", "queued"):
            assert (await relay.api.post(path, json={"id": MINE, "status": word})).status_code == 200
        assert (await take_of(relay, run_id))["next_look"] == due

        truth.jobs[MINE] = {"id": MINE, "status": "failed", "error": {"code": "InvalidParameter", "message": "no"}}
        await relay.api.post(path, json={"id": MINE, "status": "succeeded", "output": {"videos": [truth.decoy]}})

        async def failed() -> bool:
            return (await take_of(relay, run_id))["status"] == "failed"

        await wait_until(failed, "the provider's own word has ended the take")
    assert truth.visitors == []


async def test_a_take_of_unknown_outcome_is_not_given_a_foreign_job(
    under_way: Any, truth: Truth, wait_until: Any
) -> None:
    """
    Its callback may name the job that nobody knows, and that the provider made since; no other job becomes its own.
    """
    truth.submit_statuses = [500]
    yesterday = int(time.time()) - 86_400
    video = {"videos": [f"{truth.url}/other.mp4"]}
    truth.jobs[OTHER] = {"id": OTHER, "status": "succeeded", "created": yesterday, "output": video}
    async with under_way() as (relay, run_id, path):
        assert (await take_of(relay, run_id))["status"] == "unsure"
        truth.requests.clear()
        for job_id in (UNKNOWN, OTHER):
            lie = {"id": job_id, "status": "succeeded", "output": {"videos": [{"url": truth.decoy}]}}
            assert (await relay.api.post(path, json=lie)).status_code == 200
        await wait_until(lambda: len(truth.requests) >= 2, "both are looked into")
        assert ((await take_of(relay, run_id))["status"], truth.visitors) == ("unsure", [])
        assert set(truth.requests) == {f"GET /v1/jobs/{UNKNOWN}", f"GET /v1/jobs/{OTHER}"}

        # A provider's clock that cannot be believed makes no job foreign: it would be paid for twice.
        truth.jobs[MINE] = {"id": MINE, "status": "running", "created": 1710000000}
        await relay.api.post(path, json={"id": MINE, "status": "running"})

        async def found() -> bool:
            return (await take_of(relay, run_id))["job_id"] == MINE

        await wait_until(found, "its own job is found by its callback")


async def test_no_take_is_given_the_job_of_another(start_relay: Any, truth: Truth, wait_until: Any) -> None:
    """Two scenes side by side: the first take of one has its job, that of the other has an unknown outcome."""
    truth.submit_statuses = [200, 500]
    scenes = [{"id": name, "shots": [{"id": name, "prompt": "a car"}]} for name in ("a", "b")]
    async with start_relay(truth.url, lookup_after_s=1000.0) as relay:
        run_id = await relay.run({"title": "two", "model": BOARD["model"], "scenes": scenes})

        async def takes() -> dict[str, tuple[str, str, str | None]]:
            shots = (await relay.view(run_id))["shots"]
            takes = [(shot["id"], take) for shot in shots for take in shot["takes"]]
            return {take["status"]: (shot, take["status"], take["job_id"]) for shot, take in takes}

        async def both() -> bool:
            return set(await takes()) == {"generating", "unsure"}

        await wait_until(both, "one has its job, the other does not know")
        before = await takes()
        shot_id, _, _ = before["unsure"]
        path = "/webhook/" + relay.tokens.mint(TakeAddress(run_id=run_id, shot_id=shot_id, take=1))
        truth.requests.clear()
        assert (await relay.api.post(path, json={"id": MINE, "status": "succeeded"})).status_code == 200
        await relay.api.post(path, json={"id": "job_2", "status": "running"})

        async def found() -> bool:
            return all(status != "unsure" for status in await takes())

        await wait_until(found, "its own job is found by its callback")
        shots = (await relay.view(run_id))["shots"]

    assert before["generating"][2] == MINE
    assert sorted(take["job_id"] for each in shots for take in each["takes"]) == [MINE, "job_2"]
    assert sorted(truth.requests) == ["GET /v1/jobs/job_1", "GET /v1/jobs/job_2"]


async def test_a_hook_believes_nothing_about_a_job_either(start_relay: Any, truth: Truth, wait_until: Any) -> None:
    """A job that the provider does not know makes no run; one that it knows is what the provider says it is."""
    truth.jobs[OTHER] = {"id": OTHER, "status": "running", "model": "m"}
    async with start_relay(truth.url, lookup_after_s=1000.0) as relay:
        path = "/webhook/" + relay.tokens.mint(HookAddress(hook="mine"))
        for job_id in (UNKNOWN, OTHER):
            lie = {"id": job_id, "status": "succeeded", "output": {"videos": [{"url": truth.decoy}]}}
            assert (await relay.api.post(path, json=lie)).status_code == 200

        async def runs_there() -> list[Any]:
            runs: list[Any] = (await relay.api.get("/v1/runs")).json()["data"]
            return runs

        await wait_until(runs_there, "the known job is a run")
        await wait_until(lambda: f"GET /v1/jobs/{UNKNOWN}" in truth.requests, "the other was asked about")
        (run,) = await runs_there()
        take = run["shots"][0]["takes"][0]

    assert (take["job_id"], take["status"], run["status"]) == (OTHER, "generating", "running")
    assert {line.partition("?")[0] for line in truth.requests} == {f"GET /v1/jobs/{UNKNOWN}", f"GET /v1/jobs/{OTHER}"}
    assert truth.visitors == []
