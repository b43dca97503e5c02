"""Whether object storage has what the runs of a backup name: their files are in the bucket, and in no backup."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from framerelay.cli.output import echo
from framerelay.runs.errors import StorageFailed
from framerelay.runs.text import number_of, printable
from framerelay.store.bucket_store import BucketStore
from framerelay.store.media_store import MediaStore

SHOWN: Final = 5
ANSWER_S: Final = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """``missing``: paths that are not there, None if that could not be checked, with the ``reason``, in words."""

    missing: list[str] | None
    reason: str | None = None


async def place_id_of(media: MediaStore) -> str | None:
    """The id that is there; somebody is waiting for it. Raises: StorageFailed."""
    try:
        async with asyncio.timeout(ANSWER_S):
            return await media.place_id()
    except TimeoutError as error:
        raise StorageFailed("object storage: it does not answer") from error


async def search(media: MediaStore, paths: Iterable[str]) -> Search:
    """Look for *paths*, as `store.files` names them, in the bucket; a folder is checked by the code that copies it."""
    if not isinstance(media, BucketStore):
        return Search(missing=[])
    try:
        return Search(missing=sorted(await media.missing(paths)))
    except StorageFailed as error:
        return Search(missing=None, reason=error.message)


def print_search(answer: dict[str, Any]) -> None:
    """Which of the files in ``store`` are ``missing``, or why that is not known (``missing_unknown``)."""
    if answer["missing_unknown"]:
        echo(printable(f"not known: whether clips are missing in {answer['store']} ({answer['missing_unknown']})"))
    elif answer["missing"]:
        echo(printable(f"missing in {answer['store']}: {names_in_words(answer['missing'])}"))


def names_in_words(paths: list[str]) -> str:
    """Their number, and the first of them."""
    first = ", ".join(path.removeprefix("media/") for path in paths[:SHOWN])
    return f"{number_of('file', len(paths))} ({first}{', …' if len(paths) > SHOWN else ''})"
