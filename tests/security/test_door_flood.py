"""Floods: who shows a good token or key passes, from wherever; who does not is counted by where they come from."""

import asyncio
from collections import Counter
from ipaddress import ip_network
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from framerelay.runs.tokens import TakeAddress

pytestmark = pytest.mark.anyio

RUN = "run_" + "a" * 24
DONE = b'{"id":"job_1","status":"succeeded"}'
NOBODY = "http://127.0.0.1:1"


@pytest.fixture
def address() -> Any:
    """``address(relay, 1)``: where the callbacks of a take go."""
    return lambda relay, take: "/webhook/" + relay.tokens.mint(TakeAddress(run_id=RUN, shot_id="s1", take=take))


async def test_a_flood_of_wrong_addresses_stops_no_callback(start_relay: Any, redis: Any, address: Any) -> None:
    """From the very same address: each callback gets its 200, the flood its 404s and then 429, and Redis no work."""
    statuses: Counter[int] = Counter()
    async with start_relay(NOBODY, worker=False, refusals_per_minute=50) as relay:
        before = (await redis.info("stats"))["total_commands_processed"]

        async def flood() -> None:
            for number in range(40):
                answer = await relay.api.post(f"/webhook/{number}", content=DONE)
                statuses[answer.status_code] += 1
                assert answer.status_code == 404 or 0 < int(answer.headers["Retry-After"]) <= 60

        async def call_back() -> list[int]:
            return [(await relay.api.post(address(relay, take), content=DONE)).status_code for take in range(30)]

        *_, answers = await asyncio.gather(*(flood() for _ in range(10)), call_back())
        after = (await redis.info("stats"))["total_commands_processed"]
        callbacks = (await relay.api.get("/v1/callbacks", params={"limit": 200})).json()["data"]

    assert answers == [200] * 30
    assert statuses[404] in range(50, 200)
    assert set(statuses) == {404, 429}
    assert Counter(record["outcome"] for record in callbacks) == {"accepted": 30, "refused": 10}
    assert after - before < 800


async def test_a_flood_is_logged_in_a_few_lines(start_relay: Any, address: Any) -> None:
    """The log says who, and that it goes on; it does not grow with the flood."""
    async with start_relay(NOBODY, worker=False, refusals_per_minute=5, callbacks_per_minute=5) as relay:
        with capture_logs() as lines:
            for _ in range(100):
                await relay.api.post("/webhook/x", content=DONE)
                await relay.api.post(address(relay, 1), content=DONE)

    counts = Counter(line["event"] for line in lines)
    assert counts["strangers_limited"] in range(10, 30)
    assert counts["callbacks_limited"] in range(10, 30)
    assert sum(counts.values()) < 100
    assert {line.get("client") for line in lines} == {None, "127.0.0.1"}


async def test_garbage_does_not_fill_the_log(start_relay: Any, talk: Any, caplog: pytest.LogCaptureFixture) -> None:
    """What is not HTTP at all is logged a few times a minute."""
    async with start_relay(NOBODY, worker=False) as relay:
        answers = [await talk(relay, b"\x16\x03\x01 hello\r\n\r\n") for _ in range(100)]

    assert {answer.status for answer in answers} == {400}
    assert sum("Invalid HTTP" in record.message for record in caplog.records) < 50


async def test_wrong_keys_and_links_are_counted_and_right_ones_are_not(
    start_relay: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guessing soon ends in 429; a client with the key works on, even from the same address."""
    monkeypatch.setattr(
        "framerelay.receiver.door.keys.FREE_GUESSES", 1000
    )  # They would be held back as well, for a minute.
    async with (
        start_relay(NOBODY, worker=False, refusals_per_minute=20) as relay,
        httpx.AsyncClient(base_url=relay.settings.listen_url, trust_env=False) as stranger,
    ):
        guesses = [await stranger.get("/v1/runs", headers={"Authorization": f"Bearer {n}"}) for n in range(15)]
        guesses += [await stranger.get(f"/media/{RUN}/film.mp4?expires=9&signature={n}") for n in range(10)]
        guesses += [await stranger.post("/webhook/x", content=DONE) for _ in range(5)]
        right = [(await relay.api.get("/v1/runs")).status_code for _ in range(100)]

    statuses = [answer.status_code for answer in guesses]
    refusals = [answer for answer in guesses if answer.status_code == 429]
    assert statuses[:20] == [401] * 20
    assert len(refusals) >= 5
    assert {answer.json()["error"]["code"] for answer in refusals} == {"too_many"}
    assert right == [200] * 100


async def test_one_address_may_be_called_so_often_and_others_are_not_touched(start_relay: Any, address: Any) -> None:
    """A leaked address fills nobody's disk; 429 says when to come back, and nothing about it is kept."""
    async with start_relay(NOBODY, worker=False, callbacks_per_minute=20) as relay:
        bodies = [b'{"id":"job_%d"}' % number for number in range(30)]
        answers = [await relay.api.post(address(relay, 1), content=body) for body in bodies]
        others = [(await relay.api.post(address(relay, take), content=DONE)).status_code for take in range(2, 40)]
        callbacks = (await relay.api.get("/v1/callbacks", params={"limit": 200})).json()["data"]

    assert [answer.status_code for answer in answers[:20]] == [200] * 20
    refusals = [answer for answer in answers if answer.status_code == 429]
    assert len(refusals) >= 5
    assert all(1 <= int(answer.headers["Retry-After"]) <= 3 for answer in refusals)
    assert set(others) == {200}
    assert sum(record["take"] == 1 for record in callbacks) == 30 - len(refusals)


@pytest.mark.parametrize("header", [{}, {"Content-Encoding": "identity"}], ids=["short way", "long way"])
async def test_what_one_address_may_have_kept_is_bounded_in_bytes(
    start_relay: Any, address: Any, redis: Any, header: dict[str, str]
) -> None:
    """A leaked address fills nobody's Redis; others, and usual callbacks of tens of kilobytes, are not touched."""
    budget = 256 * 1024
    limits = {"callback_bytes_per_day": budget, "callback_bytes_max": budget // 4}
    async with start_relay(NOBODY, worker=False, **limits) as relay:

        async def send(take: int, size: int, number: int) -> httpx.Response:
            body = b'{"id":"job_%d","x":"' % number + b"x" * size + b'"}'
            return await relay.api.post(address(relay, take), content=body, headers=header)

        large = [await send(1, 60_000, number) for number in range(8)]
        small = [await send(2, 0, number) for number in range(400)]
        usual = [(await send(take, 40_000, 1)).status_code for take in range(3, 9)]
        batches = [await redis.hvals(key) for key in await redis.keys("{framerelay}:callbacks:*")]
        memory = sum(len(record) for batch in batches for record in batch)
        metrics = (await relay.api.get("/metrics")).text

    assert [answer.status_code for answer in large] == [200] * 4 + [429] * 4
    assert {answer.status_code for answer in small[:200]} == {200}
    assert {answer.status_code for answer in small[300:]} == {429}
    assert usual == [200] * 6
    assert 6 * 40_000 < memory < 2 * budget + 6 * 42_000
    response = large[-1]
    assert response.json()["error"]["code"] == "too_many"
    assert 1 <= int(response.headers["Retry-After"]) <= 86_400
    count = sum(answer.status_code == 429 for answer in [*large, *small])
    assert f'framerelay_callbacks_total{{outcome="limited"}} {count}' in metrics


@pytest.mark.parametrize(("networks_named", "passes"), [((), False), (("127.0.0.0/8",), True)])
async def test_proxies_are_believed_only_if_named(
    start_relay: Any, networks_named: tuple[str, ...], passes: bool
) -> None:
    """Strangers cannot choose whom they count as; behind a proxy of ours each is counted by itself."""
    networks = frozenset(ip_network(network) for network in networks_named)
    async with start_relay(NOBODY, worker=False, refusals_per_minute=10, trusted_proxies=networks) as relay:
        honest = [
            await relay.api.post("/webhook/x", content=DONE, headers={"X-Forwarded-For": f"198.51.100.{number}"})
            for number in range(30)
        ]
        responses = [
            await relay.api.post("/webhook/x", content=DONE, headers={"X-Forwarded-For": f"1.1.1.{number}, 192.0.2.1"})
            for number in range(30)
        ]

    assert (429 in {answer.status_code for answer in honest}) is not passes
    assert 429 in {answer.status_code for answer in responses}


async def test_a_wrong_host_changes_nothing(start_relay: Any, talk: Any, post: Any, address: Any) -> None:
    """Every address that we tell begins with the public URL, whatever the request says about where it went."""
    key = "Authorization: Bearer fr_test"
    lies = [
        "X-Forwarded-Host: evil.example",
        "X-Forwarded-Proto: evil",
        "Forwarded: host=evil.example;for=evil.example",
    ]
    hosts = ["evil.example", "evil.example:99", "[::1", "a b", "\xe9", "evil.example/x?y#z", "@evil.example", ""]
    board = b'{"model":"m","shots":[{"id":"s1","prompt":"x"}]}'
    async with start_relay(NOBODY, worker=False, public_url="https://relay.example.com") as relay:
        answers = []
        for host in hosts:
            for raw in (
                post("/v1/runs", board, key, *lies),
                post("/v1/runs", b"", key, *lies, method="GET"),
                post(address(relay, 1), DONE, *lies),
                post("/webhook/x", DONE, *lies),
                post("/v1/runs/", b"", key, *lies, method="GET"),
                post("//evil.example/v1/runs", b"", key, *lies, method="GET"),
                post("http://evil.example/v1/runs", b"", key, *lies, method="GET"),
            ):
                answers.append(await talk(relay, raw.replace(b"Host: relay", b"Host: " + host.encode("latin-1"))))

    assert {answer.status for answer in answers} <= {200, 201, 400, 404}
    assert {answer.header("Location") for answer in answers if answer.status == 201} != {None}
    assert [answer for answer in answers if b"evil" in answer.body or "evil" in "".join(answer.head)] == []
