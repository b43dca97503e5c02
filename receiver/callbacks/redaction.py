"""What is kept of a callback's body: what it says, without anything that grants access."""

import json
from collections.abc import Mapping, Sequence
from typing import Final, cast

from framerelay.config.logs import redact, redact_queries
from framerelay.upstream.paths import PathStep, read_path

HIDDEN: Final = "[redacted]"
"""Takes the place of what a profile calls a secret."""


def without_secrets(body: bytes, document: Mapping[str, object] | None, *, secrets: tuple[str, ...]) -> bytes:
    """
    *body* as it may be kept and shown; *document* is its content, if it is JSON.

    A body that grants no access stays as it came, byte by byte. From any other, the queries of addresses, tokens, keys
    and *secrets* are removed: nobody here needs them, since the provider is asked again about everything it says.
    """
    text = body.decode("utf-8", "replace")
    if not any(map(text.__contains__, secrets)):
        clean = redact_queries(text)
        if clean is not None:
            return body if clean == text else clean.encode()
    if document is None:
        clean = redact(text, secrets=secrets)
        return body if clean == text else clean.encode()
    plain = redact(document, secrets=secrets)
    return body if plain == document else json.dumps(plain, ensure_ascii=False).encode()


def without_paths(document: Mapping[str, object], paths: Sequence[str]) -> Mapping[str, object]:
    """*document* without what is at *paths*, those of a profile's ``redact``; the same object if nothing is there."""
    for path in paths:
        for _, steps in read_path(path).alternatives:
            document = cast("Mapping[str, object]", _without(document, steps))
    return document


def _without(value: object, steps: Sequence[PathStep]) -> object:
    """A copy of *value* with a placeholder for what is at *steps*; in lists, in every matching entry."""
    if not steps:
        return HIDDEN if value else value
    first, rest = steps[0], steps[1:]
    if isinstance(first, str):
        inside = isinstance(value, dict) and first in value
        return {**value, first: _without(value[first], rest)} if isinstance(value, dict) and inside else value
    if not isinstance(value, list):
        return value
    return [_without(one, rest) if _is_at(first, at, one) else one for at, one in enumerate(value)]


def _is_at(step: int | tuple[str, str], at: int, one: object) -> bool:
    if isinstance(step, int):
        return step == at
    return isinstance(one, dict) and str(one.get(step[0])) == step[1]


def all_without_secrets(bodies: Sequence[bytes], *, secrets: tuple[str, ...]) -> Sequence[bytes | None]:
    """
    Like `without_secrets`, for many JSON bodies at once, at little more than the cost of one; None: read that one
    alone.

    They are searched together, so if one of them may hold a secret, each has to be read alone.
    """
    try:
        text = b"\0".join(bodies).decode()
    except UnicodeDecodeError:
        text = "?"
    clean = None if any(map(text.__contains__, secrets)) else redact_queries(text)
    parts = clean.encode().split(b"\0") if clean is not None else []
    if len(parts) == len(bodies):
        return parts
    return [None] * len(bodies)
