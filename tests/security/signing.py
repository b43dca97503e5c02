"""A secret, a callback, and the headers by which it proves where it comes from."""

import base64
import hashlib
import hmac
import time

import pytest

from framerelay.runs.tokens import TakeAddress

anyio = pytest.mark.anyio
KEY = b"a secret of some thirty bytes..."
OTHER = b"another secret of thirty bytes.."
RUN = "run_" + "a" * 24
TAKE = TakeAddress(run_id=RUN, shot_id="s1", take=1)
DONE = b'{"id":"job_1","status":"succeeded"}'
NOWHERE = "http://127.0.0.1:1"
STANDARD = "{scheme: standard-webhooks, secret_file: secret}"
Headers = dict[str, str]


def signed(body: bytes = DONE, *, at: float | None = None, key: bytes = KEY, name: str = "msg_1") -> Headers:
    """The headers of Standard Webhooks."""
    timestamp = str(int(time.time() if at is None else at))
    digest = hmac.digest(key, f"{name}.{timestamp}.".encode() + body, hashlib.sha256)
    signature = "v1," + base64.b64encode(digest).decode()
    return {"webhook-id": name, "webhook-timestamp": timestamp, "webhook-signature": signature}
