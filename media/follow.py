"""The owner's end of decoding during a download: the process learns what has arrived, and says what it wants next."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from framerelay.media.model import Examination, FrameFacts
from framerelay.media.wire import Follow, FrameTaken, Has, Interim, Stop, Wants, merge_parts, to_json

TELL_S = 0.01
"""A slow line brings hundreds of pieces a second, and each message about one wakes the decoder: they are combined."""


class Follower:
    """
    One clip on its way to a decoder; a download calls `begin`, `has` and `drop` (see media.download.download).

    *decode* gives it to a decoder, as `media.decoder.Decoder.follow` does. It is only an optimization: a decoder that
    has other work gives this up, and the clip is examined when it is complete.
    """

    def __init__(
        self,
        decode: Callable[[Follow, "Follower"], Awaitable[Examination | None]],
        *,
        frame_into: Path,
        on_frame: Callable[[FrameFacts], object] | None = None,
    ) -> None:
        self._decode = decode
        self._frame_into = frame_into
        self._on_frame = on_frame
        self._task: asyncio.Task[Examination | None] | None = None
        self._want: Callable[[int], object] = lambda _: None
        self._write: Callable[[bytes], object] | None = None
        self._ending: Callable[[], object] = lambda: None
        self._lines: list[bytes] = []
        self._news: list[tuple[int, int]] = []
        self._telling: asyncio.TimerHandle | None = None
        self._missing = 0
        self._is_over = False

    def begin(self, place: Path, size: int, want: Callable[[int], object]) -> None:
        """The file *place* will grow to *size* bytes; *want* is called with the byte the decoder waits for."""
        if self._task is None and not self._is_over:
            self._missing, self._want = size, want
            request = Follow(clip=place, size=size, frame_into=self._frame_into)
            self._task = asyncio.ensure_future(self._decode(request, self))

    def has(self, first: int, end: int) -> None:
        """The bytes from *first* to before *end* are in the file; none are sent twice."""
        if self._task and not self._is_over:
            self._missing -= end - first
            self._news = merge_parts(self._news, (first, end))
            if not self._missing:
                self._tell()
                self._ending()
            elif self._telling is None:
                self._telling = asyncio.get_running_loop().call_later(TELL_S, self._tell)

    def drop(self) -> None:
        """The file starts over, or will never be complete: nothing that was seen of it counts."""
        self.give_way()
        self._is_over = True

    async def result(self) -> Examination | None:
        """The result, when the file is complete; None if it must be examined again. Raises: as `Decoder`."""
        if self._task is None or self._is_over:
            return None
        return await self._task

    async def close(self) -> None:
        """End what is still running."""
        self.drop()
        if self._task and not self._task.done():
            self._task.cancel()
        if self._task:
            await asyncio.gather(self._task, return_exceptions=True)

    # --- what the decoder calls

    def attach(self, write: Callable[[bytes], object], ending: Callable[[], object]) -> None:
        """The process has its request, and listens to *write*; *ending* is called when it needs no more messages."""
        self._write, self._ending = write, ending
        for line in self._lines:
            write(line)
        if not self._missing or self._is_over:
            ending()

    def detach(self) -> None:
        """The process has answered: whatever still arrives does not concern it, nor its next job."""
        self._write, self._ending = lambda _: None, lambda: None

    def take_answer(self, answer: Interim) -> None:
        """What the process says before its answer."""
        match answer:
            case Wants(at=at) if not self._is_over:
                self._want(at)
            case FrameTaken(frame=frame) if not self._is_over and self._on_frame:
                self._on_frame(frame)

    def give_way(self) -> None:
        """There is other work: unless all of the file is there, stop."""
        if self._missing and self._task and not self._is_over:
            self._tell()
            self._is_over = True
            self._say(to_json(Stop()) + b"\n")
            self._ending()

    def _tell(self) -> None:
        """Report what has arrived since the last time."""
        if self._telling:
            self._telling.cancel()
            self._telling = None
        for first, end in self._news:
            self._say(to_json(Has(first=first, end=end)) + b"\n")
        self._news = []

    def _say(self, line: bytes) -> None:
        if self._write:
            self._write(line)
        else:
            self._lines.append(line)
