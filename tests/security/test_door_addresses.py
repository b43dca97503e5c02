"""Callback addresses as senders spell them, and senders who look at one before they use it."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from framerelay.runs.tokens import HookAddress, TakeAddress
from framerelay.store.tasks import QUEUE

pytestmark = pytest.mark.anyio

RUN = "run_" + "a" * 24
DONE = b'{"id":"job_1","status":"succeeded"}'


@pytest.fixture
async def relay(start_relay: Any) -> AsyncIterator[Any]:
    """A receiver alone."""
    async with start_relay("http://127.0.0.1:1", worker=False) as relay:
        yield relay


@pytest.fixture
def tokens(relay: Any) -> list[str]:
    """Of a take and of a hook."""
    return [str(relay.tokens.mint(each)) for each in (take(1), HookAddress(hook="mine"))]


def take(number: int) -> TakeAddress:
    return TakeAddress(run_id=RUN, shot_id="s1", take=number)


async def callbacks_of(relay: Any) -> list[dict[str, Any]]:
    data: list[dict[str, Any]] = (await relay.api.get("/v1/callbacks", params={"limit": 200})).json()["data"]
    return data


async def test_a_slash_too_many_is_the_same_address(relay: Any, tokens: list[str], talk: Any, post: Any) -> None:
    """On the short way and on the long one, for takes and hooks; what comes by the other spelling is a repeat."""
    spellings = [
        *("/webhook/{}", "/webhook/{}/", "//webhook/{}", "/webhook//{}", "///webhook///{}///"),
        *("/webhook/{}%2F", "/%2Fwebhook/{}", "/webhook/{}/?a=b", "http://relay//webhook/{}/"),
    ]
    for token in tokens:
        for spelling in spellings:
            plain = post(spelling.format(token), DONE)
            for request in (plain, plain.replace(b"Connection: close\r\n", b"Content-Encoding: identity\r\n", 1)):
                answer = await talk(relay, request + post("/livez", b"", method="GET"))
                assert (answer.status, answer.body.startswith(b'{"received":true')) == (200, True), request
    records = await callbacks_of(relay)

    assert sorted((record["hook"], record["take"]) for record in records if record["hook"]) == [("mine", None)]
    assert [record["repeats"] for record in records] == [2 * len(spellings) - 1] * 2


async def test_another_path_is_another_address(relay: Any, tokens: list[str], talk: Any, post: Any) -> None:
    """Nothing but slashes is passed over."""
    for path in ("/webhook/a/{}", "/webhook/{}/a", "/x//webhook/{}", "/webhooks/{}", "/webhook{}", "/webhook/{}/."):
        assert (await talk(relay, post(path.format(tokens[0]), DONE))).status == 404, path


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_sender_that_checks_the_address_first_gets_200_and_nothing_is_kept(
    relay: Any, tokens: list[str], talk: Any, post: Any, method: str, redis: Any
) -> None:
    """With a challenge in the query or without; the callback that follows is no repeat."""
    for token in tokens:
        for more in ("", "?challenge=x", "/"):
            answer = await talk(relay, post(f"/webhook/{token}{more}", b"", method=method))
            assert (answer.status, answer.body) == (200, b'{"status":"ok"}' if method == "GET" else b"")
    assert (await callbacks_of(relay), await redis.zcard(QUEUE)) == ([], 0)

    response = await relay.api.post(f"/webhook/{tokens[0]}", content=DONE)
    assert response.json() == {"received": True, "repeated": False}


async def test_a_get_reveals_no_more_than_a_callback_would(relay: Any, tokens: list[str], talk: Any, post: Any) -> None:
    """Any other address is the same 404, byte for byte; of those who look no sample is kept."""
    odd = (tokens[0][:-1] + "x", tokens[0].partition(".")[0], "x", "a" * 9000, "%00", tokens[0] + "/more", "")
    looks = [await talk(relay, post(f"/webhook/{wrong}", b"", method="GET")) for wrong in odd]
    assert await callbacks_of(relay) == []

    assert {answer.status for answer in looks} == {404}
    assert looks == [await talk(relay, post(f"/webhook/{wrong}", DONE)) for wrong in odd]


async def test_gets_are_counted_as_callbacks_are(start_relay: Any) -> None:
    """At an address of ours by that, elsewhere by the client: reading is no cheaper way to try tokens."""
    async with start_relay("http://127.0.0.1:1", worker=False, callbacks_per_minute=3, refusals_per_minute=3) as relay:
        path = "/webhook/" + relay.tokens.mint(take(1))
        right = [
            (await relay.api.request(method, path)).status_code for method in ("GET", "HEAD", "GET", "GET", "POST")
        ]
        wrong = [(await relay.api.get(path + "x")).status_code for _ in range(4)]

    assert (right, wrong) == ([200, 200, 200, 429, 429], [404, 404, 404, 429])
