"""
The page's session: a cookie that stands for a key, so that the key itself is typed once and stored by no browser.

The cookie contains its expiry and which key was given, under our MAC. Only the names of sessions that were ended early
are stored. Removing a key from the settings ends its sessions, and a new ``FRAMERELAY_SECRET`` ends all of them.
"""

import base64
import hashlib
import hmac
import secrets
import time
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from framerelay.api.access import COOKIE

LIFE_S: Final = 7 * 86_400
INVITED_S: Final = 600


class Sessions:
    """Makes and reads the cookie; *secure*: it is only sent over https."""

    def __init__(self, secret: str, *, secure: bool) -> None:
        self._key = hmac.digest(secret.encode(), b"framerelay session v1", hashlib.sha256)
        self._secure = secure

    def begin(self, answer: Response, key: str) -> None:
        """Let *answer* carry a session of *key*."""
        payload = f"{int(time.time()) + LIFE_S}.{_fingerprint(key)}.{secrets.token_urlsafe(8)}"
        value = f"{payload}.{self._mac(payload)}"
        answer.set_cookie(COOKIE, value, max_age=LIFE_S, httponly=True, samesite="strict", secure=self._secure)

    def end(self, answer: Response) -> None:
        """Let *answer* take the session away."""
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=self._secure)

    def names(self, request: Request, key: str) -> bool:
        """Whether *request* comes in a session of *key* that has not ended."""
        value = request.cookies.get(COOKIE, "")
        payload, _, mac = value.rpartition(".")
        sound = hmac.compare_digest(mac.encode(), self._mac(payload).encode())
        until, fingerprint, *_ = *payload.split("."), ""
        same = hmac.compare_digest(fingerprint.encode(), _fingerprint(key).encode())
        return sound and same and int(until) > time.time()

    def name_of(self, request: Request) -> str:
        """The name of the session that *request* comes in, which gives no access."""
        return f"session:{hashlib.sha256(request.cookies.get(COOKIE, '').encode()).hexdigest()[:32]}"

    def invite(self) -> str:
        """A word that begins a session, once, in the next ten minutes; only somebody with the secret can make one."""
        payload = f"{int(time.time()) + INVITED_S}.{secrets.token_urlsafe(8)}"
        return f"{payload}.{self._seal(payload)}"

    def invitation(self, word: str) -> str | None:
        """The name of the invitation that *word* is, while it is valid; the caller makes sure that it is used once."""
        payload, _, mac = word.rpartition(".")
        sound = hmac.compare_digest(mac.encode(), self._seal(payload).encode())
        until, _, name = payload.partition(".")
        return name if sound and int(until) > time.time() else None

    def _seal(self, invitation: str) -> str:
        """128 bits are enough for ten minutes, and let the link fit on one line of a terminal."""
        mac = hmac.digest(self._key, f"invited {invitation}".encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(mac[:16]).decode().rstrip("=")

    def _mac(self, payload: str) -> str:
        return hmac.digest(self._key, payload.encode(), hashlib.sha256).hex()


def _fingerprint(key: str) -> str:
    return hashlib.sha256(b"framerelay key " + key.encode()).hexdigest()[:32]
