"""
The public keys of senders that sign without a shared secret: fetched ahead and in the background, never for a callback.

A callback is verified with the keys that are here. If they do not match, they are fetched again soon, and the sender's
next try finds the new ones.
"""

import asyncio
import base64
import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import httpx
import msgspec
import structlog

from framerelay.config.urls import host_of
from framerelay.config.waiting import wait_within
from framerelay.runs.errors import FrameRelayError, UpstreamAnswerUnreadable, UpstreamUnavailable

KEYS_MAX: Final = 16
BYTES_MAX: Final = 64 << 10
FETCH_WITHIN_S: Final = 10.0
REST_S: Final = 30.0  # Between two fetches of one address, whatever signatures strangers send.
FRESH_FOR_S: Final = 6 * 3600.0
GOOD_FOR_S: Final = 24 * 3600.0  # fal: do not cache for longer. A revoked key must expire.

log = structlog.get_logger()


class _Key(msgspec.Struct):
    kty: object = None
    crv: object = None
    x: object = None


class _KeySet(msgspec.Struct):
    keys: list[_Key]


_decode = msgspec.json.Decoder(_KeySet).decode


@dataclass(slots=True, kw_only=True)
class _Keys:
    """What is known about one address; times by the monotonic clock."""

    keys: tuple[bytes, ...] = ()
    fetched_at: float | None = None
    tried_at: float | None = None
    wanted: bool = True


class PublicKeys:
    """
    The Ed25519 keys at *urls*, and at others once they are requested; `keep_fresh` has to be running.

    *http* decides which addresses may be contacted, and follows no redirects.
    """

    def __init__(self, http: httpx.AsyncClient, urls: Collection[str]) -> None:
        self._http = http
        self._key_sets = {url: _Keys() for url in urls}
        self._wake_up = asyncio.Event()

    def of(self, url: str) -> tuple[bytes, ...]:
        """The keys at *url*, 32 bytes each; empty if not fetched within ``GOOD_FOR_S``, or never requested."""
        key_set = self._at(url)
        is_good = key_set.fetched_at is not None and time.monotonic() - key_set.fetched_at < GOOD_FOR_S
        return key_set.keys if is_good else ()

    def refresh_soon(self, url: str) -> None:
        """The keys at *url* did not match: fetch them again, ``REST_S`` after the last time at the earliest."""
        self._at(url).wanted = True
        self._wake_up.set()

    def _at(self, url: str) -> _Keys:
        if url not in self._key_sets:
            self._key_sets[url] = _Keys()
            self._wake_up.set()
        return self._key_sets[url]

    async def keep_fresh(self) -> None:
        """Fetch keys that are wanted or getting old, forever."""
        while True:
            self._wake_up.clear()
            await self.fetch_due()
            dues = [_due_at(key_set) for key_set in self._key_sets.values()]
            pause_s = min(dues, default=time.monotonic() + FRESH_FOR_S) - time.monotonic()
            if pause_s > 0:
                await wait_within(self._wake_up, pause_s)

    async def fetch_due(self) -> None:
        """Fetch keys once that are wanted or getting old; failures are logged, and retried after ``REST_S``."""
        now = time.monotonic()
        await asyncio.gather(*(self._fetch(url) for url, key_set in self._key_sets.items() if _due_at(key_set) <= now))

    async def _fetch(self, url: str) -> None:
        key_set, is_done = self._key_sets[url], False
        key_set.wanted, key_set.tried_at = False, time.monotonic()
        host = host_of(url)
        try:
            async with asyncio.timeout(FETCH_WITHIN_S):
                key_set.keys = read_key_set(await _body(self._http, url))
            key_set.fetched_at, is_done = time.monotonic(), True
            log.info("public_keys_fetched", of_host=host, keys=len(key_set.keys))
        except (FrameRelayError, httpx.HTTPError, httpx.InvalidURL, ValueError, TimeoutError) as error:
            log.warning("public_keys_missed", of_host=host, reason=str(error) or type(error).__name__)
        finally:
            key_set.wanted = key_set.wanted or not is_done


def _due_at(key_set: _Keys) -> float:
    if key_set.tried_at is None:
        return 0.0
    return key_set.tried_at + (REST_S if key_set.wanted else FRESH_FOR_S)


async def _body(http: httpx.AsyncClient, url: str) -> bytes:
    body = bytearray()
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
    async with http.stream("GET", url, headers=headers) as answer:
        if answer.status_code != 200:
            raise UpstreamUnavailable(f"it answered {answer.status_code}")
        async for part in answer.aiter_raw():
            body += part
            if len(body) > BYTES_MAX:
                raise UpstreamAnswerUnreadable(f"the key set is larger than {BYTES_MAX} bytes")
    return bytes(body)


def read_key_set(body: bytes) -> tuple[bytes, ...]:
    """
    The Ed25519 keys in a JSON Web Key Set, at most ``KEYS_MAX``; other kinds and unusable ones are skipped.

    Raises: UpstreamAnswerUnreadable if there is not a single one.
    """
    try:
        entries = _decode(body).keys
    except msgspec.DecodeError as error:
        raise UpstreamAnswerUnreadable(f"this is not a JSON Web Key Set: {error}") from None
    keys = tuple(key for each in entries if (key := _ed25519(each)))
    if not keys:
        raise UpstreamAnswerUnreadable("the key set holds no Ed25519 key")
    return keys[:KEYS_MAX]


def _ed25519(key: _Key) -> bytes | None:
    """fal's keys have all three fields; a set that leaves out the first two means the same by its length."""
    if key.kty not in (None, "OKP") or key.crv not in (None, "Ed25519") or not isinstance(key.x, str):
        return None
    try:
        raw = base64.urlsafe_b64decode(key.x + "=" * (-len(key.x) % 4))
    except ValueError:  # Not ASCII, or not base64.
        return None
    return raw if len(raw) == 32 else None
