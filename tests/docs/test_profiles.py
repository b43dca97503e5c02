"""docs/profiles.md: the walk's profile makes a film at a gateway that answers as its page says."""

import hashlib
import hmac
import json
import re
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from framerelay.cli.http import listening_on, serving
from framerelay.sandbox.clip import ClipOrder, render_clip

pytestmark = pytest.mark.anyio

PAGE = Path(__file__).parent.parent.parent / "docs" / "profiles.md"
SECRET = "the secret of its notifications"
FIELDS = {"engine", "text", "frames", "length", "size", "notify", "reference"}


def block(name: str) -> str:
    """The YAML of the page that is the file of that name."""
    match = re.search(rf"^```yaml\n(# {re.escape(name)}\n.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    assert match, name
    return match[1]


@dataclass
class Filmhaus:
    """The invented gateway; *loses* the answer to that submit, counted from 1, after it has accepted it."""

    clip: bytes
    loses: int
    url: str = ""
    jobs: list[dict[str, Any]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/v2/renders", self.create, methods=["POST"]),
                Route("/v2/renders", self.find),
                Route("/v2/renders/{uid}", self.look_up),
                Route("/clips/{uid}", lambda _: Response(self.clip, media_type="video/mp4")),
            ]
        )

    async def create(self, request: Request) -> Response:
        job = await request.json()
        assert request.headers["x-api-key"] == "sk-sandbox"
        assert job.keys() <= FIELDS, job.keys()
        assert (job["length"], job["size"]) == ("5s", "720p")
        assert not any(job["reference"] == other["reference"] for other in self.jobs), "it was sent a second time"
        self.jobs.append({**job, "uid": f"r_{len(self.jobs) + 1}"})
        if len(self.jobs) == self.loses:
            return Response(status_code=502)
        notify = BackgroundTask(self.notify, self.jobs[-1])
        return JSONResponse({"render": {"uid": self.jobs[-1]["uid"], "phase": "waiting"}}, background=notify)

    async def find(self, request: Request) -> Response:
        reference = request.query_params["reference"]
        return JSONResponse({"renders": [self.record(job) for job in self.jobs if job["reference"] == reference]})

    async def look_up(self, request: Request) -> Response:
        (job,) = [job for job in self.jobs if job["uid"] == request.path_params["uid"]]
        return JSONResponse({"render": self.record(job)})

    def record(self, job: dict[str, Any]) -> dict[str, Any]:
        video = {"kind": "video", "href": f"{self.url}/clips/{job['uid']}"}
        files = [{"kind": "still", "href": f"{self.url}/stills/{job['uid']}"}, video]
        about = {"uid": job["uid"], "reference": job["reference"], "phase": "ready"}
        return {**about, "seconds": 5, "fee": 0.19, "files": files}

    async def notify(self, job: dict[str, Any]) -> None:
        body = json.dumps({"render": self.record(job)}).encode()
        digest = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.post(
                job["notify"], content=body, headers={"X-Filmhaus-Signature": f"sha256={digest}"}, timeout=60
            )
        self.answers.append(answer.status_code)


@asynccontextmanager
async def filmhaus(tmp_path: Path, *, loses: int = 0) -> AsyncIterator[Filmhaus]:
    clip = tmp_path / "clip.mp4"
    order = ClipOrder(number=1, width=128, height=72, frames=6, seed=1, prompt="a car", sound=False)
    render_clip(order, clip, last_frame_into=None, stop=threading.Event())
    gateway = Filmhaus(clip=clip.read_bytes(), loses=loses)
    with listening_on("127.0.0.1", 0) as listener:
        gateway.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with serving(gateway.app(), listener):
            yield gateway


@pytest.fixture
def profile_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of somebody who has followed the page."""
    for name in ("filmhaus.yaml", "framerelay.yaml", "film.yaml"):
        (tmp_path / name).write_text(block(name), encoding="utf-8")
    monkeypatch.setenv("FILMHAUS_SECRET", SECRET)
    return tmp_path


async def ask(relay: Any, text: str) -> httpx.Response:
    """The answer to a storyboard."""
    answer: httpx.Response = await relay.api.post(
        "/v1/runs", content=text, headers={"Content-Type": "application/yaml"}
    )
    return answer


async def film(relay: Any, folder: Path) -> str:
    """The run of the page's storyboard."""
    answer = await ask(relay, (folder / "film.yaml").read_text(encoding="utf-8"))
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def test_the_profile_of_the_page_makes_a_film(profile_file: Path, start_relay: Any) -> None:
    """Told by signed callbacks, with the last frame handed on in the request, at the price that the gateway says."""
    async with (
        filmhaus(profile_file) as gateway,
        start_relay(gateway.url, provider="filmhaus", lookup_after_s=500.0) as relay,
    ):
        run = await relay.wait_for_end(await film(relay, profile_file))

    assert run["status"] == "succeeded", run["error"]
    assert gateway.answers == [200, 200]
    first, second = gateway.jobs
    assert "frames" not in first
    assert second["frames"][0]["image"].startswith("data:image/png;base64,")
    takes = [shot["takes"][0] for shot in run["shots"]]
    assert [(take["called_back"], take["cost"]["spent"], take["cost"]["estimated"]) for take in takes] == [
        (True, 0.19, False),
        (True, 0.19, False),
    ]
    assert run["cost"] == {"spent": 0.38, "reserved": 0.0, "currency": "USD", "estimated": False}


async def test_a_submit_whose_answer_was_lost_is_found_by_its_reference_and_not_sent_again(
    profile_file: Path, start_relay: Any, wait_until: Callable[..., Awaitable[None]]
) -> None:
    """As the page's section `recover` says; its record is in a list there, unlike that of a look-up."""
    async with (
        filmhaus(profile_file, loses=1) as gateway,
        start_relay(gateway.url, provider="filmhaus", lookup_after_s=0.5) as relay,
    ):
        run_id = await film(relay, profile_file)

        async def is_done() -> bool:
            return (await relay.view(run_id))["status"] == "succeeded"

        await wait_until(is_done, "the film is there")
        run = await relay.view(run_id)

    assert [len(shot["takes"]) for shot in run["shots"]] == [1, 1]
    assert len(gateway.jobs) == 2


async def test_no_take_is_submitted_past_a_budget_of_money(profile_file: Path, start_relay: Any) -> None:
    """Two shots of 0.20 at most; the first one cost 0.19, so that 0.19 are left: too little, by a hundredth."""
    text = block("film.yaml").replace("{jobs: 4}", "{money: 0.38}")
    async with filmhaus(profile_file) as gateway, start_relay(gateway.url, provider="filmhaus") as relay:
        run = await relay.wait_for_end((await ask(relay, text)).json()["id"])

    assert (run["status"], run["error"]["code"]) == ("waiting", "budget_reached")
    assert run["budget"] == {"jobs": None, "money": 0.38}
    assert (run["cost"]["spent"], run["cost"]["reserved"]) == (0.19, 0.0)
    assert len(gateway.jobs) == 1


@pytest.mark.parametrize(
    ("was", "becomes", "says"),
    [
        ("model: reel-2\n", "model: reel-9\n", "no price is known for reel-9 (shot s1)"),
        ("model: reel-2\n", "model: reel-2\ncurrency: EUR\n", "the budget is in EUR, and a price is in USD"),
    ],
    ids=["no price", "another currency"],
)
async def test_money_that_cannot_be_kept_to_starts_nothing(
    profile_file: Path, start_relay: Any, was: str, becomes: str, says: str
) -> None:
    """A price that nobody knows is not 0, and nothing is converted."""
    text = block("film.yaml").replace("{jobs: 4}", "{money: 8}").replace(was, becomes)
    async with filmhaus(profile_file) as gateway, start_relay(gateway.url, provider="filmhaus") as relay:
        answer = await ask(relay, text)

    assert answer.status_code == 422, answer.text
    (mistake,) = answer.json()["error"]["mistakes"]
    assert mistake["place"] == "budget.money"
    assert mistake["message"].startswith(says)
    assert gateway.jobs == []
