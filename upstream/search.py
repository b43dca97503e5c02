"""A submit that was cut, looked for in the provider's own list of jobs: by what only that submit can have sent."""

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final

from framerelay.upstream.paths import read_path
from framerelay.upstream.profile import Listing, Profile
from framerelay.upstream.template import fill, words_in

PAGES_MAX: Final = 10
EARLIER_S: Final = 120.0  # So far the provider's clock may be behind ours.

AskList = Callable[[str, str, Any, Mapping[str, object]], Awaitable[dict[str, object]]]
"""Asks by a method and a template for an address, with a body; returns what it was answered."""


def can_be_searched(profile: Profile) -> bool:
    """Whether a job can be found again whose create was not answered."""
    reference, listing = profile.recover.reference, profile.recover.list
    by_reference = reference != "none" and reference.get is not None
    return by_reference or (listing != "none" and listing.reference is not None)


async def find_in_list(
    ask: AskList, listing: Listing, *, marks: Iterable[str], model: str | None, since: float
) -> dict[str, object] | None:
    """
    The entry of the list in which one of *marks* stands where ``listing.reference`` says; None where there is none.

    *since*: when the submit left, in seconds since 1970. At most `PAGES_MAX` pages are read. Raises: what *ask* raises.
    """
    if listing.reference is None:
        return None
    place, wanted = read_path(listing.reference), [mark for mark in marks if mark]
    address, page = listing.get or listing.post or "", 1
    while page <= PAGES_MAX:
        document = await ask("GET" if listing.get else "POST", address, *_filled(listing, model, since, page))
        entries = read_path(listing.items).find(document, document)
        for entry in entries if isinstance(entries, list) else ():
            value = place.find(entry, entry)
            if isinstance(entry, dict) and isinstance(value, str) and any(mark in value for mark in wanted):
                return entry
        following = read_path(listing.next).find(document, document) if listing.next else None
        if isinstance(following, str) and following.startswith(("https://", "http://")):
            address = following
        elif "page" not in words_in(address) or not entries:
            return None
        page += 1
    return None


def _filled(listing: Listing, model: str | None, since: float, page: int) -> tuple[Any, Mapping[str, object]]:
    start, now = since - EARLIER_S, time.time()
    words: dict[str, object] = {
        "page": page,
        "model": model,
        "from_ms": int(start * 1000),
        "to_ms": int(now * 1000),
        "from_s": int(start),
        "to_s": int(now),
    }
    return fill(listing.body, words), words
