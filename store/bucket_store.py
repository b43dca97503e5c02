"""Our files in object storage, shared by machines without a common folder; the local folder is scratch space."""

import asyncio
import mimetypes
import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import obstore
import structlog
from obstore.exceptions import AlreadyExistsError
from obstore.store import AzureStore, GCSStore, ObjectStore, S3Store

from framerelay.config.metrics import STORE
from framerelay.runs.errors import NotFound, StorageFailed
from framerelay.store.bucket import bucket_answers
from framerelay.store.files import PLACE_ID, MediaFiles, hold, is_old_film, publish, storing
from framerelay.store.removal import remove_files

if TYPE_CHECKING:
    from obstore import HTTP_METHOD

PIECE_BYTES: Final = 4 << 20
PIECES_AT_ONCE: Final = 8  # Over all files being fetched: at most 32 MB are under way.
LISTED_AT_ONCE: Final = 1000
LIST_S: Final = 20.0  # For one page, which somebody is waiting for.
PARTS_AT_ONCE: Final = 4  # Of one large file that is uploaded, five MB each.
LARGE_PUTS_AT_ONCE: Final = 6
LINK_S_MAX: Final = 7 * 86_400.0  # The longest links that S3 and Google Cloud Storage sign.
NO_BUCKET: Final = "object storage: there is no such bucket: make it, or correct FRAMERELAY_STORE"
TOKEN_S: Final = 900.0  # How long a link signed with a role's credentials certainly lives.
_METHODS: Final[dict[str, "HTTP_METHOD"]] = {"GET": "GET", "HEAD": "HEAD"}

log = structlog.get_logger()


class BucketStore:
    """
    `MediaStore` in *bucket*, below its prefix.

    *gives_links*: readers are redirected to the storage itself; otherwise everything goes through the receiver.
    """

    is_remote = True

    def __init__(self, files: MediaFiles, bucket: ObjectStore, *, name: str, gives_links: bool = True) -> None:
        self.files = files
        self.bucket = bucket
        self.name = name
        self.unkept_bytes = 0
        self.gives_links = gives_links
        self._origin: str | None = None
        self._pieces = asyncio.Semaphore(PIECES_AT_ONCE)
        self._large_puts = asyncio.Semaphore(LARGE_PUTS_AT_ONCE)

    async def place_id(self) -> str | None:
        """The id stored below the prefix. Raises: StorageFailed."""
        try:
            with bucket_answers():
                answer = await obstore.get_async(self.bucket, PLACE_ID)
                return bytes(await answer.bytes_async()).decode("ascii", "replace").strip() or None
        except FileNotFoundError:
            return None

    async def mark(self, id: str) -> str:
        """Give it an id. Raises: StorageFailed."""
        try:
            with bucket_answers(), suppress(AlreadyExistsError):
                await obstore.put_async(self.bucket, PLACE_ID, f"{id}\n".encode(), mode="create")
        except FileNotFoundError as error:
            raise StorageFailed(NO_BUCKET) from error
        return await self.place_id() or id

    async def keep(self, path: str) -> None:
        """Upload it, if large in parts, which the storage shows whole or not at all. Raises: as `MediaStore.keep`."""
        place = self.files.existing(path)
        if place.stat().st_size <= PIECE_BYTES:  # A frame that is handed on waits for no clips.
            await self._put(path, place)
            return
        async with self._large_puts:
            await self._put(path, place)

    async def _put(self, path: str, place: Path) -> None:
        kind = mimetypes.guess_type(path)[0] or ("image/webp" if path.endswith(".webp") else "application/octet-stream")
        try:
            with STORE.time("put"), bucket_answers():
                await obstore.put_async(
                    self.bucket, path, place, attributes={"Content-Type": kind}, max_concurrency=PARTS_AT_ONCE
                )
        except FileNotFoundError as error:  # Our own file, or a bucket that does not say why.
            raise StorageFailed(NO_BUCKET if self.files.has(path) else "our disk: the file is gone") from error

    async def fetch(self, path: str, *, size: int | None = None) -> Path:
        """The copy on this disk, or one that is fetched now, in pieces. Raises: as `MediaStore.fetch`."""
        with storing(), suppress(NotFound, FileNotFoundError):  # It may be removed at this very moment.
            place = self.files.existing(path)
            if size in (None, place.stat().st_size):
                os.utime(place)  # Files in use are not removed.
                return place
        with STORE.time("get"):
            return await self._fetch(path)

    async def _fetch(self, path: str) -> Path:
        size = await self.size(path)
        if size is None:
            raise NotFound("there is no such file")
        place = self.files.place(path)
        draft = place.with_name(f".{place.name}.{secrets.token_hex(4)}.part")
        try:
            with storing():
                file = draft.open("wb")
            with file:
                hold(file)
                pieces = [self._fetch_piece(path, draft, at, size) for at in range(0, size, PIECE_BYTES)]
                results = await asyncio.gather(*pieces, return_exceptions=True)
            if trouble := next((each for each in results if each is not None), None):
                raise trouble
            with storing():
                await asyncio.to_thread(publish, draft, place)
        except FileNotFoundError:
            raise NotFound("there is no such file") from None
        finally:
            draft.unlink(missing_ok=True)
        return place

    async def _fetch_piece(self, path: str, draft: Path, start: int, size: int) -> None:
        async with self._pieces:
            with bucket_answers():
                content = await obstore.get_range_async(
                    self.bucket, path, start=start, length=min(PIECE_BYTES, size - start)
                )
            with storing():
                await asyncio.to_thread(_write, draft, start, content)

    async def has(self, path: str) -> bool:
        """Whether it is on this disk, or in the storage."""
        return self.files.has(path) or await self.size(path) is not None

    async def is_kept(self, path: str, *, size: int) -> bool:
        """Whether it is in the storage, with *size* bytes."""
        return await self.size(path) == size

    async def size(self, path: str) -> int | None:
        """Its bytes in the storage; None if it is not there."""
        self.files.check(path)
        try:
            with bucket_answers():
                return (await obstore.head_async(self.bucket, path))["size"]
        except FileNotFoundError:
            return None

    async def link(self, path: str, *, life_s: float, method: str = "GET") -> str | None:
        """The storage's own signed link; it expires no later than the credentials that signed it."""
        if not self.gives_links or life_s > LINK_S_MAX or await self.size(path) is None:
            return None
        url = await self.sign(path, life_s=life_s, method=method)
        return url if _lives(url, life_s) else None

    async def signs_for(self, life_s: float) -> bool:
        """Whether a signed link lives that long."""
        if not self.gives_links:
            return True
        return life_s <= LINK_S_MAX and _lives(await self.sign(PLACE_ID, life_s=life_s), life_s)

    async def origin(self) -> str | None:
        """Where its signed links lead."""
        if not self.gives_links:
            return None
        if self._origin is None:
            parts = urlsplit(await self.sign("given/none.png", life_s=TOKEN_S))
            self._origin = f"{parts.scheme}://{parts.netloc}"
        return self._origin

    async def sign(self, path: str, *, life_s: float, method: str = "GET") -> str:
        """A link to *path*, whether the file exists or not. Raises: StorageFailed."""
        if not isinstance(self.bucket, S3Store | GCSStore | AzureStore):
            raise StorageFailed("object storage: it signs no links")
        # What Azure signs for reading works for both, and what is signed there for HEAD works for nothing.
        signed_for = "GET" if isinstance(self.bucket, AzureStore) else _METHODS[method]
        with bucket_answers():
            return await obstore.sign_async(self.bucket, signed_for, path, timedelta(seconds=life_s))

    async def forget(self, path: str) -> None:
        """Remove it here and there."""
        with storing():
            await asyncio.to_thread(self.files.place(path).unlink, missing_ok=True)
        await self._delete([path])

    async def remove_old_films(self, run_id: str, *, before_turn: int) -> None:
        """Remove them here and there."""
        with storing():
            await asyncio.to_thread(self.files.remove_old_films, run_id, before_turn=before_turn)
        names = await self._names(run_id)
        await self._delete([name for name in names if is_old_film(name.rpartition("/")[2], before_turn=before_turn)])

    async def remove(self, run_id: str) -> bool:
        """Remove everything below the run's prefix, and the copies on this disk."""
        if not await asyncio.to_thread(remove_files, self.files, run_id):
            return False
        try:
            await self._delete(await self._names(run_id))
        except StorageFailed as error:
            log.warning("files_not_removed", run_id=run_id, reason=error.message)
            return False
        return True

    async def missing(self, paths: Iterable[str]) -> set[str]:
        """Which of *paths* are not in the storage, by a list of all that is. Raises: StorageFailed."""
        rest = set(paths)
        pages = aiter(obstore.list(self.bucket, chunk_size=LISTED_AT_ONCE))
        try:
            while rest:
                async with asyncio.timeout(LIST_S):
                    with bucket_answers():
                        rest.difference_update([each["path"] for each in await anext(pages)])
        except StopAsyncIteration:
            return rest
        except TimeoutError as error:
            raise StorageFailed("object storage: it does not answer") from error
        return rest

    async def _names(self, run_id: str) -> list[str]:
        with bucket_answers():
            return [each["path"] for each in await obstore.list(self.bucket, prefix=run_id).collect_async()]

    async def _delete(self, names: list[str]) -> None:
        try:
            with bucket_answers():
                await obstore.delete_async(self.bucket, names)
        except FileNotFoundError:  # Somebody else is removing them, too; Google and Azure then stop halfway.
            if len(names) > 1:
                for name in names:
                    await self._delete([name])


def _lives(url: str, life_s: float) -> bool:
    """False if links are signed with temporary credentials whose expiry we do not know."""
    return life_s <= TOKEN_S or "x-amz-security-token" not in url.lower()


def _write(draft: Path, start: int, content: obstore.Bytes) -> None:
    with draft.open("r+b") as file:  # Each opens its own file: an abandoned fetch must not write into another file.
        file.seek(start)
        file.write(content)
