"""Runs that an earlier version stored: they are shown, and go on from where they are."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from framerelay.store import schema
from framerelay.store.client import RelayRedis

pytestmark = pytest.mark.anyio

DUMPS = sorted((Path(__file__).parent / "kept").glob("*.json"))
FINISHED, WAITING = "run_ukk6k2pgpflmaujjc6w2jvhw", "run_bsrmb5l2llmpsxt6o75zytnq"


@pytest.fixture(params=DUMPS, ids=lambda path: path.stem)
async def stored_runs(redis: RelayRedis, request: pytest.FixtureRequest) -> None:
    """What Redis held when that commit's worker had ended: a film, and a run that waits for a pick."""
    for name, kept_entry in json.loads(request.param.read_text(encoding="utf-8")).items():
        value = kept_entry["value"]
        match kept_entry["type"]:
            case "hash":
                await redis.hset(name, mapping={_raw(field): _raw(text) for field, text in value.items()})
            case "zset":
                await redis.zadd(name, {_raw(member): score for member, score in value.items()})
            case "stream":
                for entry, fields in value:
                    await redis.xadd(name, {_raw(field): _raw(text) for field, text in fields.items()}, id=entry)
    await schema.enter(redis)


def _raw(text: str) -> bytes:
    return base64.b64decode(text)


async def test_they_are_shown_as_they_were(start_provider: Any, start_relay: Any, stored_runs: None) -> None:
    """Both, with their shots, takes and history."""
    async with start_provider() as provider, start_relay(provider.url, worker=False) as relay:
        runs = (await relay.api.get("/v1/runs")).json()["data"]
        film_run, waiting = await relay.view(FINISHED), await relay.view(WAITING)

    assert {run["id"]: run["status"] for run in runs} == {FINISHED: "succeeded", WAITING: "waiting"}
    assert (film_run["title"], film_run["film"]["frames"] > 0) == ("霓虹雨夜", True)
    assert [(shot["id"], shot["status"], len(shot["takes"])) for shot in film_run["shots"]] == [
        ("s1", "done", 1),
        ("s2", "done", 1),
    ]
    assert [shot["status"] for shot in waiting["shots"]] == ["done", "done", "waiting"]
    assert [take["status"] for take in waiting["shots"][2]["takes"]] == ["done", "done"]


async def test_one_that_waited_goes_on_with_its_pick(start_provider: Any, start_relay: Any, stored_runs: None) -> None:
    """Its files are gone with that machine: what cannot be joined is reported, and nothing is paid for again."""
    async with start_provider() as provider, start_relay(provider.url) as relay:
        response = await relay.api.post(f"/v1/runs/{WAITING}/shots/s3/pick", json={"take": 2})
        run = await relay.wait_for_end(WAITING)
        submits = (await provider.journal())["submits"]

    assert response.status_code == 200, response.text
    assert run["shots"][2]["picked"] == 2
    assert (run["status"], submits) == ("failed", [])
    assert "s1" in run["error"]["message"]
