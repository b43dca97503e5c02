"""
Encoded shots of a film, each in a file of its own next to the film that is being made.

An interrupted join leaves them, and the next join reuses what is finished: a deploy costs a film only the shot that was
being encoded. Each is encoded separately, so a film is the same, no matter which join made which shot.
"""

import hashlib
import os
import secrets
import struct
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

import av
from av.container import InputContainer, OutputContainer

from framerelay.store.files import hold

ENDING: Final = struct.Struct(">I4s8sI")
"""A box that readers of MP4 skip, at the end: the file is complete, and lacks this many frames of its clip's."""
FREE, OURS = b"free", b"fr-shot:"

Write = Callable[[OutputContainer], int]
"""Encodes a shot into a container; returns how many of its frames are substitutes."""


class EncodedShots:
    """Those in *folder*, where the film is made, too."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._in_use = set[Path]()

    @contextmanager
    def shot_of(self, about: object, write: Write) -> Iterator[tuple[InputContainer, int]]:
        """
        The shot that *about* describes, and how many of its frames are substitutes; made by *write* if it is missing.

        *about*: everything that its bytes depend on, by its repr.
        """
        key = hashlib.sha256(f"{av.__version__} {about!r}".encode()).hexdigest()[:32]
        path = self._folder / f".shot-{key}.mp4"
        self._in_use.add(path)
        missing = _missing(path)
        if missing is None:
            missing = self._make(path, write)
        with closing(av.open(str(path), format="mov")) as container:
            yield container, missing

    def remove(self) -> None:
        """The film exists, and nobody needs its shots any more."""
        for path in self._in_use:
            path.unlink(missing_ok=True)

    def _make(self, path: Path, write: Write) -> int:
        draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
        try:
            with draft.open("xb") as stream:
                hold(stream)
                with av.open(str(draft), "w", format="mp4", options={"fflags": "+bitexact"}) as output:
                    missing = write(output)
                with draft.open("ab") as file:
                    file.write(ENDING.pack(ENDING.size, FREE, OURS, missing))
                    file.flush()
                    os.fsync(file.fileno())
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
        return missing


def _missing(path: Path) -> int | None:
    """What the end of a shot's file says; None if it is missing or incomplete."""
    with suppress(OSError, struct.error), path.open("rb") as file:
        file.seek(-ENDING.size, os.SEEK_END)
        size, kind, whose, missing = ENDING.unpack(file.read())
        if (size, kind, whose) == (ENDING.size, FREE, OURS):
            return int(missing)
    return None
