"""What is kept of a callback's body: all that it says, and nothing that opens anything."""

import hashlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.datastructures import Secret

from framerelay.runs.tokens import TakeAddress
from tests.security.redis_dump import everything_in

pytestmark = pytest.mark.anyio

RUN = "run_" + "a" * 24
KEY = "an upstream key of no usual shape"
SIGNED = "https://cdn.example.com/v.mp4?X-Amz-Signature=canary-1&X-Amz-Credential=canary-2"
DONE = {"id": "job_1", "status": "succeeded", "output": {"status": "succeeded", "videos": [SIGNED]}}


@pytest.fixture
async def relay(start_relay: Any) -> AsyncIterator[Any]:
    """A receiver alone; nobody may call its provider."""
    async with start_relay("http://127.0.0.1:9", worker=False, upstream_key=Secret(KEY)) as relay:
        yield relay


def address(relay: Any, take: int = 1) -> str:
    return "/webhook/" + str(relay.tokens.mint(TakeAddress(run_id=RUN, shot_id="s1", take=take)))


@pytest.mark.parametrize(
    "body",
    [
        json.dumps(DONE),
        json.dumps(DONE).replace("?", "\\u003f").replace("&", "\\u0026").replace("/", "\\/"),
        json.dumps(DONE).replace("cdn", "\\u0063dn").replace("Signature", "\\u0053ignature"),
        json.dumps({"id": "j", "a": [{"b": {"https://a.example/?sig=canary": "Bearer canary.canary"}}]}),
        json.dumps(
            {"id": "j", "password": "canary", "headers": {"Authorization": "Basic canary", "X-API-Key": "canary"}}
        ),
        json.dumps({"id": "j", "message": "https://user:canary@a.example/ and redis://:canary@10.0.0.1/0"}),
        json.dumps({"id": "j", "message": f"the key {KEY} is not known".replace(KEY, KEY + "-canary")}),
        json.dumps({"id": "j", "status": KEY}),
        json.dumps({"id": "j", "message": 'they sent {"token": "canary", "secret":"canary"}'}),
        json.dumps({"id": "j", "url": "https://p.example/https%3A%2F%2Fa.example%2F%3Fsignature%3Dcanary"}),
        f'{{"id": "j", "id": "k", "url": "{SIGNED}", "token" : "canary"}}',
        f"not JSON, but {SIGNED} and /v.mp4?X-Tos-Signature=canary",
        "\xff" + SIGNED,
    ],
    ids=lambda body: body[:60],
)
async def test_what_opens_something_is_in_no_store(relay: Any, redis: Any, wait_until: Any, body: str) -> None:
    """In Redis and in the list, however it was written; a body that is refused and a stranger's sample, too."""
    raw = body.encode("latin-1")
    await relay.api.post(address(relay), content=raw)
    await relay.api.post("/webhook/somebody-elses", content=raw)

    async def both_are_listed() -> bool:
        return len((await relay.api.get("/v1/callbacks")).json()["data"]) == 2

    await wait_until(both_are_listed, "the callback and the sample are listed")
    dump = await everything_in(redis)
    listing = (await relay.api.get("/v1/callbacks")).text
    for canary in ("canary", KEY):
        assert canary not in dump.replace("[key]-canary", "")
        assert canary not in listing.replace("[key]-canary", "")
    assert [each["bytes"] for each in json.loads(listing)["data"]] == [len(raw)] * 2


async def test_spool_is_no_exception(relay: Any, redis: Any) -> None:
    """What Redis cannot take is on our own disk for a while."""
    await redis.config_set("maxmemory", "1")
    try:
        assert (await relay.api.post(address(relay), json=DONE)).status_code == 200
        files = [path.read_bytes() for path in relay.settings.data_dir.rglob("*.callback")]
    finally:
        await redis.config_set("maxmemory", "0")
    assert files
    assert not any(b"canary" in content for content in files)


async def test_body_that_opens_nothing_is_kept_unchanged(relay: Any) -> None:
    """Byte by byte, spaces and the order of its fields included."""
    body = (
        '{ "status":"succeeded",\n\t"id" : "job_1", "url":"https://cdn.example.com/v.mp4", "n":1.50, "t":"\\u96e8夜" }'
    )
    await relay.api.post(address(relay), content=body)
    (record,) = (await relay.api.get("/v1/callbacks")).json()["data"]
    assert record["body"] == body


async def test_repeats_are_recognized_by_the_body_that_came_and_not_by_what_is_kept(relay: Any, redis: Any) -> None:
    """The same bytes are a repeat; another signature on the same address is not, though the two are kept alike."""
    again = {**DONE, "output": {"status": "succeeded", "videos": [SIGNED.replace("canary-1", "canary-3")]}}
    answers = [(await relay.api.post(address(relay), json=each)).json()["repeated"] for each in (DONE, DONE, again)]
    records = (await relay.api.get("/v1/callbacks")).json()["data"]
    dump = await everything_in(redis)

    assert answers == [False, True, False]
    assert len({record["body"] for record in records}) == 1
    for each in (DONE, again):
        raw = json.dumps(each, ensure_ascii=False, separators=(",", ":")).encode()
        assert hashlib.sha256(raw).hexdigest() in dump
