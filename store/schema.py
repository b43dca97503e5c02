"""
Which versions may work on one Redis side by side: by a number that each has, and says when it starts.

    framerelay:schema    hash    written_by · readable_from (numbers) · version (of whoever raised the latter)

`SCHEMA` counts up with each change of what is stored that an older program would drop or misread. `READABLE_FROM` is
the oldest one that may go on beside this one. Programs before 2 have no number, and look at none.
"""

import asyncio
from importlib.metadata import version
from typing import Final

from framerelay.runs.errors import Permanent
from framerelay.store.client import RelayRedis, script
from framerelay.store.redis_messages import REDIS_ERRORS, redis_answers

SCHEMA_KEY: Final = "framerelay:schema"
SCHEMA: Final = 2
READABLE_FROM: Final = 1
EVERY_S: Final = 4.0


class SchemaTooNew(Permanent):
    """What lies in Redis was written by a newer version."""

    code = "schema_too_new"

    def __init__(self, readable_from: int, written_by: str) -> None:
        super().__init__(
            f"what lies in Redis was written by FrameRelay {written_by} (schema {readable_from}), and this is an older "
            f"one (schema {SCHEMA}) that cannot read it: start that version or a later one"
        )


async def enter(redis: RelayRedis) -> None:
    """Say that a program of this schema works here from now on. Raises: SchemaTooNew; StoreUnavailable."""
    arguments = [SCHEMA, READABLE_FROM, version("framerelay")]
    with redis_answers():
        refused = await redis.register_script(script("schema"))(keys=[SCHEMA_KEY], args=arguments)
    check(refused)


async def watch(redis: RelayRedis) -> None:
    """For programs that claim no tasks: raises SchemaTooNew once a newer one has entered; Redis may come and go."""
    while True:
        try:
            newest = await redis.hmget(SCHEMA_KEY, ["readable_from", "version"])  # type: ignore[misc]  # redis-py's union
        except REDIS_ERRORS:
            newest = None
        if newest and int(newest[0] or 0) > SCHEMA:
            check(newest)
        await asyncio.sleep(EVERY_S)


def check(refused: list[bytes] | None) -> None:
    """Raises: SchemaTooNew, if a script has answered that we are too old: from which schema on, and which version."""
    if refused:
        raise SchemaTooNew(int(refused[0]), refused[1].decode())
