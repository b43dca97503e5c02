"""What is kept of a callback's body: what it says, without what opens anything."""

import json
from collections.abc import Mapping, Sequence

from framerelay.config.logs import redacted, redacted_at_a_glance


def without_secrets(body: bytes, document: Mapping[str, object] | None, *, secrets: tuple[str, ...]) -> bytes:
    """
    *body* as it may be kept and shown; *document* is what it holds, if it is JSON.

    A body that opens nothing stays as it came, byte by byte. From any other the queries of addresses, tokens, keys and
    *secrets* are taken: nobody here needs them, since the provider is asked again for all that it says.
    """
    text = body.decode("utf-8", "replace")
    if not any(map(text.__contains__, secrets)):
        shown = redacted_at_a_glance(text)
        if shown is not None:
            return body if shown == text else shown.encode()
    if document is None:
        shown = redacted(text, secrets=secrets)
        return body if shown == text else shown.encode()
    plain = redacted(document, secrets=secrets)
    return body if plain == document else json.dumps(plain, ensure_ascii=False).encode()


def all_without_secrets(bodies: Sequence[bytes], *, secrets: tuple[str, ...]) -> Sequence[bytes | None]:
    """
    The same for many at once that are JSON, for little more than for one; None for those that want a closer look.

    What each may hold is looked for in all together, so that one that looks suspicious has all looked at one by one.
    """
    try:
        text = b"\0".join(bodies).decode()
    except UnicodeDecodeError:
        text = "?"
    shown = None if any(map(text.__contains__, secrets)) else redacted_at_a_glance(text)
    parts = shown.encode().split(b"\0") if shown is not None else []
    if len(parts) == len(bodies):
        return parts
    return [None] * len(bodies)
