"""What is kept of a callback's body: what it says, without what opens anything."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace

from config.logs import redacted
from runs.inbox import Callback


def without_secrets(callback: Callback, document: Mapping[str, object] | None, *, secrets: tuple[str, ...]) -> Callback:
    """
    *callback* with a body that may be kept and shown; *document* is what the body holds, if it is JSON.

    A body that opens nothing stays as it came, byte by byte. From any other the queries of addresses, tokens, keys and
    *secrets* are taken: nobody here needs them, since the provider is asked again for all that it says. Size and
    SHA-256 stay those of what came.
    """
    text = callback.body.decode("utf-8", "replace")
    shown = redacted(text if document is None else document, secrets=secrets)
    as_it_came = shown == (text if document is None else document)
    kept = shown if document is None else json.dumps(shown, ensure_ascii=False)
    return replace(
        callback,
        body=callback.body if as_it_came else kept.encode(),
        size=len(callback.body),
        sha256=hashlib.sha256(callback.body).hexdigest(),
    )
