"""What is kept of a callback's body: what it says, without what opens anything."""

import json
from collections.abc import Mapping

from config.logs import redacted, redacted_at_a_glance


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
