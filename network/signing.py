"""
Signatures of what we send, in the form of Standard Webhooks 1.0.0: HMAC-SHA256 over ``id.timestamp.body``.

A signature with each secret is sent, so that a receiver may change its own before or after we do.
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

from starlette.datastructures import Secret

from framerelay.config.settings import Settings

PREFIX: Final = "whsec_"


def signing_secrets(settings: Settings, secret: Secret) -> tuple[Secret, ...]:
    """Those of the settings, or else one derived from *secret* (``FRAMERELAY_SECRET``), always the same."""
    if settings.notify_secret:
        return settings.notify_secret
    key = hmac.digest(str(secret).encode(), b"framerelay notifications v1", hashlib.sha256)
    return (Secret(PREFIX + base64.b64encode(key).decode("ascii")),)


def signed_headers(secrets: Sequence[Secret], *, name: str, at: int, body: bytes) -> dict[str, str]:
    """The three headers of one try at *at* (seconds since 1970); *name* is the same for all tries."""
    content = f"{name}.{at}.".encode() + body
    keys = (base64.b64decode(str(secret).removeprefix(PREFIX)) for secret in secrets)
    macs = (base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode("ascii") for key in keys)
    return {
        "webhook-id": name,
        "webhook-timestamp": str(at),
        "webhook-signature": " ".join(f"v1,{mac}" for mac in macs),
    }
