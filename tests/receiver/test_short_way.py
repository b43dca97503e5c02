"""Callbacks that come whole and plain go a short way; nobody can tell it from the long one."""

import asyncio
from typing import Any

import pytest

import receiver.callbacks
from receiver.callbacks import ShortWay
from runs.tokens import HookAddress

pytestmark = pytest.mark.anyio

DONE = b'{"id":"job_1","status":"succeeded"}'


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The way that each callback went, in their order."""
    went: list[str] = []
    read, received = ShortWay._read, receiver.callbacks.received

    def short(self: ShortWay, *arguments: Any) -> Any:
        if (taken := read(self, *arguments)) is not None:
            went.append("short")
        return taken

    async def long(request: Any) -> Any:
        went.append("long")
        return await received(request)

    monkeypatch.setattr(ShortWay, "_read", short)
    monkeypatch.setattr(receiver.callbacks, "received", long)
    return went


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
        head = (await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), 10)).decode()
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
    listed = (await relay.api.get("/v1/callbacks")).json()["data"]
    assert [(each["outcome"], each["repeats"]) for each in listed] == [("accepted", 2)]


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
    """Another request behind a callback waits for it; one more callback behind that, too."""
    talk.writer.write(post(path, DONE) + b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n" + post(path, DONE))

    bodies = [(await talk.answer())[2] for _ in range(3)]

    assert bodies == [b'{"received":true,"repeated":false}', b'{"status":"ok"}', b'{"received":true,"repeated":true}']
    assert ways == ["short", "long"]


async def test_a_callback_in_pieces_is_one(ways: list[str], talk: Any, path: str) -> None:
    """Heads and bodies come as the network likes."""
    whole = post(path, DONE)
    for start in range(0, len(whole), 7):
        talk.writer.write(whole[start : start + 7])
        await asyncio.sleep(0)

    assert (await talk.answer())[0] == 200
    assert ways == ["short"]


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

    def broken(*_: Any) -> Any:
        raise LookupError("of the test")

    monkeypatch.setattr(receiver.callbacks, "read_news", broken)

    assert (await talk.ask(post(path, DONE)))[0] == 500
    assert ways == ["long"]
