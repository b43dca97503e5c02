"""
One connection: uvicorn's protocol plus what it lacks: timeouts for both sides, limits for request heads, eviction of
idle connections.

Each connection has one timer, which checks once a second; a request costs a few assignments.
"""

import logging
from asyncio import Protocol, TimerHandle, Transport
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from framerelay.config.settings import Settings
from framerelay.receiver.answers import error_answer
from framerelay.receiver.door.limits import LINES_A_MINUTE, Rate

HEAD_BYTES_MAX: Final = 32 * 1024
HEADERS_MAX: Final = 100
BODY_BYTES_A_SECOND: Final = 50_000  # A picture of 30 MB may take ten minutes, a callback twenty seconds.
FRAMING_SHARE: Final = 8  # A chunk of one byte is framed by five; extensions and endless trailers are not.
LINGER_S: Final = 2.0  # How long a sender is still read after its answer: a reset would discard that.
LOOK_EVERY_S: Final = 1.0
HEAD_TOO_LARGE: Final = "the head of the request, or the framing of its body, is too large"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionRules:
    """The settings of the connections of one server, and those that wait for a whole head, the longest first."""

    timeout_s: float
    connections_max: int
    waiting: dict["Connection", None] = field(default_factory=dict)


def connection_factory(kind: "type[Connection]", settings: Settings) -> "Callable[..., Connection]":
    """Makes the connections of one server, each of them a *kind*, as uvicorn requests them."""
    logging.getLogger("uvicorn.error").addFilter(limit_lines)
    rules = ConnectionRules(timeout_s=settings.request_timeout_s, connections_max=settings.connections_max)
    return partial(kind, rules=rules)


class Connection(HttpToolsProtocol):
    """
    One connection.

    The head of a request may take ``timeout_s``, and so may its body, plus a second for each 50 kB that came; then 408.
    A reader that takes nothing for ``timeout_s`` is cut off. Past ``connections_max``, the connection that has waited
    longest without a whole head is closed, so that idle connections cannot keep callbacks out; if all are busy: 503.
    """

    _due: float | None = None  # When the sender must have done its part; None once it has, or while we work.
    _stalled_at: float | None = None
    _whole = True  # No part of a request is outstanding.
    _in_head = False
    _answered = False  # Before it was whole: anything that still arrives is ignored.
    _refused = False
    _deaf = False  # What followed a request was not HTTP; that request still gets its answer.
    _body_bytes = 0
    _framing_bytes = 0  # Of this request, without its body and without the read in which it began.
    _read_bytes = 0
    _requests = 0
    _looking: TimerHandle | None = None

    def __init__(self, *arguments: Any, rules: "ConnectionRules", **keywords: Any) -> None:
        """As uvicorn makes it."""
        super().__init__(*arguments, **keywords)
        self.timeout_s, self.connections_max, self.waiting = rules.timeout_s, rules.connections_max, rules.waiting

    # --- what asyncio calls

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # uvicorn narrows it, too.
        """Close others for it if necessary; its time begins."""
        super().connection_made(transport)
        self._has_room()
        self._wait()
        self._looking = self.loop.call_later(LOOK_EVERY_S, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self.waiting.pop(self, None)
        if self._looking is not None:
            self._looking.cancel()
        super().connection_lost(exc)

    def eof_received(self) -> bool:  # type: ignore[override]  # uvicorn never wants the connection kept.
        """
        A client that sends no more may still wait for an answer: the connection stays open until it is written.

        This does not apply to a stream without an end, whose reader is most likely gone.
        """
        if not self._whole or not self._is_at_work() or self.cycle.chunked_encoding:
            return False
        self.cycle.keep_alive = False
        return True

    def data_received(self, data: bytes) -> None:
        """Count the bytes that frame a body; a request with much more framing than body is refused."""
        if self._refused or self._deaf:
            return
        requests, self._read_bytes = self._requests, len(data)
        super().data_received(data)
        if self._requests == requests and not self._whole:
            self._framing_bytes += len(data)
            if self._framing_bytes > HEAD_BYTES_MAX + FRAMING_SHARE * self._body_bytes:
                self._refuse(431, "head_too_large", HEAD_TOO_LARGE)

    def pause_writing(self) -> None:
        """The reader is slow."""
        self._stalled_at = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """The reader has taken some of it."""
        self._stalled_at = None
        super().resume_writing()

    # --- what the parser calls

    def on_message_begin(self) -> None:
        """The first byte of a head."""
        super().on_message_begin()
        self._requests += 1
        self._whole, self._in_head, self._answered = False, True, False
        self._body_bytes = self._framing_bytes = 0
        self._due = self.loop.time() + self.timeout_s

    def on_headers_complete(self) -> None:
        """The request goes to the application, or to its refusal."""
        self._in_head = False
        self._due = self.loop.time() + self.timeout_s
        self.waiting.pop(self, None)
        self.app = self._refusal() or self.config.loaded_app
        self._begin()

    def on_body(self, body: bytes) -> None:
        """The sender gets time to send more."""
        if not self._answered:
            self._body_bytes += len(body)
        self._framing_bytes -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The sender has done its part."""
        self._whole, self._due = True, None
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the next request, or, if the rest of this one is still coming, for ``LINGER_S``."""
        super().on_response_complete()
        if not self.cycle.response_complete:
            return  # The one that came after it is under way, with its own time limit.
        if self._whole:
            self._wait()
        elif not self._in_head:
            self._answered, self._body_bytes, self._due = True, 0, self.loop.time() + LINGER_S

    def send_400_response(self, msg: str) -> None:
        """Called by uvicorn for input that the parser does not understand."""
        if self._is_at_work() and not self.cycle.more_body:  # One line end too many, or a length in characters.
            self._deaf, self._whole, self._in_head, self._due = True, True, False, None
            self.cycle.keep_alive = False
            return
        self._refuse(400, "not_http", "this is not HTTP/1.1 as it should be")

    def _unsupported_upgrade_warning(self) -> None:
        """A client that asks for another protocol gets HTTP/1.1, without a log line."""

    # --- bounds and deadlines

    def _begin(self) -> None:
        super().on_headers_complete()

    def _wait(self) -> None:
        """Wait for a request: until its head is whole, the connection may be closed in favor of another one."""
        self._due = self.loop.time() + self.timeout_s
        self.waiting[self] = None

    def _has_room(self) -> bool:
        """
        Whether this one can be admitted, after closing as many as necessary of those that have waited longest.

        An abort takes effect a moment later; until then, others should neither choose the same connection nor count it.
        """
        while len(self.connections) > self.connections_max and self.waiting:
            oldest = next(iter(self.waiting))
            del self.waiting[oldest]
            self.connections.discard(oldest)
            oldest.transport.abort()
        over = len(self.connections) - self.connections_max
        return over <= 0 or sum(map(_is_gone, self.connections)) >= over

    def _refusal(self) -> Response | None:
        """The answer that replaces the application's, if there is one."""
        head_bytes = self._read_bytes + self._framing_bytes
        if len(self.headers) > HEADERS_MAX or (head_bytes > HEAD_BYTES_MAX and self._head_bytes() > HEAD_BYTES_MAX):
            return error_answer(431, "head_too_large", HEAD_TOO_LARGE, headers={"Connection": "close"})
        if not self._has_room():
            headers = {"Retry-After": "1", "Connection": "close"}
            return error_answer(503, "busy", "too many requests at once", headers=headers)
        return None

    def _head_bytes(self) -> int:
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers)

    def _look(self) -> None:
        """Once a second: is anybody late?"""
        now = self.loop.time()
        self._looking = self.loop.call_later(LOOK_EVERY_S, self._look)
        if self._stalled_at is not None and now - self._stalled_at > self.timeout_s:
            self.transport.abort()
        elif self._due is None:
            self._due = now + self.timeout_s if self.transport.is_closing() else None
        elif now > self._due + self._body_bytes / BODY_BYTES_A_SECOND:
            self._give_up(now)

    def _is_at_work(self) -> bool:
        """A request does not have its whole answer yet."""
        return self.cycle is not None and not self.cycle.response_complete

    def _give_up(self, now: float) -> None:
        at_work = self._is_at_work()
        if self.transport.is_closing() or self._refused or self._whole:
            self.transport.abort()
        elif self._in_head and at_work:
            self._due = now + self.timeout_s  # A second request has begun while the first has no answer yet.
        elif self._in_head or at_work:
            self._refuse(408, "too_slow", "the request did not come within its time")
        else:
            self.transport.abort()

    def _refuse(self, status: int, code: str, message: str) -> None:
        """Answer in place of the application, then read what is still on its way."""
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            if cycle.response_started or self._in_head or self.pipeline:
                self.transport.abort()  # An answer is under way already; this one would be read as part of it.
                return
            cycle.disconnected = True
            cycle.message_event.set()
        elif self._answered:
            self.transport.abort()
            return
        answer = error_answer(status, code, message, headers={"Connection": "close"})
        head = b"".join(b"%b: %b\r\n" % header for header in answer.raw_headers)
        self.transport.write(STATUS_LINE[status] + head + b"\r\n" + bytes(answer.body))
        self.transport.write_eof()
        self._refused, self._due = True, self.loop.time() + LINGER_S
        self.waiting.pop(self, None)


def _is_gone(connection: Protocol) -> bool:
    """Whether it is closed, and asyncio is about to say so; not if its answer is still being written."""
    transport: Transport = connection.transport  # type: ignore[attr-defined]  # Each of uvicorn's has one.
    return transport.is_closing() and not transport.get_write_buffer_size()


_garbage: Final = Rate(LINES_A_MINUTE, keys_max=1)


def limit_lines(record: logging.LogRecord) -> bool:
    """Let only a few of uvicorn's lines about input that is not HTTP pass: strangers could fill the disk with them."""
    return record.msg != "Invalid HTTP request received." or not _garbage.wait_s("line")
