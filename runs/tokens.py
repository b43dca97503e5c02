"""
Unguessable addresses: the callback token of exactly one take (or hook), and signed links to files that we serve.

Both are HMACs under keys derived from ``FRAMERELAY_SECRET``, so a wrong one is refused without asking a database.
"""

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

MAC_BYTES: Final = 18
TOKEN_CHARS_MAX: Final = 300
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{4,240}\.[A-Za-z0-9_-]{24}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeAddress:
    """The callback address of one take."""

    run: str
    shot: str
    take: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HookAddress:
    """The callback address of a hook: for jobs that somebody else submitted."""

    hook: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeAddress:
    """Where `doctor` sends a callback to itself; from *expires_at* (seconds since 1970) on it opens nothing."""

    nonce: str
    expires_at: int


Address = TakeAddress | HookAddress | ProbeAddress


class Tokens:
    """Mints and reads the last part of ``/webhook/{token}``."""

    def __init__(self, secret: str) -> None:
        self._key = _derived(secret, "framerelay callback address v1")

    def mint(self, address: Address) -> str:
        """The token of *address*: always the same one under the same secret."""
        match address:
            case TakeAddress(run=run, shot=shot, take=take):
                payload = f"t:{run}:{shot}:{take}".encode()
            case HookAddress(hook=hook):
                payload = f"h:{hook}".encode()
            case ProbeAddress(nonce=nonce, expires_at=expires_at):
                payload = f"p:{nonce}:{expires_at}".encode()
        return f"{_b64(payload)}.{_b64(_mac(self._key, payload))}"

    def hook_run(self, hook: str, job_id: str) -> str:
        """The id of the run that a hook makes of a job: always the same one, and nobody else can tell it."""
        digest = _mac(self._key, f"r:{hook}:{job_id}".encode())
        return "run_" + base64.b32encode(digest[:15]).decode("ascii").lower()

    def read(self, token: str) -> Address | None:
        """What *token* names; None for anything that we did not mint, at the same cost whatever is wrong with it."""
        payload, mac = _split(token)
        if not hmac.compare_digest(mac, _mac(self._key, payload)):
            return None
        kind, _, rest = payload.decode().partition(":")
        if kind == "h":
            return HookAddress(hook=rest)
        if kind == "p":
            nonce, expires_at = rest.split(":")
            return ProbeAddress(nonce=nonce, expires_at=int(expires_at))
        run, shot, take = rest.split(":")
        return TakeAddress(run=run, shot=shot, take=int(take))


class Links:
    """Signs paths below ``/media`` for a limited time."""

    def __init__(self, secret: str) -> None:
        self._key = _derived(secret, "framerelay media link v1")

    def signed(self, path: str, *, expires_at: int) -> str:
        """*path* with the query that opens it until *expires_at* (seconds since 1970)."""
        return f"{quote(path)}?expires={expires_at}&signature={_b64(self._signature(path, expires_at))}"

    def opens(self, path: str, *, expires: str, signature: str, now: float) -> bool:
        """Whether the query of a link is ours, for this path, and not yet over."""
        if not expires.isascii() or not expires.isdigit() or len(expires) > 12:
            return False
        right = _b64(self._signature(path, int(expires)))
        return hmac.compare_digest(right.encode(), signature.encode()) and int(expires) > now

    def _signature(self, path: str, expires_at: int) -> bytes:
        return _mac(self._key, f"{expires_at}:{path}".encode())


def _split(token: str) -> tuple[bytes, bytes]:
    if len(token) > TOKEN_CHARS_MAX or not _TOKEN.fullmatch(token):
        return b"", b""
    payload, _, mac = token.partition(".")
    try:
        return _unb64(payload), _unb64(mac)
    except binascii.Error:
        return b"", b""


def _derived(secret: str, purpose: str) -> bytes:
    return hmac.digest(secret.encode(), purpose.encode(), hashlib.sha256)


def _mac(key: bytes, payload: bytes) -> bytes:
    return hmac.digest(key, payload, hashlib.sha256)[:MAC_BYTES]


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
