"""How long to wait before a retry."""

import random
from typing import Final

AGAIN_S_MAX: Final = 60.0


def retry_wait_s(turns: int, *, retry_after_s: float | None = None, least_s: float = 0.5) -> float:
    """
    Seconds until the next try, after *turns* that failed: doubling, at most a minute, with up to a quarter of jitter.

    Never less than what the provider asked for (*retry_after_s*).
    """
    wait_s = min(least_s * float(1 << min(turns, 20)), AGAIN_S_MAX)
    jitter = 1.0 + random.random() / 4  # noqa: S311  (spreads load; not a secret)
    return max(wait_s, retry_after_s or 0.0) * jitter
