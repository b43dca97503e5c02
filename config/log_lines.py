"""
How log lines are written: those of one round of the event loop are rendered and written together.

A single line costs more than keeping the callback that it is about (80 µs; 9 among others), so it waits for the end of
the round. Outside of an event loop, in threads, and when the process ends, lines are written at once, after those that
wait. Only if the process is killed without warning, as by SIGKILL, are the lines of the current round lost. What lines
say and hide is in `config.logs`.
"""

import asyncio
import logging
import os
import select
import stat
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from structlog.typing import EventDict

LINES_MAX: Final = 1000  # More are not held back, however long the round lasts.
DEPTH_MAX: Final = 20  # Deeper values in a field are shown as their repr.
_IMMUTABLE: Final = frozenset({str, int, float, bool, type(None)})


class CleanLine(msgspec.Struct, kw_only=True):
    """A line of plain texts and numbers that have already been searched; fields that are unset are left out."""

    event: str
    level: str
    timestamp: datetime | None = None


LogEvent = EventDict | CleanLine
Render = Callable[[Sequence[LogEvent]], bytes]
ToEvent = Callable[[logging.LogRecord], EventDict]


class Lines(logging.Handler):
    """
    All lines of this process on their way to *stream*: each an event of structlog's, or a record of a library's.

    *render*: whole lines from events, with all secrets removed; it never raises. An event has its ``timestamp``, a
    `datetime`, and otherwise values that JSON has. *to_event*: makes an event from a record, except for the time. A
    slow reader of the stream is waited for; no line is left out, torn or mixed with another.

    An event may also be a `CleanLine`: the code that made it knows that it holds no secret.
    """

    def __init__(self, stream: Any, *, render: Render, to_event: ToEvent) -> None:
        super().__init__()
        self._stream = stream
        self._render = render
        self._to_event = to_event
        self._descriptor, self._piece_bytes_max = _descriptor(stream), None
        if self._descriptor is not None and stat.S_ISFIFO(os.fstat(self._descriptor).st_mode):
            self._piece_bytes_max = select.PIPE_BUF  # What a pipe takes at once, even if others write to it as well.
        self._waiting: list[LogEvent] = []
        self._due_in: asyncio.AbstractEventLoop | None = None
        self._is_writing, self._is_torn = False, False
        self._guard = threading.RLock()
        os.register_at_fork(after_in_child=_forget_after_fork(weakref.ref(self)))

    def add(self, event: EventDict) -> None:
        """A line for *event*, which shows its fields, and the time, as they are now."""
        if not _IMMUTABLE.issuperset(map(type, event.values())):
            event = {name: _copy(value) for name, value in event.items()}
        event["timestamp"] = datetime.now(UTC)
        self._append(event)

    def add_clean(self, line: CleanLine) -> None:
        """The same for an event from which nothing has to be removed; at a fifth of the cost."""
        line.timestamp = datetime.now(UTC)
        self._append(line)

    def _append(self, event: LogEvent) -> None:
        self._waiting.append(event)
        loop = _running_loop()
        if loop is None or len(self._waiting) >= LINES_MAX:
            self.flush()
        elif self._due_in is not loop:
            self._due_in = loop
            loop.call_soon(self.flush)

    def emit(self, record: logging.LogRecord) -> None:
        """A line of a library's."""
        self.add(self._to_event(record))

    def flush(self) -> None:
        """Write the waiting lines now."""
        with self._guard:
            if self._is_writing:  # A signal arrived in the middle of it; new lines follow those being written.
                return
            self._is_writing = True
            try:
                self._due_in = None
                while number := len(self._waiting):
                    events = self._waiting[:number]
                    del self._waiting[:number]  # Others may add to it in the meantime, without the guard.
                    self._write(self._render(events))
            finally:
                self._is_writing = False

    def forget(self) -> None:
        """The waiting lines belong to somebody else: in a forked process, to its parent."""
        self._waiting, self._due_in, self._is_writing, self._guard = [], None, False, threading.RLock()

    def _write(self, data: bytes) -> None:
        """A stream that is closed or full loses lines, as it always did; the code that logs has other things to do."""
        try:
            if self._descriptor is None:
                self._stream.write(data.decode())
                self._stream.flush()
                return
            self._stream.flush()  # Earlier output must come first.
            for piece in _pieces(b"\n" + data if self._is_torn else data, self._piece_bytes_max):
                self._write_piece(self._descriptor, piece)
        except (OSError, ValueError):
            pass

    def _write_piece(self, descriptor: int, piece: bytes) -> None:
        rest = memoryview(piece)
        while rest:
            try:
                count = os.write(descriptor, rest)
            except BlockingIOError:
                _wait_for_room(descriptor)
                continue
            rest = rest[count:]
            self._is_torn = bool(rest)


class LinesLogger:
    """What structlog calls when an event has passed its processors."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines

    def log(self, event: EventDict) -> None:
        """For any level, which the event has as a field."""
        self._lines.add(event)

    debug = info = warning = warn = error = err = critical = fatal = failure = exception = msg = log


def _copy(value: object, depth: int = 0) -> object:
    """
    *value* as a line would show it now: lists and mappings copied, anything else that may change as its ``repr``.

    A value that cannot be shown must not stop the code that logs it.
    """
    try:
        if isinstance(value, str):
            return str.__str__(value)
        if value is None or isinstance(value, (int, float)):
            return value
        if isinstance(value, Mapping) and depth < DEPTH_MAX:
            return {_copy_name(name): _copy(inner, depth + 1) for name, inner in value.items()}
        if isinstance(value, (list, tuple)) and depth < DEPTH_MAX:
            return [_copy(inner, depth + 1) for inner in value]
        return repr(value)
    except Exception as error:
        return f"[{type(value).__name__} cannot be shown: {type(error).__name__}]"


def _copy_name(name: object) -> str | int | float | None:
    if isinstance(name, str):
        return str.__str__(name)
    return name if name is None or isinstance(name, (int, float)) else repr(name)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _descriptor(stream: Any) -> int | None:
    """The file descriptor of a stream that is a file; None for one in memory."""
    try:
        return int(stream.fileno())
    except (AttributeError, OSError, ValueError):
        return None


def _pieces(data: bytes, bytes_max: int | None) -> Iterator[bytes]:
    """Whole lines, as many together as *bytes_max* allows; a longer one by itself."""
    begin = 0
    while bytes_max is not None and len(data) - begin > bytes_max:
        end = data.rfind(b"\n", begin, begin + bytes_max) + 1 or data.index(b"\n", begin + bytes_max) + 1
        yield data[begin:end]
        begin = end
    yield data[begin:]


def _wait_for_room(descriptor: int) -> None:
    """Wait until a non-blocking pipe takes more, as a blocking one would."""
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    poll.poll()


def _forget_after_fork(lines: "weakref.ref[Lines]") -> Callable[[], None]:
    def forget() -> None:
        if (writer := lines()) is not None:
            writer.forget()

    return forget
