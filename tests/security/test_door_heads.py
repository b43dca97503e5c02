"""Heads and framing: bounded, and read in one way only."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest

from framerelay.runs.tokens import TakeAddress

pytestmark = pytest.mark.anyio

RUN = "run_" + "a" * 24
DONE = b'{"id":"job_1","status":"succeeded"}'


@pytest.fixture
async def relay(start_relay: Any) -> AsyncIterator[Any]:
    """A receiver that gives a sender two seconds."""
    async with start_relay("http://127.0.0.1:1", worker=False, request_timeout_s=2.0) as relay:
        yield relay


@pytest.fixture
def path(relay: Any) -> str:
    """Where the callbacks of a take go."""
    return "/webhook/" + str(relay.tokens.mint(TakeAddress(run_id=RUN, shot_id="s1", take=1)))


async def test_heads_are_bounded_in_bytes_and_number(relay: Any, talk: Any, post: Any, path: str) -> None:
    """431 in the envelope of all errors; what proxies add to a callback has room many times over."""
    wide, many = "X-Wide: " + "a" * 30_000, [f"X-{number}: a" for number in range(96)]
    statuses = {
        "30 kB": (await talk(relay, post(path, DONE, wide))).status,
        "99 headers": (await talk(relay, post(path, DONE, *many))).status,
        "a long query": (await talk(relay, post(f"{path}?{'a' * 30_000}", DONE))).status,
        "60 kB": (await talk(relay, post(path, DONE, wide, wide))).status,
        "102 headers": (await talk(relay, post(path, DONE, *many, *many[:3]))).status,
        "a longer query": (await talk(relay, post(f"{path}?{'a' * 33_000}", DONE))).status,
    }
    answer = await talk(relay, post(path, DONE, wide, wide))

    within, beyond = ("30 kB", "99 headers", "a long query"), ("60 kB", "102 headers", "a longer query")
    assert statuses == {**dict.fromkeys(within, 200), **dict.fromkeys(beyond, 431)}
    assert b'"code":"head_too_large"' in answer.body


async def test_heads_are_bounded_on_the_short_way_too(relay: Any, connect_to: Any, path: str) -> None:
    """A plain callback that the short way would take, its head below the bound, a little over it and far over it."""

    async def status(*headers: str) -> bytes:
        reader, writer = await connect_to(relay)
        head = "\r\n".join([f"POST {path} HTTP/1.1", "Host: x", *headers, f"Content-Length: {len(DONE)}", "", ""])
        writer.write(head.encode() + DONE)
        async with asyncio.timeout(60):
            line = await reader.readline()
        writer.close()
        return line[9:12]

    statuses = {size: await status("X: " + "a" * size) for size in (32_000, 33_000, 100_000)}
    many = await status(*(f"X-{number}: {'a' * 1_000}" for number in range(40)))

    assert statuses == {32_000: b"200", 33_000: b"431", 100_000: b"431"}
    assert many == b"431"


@pytest.mark.parametrize("header", ["Content-Type: application/json", "Content-Encoding: identity"])
async def test_a_sender_that_has_finished_still_gets_its_answer(
    relay: Any, connect_to: Any, post: Any, path: str, header: str
) -> None:
    """A whole request, and then the sender closes its half: on the short way and on the long one, once or twice."""
    plain = post(path, DONE, header).replace(b"Connection: close\r\n", b"")
    for raw, answers in ((plain, 1), (post("/v1/runs", b"", method="GET"), 1), (plain + plain, 2)):
        reader, writer = await connect_to(relay)
        writer.write(raw)
        writer.write_eof()
        async with asyncio.timeout(60):
            answer = await reader.read()
        writer.close()
        assert answer.count(b"HTTP/1.1 ") == answers, answer
        assert b"connection: close" in answer.lower()


async def test_half_a_request_is_not_waited_for(relay: Any, connect_to: Any, post: Any, path: str) -> None:
    """Its other half cannot come any more."""
    reader, writer = await connect_to(relay)
    writer.write(post(path, DONE)[:-3])
    writer.write_eof()
    async with asyncio.timeout(60):
        assert await reader.read() == b""
    writer.close()


@pytest.mark.parametrize("behind", [b"}", b"\x00", b"HTTP\r\n\r\n", b"\xe9\xff", b"GET\r\n\r\n"])
async def test_garbage_after_a_request_takes_no_answer_away(
    relay: Any, talk: Any, post: Any, path: str, behind: bytes
) -> None:
    """A length counted in characters leaves bytes over: the callback is kept and answered, the rest is not heard."""
    plain = post(path, DONE).replace(b"Connection: close\r\n", b"")
    answer = await talk(relay, plain + behind)

    assert (answer.status, answer.header("connection")) == (200, "close")
    assert answer.body.startswith(b'{"received":true')
    assert b"HTTP/1.1" not in answer.body


async def test_what_never_becomes_a_request_is_cut_while_it_arrives(relay: Any, connect_to: Any, path: str) -> None:
    """A head without end, or a body that is all framing, fills nobody's memory: 431 long before 20 megabytes."""
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    forms = {
        "a path": (b"POST /", b"a" * 10_000),
        "a header": (b"POST / HTTP/1.1\r\nX: ", b"a" * 10_000),
        "headers": (b"POST / HTTP/1.1\r\n", b"X: a\r\n" * 2_000),
        "an extension of a chunk": (head + b"1;a=", b"a" * 10_000),
        "trailers": (head + b"0\r\n", b"X: a\r\n" * 2_000),
    }
    statuses, sizes = {}, dict.fromkeys(forms, 0)
    for name, (start, piece) in forms.items():
        reader, writer = await connect_to(relay)
        writer.write(start)
        answer = asyncio.create_task(reader.readline())
        async with asyncio.timeout(60):
            while not answer.done() and sizes[name] < 20_000_000:
                writer.write(piece)
                sizes[name] += len(piece)
                with suppress(ConnectionError):
                    await asyncio.wait_for(writer.drain(), 0.05)
                await asyncio.wait([answer], timeout=0.001)
            statuses[name] = (await answer)[:13]
        writer.close()

    assert statuses == dict.fromkeys(forms, b"HTTP/1.1 431 ")
    assert max(sizes.values()) < 20_000_000


async def test_framing_that_can_be_read_in_two_ways_is_refused(
    relay: Any, talk: Any, post: Any, path: str, wait_until: Any
) -> None:
    """400, so that no proxy before us can see another request than we do."""
    chunks = b"23\r\n" + DONE + b"\r\n0\r\n\r\n"
    header = "Transfer-Encoding: chunked"
    forms = {
        "length and chunks": post(path, chunks, header, f"Content-Length: {len(chunks)}"),
        "two lengths": post(path, DONE, "Content-Length: 35", "Content-Length: 3"),
        "a list of lengths": post(path, DONE, "Content-Length: 35, 3"),
        "a negative length": post(path, DONE, "Content-Length: -1"),
        "a signed length": post(path, DONE, "Content-Length: +35"),
        "a length in hex": post(path, DONE, "Content-Length: 0x23"),
        "5,000 digits": post(path, DONE, "Content-Length: " + "9" * 5_000),
        "no length": post(path, DONE, "Content-Length: \xb2"),
        "space before the colon": post(path, DONE, "Content-Length : 35"),
        "a folded header": post(path, DONE, "X: a\r\n b", "Content-Length: 35"),
        "a chunk of no number": post(path, b"x\r\n", header),
        "a chunk of -1": post(path, b"-1\r\n", header),
        "a chunk past all": post(path, b"F" * 30 + b"\r\n", header),
        "a chunk and more": post(path, b"1\r\nab\r\n0\r\n\r\n", header),
        "twice chunked": post(path, chunks, header, header),
        "not chunked last": post(path, chunks, "Transfer-Encoding: chunked, gzip"),
        "a zero in a header": post(path, DONE, "X: a\x00b"),
        "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 100,
        "no method": b"\xff\xfe\xfd\r\n\r\n",
        "a host and no path": b"CONNECT relay:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        "a path of no letters": b"POST /\xe9\xff HTTP/1.1\r\nHost: x\r\n\r\n",
    }
    answers = {name: await talk(relay, raw) for name, raw in forms.items()}
    errors = {name: (answer.status, b"not_http" in answer.body) for name, answer in answers.items()}

    assert errors == dict.fromkeys(forms, (400, True))
    # What broke off in its body says so, once that is written: nobody is left whose answer could wait for it.
    await wait_until(lambda: _outcomes(relay), "the callbacks whose body broke off are listed")
    assert await _outcomes(relay) == {"cut_off"}


async def test_a_pipelined_request_is_answered_in_its_turn(relay: Any, talk: Any, post: Any, path: str) -> None:
    """Pipelined as some proxies do; a request hidden in a body stays a body."""
    first = post(path, DONE).replace(b"Connection: close\r\n", b"")
    request = post("/livez", b"", method="GET")
    both = await talk(relay, first + post("/webhook/x", DONE))
    inside = await talk(relay, post(path, request))

    assert (both.status, both.body.count(b"HTTP/1.1 404 ")) == (200, 1)
    assert (inside.status, inside.body.count(b"HTTP/1.1")) == (400, 0)


@pytest.mark.parametrize("upgrade", ["websocket", "h2c"])
async def test_nobody_is_upgraded(relay: Any, talk: Any, post: Any, path: str, upgrade: str) -> None:
    """The parser drops the body of such a request: 400, and the take is looked up; without a body nothing is lost."""
    headers = (f"Upgrade: {upgrade}", "Connection: Upgrade, close")
    callback = await talk(relay, post(path, DONE, *headers))
    other = await talk(relay, post("/livez", b"", *headers, method="GET"))
    (record,) = (await relay.api.get("/v1/callbacks")).json()["data"]

    assert (callback.status, other.status) == (400, 200)
    assert (record["outcome"], record["take"]) == ("unreadable", 1)


async def _outcomes(relay: Any) -> set[str]:
    return {record["outcome"] for record in (await relay.api.get("/v1/callbacks")).json()["data"]}
