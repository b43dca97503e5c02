"""The tour: a gateway that nobody has heard of, with manners of its own, makes a film by a profile of one page."""

import asyncio
import hashlib
import hmac
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from framerelay.cli.http import listening_on, serving
from framerelay.sandbox.clip import ClipOrder, render_clip

pytestmark = pytest.mark.anyio

SECRET = "s3cr3t-of-the-gateway"
PROFILE = """
profile: 1
id: odd
title: A gateway of odd manners
base: https://odd.example.com
media: {accepts: [data_uri]}
create:
  post: /go
  query: {to: "{callback_url}"}
  body: {what: "{model}", say: "{prompt}", begin: "{first_frame}", seconds: "{duration}"}
  id: "[0].number"
  ok_if: {"[0].ok": true}
get: {get: "/look?number={id}", record: "[kind=job]", ok_if: {}}
read:
  id: number
  status: ready
  states: {false: running, true: succeeded, broken: failed}
  clip: out[1]
  error: {message: "@[0].why"}
  facts: {cost: paid}
  cost_unit: EUR
callback:
  on: query
  id: nothing.here
  status: nothing.here
  signature: {scheme: hmac, secret_env: ODD_SECRET, options: {header: X-Sign, prefix: "v1="}}
models:
  m: {durations: [5], price: {currency: EUR, per_s: 0.1}}
"""


@dataclass
class Odd:
    """Numbers its jobs beyond 63 bits, answers in lists, refuses within 200, and calls back about nothing by name."""

    clip: Path
    url: str = ""
    posts: list[Any] = field(default_factory=list)
    looks: int = 0
    refuses: bool = True

    def app(self) -> Starlette:
        """Over HTTP."""
        clip = Route("/clip.mp4", lambda _: FileResponse(self.clip))
        return Starlette(routes=[Route("/go", self._create, methods=["POST"]), Route("/look", self._look), clip])

    async def _create(self, request: Request) -> Response:
        if self.refuses:
            self.refuses = False
            return JSONResponse([{"ok": False, "why": "too many requests"}])
        self.posts.append(await request.json())
        number = 2**64 - len(self.posts)
        call = BackgroundTask(self._call_back, request.query_params["to"])
        return JSONResponse([{"ok": True, "number": number}], background=call)

    async def _look(self, request: Request) -> Response:
        self.looks += 1
        job = {"kind": "job", "number": int(request.query_params["number"]), "ready": self.looks % 2 == 0}
        return JSONResponse([{"kind": "page"}, {**job, "out": [None, f"{self.url}/clip.mp4"], "paid": 0.4}])

    async def _call_back(self, url: str) -> None:
        body = b"{}"
        sign = "v1=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        async with httpx.AsyncClient(trust_env=False) as http:
            for _ in range(3):
                await http.post(url, content=body, headers={"X-Sign": sign})
                await asyncio.sleep(0.02)


@pytest.fixture
async def odd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Odd]:
    """It is the provider ``odd`` of the settings file."""
    monkeypatch.setenv("ODD_KEY", "sk-odd-odd-odd-odd")
    monkeypatch.setenv("ODD_SECRET", SECRET)
    clip = tmp_path / "clip.mp4"
    order = ClipOrder(number=1, prompt="a car", seed=1, width=160, height=96, frames=6, bframes=0)
    render_clip(order, clip, last_frame_into=None, stop=threading.Event())
    provider = Odd(clip=clip)
    with listening_on("127.0.0.1", 0) as listener:
        provider.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        (tmp_path / "odd.yaml").write_text(PROFILE, encoding="utf-8")
        settings = f"{{profile: ./odd.yaml, url: '{provider.url}', key_env: ODD_KEY}}"
        (tmp_path / "framerelay.yaml").write_text(f"providers: {{odd: {settings}}}", encoding="utf-8")
        async with serving(provider.app(), listener):
            yield provider


async def test_a_gateway_of_odd_manners_makes_a_film_within_its_budget(odd: Odd, start_relay: Any) -> None:
    """A refusal within 200 is put off, numbers and lists are read, callbacks that name nothing are about their take."""
    shots = [{"id": f"s{number}", "prompt": f"shot {number}", "duration": 5} for number in (1, 2, 3)]
    board = {"provider": "odd", "model": "m", "budget": {"money": 1.4}, "currency": "EUR", "shots": shots}
    async with start_relay("http://127.0.0.1:9", lookup_after_s=300.0) as relay:
        run = await relay.wait_for_end(await relay.run(board))

        assert [shot["status"] for shot in run["shots"]] == ["done"] * 3, run["error"]
        assert run["status"] == "succeeded"
        assert [post["say"] for post in odd.posts] == ["shot 1", "shot 2", "shot 3"]
        assert ["begin" in post for post in odd.posts] == [False, True, True]
        assert run["shots"][0]["takes"][0]["job_id"] == str(2**64 - 1)
        assert (run["cost"]["spent"], run["cost"]["estimated"]) == (pytest.approx(1.2), False)
