"""Testing whether a bucket permits what we need: a small object is written, read, listed, linked and deleted."""

import secrets
from collections.abc import Awaitable
from typing import Final, TypeVar

import obstore

from framerelay.runs.errors import StorageFailed
from framerelay.store.bucket import bucket_answers
from framerelay.store.bucket_store import NO_BUCKET, BucketStore

FOLDER: Final = "probe"
CONTENT: Final = b"framerelay doctor"
LINK_S: Final = 60.0

T = TypeVar("T")


async def probe(store: BucketStore) -> str | None:
    """
    Write, read and list an object of our own, and sign a link to it, which is returned; None if no link can be given.

    The object remains: `end_probe` deletes it. Raises: StorageFailed, in words that name the operation that failed.
    """
    path, bucket = f"{FOLDER}/{secrets.token_hex(8)}", store.bucket
    await _attempt("be written", obstore.put_async(bucket, path, CONTENT))
    if bytes(await _attempt("be read", obstore.get_range_async(bucket, path, start=0, length=1000))) != CONTENT:
        raise StorageFailed("object storage: a probe is read as something else than was written")
    entries = await _attempt("be listed", obstore.list(bucket, prefix=FOLDER).collect_async())
    if path not in {each["path"] for each in entries}:
        raise StorageFailed("object storage: a probe that was written is not listed")
    return await store.sign(path, life_s=LINK_S) if store.gives_links else None


async def end_probe(store: BucketStore) -> None:
    """Delete every probe, including those that others left. Raises: StorageFailed."""
    bucket = store.bucket
    names = [each["path"] for each in await _attempt("be listed", obstore.list(bucket, prefix=FOLDER).collect_async())]
    if names:
        await _attempt("be deleted", obstore.delete_async(bucket, names))


async def _attempt(what: str, action: Awaitable[T]) -> T:
    try:
        with bucket_answers():
            return await action
    except FileNotFoundError as error:
        raise StorageFailed(NO_BUCKET) from error
    except StorageFailed as error:
        raise StorageFailed(f"a probe cannot {what}: {error.message}") from error
