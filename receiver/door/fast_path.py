"""
A fast path for well-formed callbacks, in front of the parser: one half of it.

Authenticating and keeping a callback costs less than the parser, uvicorn's cycle, Starlette's routing and the task
around them. So one that arrives in one piece, plainly written and alone, is handed over as it is, and its answer is
written at once. Anything else, even if that turns out later, is given to the parser as if it had just arrived.

The other half, `receiver.callbacks.batch`, says what both save. To remove them, give `connection_factory` in
`cli.serve` a `Connection` in place of a `FastConnection`, and delete the two files: nothing else changes.
"""

import re
from functools import cached_property, lru_cache
from typing import Final

from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from framerelay.receiver.callbacks.batch import Batch
from framerelay.receiver.door.connection import HEAD_BYTES_MAX, Connection
from framerelay.receiver.state import STATE

# Only one reading is possible: no header that frames or encodes a body differently, nothing but printable ASCII. Those
# headers begin with one of four letters: one look at the first tells most others apart.
_HEADER: Final = (
    rb"(?:(?![CTEUcteu](?i:ontent-length|ontent-encoding|ransfer-encoding|onnection|xpect|pgrade):)"
    rb"[A-Za-z0-9-]++:[\t -~]*+|(?i:connection: ?keep-alive))\r\n"
)
_LENGTH: Final = rb"(?i:content-length): ?([0-9]{1,6})\r\n"
PLAIN: Final = re.compile(
    rb"POST /++webhook/++([\w.-]++)/*+ HTTP/1\.1\r\n(?:%b){0,40}+%b(?:%b){0,40}+\r\n" % (_HEADER, _LENGTH, _HEADER),
    re.ASCII,
)
BATCH: Final = "batch"
_LAST: Final = ((b"connection", b"close"),)


class FastConnection(Connection):
    """One connection."""

    _under_way: bytes | None = None  # A callback on the fast path, as it came.
    _behind = b""  # What came after it.
    _closing = False

    def data_received(self, data: bytes) -> None:
        """A callback, anything else, or a piece of it."""
        if self._under_way is not None:
            self._behind += data
            self.flow.pause_reading()  # Answers are sent in the order of their requests.
            return
        plain = PLAIN.match(data)
        if plain is None or not self._is_whole(plain, data) or not self._is_idle():
            super().data_received(data)
            return
        self._unset_keepalive_if_required()
        self._under_way, self._due = data, None
        self._batch.accept(plain[1].decode(), data[plain.end() :], self._respond)

    def connection_lost(self, exc: Exception | None) -> None:
        """A callback that is under way is still kept; its sender gets no answer."""
        self._under_way, self._behind = None, b""
        super().connection_lost(exc)

    def eof_received(self) -> bool:  # type: ignore[override]  # As in `Connection`.
        """A client that sends no more may still wait for an answer."""
        if self._under_way is None:
            return super().eof_received()
        self._closing = True
        return True

    def shutdown(self) -> None:
        """Clients that wait for an answer get it first; a stream has no end to wait for, and its reader reconnects."""
        if self._under_way is not None:
            self._closing = True
        elif self._is_streaming():
            self.transport.close()
        else:
            super().shutdown()

    @cached_property
    def _batch(self) -> Batch:
        """The batch of this server: all its connections share what the application gives them."""
        batch: Batch | None = self.app_state.get(BATCH)
        if batch is None:
            batch = self.app_state[BATCH] = Batch(self.app_state[STATE])
        return batch

    def _is_streaming(self) -> bool:
        """Whether an answer of unknown length has begun: of our answers, only event streams."""
        cycle = self.cycle
        return cycle is not None and not cycle.response_complete and bool(cycle.chunked_encoding)

    def _is_whole(self, plain: re.Match[bytes], data: bytes) -> bool:
        head, length = plain.end(), int(plain[2])
        return head <= HEAD_BYTES_MAX and length <= self._batch.body_bytes_max and head + length == len(data)

    def _is_idle(self) -> bool:
        """No other request is outstanding, on either side, and this one may be admitted."""
        if not self._whole or self._refused or self.flow.write_paused or self.transport.is_closing():
            return False
        if self.cycle is not None and not self.cycle.response_complete:
            return False
        self.waiting.pop(self, None)  # It must not be closed to admit itself.
        return self._has_room()

    def _respond(self, answer: Response | None) -> None:
        """Write *answer*; None: the callback has to take the regular path."""
        data, behind = self._under_way, self._behind
        if data is None:
            return  # The sender is gone.
        self._under_way, self._behind = None, b""
        if answer is None:
            super().data_received(data)
            if self._closing:
                super().shutdown()
        else:
            ending = _LAST if self._closing else ()
            self.transport.write(_bytes_of(answer, (*self.server_state.default_headers, *ending)))
            self.server_state.total_requests += 1
            if self._closing:
                self.transport.close()
                return
            self._due = self.loop.time() + self.timeout_keep_alive
            self.waiting[self] = None
        if behind:
            self.flow.resume_reading()
            self.data_received(behind)


@lru_cache(maxsize=8)  # Within a second, nearly all are the same two: uvicorn's headers include the date.
def _bytes_of(answer: Response, headers: tuple[tuple[bytes, bytes], ...]) -> bytes:
    """*answer* as it is sent, with *headers* before its own."""
    head = b"".join([b"%b: %b\r\n" % header for header in (*headers, *answer.raw_headers)])
    return b"%b%b\r\n%b" % (STATUS_LINE[answer.status_code], head, bytes(answer.body))
