"""
All processes keep files in the same place: a folder or a bucket has an id, and Redis knows which one it is.

    {framerelay}:files    string    the place: its id, and in words where it is, on which machine

The id is in the place itself (``place-id``), so it moves with the files: a folder that is copied into a bucket, or
mounted elsewhere, stays the same place. Machines that wrongly believe that they share one are told at startup, before a
film is made half here and half there.
"""

import secrets
import socket
from typing import Final

import msgspec

from framerelay.runs.errors import Permanent
from framerelay.store.client import RelayRedis
from framerelay.store.media_store import MediaStore
from framerelay.store.tasks import pack

FILES: Final = "{framerelay}:files"


class FilesPlace(msgspec.Struct, frozen=True, kw_only=True):
    """Where files are kept: ``name`` is the folder or the bucket, ``host`` the machine that last registered it."""

    id: str
    name: str
    host: str

    def __str__(self) -> str:
        """In words for a person."""
        return self.name if "://" in self.name else f"{self.name} on {self.host}"


class PlaceDiffers(Permanent):
    """This process would keep its files in another place than the others."""

    code = "place_differs"


async def agree(redis: RelayRedis, media: MediaStore) -> None:
    """
    Make sure that *media* is the same place as the others use; the very first process decides which one it is.

    Raises: PlaceDiffers, in words that name machines and folders; StorageFailed; REDIS_ERRORS.
    """
    place, own = await place_of_all(redis), await media.place_id()
    if own is None and (place is None or _is_at(place, media)):
        own = await media.mark(place.id if place else secrets.token_hex(16))
    if place is None and own is not None:
        ours = _place(own, media)
        place = ours if await redis.set(FILES, pack(ours), nx=True) else await place_of_all(redis)
    if words := difference(place, own, media):
        raise PlaceDiffers(words)
    if own is not None and place != (ours := _place(own, media)):
        await redis.set(FILES, pack(ours))  # It was moved, or is mounted elsewhere; others are told where.


async def place_of_all(redis: RelayRedis) -> FilesPlace | None:
    """The registered place; None before the first start. Raises: REDIS_ERRORS."""
    content = await redis.get(FILES)
    return msgspec.msgpack.decode(content, type=FilesPlace) if content else None


def difference(place: FilesPlace | None, own: str | None, media: MediaStore) -> str | None:
    """How *media*, whose id is *own*, differs from the registered place, in words; None if it does not."""
    if place is None or own == place.id or (own is None and _is_at(place, media)):
        return None
    return f"files are kept in {place}, and this process would keep them in {_place('', media)}, which is not the same"


def _is_at(place: FilesPlace, media: MediaStore) -> bool:
    """Whether it has the same name, though it has lost its id: a folder that somebody has emptied."""
    return str(place) == str(_place("", media))


def _place(id: str, media: MediaStore) -> FilesPlace:
    return FilesPlace(id=id, name=media.name, host=socket.gethostname())
