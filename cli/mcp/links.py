"""Where the files of a run can be opened: links that need no key if they can be signed, and local paths."""

import time
from datetime import UTC, datetime
from typing import Final

from framerelay.api import shapes
from framerelay.cli.client import Receiver
from framerelay.cli.mcp.results import ClipLink
from framerelay.config.keys import find_secret
from framerelay.config.settings import Settings
from framerelay.runs.tokens import Links

LINK_LIFE_S: Final = 24 * 3600


class Addresses:
    """Addresses of a run's files, as links that need no key if we can sign them."""

    def __init__(self, receiver: Receiver, settings: Settings) -> None:
        secret = find_secret(settings)
        self._receiver = receiver
        self._links = Links(str(secret)) if secret else None
        self._end = int(time.time()) + LINK_LIFE_S
        self._is_checked = False

    @property
    def links_end(self) -> str | None:
        """When the links expire; None if they need the key."""
        return datetime.fromtimestamp(self._end, UTC).isoformat() if self._links else None

    def of(self, file: shapes.Video | shapes.Film) -> ClipLink:
        """Where *file* can be opened."""
        return ClipLink(
            url=self._sign(str(file.url)),
            path=place if (place := self._receiver.place_of(str(file.url))) != file.url else None,
            bytes=file.bytes,
            sha256=file.sha256,
            duration_s=file.duration_s,
        )

    def _sign(self, url: str) -> str:
        """Signed if our secret is the receiver's own, which the first link shows."""
        base, slash, path = url.partition("/media/")
        if self._links is None:
            return url
        link = self._links.sign(f"{slash}{path}", expires_at=self._end)
        if not self._is_checked:
            self._is_checked = True
            if not self._receiver.opens(link):
                self._links = None
                return url
        return f"{base}{link}"
