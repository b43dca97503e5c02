"""The keys of a receiver: what each gives access to, sessions that stand for them, and slower answers to guesses."""

import hmac
import time
from asyncio import sleep
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from framerelay.api.access import COOKIE, Right
from framerelay.config.keys import Keys
from framerelay.config.settings import Settings
from framerelay.receiver.door.clients import client_of
from framerelay.receiver.door.sessions import Sessions

FREE_GUESSES: Final = 10  # A person mistypes; a program keeps guessing.
GUESS_S_MAX: Final = 1.0
GUESSING_S: Final = 60.0  # After this long without a guess, an address starts over.
ADDRESSES_MAX: Final = 10_000
WAITING_MAX: Final = 64

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What a request may do, and whether a browser sends its credentials automatically."""

    right: Right
    by_cookie: bool


class KeyCheck:
    """The keys of this receiver, and a memory of addresses that guess."""

    def __init__(self, keys: Keys, settings: Settings) -> None:
        self.use(keys)
        self._own = _origin(settings.public_url) if settings.public_url else None
        self._guesses: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._waiting = 0
        self._proxies = settings.trusted_proxies
        https = (settings.public_url or "").startswith("https://")
        self.sessions = Sessions(str(keys.secret), secure=https)

    def use(self, keys: Keys) -> None:
        """From now on these keys count; sessions of keys that are not among them end."""
        self._keys = [(str(key), Right.OPERATE) for key in keys.operate] + [(str(key), Right.READ) for key in keys.read]

    def access(self, request: Request) -> Access | None:
        """What *request* may do; a Bearer key counts before a session. None without either."""
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme:
            right = self.right_of(key.strip()) if scheme.lower() == "bearer" else None
            return Access(right=right, by_cookie=False) if right else None
        if COOKIE not in request.cookies:
            return None
        rights = [right for key, right in self._keys if self.sessions.names(request, key)]
        return Access(right=max(rights), by_cookie=True) if rights else None

    def right_of(self, key: str) -> Right | None:
        """What *key* gives access to; all keys are compared, whichever one matches."""
        rights = [right for ours, right in self._keys if hmac.compare_digest(key.encode(), ours.encode())]
        return max(rights, default=None)

    def begin_session(self, answer: Response) -> None:
        """Let *answer* begin a session of the full-access key: for somebody who was invited."""
        self.sessions.begin(answer, max(self._keys, key=lambda each: each[1])[0])

    def is_own_origin(self, request: Request) -> bool:
        """Whether a browser says that the request was made by our own page."""
        origin = request.headers.get("origin")
        site = request.headers.get("sec-fetch-site", "same-origin")
        if not origin or site != "same-origin":
            return False
        try:
            return urlsplit(origin).netloc == request.headers.get("host") or origin == self._own
        except ValueError:  # Half an IPv6 address.
            return False

    async def reject(self, request: Request) -> None:
        """A wrong key is a guess; no key at all is not, nor is a session that has ended. Raises: as `delay_guess`."""
        if "authorization" in request.headers:
            await self.delay_guess(request)

    async def delay_guess(self, request: Request) -> None:
        """
        Delay the answer to a wrong key, longer and longer for the same address; correct keys are never delayed.

        Raises: HTTPException 429 when too many are already waiting.
        """
        address = client_of(request, proxies=self._proxies)
        wait_s = self._wait_s(address, time.monotonic())
        if not wait_s:
            return
        log.warning("key_guessed", address=address, wait_s=wait_s)
        if self._waiting >= WAITING_MAX:
            raise HTTPException(429, "too many wrong keys", headers={"Retry-After": "5"})
        self._waiting += 1
        try:
            await sleep(wait_s)
        finally:
            self._waiting -= 1

    def _wait_s(self, address: str, now: float) -> float:
        count, last = self._guesses.pop(address, (0, now))
        count = 1 if now - last > GUESSING_S else count + 1
        self._guesses[address] = (count, now)
        if len(self._guesses) > ADDRESSES_MAX:
            self._guesses.popitem(last=False)
        over = count - FREE_GUESSES
        return 0.0 if over <= 0 else float(min(0.125 * 2 ** min(over, 10), GUESS_S_MAX))


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
