"""Looking in the provider's own list of jobs for a submit that broke off: by something only it can have sent."""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from framerelay.runs.errors import UpstreamAnswerUnreadable
from framerelay.upstream.paths import read_path
from framerelay.upstream.profile import Listing, Profile
from framerelay.upstream.reading import moment_of
from framerelay.upstream.template import fill, words_in

PAGES_MAX: Final = 10
EARLIER_S: Final = 120.0  # How far the provider's clock may be behind ours.
DAY_S: Final = 86_400.0

AskList = Callable[[str, str, Any, Mapping[str, object]], Awaitable[dict[str, object]]]
"""Sends a request with a method, a template for an address, and a body; returns the answer."""


def can_be_searched(profile: Profile) -> bool:
    """Whether a job can be found again if its create was not answered."""
    reference, listing = profile.recover.reference, profile.recover.list
    by_reference = reference != "none" and reference.get is not None
    return by_reference or (listing != "none" and listing.reference is not None)


def shows_addresses(profile: Profile) -> bool:
    """Whether the list of jobs shows the callback address of each."""
    listing = profile.recover.list
    return profile.recover.reference == "none" and listing != "none" and listing.reference is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class LostSubmit:
    """
    What may identify a job whose create was not answered: our reference *take*, and when it was sent (s).

    ``is_ours``: whether a callback address in the provider's list is one of the take, if that is not known in full.
    ``or_never``: it may never have been sent, and that must be certain: the search fails unless the list would have it.
    """

    take: str
    callback_url: str | None
    model: str
    since: float
    is_ours: Callable[[str], bool] | None = None
    or_never: bool = False

    def is_in(self, text: str) -> bool:
        """Whether *text*, from the provider's list, names it."""
        is_named = any(mark in text for mark in (self.take, self.callback_url) if mark)
        return is_named or (self.is_ours is not None and self.is_ours(text))


async def find_in_list(ask: AskList, listing: Listing, submit: LostSubmit) -> dict[str, object] | None:
    """
    The entry of the list that names *submit* where ``listing.reference`` says; None if there is none.

    At most `PAGES_MAX` pages are read. Raises: what *ask* raises; UpstreamAnswerUnreadable if the list goes on, or if
    it is not certain that a submit that was never sent is missing from it.
    """
    if listing.reference is None:
        return None
    place = read_path(listing.reference)
    address, page, total = listing.get or listing.post or "", 1, 0
    while page <= PAGES_MAX:
        words = _fill_listing(listing, submit.model, submit.since, page)
        document = await ask("GET" if listing.get else "POST", address, *words)
        content = read_path(listing.items).find(document, document)
        entries = content if isinstance(content, list) else []
        total += len(entries)
        for entry in entries:
            value = place.find(entry, entry)
            if isinstance(entry, dict) and isinstance(value, str) and submit.is_in(value):
                return entry
        following = read_path(listing.next).find(document, document) if listing.next else None
        if isinstance(following, str) and following.startswith(("https://", "http://")):
            address = following
        elif "page" not in words_in(address) or not entries:
            goes_on = listing.next is not None or "page" in words_in(address)
            if submit.or_never and not (total and _reaches_back(listing, None if goes_on else entries, submit.since)):
                break
            return None
        page += 1
    raise UpstreamAnswerUnreadable("the provider's list of jobs may have more than can be read of it")


def _reaches_back(listing: Listing, entries: list[object] | None, since: float) -> bool:
    """Whether a list has all jobs since then: it was read to its end, or its only *entries* go further back."""
    if listing.days is not None and since < time.time() - listing.days * DAY_S:
        return False
    if entries is None:
        return True
    times = [_created_at(listing, entry) for entry in entries]
    stamps = [at for at in times if at is not None]
    newest_first = len(stamps) == len(times) and stamps == sorted(stamps, reverse=True)
    return newest_first and stamps[-1] < since - EARLIER_S


def _created_at(listing: Listing, entry: object) -> float | None:
    moment = moment_of(read_path(listing.created).find(entry, entry)) if listing.created else None
    return None if moment is None else moment.timestamp()


def _fill_listing(listing: Listing, model: str | None, since: float, page: int) -> tuple[Any, Mapping[str, object]]:
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
