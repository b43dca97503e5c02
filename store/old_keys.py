"""
Moves what versions before schema 3 stored to where this version stores it: their keys have no hash tag.

This happens once, at the first start on a Redis of theirs, in pieces; `store/lua/old_keys.lua` explains why it may be
interrupted at any moment, and done by several programs at once. Their own note of the schema stays where they look for
it, so that they refuse to run, by themselves, for good.
"""

import time
from typing import Final

import structlog
from redis.exceptions import ResponseError

from framerelay.store.client import RelayRedis, script

OLD_SCHEMA_KEY: Final = "framerelay:schema"
LOOKED_AT: Final = 1000  # Keys at once: a millisecond or two.
_INSTEAD: Final = "a newer FrameRelay keeps this under {framerelay}:"

log = structlog.get_logger()


async def move_old_keys(
    redis: RelayRedis, schema_key: str, *, schema: int, readable_from: int, version: str
) -> list[bytes]:
    """
    Move everything that is there, unless *schema_key* says that this was done.

    For a program that is too old, the answer says why, as in `store/lua/schema.lua`.

    Raises: as the client.
    """
    call, began, total, cursor = redis.register_script(script("old_keys")), time.monotonic(), 0, b"0"
    while True:
        arguments = [cursor, schema, readable_from, version, _INSTEAD, LOOKED_AT]
        try:
            refusal, cursor, number = await call(keys=[OLD_SCHEMA_KEY, schema_key], args=arguments)
        except ResponseError as error:
            if str(error).startswith("CROSSSLOT"):  # No version before this one could work on a cluster.
                return []
            raise
        total += number
        if refusal or cursor == b"0":
            break
    if total:
        log.info("keys_moved", keys=total, took_s=round(time.monotonic() - began, 3))
    return list(refusal)
