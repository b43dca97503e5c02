"""
Rate limits: callbacks at one address of ours, and requests without a valid token or key from one address of theirs; and
limits on size: the bytes that are kept of callbacks at one address.

The order matters. A token costs one MAC to check and no database, so it is checked first, and senders with a valid
token are never counted by where they come from: a studio's whole output comes from a few addresses of its provider.
Only those who were refused are.

Counts are kept in this process: arithmetic cannot fail, so it neither lets everybody in nor turns a callback away when
some server is down. With several receivers, each allows as much.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Final

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request

from framerelay.config.settings import Settings
from framerelay.receiver.door.clients import Network, client_of
from framerelay.runs.errors import Busy
from framerelay.runs.tokens import Address, HookAddress

ADDRESSES_MAX: Final = 20_000  # Some 4 MB; a persistent attacker is among the last used, and so is never forgotten.
CLIENTS_MAX: Final = 10_000
HOOK_SHARE: Final = 100  # The address of a hook serves many jobs.
A_MINUTE_S: Final = 60.0
A_DAY_S: Final = 86_400.0
TOLERANCE_S: Final = 1e-9  # For what is lost when numbers are added.
NEVER: Final = (0.0, 0.0)
RECORD_BYTES: Final = 1024  # What Redis needs for a callback in addition to its body.
BODIES_MIN: Final = 4  # This many of the largest allowed size are kept, whatever the budget.
STREAMS_MAX: Final = 200
LINES_A_MINUTE: Final = 10
THE_REST: Final = "the rest"

log = structlog.get_logger()


class Limits:
    """What this receiver lets through; each call counts one request. Raises: HTTPException 429 if one too many."""

    def __init__(self, settings: Settings, *, clock: Callable[[], float] = time.monotonic) -> None:
        a_minute = settings.callbacks_per_minute
        bytes_max = max(settings.callback_bytes_per_day, BODIES_MIN * settings.callback_bytes_max)
        self._takes = Budgets(a_minute, bytes_max, keys_max=ADDRESSES_MAX, clock=clock)
        self._hooks = Budgets(a_minute * HOOK_SHARE, bytes_max * HOOK_SHARE, keys_max=ADDRESSES_MAX, clock=clock)
        self._clients = Rate(settings.refusals_per_minute, keys_max=CLIENTS_MAX, clock=clock)
        self._lines = Rate(LINES_A_MINUTE, keys_max=2, clock=clock)
        self._proxies: frozenset[Network] = settings.trusted_proxies

    def count_callback(self, address: Address) -> None:
        """After the token was found valid; generous, since a provider tries three times and no more."""
        if wait_s := self._of(address).wait_s(address.name, 1, 0):
            self._say("callbacks_limited", address=repr(address))
            raise _too_many("there are too many callbacks at this address", wait_s)

    def count_body(self, address: Address, size: int) -> None:
        """Before *size* bytes are kept: somebody who learned an address must not fill Redis through it."""
        if wait_s := self._of(address).wait_s(address.name, 0, size + RECORD_BYTES):
            self._say("callback_bytes_limited", address=repr(address))
            raise _too_many("there is too much in the callbacks at this address", wait_s)

    def lets_in(self, address: Address, size: int) -> bool:
        """`count_callback` and `count_body` without their messages: False if one of them would raise."""
        return not self._of(address).wait_s(address.name, 1, size + RECORD_BYTES)

    def count_stranger(self, request: Request) -> None:
        """After a token, link or key was found wrong; strict. The connection stays open: a new one would cost more."""
        client = client_of(request, proxies=self._proxies)
        if wait_s := self._clients.wait_s(client if self._clients.has_room_for(client) else THE_REST):
            self._say("strangers_limited", client=client)
            raise _too_many("there are too many requests without a good token or key", wait_s)

    def _of(self, address: Address) -> "Budgets":
        return self._hooks if isinstance(address, HookAddress) else self._takes

    def _say(self, event: str, **fields: str) -> None:
        """A few lines a minute tell as much as thousands, and do not fill the disk."""
        if not self._lines.wait_s(event):
            log.warning(event, **fields)


class Rate:
    """
    At most *number* in any minute (*over_s*) for each key, even all at once; at most *keys_max* keys are remembered.

    One number is kept for each: when its minute will be empty again. The least recently used key is forgotten first;
    `has_room_for` says whether that is possible without forgetting one that still counts.
    """

    def __init__(
        self, number: int, *, keys_max: int, over_s: float = A_MINUTE_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._each_s = over_s / number
        self._over_s = over_s
        self._keys_max = keys_max
        self._clock = clock
        self._empty_at: OrderedDict[Hashable, float] = (
            OrderedDict()
        )  # In a plain dict, finding the first key takes longer each time.

    def wait_s(self, key: Hashable, number: int = 1) -> float:
        """0.0, and *number* are counted; otherwise the seconds until they would be admitted, and nothing is counted."""
        now, buckets = self._clock(), self._empty_at
        empty_at = buckets.pop(key, now)
        if empty_at < now:
            empty_at = now
        full_at = empty_at + self._each_s * number
        wait_s = full_at - now - self._over_s
        if wait_s > TOLERANCE_S:
            buckets[key] = empty_at
            return wait_s
        buckets[key] = full_at
        if len(buckets) > self._keys_max:
            buckets.popitem(last=False)
        return 0.0

    def has_room_for(self, key: Hashable) -> bool:
        """Whether *key* can be counted without forgetting one that is not yet empty."""
        if key in self._empty_at or len(self._empty_at) < self._keys_max - 1:
            return True
        return self._empty_at[next(iter(self._empty_at))] <= self._clock()


class Budgets:
    """
    At most so many calls in any minute and so many bytes in any day for each key; at most *keys_max* are remembered.

    Keys are forgotten half of that at a time: those that were not among the other half, the last used. Each callback
    counts here, and to keep keys in order, as `Rate` does, costs more than the arithmetic.
    """

    def __init__(
        self, calls: int, number_of_bytes: int, *, keys_max: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._call_s = A_MINUTE_S / calls
        self._byte_s = A_DAY_S / number_of_bytes
        self._half = keys_max // 2
        self._clock = clock
        self._empty_at: dict[Hashable, tuple[float, float]] = {}
        self._empty_at_before: dict[Hashable, tuple[float, float]] = {}

    def wait_s(self, key: Hashable, calls: int, size: int) -> float:
        """
        0.0, and *calls* and *size* bytes are counted; otherwise the seconds until both would be admitted, and nothing
        is counted.
        """
        now, buckets = self._clock(), self._empty_at
        before = calls_at, bytes_at = buckets.get(key) or self._empty_at_before.get(key, NEVER)
        calls_at = (calls_at if calls_at > now else now) + self._call_s * calls
        bytes_at = (bytes_at if bytes_at > now else now) + self._byte_s * size
        latest = now + TOLERANCE_S
        is_over = calls_at - A_MINUTE_S > latest or bytes_at - A_DAY_S > latest
        buckets[key] = before if is_over else (calls_at, bytes_at)
        if len(buckets) >= self._half:
            self._empty_at, self._empty_at_before = {}, buckets
        return max(calls_at - A_MINUTE_S, bytes_at - A_DAY_S) - now if is_over else 0.0


class Slots:
    """At most *number* at once."""

    def __init__(self, number: int) -> None:
        self._free = number

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Take one for as long as the block lasts. Raises: Busy if there is none."""
        if not self._free:
            raise Busy("too many event streams are open: read the run itself, or close another stream")
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1


def _too_many(message: str, wait_s: float) -> HTTPException:
    return HTTPException(429, message, headers={"Retry-After": str(math.ceil(wait_s))})
