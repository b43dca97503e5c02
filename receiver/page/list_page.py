"""A page of a list that is only indexed by time: it is searched until enough matches are found."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

BATCH: Final = 200
LOOKED_AT_MAX: Final = 2000

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPage(Generic[T]):
    """``items``: newest first. ``more``: after which of them to continue; None at the end."""

    items: Sequence[T]
    more: str | None


async def look_through(
    batch: Callable[[int, str | None], Awaitable[Sequence[T]]],
    *,
    name: Callable[[T], str],
    is_match: Callable[[T], bool],
    is_past: Callable[[T], bool],
    limit: int,
    after: str | None,
) -> ListPage[T]:
    """
    At most *limit* of the items that *batch* (how many, after which) gives and that are wanted.

    It ends where one *is_past*, or after `LOOKED_AT_MAX`; then ``more`` continues from there.
    """
    items: list[T] = []
    for _ in range(LOOKED_AT_MAX // BATCH):
        page = await batch(BATCH, after)
        for each in page:
            if is_past(each):
                return ListPage(items=items, more=None)
            if is_match(each):
                if len(items) == limit:
                    return ListPage(items=items, more=after)
                items.append(each)
            after = name(each)
        if len(page) < BATCH:
            return ListPage(items=items, more=None)
    return ListPage(items=items, more=after)
