"""
Unguessable addresses: the callback token of exactly one take (or hook), and signed links to files that we serve.

Both are HMACs under keys derived from ``FRAMERELAY_SECRET``, so a wrong one is refused without asking a database.
"""

import base64
import binascii
import hashlib
import hmac
import re
from typing import Final
from urllib.parse import quote

import msgspec
from msgspec.structs import force_setattr

MAC_BYTES: Final = 18
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{4,240}\.[A-Za-z0-9_-]{24}")
_FROM_URL: Final = bytes.maketrans(b"-_", b"+/")
_NO_MAC: Final = bytes(MAC_BYTES)


class TakeAddress(msgspec.Struct, frozen=True, kw_only=True):
    """
    The callback address of one take; it names the same take whatever its lifetime.

    ``ends_at``: seconds since 1970, after which the address is no longer valid. None: without an end, as before
    addresses expired; jobs submitted then may still call. They are read until version 0.3.
    ``provider``: whose callbacks arrive there, if they are read by its profile; None: read like those of the jobs API.
    ``name``: the same for all tokens of this take, and different from every other address; it is always computed, once,
    since it is needed three times.
    A struct, like the two below, since each callback makes one.
    """

    run_id: str
    shot_id: str
    take: int
    ends_at: int | None = None
    provider: str | None = None
    name: str = ""

    def __post_init__(self) -> None:
        force_setattr(self, "name", f"t:{self.run_id}:{self.shot_id}:{self.take}")


class HookAddress(msgspec.Struct, frozen=True, kw_only=True):
    """The callback address of a hook: for jobs that somebody else submitted."""

    hook: str

    @property
    def name(self) -> str:
        """The same for all tokens of this hook, and different from every other address."""
        return f"h:{self.hook}"


class ProbeAddress(msgspec.Struct, frozen=True, kw_only=True):
    """Where `doctor` sends a callback to itself, until ``ends_at`` (seconds since 1970)."""

    nonce: str
    ends_at: int

    @property
    def name(self) -> str:
        """Unique to this probe."""
        return f"p:{self.nonce}"


Address = TakeAddress | HookAddress | ProbeAddress


class Tokens:
    """Creates and reads the last part of ``/webhook/{token}``."""

    def __init__(self, secret: str) -> None:
        self._mac = _new_mac(secret, "framerelay callback address v1")

    def mint(self, address: Address) -> str:
        """The token of *address*: always the same one under the same secret."""
        payload = _payload(address)
        return f"{_b64(payload)}.{_b64(_mac(self._mac, payload))}"

    def hook_run(self, hook: str, job_id: str) -> str:
        """The id of the run that a hook makes from a job: always the same one, and nobody else can guess it."""
        digest = _mac(self._mac, f"r:{hook}:{job_id}".encode())
        return "run_" + base64.b32encode(digest[:15]).decode("ascii").lower()

    def read(self, token: str, *, now: float) -> Address | None:
        """
        What *token* names at *now*; None for anything that we did not create, and for what has expired.

        Malformed, wrong or expired: a MAC is always computed and compared, so that timing reveals nothing.
        """
        payload, mac = _split(token)
        if not hmac.compare_digest(mac, _mac(self._mac, payload)):
            return None
        address = _address(payload.decode())
        ends_at = None if isinstance(address, HookAddress) else address.ends_at
        return None if ends_at is not None and ends_at <= now else address


class Links:
    """Signs paths below ``/media`` for a limited time."""

    def __init__(self, secret: str) -> None:
        self._mac = _new_mac(secret, "framerelay media link v1")

    def sign(self, path: str, *, expires_at: int) -> str:
        """*path* with the query that opens it until *expires_at* (seconds since 1970)."""
        return f"{quote(path)}?expires={expires_at}&signature={_b64(self._signature(path, expires_at))}"

    def opens(self, path: str, *, expires: str, signature: str, now: float) -> bool:
        """Whether the query of a link is ours, for this path, and has not expired."""
        if not expires.isascii() or not expires.isdigit() or len(expires) > 12:
            return False
        right = _b64(self._signature(path, int(expires)))
        return hmac.compare_digest(right.encode(), signature.encode()) and int(expires) > now

    def _signature(self, path: str, expires_at: int) -> bytes:
        return _mac(self._mac, f"{expires_at}:{path}".encode())


def _payload(address: Address) -> bytes:
    match address:
        case HookAddress(hook=hook):
            return f"h:{hook}".encode()
        case ProbeAddress(nonce=nonce, ends_at=end):
            return f"p:{nonce}:{end}".encode()
        case TakeAddress(ends_at=end, provider=provider):
            until = "" if end is None else f"{end}"
            more = f":{until}:{provider}" if provider is not None else until and f":{until}"
            return f"{address.name}{more}".encode()


def _address(payload: str) -> Address:
    kind, rest = payload[0], payload[2:]
    if kind == "h":
        return HookAddress(hook=rest)
    parts = rest.split(":")
    if kind == "p":
        return ProbeAddress(nonce=parts[0], ends_at=int(parts[1]))
    run_id, shot_id, take = parts[:3]
    ends_at = int(parts[3]) if len(parts) > 3 and parts[3] else None
    provider = parts[4] if len(parts) > 4 else None
    return TakeAddress(run_id=run_id, shot_id=shot_id, take=int(take), ends_at=ends_at, provider=provider)


def _split(token: str) -> tuple[bytes, bytes]:
    """Payload and MAC as they were sent; for anything that does not look like a token, a pair that cannot be right."""
    if not _TOKEN.fullmatch(token):
        return b"", _NO_MAC
    payload, _, mac = token.encode().translate(_FROM_URL).partition(b".")
    try:
        return binascii.a2b_base64(payload + b"=="), binascii.a2b_base64(mac)  # Padding that is not needed is ignored.
    except binascii.Error:
        return b"", _NO_MAC


def _new_mac(secret: str, purpose: str) -> hmac.HMAC:
    """An HMAC that has its key but no message yet: copying it costs half as much as making one."""
    return hmac.new(hmac.digest(secret.encode(), purpose.encode(), hashlib.sha256), digestmod=hashlib.sha256)


def _mac(hasher: hmac.HMAC, payload: bytes) -> bytes:
    mac = hasher.copy()
    mac.update(payload)
    return mac.digest()[:MAC_BYTES]


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")
