"""A page of a list that is kept by time alone: it is looked through until enough is found that is wanted."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

BATCH: Final = 200
LOOKED_AT_MAX: Final = 2000

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPage(Generic[T]):
    """``items``: newest first. ``more``: behind which of them to look on; None at the end."""

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
    At most *limit* of those that *batch* (how many, behind which) gives and that are wanted.

    It ends where one *is_past*, or after `LOOKED_AT_MAX`; then ``more`` leads on from there.
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
