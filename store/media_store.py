"""Where clips, frames, films and given pictures are kept permanently: one set of calls for a folder and a bucket."""

from pathlib import Path
from typing import Protocol

from framerelay.store.files import MediaFiles


class MediaStore(Protocol):
    """
    ``files`` is the folder of this machine; each path is one of its names.

    ``is_remote``: what is in the folder is a copy, and is kept only once it was stored where every machine finds it.
    ``unkept_bytes``: how much of it was found to be only there, when there was more than allowed.
    """

    files: MediaFiles
    is_remote: bool
    unkept_bytes: int

    @property
    def name(self) -> str:
        """The folder, or the bucket with its prefix, for a person."""

    async def place_id(self) -> str | None:
        """The id stored there; None if there is none yet. Raises: StorageFailed."""

    async def mark(self, id: str) -> str:
        """Give it *id*, unless somebody was faster; returns the id that is there. Raises: StorageFailed."""

    async def keep(self, path: str) -> None:
        """Keep a file of the folder; a second call replaces it. Raises: NotFound; StorageFailed."""

    async def fetch(self, path: str, *, size: int | None = None) -> Path:
        """
        Where the file is in the folder, fetched as a whole if necessary.

        *size*: how many bytes it has; a copy with another length is an earlier one, and is replaced.
        Raises: NotFound; StorageFailed.
        """

    async def has(self, path: str) -> bool:
        """Whether `fetch` would find it. Raises: StorageFailed."""

    async def is_kept(self, path: str, *, size: int) -> bool:
        """Whether it is kept, with *size* bytes. Raises: StorageFailed."""

    async def size(self, path: str) -> int | None:
        """Its size in bytes; None if it is not kept there. Raises: NotFound for no name of ours; StorageFailed."""

    async def link(self, path: str, *, life_s: float, method: str = "GET") -> str | None:
        """
        An address at which anybody can read it for *life_s* seconds, also by Range; only with that *method*.

        None if we have to serve it ourselves: it is not kept there, or no such address can be made.
        Raises: StorageFailed.
        """

    async def signs_for(self, life_s: float) -> bool:
        """Whether such an address lives for *life_s* seconds; True if there are none. Raises: StorageFailed."""

    async def origin(self) -> str | None:
        """Scheme, host and port of those addresses; None if there are none. Raises: StorageFailed."""

    async def forget(self, path: str) -> None:
        """Remove one file; one that is gone is not an error. Raises: NotFound for no name of ours; StorageFailed."""

    async def remove_old_films(self, run_id: str, *, before_turn: int) -> None:
        """Remove the films of earlier turns; they can be made again from their clips. Raises: StorageFailed."""

    async def remove(self, run_id: str) -> bool:
        """Remove all files of a run; False if some could not be removed, which is logged."""
