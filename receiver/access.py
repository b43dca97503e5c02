"""Who may see and act: the API key as Bearer, compared in constant time."""

import hmac

from starlette.exceptions import HTTPException
from starlette.requests import Request

from receiver.state import state_of


def require_key(request: Request) -> None:
    """Raises: HTTPException 401 unless the request carries the API key, 429 for one more of many that do not."""
    if not has_key(request):
        state_of(request).limits.count_stranger(request)
        raise HTTPException(
            401,
            "this needs the API key as Bearer: FRAMERELAY_API_KEY, or the file api_key in the data folder",
            headers={"WWW-Authenticate": "Bearer"},
        )


def has_key(request: Request) -> bool:
    """Whether the request carries the API key."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    right = str(state_of(request).api_key).encode()
    return hmac.compare_digest(given.strip().encode(), right) and scheme.lower() == "bearer"
