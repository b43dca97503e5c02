"""Senders and readers that take their time: cut off, while others are answered; connections are not without number."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack, suppress
from typing import Any
from urllib.parse import urlsplit

import pytest

from framerelay.runs.tokens import TakeAddress
from framerelay.store.tasks import QUEUE

pytestmark = pytest.mark.anyio

RUN = "run_" + "a" * 24
DONE = b'{"id":"job_1","status":"succeeded"}'
PATIENCE_S = 90.0


@pytest.fixture
async def hasty(start_relay: Any, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    """A receiver that gives a sender one second, and checks ten times as often whether it is over."""
    monkeypatch.setattr("framerelay.receiver.door.connection.LOOK_EVERY_S", 0.1)
    monkeypatch.setattr("framerelay.receiver.door.connection.LINGER_S", 0.2)
    async with start_relay("http://127.0.0.1:1", worker=False, request_timeout_s=1.0) as relay:
        yield relay


@pytest.fixture
def drip(connect_to: Any) -> Any:
    """``await drip(relay, start, piece)``: what a client gets that begins and continues in pieces, until cut off."""

    async def send(relay: Any, start: bytes, piece: bytes, *, pause_s: float = 0.1) -> bytes:
        reader, writer = await connect_to(relay)
        answer = bytearray()

        async def listen() -> None:
            with suppress(ConnectionError):
                while piece := await reader.read(65_536):
                    answer.extend(piece)

        writer.write(start)
        listening = asyncio.create_task(listen())
        async with asyncio.timeout(PATIENCE_S):
            while not listening.done():
                with suppress(ConnectionError):
                    writer.write(piece)
                await asyncio.wait([listening], timeout=pause_s)
        writer.close()
        return bytes(answer)

    return send


async def test_a_sender_that_takes_too_long_is_cut_off(hasty: Any, drip: Any) -> None:
    """Slow heads and bodies get 408; a silent client, or one that goes on after the answer, gets nothing."""
    path = "/webhook/" + hasty.tokens.mint(TakeAddress(run_id=RUN, shot_id="s1", take=1))
    head = b"POST " + path.encode() + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n"
    unknown = b"POST /webhook/x HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"
    forms: dict[str, tuple[bytes, bytes]] = {
        "nothing": (b"", b""),
        "empty lines": (b"", b"\r\n"),
        "the method": (b"P", b""),
        "the path": (b"POST /", b"a"),
        "a header": (head + b"X: ", b"a"),
        "headers": (head, b"X: a\r\n"),
        "no body": (head + b"\r\n", b""),
        "the body": (head + b"\r\n", b" "),
        "chunks": (head.replace(b"Content-Length: 100", b"Transfer-Encoding: chunked") + b"\r\n", b"1\r\n \r\n"),
        "behind a 404": (unknown, b" "),
        "much behind a 404": (unknown.replace(b"100000", b"9999999999"), b" " * 65_536),
        "behind a 200": (b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n", b"\r\n"),
    }
    answers = await asyncio.gather(*(drip(hasty, start, piece) for start, piece in forms.values()))
    first = {name: answer.removeprefix(b"HTTP/1.1 ")[:3] for name, answer in zip(forms, answers, strict=True)}

    late = ("the method", "the path", "a header", "headers", "no body", "the body", "chunks")
    behind = {"behind a 404": b"404", "much behind a 404": b"404", "behind a 200": b"200"}
    assert first == {"nothing": b"", "empty lines": b"", **dict.fromkeys(late, b"408"), **behind}
    assert b'"code":"too_slow"' in answers[4]
    assert all(answer.count(b"HTTP/1.1") <= 1 for answer in answers)


async def test_a_callback_that_never_ends_is_a_reason_to_ask(
    hasty: Any, drip: Any, wait_until: Any, redis: Any
) -> None:
    """A sender who knew the address gets no 200; what arrived is listed as cut off, and the take is looked up."""
    path = "/webhook/" + hasty.tokens.mint(TakeAddress(run_id=RUN, shot_id="s1", take=1))
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n".encode()
    answer = await drip(hasty, head + DONE, b" ")

    async def outcomes() -> list[str]:
        answer = await hasty.api.get("/v1/callbacks")
        return [record["outcome"] for record in answer.json()["data"]]

    assert answer.startswith(b"HTTP/1.1 408 ")
    await wait_until(outcomes, "the callback is listed")
    assert await outcomes() == ["cut_off"]
    assert await redis.zcard(QUEUE) == 1


async def test_a_slow_line_is_no_crime(hasty: Any, connect_to: Any) -> None:
    """A second and a half for what is sent at a fair pace, where one second is allowed for nothing at all."""
    path = "/webhook/" + hasty.tokens.mint(TakeAddress(run_id=RUN, shot_id="s1", take=1))
    body = DONE + b" " * (600_000 - len(DONE))
    reader, writer = await connect_to(hasty)
    writer.write(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode())
    for start in range(0, len(body), 40_000):
        writer.write(body[start : start + 40_000])
        await asyncio.sleep(0.1)
    async with asyncio.timeout(PATIENCE_S):
        line = await reader.readline()
    writer.close()

    assert line.startswith(b"HTTP/1.1 200 ")


async def test_a_reader_that_takes_nothing_is_cut_off(hasty: Any, wait_until: Any) -> None:
    """A film is sent as it is taken; nobody can hold on to it, and to our memory, without reading."""
    film = hasty.settings.data_dir / "media" / RUN / "film.mp4"
    film.parent.mkdir(parents=True, exist_ok=True)
    film.write_bytes(b"\0" * 30_000_000)
    place = urlsplit(hasty.settings.listen_url)
    with socket.socket() as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.connect((place.hostname, place.port))
        reader.sendall(
            f"GET /media/{RUN}/film.mp4 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer fr_test\r\n\r\n".encode()
        )
        head = await asyncio.to_thread(reader.recv, 4096, socket.MSG_PEEK)

        def is_cut_off() -> bool:
            """A closed connection answers whatever is sent to it with a reset; an open one passes over empty lines."""
            try:
                return reader.send(b"\r\n") == 0
            except ConnectionError:
                return True

        await wait_until(is_cut_off, "the connection is reset")

    assert head.startswith(b"HTTP/1.1 200 ")


async def test_idle_connections_make_room_for_busy_ones(
    start_relay: Any, connect_to: Any, talk: Any, post: Any
) -> None:
    """Ten times as many half-open requests as there may be connections: each callback passes at once."""
    async with start_relay("http://127.0.0.1:1", worker=False, connections_max=20) as relay:
        idlers = []
        for number in range(200):
            _, writer = await connect_to(relay)
            writer.write(b"POST /webhook/x HTTP/1.1\r\nX: " if number % 2 else b"")
            idlers.append(writer)
        paths = [
            "/webhook/" + relay.tokens.mint(TakeAddress(run_id=RUN, shot_id="s1", take=take)) for take in range(10)
        ]
        answers = [await talk(relay, post(path, DONE)) for path in paths]
        for writer in idlers:
            writer.close()

    assert [answer.status for answer in answers] == [200] * 10


async def test_a_connection_that_was_turned_away_is_not_counted(start_relay: Any, post: Any) -> None:
    """As many idlers as there may be connections, and one more with each callback: none of them has to wait."""
    async with start_relay("http://127.0.0.1:1", worker=False, connections_max=20) as relay:
        place = urlsplit(relay.settings.listen_url)
        with ExitStack() as open_ones:
            for _ in range(20):
                open_ones.enter_context(socket.create_connection((place.hostname, place.port)))
            lines = []
            for take in range(60):
                path = "/webhook/" + relay.tokens.mint(TakeAddress(run_id=RUN, shot_id="s1", take=take))
                caller = open_ones.enter_context(socket.create_connection((place.hostname, place.port)))
                for _ in range(9):
                    await asyncio.sleep(0)  # The receiver is in this loop, and has taken it in by then.
                open_ones.enter_context(socket.create_connection((place.hostname, place.port)))
                for _ in range(take // 2 % 8):  # A moment ago, or just now: with the callback or before it.
                    await asyncio.sleep(0)
                caller.sendall(post(path, DONE, *(["Content-Encoding: identity"] if take % 2 else [])))
                lines.append(await asyncio.to_thread(caller.recv, 12))

    assert lines == [b"HTTP/1.1 200"] * 60


async def test_room_is_made_when_it_is_needed(start_relay: Any, connect_to: Any, post: Any, drain_of: Any) -> None:
    """All were at work when it came; by the time that it asks some wait, and the longest of them makes room."""
    async with start_relay("http://127.0.0.1:1", worker=False, connections_max=3) as relay:
        await relay.api.aclose()
        paths = ["/webhook/" + relay.tokens.mint(TakeAddress(run_id=RUN, shot_id="s1", take=take)) for take in range(4)]
        busy = [await connect_to(relay) for _ in range(3)]
        for (_, writer), path in zip(busy, paths, strict=False):
            writer.write(post(path, DONE, "Expect: 100-continue").replace(b"Connection: close\r\n", b"")[:-1])
        assert [await drain_of(reader, whole=False) for reader, _ in busy] == [100] * 3
        late_reader, late = await connect_to(relay)
        for reader, writer in busy:
            writer.write(DONE[-1:])
            await reader.readline()
        first = [await drain_of(reader, whole=False) for reader, _ in busy]
        late.write(post(paths[3], DONE))
        last = await drain_of(late_reader)
        for _, writer in [*busy, (late_reader, late)]:
            writer.close()

    assert (first, last) == ([200] * 3, 200)


@pytest.fixture
def drain_of() -> Any:
    """``await drain_of(reader)``: the status of the answer, 0 if there is none; *whole*: to its end."""

    async def drain(reader: asyncio.StreamReader, *, whole: bool = True) -> int:
        async with asyncio.timeout(PATIENCE_S):
            with suppress(ConnectionError):
                line = await reader.readline()
                if whole:
                    await reader.read()
                return int(line.split()[1]) if line else 0
        return 0

    return drain


async def test_where_all_are_at_work_one_more_is_asked_to_come_back(
    start_relay: Any, connect_to: Any, talk: Any, post: Any
) -> None:
    """503 with Retry-After in the envelope of all errors; when one has gone, the next one passes."""
    board = {"model": "m", "shots": [{"id": "s1", "prompt": "x"}]}
    async with start_relay("http://127.0.0.1:1", worker=False, connections_max=5) as relay:
        run = await relay.run(board)
        await relay.api.aclose()
        watchers = []
        for _ in range(5):
            reader, writer = await connect_to(relay)
            writer.write(f"GET /v1/runs/{run}/events HTTP/1.1\r\nAuthorization: Bearer fr_test\r\n\r\n".encode())
            assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
            watchers.append(writer)
        path = "/webhook/" + relay.tokens.mint(TakeAddress(run_id=RUN, shot_id="s1", take=1))
        answer = await talk(relay, post(path, DONE))
        watchers.pop().close()
        async with asyncio.timeout(PATIENCE_S):
            while (taken_answer := await talk(relay, post(path, DONE))).status == 503:
                await asyncio.sleep(0.02)
        for writer in watchers:
            writer.close()

    assert (answer.status, answer.header("Retry-After")) == (503, "1")
    assert b'"code":"busy"' in answer.body
    assert taken_answer.status == 200
