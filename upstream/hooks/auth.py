"""How a key is sent: as it is, in a header, or as a token that is made from it."""

import base64
import hashlib
import hmac
import json
import re
import time
from typing import Final

from framerelay.runs.errors import RequestInvalid
from framerelay.upstream.profile import Auth

TOKEN_LIFE_S: Final = 1800
CLOCK_AHEAD_S: Final = 5


def auth_headers(auth: Auth, key: str) -> dict[str, str]:
    """The header that carries *key*. Raises: RequestInvalid if it does not have the form that the hook needs."""
    text = jwt_hs256(key, now=time.time()) if auth.hook == "jwt_hs256" else key
    return {auth.header: auth.value.replace("{key}", text)}


def jwt_hs256(key: str, *, now: float) -> str:
    """
    A JSON Web Token that is valid for half an hour, from *key*, ``ACCESS_KEY:SECRET_KEY``; *now* in seconds since 1970.

    A key without a colon (a bar, a comma) is an API key, and is sent as it is.
    Source: Kling's authentication page (RFC 7519, HS256).
    """
    access, *rest = re.split("[:|,]", key, maxsplit=1)
    secret = rest[0] if rest else ""
    if not secret:
        return key
    if not access:
        raise RequestInvalid("the key must be ACCESS_KEY:SECRET_KEY", param="key")
    claims = {"iss": access, "exp": int(now) + TOKEN_LIFE_S, "nbf": int(now) - CLOCK_AHEAD_S}
    signing_input = f"{_b64({'alg': 'HS256', 'typ': 'JWT'})}.{_b64(claims)}"
    digest = hmac.digest(secret.encode(), signing_input.encode(), hashlib.sha256)
    return f"{signing_input}.{_text(digest)}"


def _b64(claims: dict[str, object] | dict[str, str]) -> str:
    return _text(json.dumps(claims, separators=(",", ":")).encode())


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
