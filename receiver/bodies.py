"""What is kept of a callback's body: what it says, without what opens anything."""

import json
from collections.abc import Mapping

from config.logs import SECRET_FIELDS, redacted

_NAMES_OF_SECRETS = tuple(f'"{name}"' for name in SECRET_FIELDS)


def without_secrets(body: bytes, document: Mapping[str, object] | None, *, secrets: tuple[str, ...]) -> bytes:
    """
    *body* as it may be kept and shown; *document* is what it holds, if it is JSON.

    A body that opens nothing stays as it came, byte by byte. From any other the queries of addresses, tokens, keys and
    *secrets* are taken: nobody here needs them, since the provider is asked again for all that it says.
    """
    text = body.decode("utf-8", "replace")
    if document is None or _reads_as_written(text, secrets):
        shown = redacted(text, secrets=secrets)
        return body if shown == text else shown.encode()
    plain = redacted(document, secrets=secrets)
    return body if plain == document else json.dumps(plain, ensure_ascii=False).encode()


def _reads_as_written(text: str, secrets: tuple[str, ...]) -> bool:
    """
    Whether the texts in this JSON can be redacted all at once, where they stand: nothing in it is escaped, no pattern
    looks past a quotation mark, and neither the name of a field nor a value of ours calls for more.
    """
    if "\\" in text or any(secret in text for secret in secrets):
        return False
    lowered = text.lower()
    return all(name not in lowered for name in _NAMES_OF_SECRETS)
