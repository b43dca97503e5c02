"""
The protocol of one server: behind the door, a short way for callbacks that are as they should be.

Authenticating and keeping such a callback costs little more than uvicorn's cycle, Starlette's way to the route and a
task for both. So one that comes whole and plain is handed over where the parser is done with it, and its answer is
written at once. Whatever is not so goes to the application, as if there were no other way. What happens to a callback
stands in `receiver.callbacks`, for both ways.
"""

import logging
from collections.abc import Callable
from functools import partial
from typing import ClassVar, Final

from starlette.responses import Response
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from config.settings import Settings
from receiver.callbacks import ADDRESSES, TAKER, Taker
from receiver.door import Door, spare

_UNUSUAL: Final = frozenset({b"content-encoding", b"transfer-encoding", b"expect"})
_LENGTH_DIGITS_MAX: Final = 6


def protocol(settings: Settings) -> "type[Door]":
    """That of one server: those of its connections that wait are known to each other."""
    logging.getLogger("uvicorn.error").addFilter(spare)

    class OfServer(ShortWay):
        timeout_s = settings.request_timeout_s
        connections_max = settings.connections_max
        short_bytes_max = min(settings.callback_bytes_max, HIGH_WATER_LIMIT)
        waiting: ClassVar[dict[Door, None]] = {}

    return OfServer


class ShortWay(Door):
    """One connection."""

    short_bytes_max: ClassVar[int]

    _callback: "_Callback | None" = None

    def on_message_complete(self) -> None:
        """A callback has come whole."""
        super().on_message_complete()
        callback = self._callback
        if callback is None or callback.disconnected:
            return
        self._callback = None
        token = self.url[len(ADDRESSES) :].decode("ascii", "replace")
        take: Taker | None = self.app_state.get(TAKER)
        if take is None or not take(token, bytes(callback.body), partial(self._answer, callback)):
            self._go_the_long_way(callback)

    def _begin(self) -> None:
        if self.app is self.config.loaded_app and self._is_plain():
            self._callback = _Callback(self._broke_off)
            self.cycle = self._callback  # type: ignore[assignment]  # It stands in for uvicorn's.
        else:
            super()._begin()

    def _broke_off(self) -> None:
        """The sender is gone or too slow, which is a reason to ask, too."""
        callback, self._callback = self._callback, None
        if callback is not None:
            self._go_the_long_way(callback)

    def _go_the_long_way(self, callback: "_Callback") -> None:
        self.cycle = None  # type: ignore[assignment]  # As it is before the first request.
        super()._begin()
        self.cycle.body += callback.body
        self.cycle.more_body, self.cycle.disconnected = callback.more_body, callback.disconnected
        self.cycle.message_event.set()

    def _is_plain(self) -> bool:
        """Nothing but a callback's body is to come, and nothing is under way before it."""
        if not self.url.startswith(ADDRESSES.encode()) or self.parser.get_method() != b"POST":
            return False
        if self.cycle is not None and not self.cycle.response_complete:
            return False
        if self.flow.write_paused or not self.parser.should_keep_alive() or self.parser.get_http_version() != "1.1":
            return False
        headers = dict(self.headers)
        length = headers.get(b"content-length", b"")
        if not length.isdigit() or len(length) > _LENGTH_DIGITS_MAX or int(length) > self.short_bytes_max:
            return False
        return headers.keys().isdisjoint(_UNUSUAL) and not self.parser.should_upgrade()

    def _answer(self, callback: "_Callback", answer: Response) -> None:
        if callback.disconnected:
            return
        callback.response_started = callback.response_complete = True
        headers = [*self.server_state.default_headers, *answer.raw_headers]
        if not callback.keep_alive:
            headers.append((b"connection", b"close"))
        head = b"".join([b"%b: %b\r\n" % header for header in headers])
        self.transport.write(b"%b%b\r\n%b" % (STATUS_LINE[answer.status_code], head, bytes(answer.body)))
        if not callback.keep_alive:
            self.transport.close()
        self.on_response_complete()


class _Callback:
    """One that is under way, with what uvicorn and the door ask of a cycle of their own."""

    response_started = response_complete = disconnected = False
    keep_alive = more_body = True

    def __init__(self, broke_off: Callable[[], None]) -> None:
        self.body = bytearray()
        self.message_event = self
        self._broke_off = broke_off

    def set(self) -> None:
        """There is more of it, or there will not be."""
        if self.disconnected:
            self._broke_off()
