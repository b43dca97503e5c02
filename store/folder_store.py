"""Our files in the data folder only: whatever is there is kept, for as many machines as share the folder."""

import asyncio
from pathlib import Path

from framerelay.store.files import MediaFiles, storing
from framerelay.store.removal import remove_files


class FolderStore:
    """`MediaStore` if no object storage is set: nothing has to be copied anywhere."""

    is_remote = False
    unkept_bytes = 0

    def __init__(self, files: MediaFiles) -> None:
        self.files = files

    @property
    def name(self) -> str:
        """The folder."""
        return str(self.files.root)

    async def place_id(self) -> str | None:
        """The id in the folder. Raises: StorageFailed."""
        with storing():
            return await asyncio.to_thread(self.files.place_id)

    async def mark(self, id: str) -> str:
        """Give the folder an id. Raises: StorageFailed."""
        with storing():
            return await asyncio.to_thread(self.files.mark, id)

    async def keep(self, path: str) -> None:
        """It is kept, since its writer has synced it."""

    async def fetch(self, path: str, *, size: int | None = None) -> Path:
        """The file itself. Raises: NotFound."""
        return self.files.existing(path)

    async def has(self, path: str) -> bool:
        """Whether it is there."""
        return self.files.has(path)

    async def is_kept(self, path: str, *, size: int) -> bool:
        """Whether it is there, with *size* bytes."""
        return self.files.has(path) and self.files.existing(path).stat().st_size == size

    async def size(self, path: str) -> int | None:
        """Its bytes; None if it is not there."""
        return self.files.existing(path).stat().st_size if self.files.has(path) else None

    async def link(self, path: str, *, life_s: float, method: str = "GET") -> str | None:
        """None: the receiver serves it."""
        return None

    async def signs_for(self, life_s: float) -> bool:
        """True: no links are given out."""
        return True

    async def origin(self) -> str | None:
        """None."""
        return None

    async def forget(self, path: str) -> None:
        """Remove one file. Raises: NotFound for no name of ours; StorageFailed."""
        with storing():
            await asyncio.to_thread(self.files.place(path).unlink, missing_ok=True)

    async def remove_old_films(self, run_id: str, *, before_turn: int) -> None:
        """Remove the films of earlier turns. Raises: StorageFailed."""
        with storing():
            await asyncio.to_thread(self.files.remove_old_films, run_id, before_turn=before_turn)

    async def remove(self, run_id: str) -> bool:
        """Remove the folder of a run."""
        return await asyncio.to_thread(remove_files, self.files, run_id)
