"""Callbacks that come whole and plain go a short way; nobody can tell it from the long one."""

import asyncio
import re
import socket
import struct
from functools import partial
from typing import Any

import httptools
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import framerelay.receiver.callbacks.reading
import framerelay.receiver.callbacks.receiving
from framerelay.receiver.callbacks.batch import Batch
from framerelay.receiver.door.fast_path import PLAIN
from framerelay.runs.tokens import HookAddress, TakeAddress

pytestmark = pytest.mark.anyio

DONE = b'{"id":"job_1","status":"succeeded"}'


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The way that each callback went, in their order."""
    ways: list[str] = []
    read, receive = Batch._read, framerelay.receiver.callbacks.receiving.receive_callback

    def short(self: Batch, *arguments: Any) -> Any:
        if result := read(self, *arguments):
            ways.append("short")
        return result

    async def long(request: Any) -> Any:
        ways.append("long")
        return await receive(request)

    monkeypatch.setattr(Batch, "_read", short)
    monkeypatch.setattr(framerelay.receiver.callbacks.receiving, "receive_callback", long)
    return ways


@pytest.fixture
def path(relay: Any) -> str:
    """Where anybody's callbacks may go."""
    return "/webhook/" + str(relay.tokens.mint(HookAddress(hook="mine")))


def post(path: str, body: bytes, *headers: str, length: bool = True) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: x", *headers, *([f"Content-Length: {len(body)}"] if length else [])]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Conversation:
    """One connection, spoken byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self.writer = reader, writer

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of the next answer."""
        head = (await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), 60)).decode()
        status, *lines = head.rstrip().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        return int(status.split()[1]), headers, await self._reader.readexactly(int(headers["content-length"]))

    async def ask(self, request: bytes) -> tuple[int, dict[str, str], bytes]:
        """The answer to *request*."""
        self.writer.write(request)
        return await self.answer()


@pytest.fixture
async def talk(relay: Any) -> Any:
    """A connection to the receiver."""
    talking = Conversation(*await asyncio.open_connection("127.0.0.1", relay.settings.port))
    yield talking
    talking.writer.close()


async def test_a_plain_callback_goes_the_short_way_and_is_kept(
    ways: list[str], relay: Any, talk: Any, path: str
) -> None:
    """Repeated or not, it is answered and listed as on the long one; the connection is kept."""
    first = await talk.ask(post(path, DONE))
    again = await talk.ask(post(path, DONE))
    long = await talk.ask(post(path, DONE, "Content-Encoding: identity"))

    assert ways == ["short", "short", "long"]
    assert [first[2], again[2]] == [b'{"received":true,"repeated":false}', b'{"received":true,"repeated":true}']
    assert (again[0], {**again[1], "date": ""}, again[2]) == (long[0], {**long[1], "date": ""}, long[2])
    records = (await relay.api.get("/v1/callbacks")).json()["data"]
    assert [(each["outcome"], each["repeats"]) for each in records] == [("accepted", 2)]


@pytest.mark.parametrize(
    ("request_of", "status"),
    [
        (lambda path: post(path, b"not json"), 400),
        (lambda path: post(path + "x", DONE), 404),
        (lambda path: post(path + "?a=b", DONE), 200),
        (lambda path: post(path, DONE, "Content-Encoding: gzip"), 415),
        (lambda path: post(path, DONE, "Connection: close"), 200),
        (lambda path: post(path, b'{"a":"' + b"a" * 70_000 + b'"}'), 200),
        (lambda path: post(path, b"23\r\n" + DONE + b"\r\n0\r\n\r\n", "Transfer-Encoding: chunked", length=False), 200),
        (lambda path: post(path, DONE).replace(b"HTTP/1.1", b"HTTP/1.0"), 200),
    ],
    ids=["not JSON", "no such address", "a query", "encoded", "the last one", "long", "in chunks", "an old client"],
)
async def test_whatever_is_not_plain_goes_the_long_way(
    ways: list[str], talk: Any, path: str, request_of: Any, status: int
) -> None:
    """It alone knows the answers to everything."""
    assert (await talk.ask(request_of(path)))[0] == status
    assert ways == ["long"]


async def test_requests_that_come_together_are_answered_in_their_order(ways: list[str], talk: Any, path: str) -> None:
    """In one piece, they are for the parser to take apart."""
    talk.writer.write(post(path, DONE) + b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n" + post(path, DONE))

    bodies = [(await talk.answer())[2] for _ in range(3)]

    assert bodies == [b'{"received":true,"repeated":false}', b'{"status":"ok"}', b'{"received":true,"repeated":true}']
    assert ways == ["long", "long"]


async def test_a_callback_in_pieces_is_one(ways: list[str], talk: Any, path: str) -> None:
    """Heads and bodies come as the network likes; the next one finds the short way open."""
    whole = post(path, DONE)
    for start in range(0, len(whole), 7):
        talk.writer.write(whole[start : start + 7])
        await asyncio.sleep(0)

    assert (await talk.answer())[0] == 200
    assert (await talk.ask(whole))[0] == 200
    assert ways == ["long", "short"]


@pytest.fixture
def under_way(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The callbacks on the short way, each a call that lets it go on; they wait there."""
    batches: list[Any] = []
    monkeypatch.setattr(Batch, "_read_some", lambda self, go=Batch._read_some: batches.append(partial(go, self)))
    return batches


def connection_of(batch_call: Any) -> Any:
    """The protocol that waits for the answer."""
    (way,) = batch_call.args
    return way._waiting[0][-1].__self__


async def test_what_follows_a_callback_waits_for_its_answer(
    ways: list[str], under_way: list[Any], talk: Any, path: str, wait_until: Any
) -> None:
    """Whatever it is, and in as many pieces as it likes."""
    talk.writer.write(post(path, DONE))
    await wait_until(lambda: under_way, "it is under way")
    talk.writer.write(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n" + post(path, DONE)[:50])
    await wait_until(lambda: connection_of(under_way[0])._behind, "something has come behind it")
    under_way.pop()()
    talk.writer.write(post(path, DONE)[50:])

    bodies = [(await talk.answer())[2] for _ in range(3)]

    assert bodies == [b'{"received":true,"repeated":false}', b'{"status":"ok"}', b'{"received":true,"repeated":true}']
    assert ways == ["short", "long"]


@pytest.mark.parametrize("body", [DONE, b"not json"], ids=["short", "long"])
async def test_a_receiver_that_ends_answers_first(
    under_way: list[Any], talk: Any, path: str, wait_until: Any, body: bytes
) -> None:
    """Whichever way is the right one; then the connection is closed."""
    talk.writer.write(post(path, body))
    await wait_until(lambda: under_way, "it is under way")
    connection_of(under_way[0]).shutdown()
    under_way.pop()()

    status, headers, _ = await talk.answer()

    assert (status, headers["connection"]) == (200 if body == DONE else 400, "close")
    assert await asyncio.wait_for(talk._reader.read(), 60) == b""


async def test_one_that_cannot_be_read_costs_the_others_no_answer(
    under_way: list[Any], relay: Any, path: str, wait_until: Any
) -> None:
    """A fault of ours in the middle of those that are read together; those after them are read, too."""
    odd = relay.tokens.mint(TakeAddress(run_id="run:x", shot_id="s", take=1))  # Too many colons.
    paths = [path] * 20
    paths[3] = f"/webhook/{odd}"
    posts = [asyncio.create_task(relay.api.post(each, content=b'{"id":"job_%d"}' % n)) for n, each in enumerate(paths)]
    await wait_until(lambda: under_way and len(under_way[0].args[0]._waiting) == 20, "all have come")
    under_way.pop()()
    await wait_until(lambda: under_way, "the rest is next")
    under_way.pop()()

    answers = [answer.status_code for answer in await asyncio.wait_for(asyncio.gather(*posts), 60)]

    assert answers.pop(3) == 500
    assert answers == [200] * 19


async def test_a_sender_that_does_not_wait_is_heard(
    under_way: list[Any], relay: Any, talk: Any, path: str, wait_until: Any
) -> None:
    """Its callback is kept like any other."""
    talk.writer.write(post(path, DONE))
    await wait_until(lambda: under_way, "it is under way")
    connection = connection_of(under_way[0])
    reset_when_closed = struct.pack("ii", 1, 0)
    talk.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset_when_closed)
    talk.writer.transport.abort()
    await wait_until(lambda: connection not in connection.connections, "the connection is gone")
    under_way.pop()()

    async def outcomes() -> list[str]:
        return [each["outcome"] for each in (await relay.api.get("/v1/callbacks")).json()["data"]]

    await wait_until(outcomes, "it is listed")
    assert await outcomes() == ["accepted"]


HEADERS = [
    "Host: x", "User-Agent: Go-http-client/1.1", "Content-Type: application/json", "Connection: keep-alive", "A:",
    "connection: close", "Connection: Upgrade", "Upgrade: h2c", "Transfer-Encoding: chunked", "TRANSFER-ENCODING: x",
    "Content-Encoding: gzip", "content-encoding:", "Expect: 100-continue", "Content-Length: 3", "content-length:35",
    "CONTENT-LENGTH: 35", "Content-Length : 35", "Content-Length: +35", "Content-Length: 35, 3", " folded: 35",
    "X: \t a", "X: \x00", "X: \xe9", "X-Content-Length: 3", "no colon", "", "X: a\rb", "X: a\nContent-Length: 3",
]  # fmt: skip


class ParserEvents:
    """What uvicorn's parser makes of a request."""

    def __init__(self, data: bytes) -> None:
        self.url, self.body, self.ends, self.headers = b"", b"", 0, list[tuple[bytes, bytes]]()
        self.parser = httptools.HttpRequestParser(self)
        self.parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.ends += 1


@settings(max_examples=400)
@given(
    headers=st.lists(st.sampled_from(HEADERS), max_size=5),
    before=st.sampled_from(["/", "//", "///", "", "/a/", "//a/"]),
    query=st.sampled_from(["", "/", "//", "?a=b", "/?a", "/c", "%2e", "%2f", "é"]),
)
@example(headers=["Host: x", "connection: Keep-Alive", "Content-Length: 35"], before="/", query="")
@example(headers=["Host: x", "Content-Length: 35"], before="//", query="//")
def test_whatever_is_plain_is_read_as_the_parser_reads_it(headers: list[str], before: str, query: str) -> None:
    """There is one reading of each request, or it goes the long way."""
    data = "\r\n".join([f"POST {before}webhook/abc.def{query} HTTP/1.1", *headers, "", ""]).encode("latin-1") + DONE
    plain = PLAIN.match(data)
    if plain is None or plain.end() + int(plain[2]) != len(data):
        return

    request = ParserEvents(data)

    assert (request.body, request.ends) == (data[plain.end() :], 1)
    assert re.sub(b"/+", b"/", request.url).rstrip(b"/") == b"/webhook/" + plain[1]
    assert request.parser.should_keep_alive()
    assert not request.parser.should_upgrade()
    assert dict(request.headers).keys().isdisjoint({b"content-encoding", b"transfer-encoding", b"expect"})


async def test_a_sender_that_hangs_up_in_the_middle_is_heard(
    ways: list[str], relay: Any, talk: Any, path: str, wait_until: Any
) -> None:
    """That something came is a reason to ask."""
    talk.writer.write(post(path, DONE)[:-5])
    await talk.writer.drain()
    talk.writer.close()

    async def outcomes() -> list[str]:
        return [each["outcome"] for each in (await relay.api.get("/v1/callbacks")).json()["data"]]

    await wait_until(outcomes, "it is listed")
    assert (await outcomes(), ways) == (["cut_off"], ["long"])


async def test_a_surprise_on_the_short_way_is_one_on_the_long_way(
    ways: list[str], talk: Any, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of ours is no fault of the sender's: 500, not 400."""

    def fail(*_: Any) -> Any:
        raise LookupError("of the test")

    monkeypatch.setattr(framerelay.receiver.callbacks.reading, "read_news", fail)

    assert (await talk.ask(post(path, DONE)))[0] == 500
    assert ways == ["long"]


async def test_the_sender_hears_of_a_write_that_was_cancelled(
    talk: Any, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody knows if it was kept, so it is not acknowledged; the sender tries again instead of waiting for ever."""

    async def cancel(*_: Any) -> None:
        raise asyncio.CancelledError

    monkeypatch.setattr("framerelay.store.inbox.PinnedConnection.call", cancel)
    status, _, body = await talk.ask(post(path, DONE))

    assert (status, b'"internal"' in body) == (500, True)
