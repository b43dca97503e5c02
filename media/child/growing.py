"""A growing file: a decoder that reads from it waits until the bytes have arrived. Only runs in the decoder process."""

import os
from collections.abc import Callable
from pathlib import Path

from framerelay.media.wire import GaveWay, Has, Stop, merge_parts


class GrowingFile:
    """
    A file of *size* bytes at *path* that a download is still writing, perhaps front and tail at once.

    Reads like a binary file, except that it waits. *listen* gives the owner's next word about it; *want* is called,
    once each time, when a position is read that has not arrived yet: the owner may fetch that first.
    """

    def __init__(
        self, path: Path, size: int, *, listen: Callable[[], Has | Stop], want: Callable[[int], object]
    ) -> None:
        self.size = size
        self._file = os.open(path, os.O_RDONLY)
        self._listen, self._want = listen, want
        self._at = 0
        self.is_over = False
        """Whether the owner has said stop: there are no more bytes, however often somebody tries to read on."""
        self._parts: list[tuple[int, int]] = []  # (first, end), with gaps between them, in order.

    def read(self, count: int = -1) -> bytes:
        """The bytes at this position, at most *count* and at least one; none only at the end of the file."""
        length = self.size - self._at if count < 0 else min(count, self.size - self._at)
        if length <= 0:
            return b""
        data = os.pread(self._file, min(length, self._wait_for(self._at) - self._at), self._at)
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go there, whether it has arrived or not."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise ValueError("before the beginning of the file")
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        """Where the next read begins."""
        return self._at

    def _wait_for(self, at: int) -> int:
        """Wait until the byte *at* has arrived; how far the bytes after it go without a gap."""
        has_asked = any(at == end for _, end in self._parts)  # The next bytes of the download need no request.
        while True:
            for first, end in self._parts:
                if first <= at < end:
                    return end
            if not has_asked:
                self._want(at)
                has_asked = True
            self._take_word()

    def _take_word(self) -> None:
        word = Stop() if self.is_over else self._listen()  # libav may pass over an error of ours, and read on.
        if isinstance(word, Stop):
            self.is_over = True
            raise GaveWay
        self._parts = merge_parts(self._parts, (word.first, word.end))
