"""The tour with providers that mean no good, or whose profile asks for what cannot be done: what money may rest on."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from framerelay.cli.http import listening_on, serving
from framerelay.runs.tokens import TakeAddress

pytestmark = pytest.mark.anyio

Json = dict[str, Any]
PROFILE = """
profile: 1
id: mine
title: A gateway
base: https://mine.example
create:
  post: /create
  body: {{prompt: "{{prompt}}", callback: "{{callback_url}}", ref: "{{take}}", first: "{{first_frame}}"}}
  id: id
  {create}
get: {{get: {get}}}
read:
  status: status
  states: {{done: succeeded, failed: failed, running: running}}
  id: id
  clip: clip
  facts: {{cost: cost, usage: usage}}
  cost_unit: USD
{more}
"""
POLLED = "callback: {on: none}\npoll: {first_s: 0.1, every_s: 0.1}\n"
ONE = {"title": "one", "model": "m", "provider": "mine", "shots": [{"id": "s1", "prompt": "a car"}]}


@dataclass
class Gateway:
    """What it was asked, and what it answers: a submit by *create*, a look-up by *look_up*, a search by *listing*."""

    create: Callable[[int], Response]
    look_up: Callable[[str], Response] = lambda _: JSONResponse({"status": "running"})
    listing: Callable[[str], Response] = lambda _: JSONResponse({"data": []})
    url: str = ""
    put_at: str = ""
    submits: list[Json] = field(default_factory=list)
    searches: list[str] = field(default_factory=list)

    def app(self) -> Starlette:
        """Over HTTP."""
        return Starlette(
            routes=[
                Route("/create", self._create, methods=["POST"]),
                Route("/jobs/{id:path}", self._look_up),
                Route("/find", self._find),
                Route("/sign", self._sign, methods=["POST"]),
            ]
        )

    async def _create(self, request: Request) -> Response:
        self.submits.append(await request.json())
        return self.create(len(self.submits))

    async def _sign(self, _: Request) -> Response:
        return JSONResponse({"put": self.put_at, "url": "https://files.example/1.png"})

    async def _look_up(self, request: Request) -> Response:
        return self.look_up(request.path_params["id"])

    async def _find(self, request: Request) -> Response:
        self.searches.append(request.query_params["ref"])
        return self.listing(request.query_params["ref"])


@pytest.fixture
def relay_of(
    tmp_path: Path, start_relay: Any, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., AbstractAsyncContextManager[Any]]:
    """``async with relayed(gateway, create="…", more="…") as relay``: with the profile of that gateway."""

    @asynccontextmanager
    async def start(
        gateway: Gateway,
        *,
        create: str = "",
        get: str = '"/jobs/{id}"',
        more: str = POLLED,
        lines: str = "",
        **settings: Any,
    ) -> AsyncIterator[Any]:
        monkeypatch.setenv("MINE_KEY", "sk-mine-of-a-few-letters")
        monkeypatch.setattr("framerelay.runs.takes.FIND_AGAIN_S", (0.2, 60.0))
        (tmp_path / "mine.yaml").write_text(PROFILE.format(create=create, get=get, more=more), encoding="utf-8")
        with listening_on("127.0.0.1", 0) as listener:
            url = gateway.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            line = f"  mine: {{profile: ./mine.yaml, url: '{url}', key_env: MINE_KEY{lines}}}"
            (tmp_path / "framerelay.yaml").write_text(f"providers:\n{line}\n", encoding="utf-8")
            async with serving(gateway.app(), listener), start_relay("http://127.0.0.1:1", **settings) as relay:
                yield relay

    return start


def accepts(number: int) -> Response:
    return JSONResponse({"id": f"job-{number}"})


async def test_a_request_that_cannot_be_made_is_no_submit_that_nobody_knows_the_end_of(relay_of: Any) -> None:
    """Nothing left, so nothing is held: words that no header can carry failed after the intent, and stuck there."""
    gateway = Gateway(create=accepts)
    board = {**ONE, "shots": [{"id": "s1", "prompt": "雨夜"}]}
    async with relay_of(gateway, create='headers: {X-Prompt: "{prompt}"}') as relay:
        run = await relay.wait_for_end(await relay.run(board))

    assert gateway.submits == []
    assert (run["status"], run["spent"]) == ("failed", {"jobs": 0})
    assert "X-Prompt" in run["error"]["message"]


@pytest.mark.parametrize("case", ["another", "without_reference", "of_another_shot"])
async def test_a_job_that_a_search_brings_is_ours_only_by_its_reference(
    case: str, relay_of: Any, wait_until: Any
) -> None:
    """A provider that does not know the query answers with the last job of the account, whichever client made it."""

    def create(number: int) -> Response:
        return JSONResponse({"id": "job-1"}) if number == 1 else Response("gone", 502)

    def search(reference: str) -> Response:
        jobs = {
            "another": {"id": "job-9", "status": "running", "ref": "of somebody else"},
            "without_reference": {"id": "job-9", "status": "running"},
            "of_another_shot": {"id": "job-1", "status": "running", "ref": reference},
        }
        return JSONResponse({"data": [jobs[case]]})

    gateway = Gateway(create=create, listing=search)
    more = f'{POLLED}recover: {{reference: {{sent_as: ref, get: "/find?ref={{take}}", record: "data[0]"}}}}\n'
    scenes = [{"id": f"c{at}", "shots": [{"id": f"s{at}", "prompt": "x"}]} for at in (1, 2)]
    async with relay_of(gateway, more=more) as relay:
        run_id = await relay.run({"title": "two", "model": "m", "provider": "mine", "scenes": scenes})
        await wait_until(lambda: gateway.searches, "it was searched for")
        await wait_until(lambda: len(gateway.searches) > 1 or len(gateway.submits) > 2, "and again")
        run = await relay.store.load(run_id)

    takes = [take for shot in run.shots for take in shot.takes]
    assert sorted(take.job_ids for take in takes) == [(), ("job-1",)]
    assert len(gateway.submits) == 2


async def test_ours_is_found_among_several(relay_of: Any, wait_until: Any) -> None:
    """Whatever its place."""

    def search(reference: str) -> Response:
        mine = {"id": "job-7", "status": "running", "request": {"ref": reference}}
        return JSONResponse({"data": [{"id": "job-9", "status": "running"}, mine]})

    gateway = Gateway(create=lambda _: Response("gone", 502), listing=search)
    more = f'{POLLED}recover: {{reference: {{sent_as: ref, get: "/find?ref={{take}}", record: data}}}}\n'
    async with relay_of(gateway, more=more) as relay:
        run_id = await relay.run(ONE)

        async def is_found() -> bool:
            run = await relay.store.load(run_id)
            return bool(run.shots[0].takes) and run.shots[0].takes[0].job_ids == ("job-7",)

        await wait_until(is_found, "it was found")


async def test_a_picture_is_put_to_no_internal_address_that_a_provider_names(
    relay_of: Any, a_picture: bytes, wait_until: Any
) -> None:
    """Our bytes would be sent to whatever listens inside; the picture goes in another form that is accepted."""
    inside: list[str] = []

    async def put(request: Request) -> Response:
        inside.append(str(request.url))
        return Response()

    with listening_on("127.0.0.1", 0) as listener:
        target = f"http://localhost:{listener.getsockname()[1]}/admin"
        gateway = Gateway(create=accepts, put_at=target)
        more = (
            f"{POLLED}media:\n  accepts: [upload, data_uri]\n"
            '  upload: {kind: put_url, post: "/sign", body: {n: "{name}"}, put: put, url: url}\n'
        )
        async with (
            serving(Starlette(routes=[Route("/admin", put, methods=["PUT"])]), listener),
            relay_of(gateway, more=more) as relay,
        ):
            name = (await relay.api.post("/v1/files", content=a_picture)).json()["name"]
            shots = [{"id": "s1", "prompt": "x", "first_frame": name}]
            await relay.run({**ONE, "shots": shots})
            await wait_until(lambda: gateway.submits, "it was submitted")

    assert inside == []
    assert gateway.submits[0]["first"].startswith("data:image/png;base64,")


async def test_a_second_job_is_asked_about_at_its_own_address(relay_of: Any, wait_until: Any) -> None:
    """At the one that the take's own submit named it was the first job once more, and the second clip was lost."""
    gateway = Gateway(create=accepts)
    gateway.create = lambda number: JSONResponse({"id": f"job-{number}", "at": f"{gateway.url}/jobs/job-{number}"})
    gateway.look_up = lambda job: JSONResponse({"id": job, "status": "running"})
    get = '"{kept.status}", fallback: "/jobs/{id}"'
    async with relay_of(gateway, create="keep: {status: at}", get=get, more="") as relay:
        run_id = await relay.run(ONE)

        async def ids() -> list[tuple[str, ...]]:
            return [take.job_ids for take in (await relay.store.load(run_id)).shots[0].takes]

        async def is_submitted() -> bool:
            return await ids() == [("job-1",)]

        await wait_until(is_submitted, "it was submitted")
        end = int((await relay.view(run_id))["shots"][0]["takes"][0]["submitted"]) + 400_000
        address = TakeAddress(run_id=run_id, shot_id="s1", take=1, ends_at=end, provider="mine")
        await relay.api.post(f"/webhook/{relay.tokens.mint(address)}", json={"id": "job-2", "status": "done"})

        async def is_kept() -> bool:
            return await ids() == [("job-1",), ("job-2",)]

        await wait_until(is_kept, "the second job is kept")
