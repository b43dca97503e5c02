"""
Which versions may work side by side on one Redis: decided by a number that each has, and announces when it starts.

    {framerelay}:schema    hash    written_by · readable_from (numbers) · version (that set the latter) · keys:
                                   present once everything that older versions stored is under today's keys

`SCHEMA` counts up with each change of what is stored that an older program would drop or misread. `READABLE_FROM` is
the oldest one that may continue side by side with this one. Programs before 2 have no number, and check none.
"""

import asyncio
from contextlib import suppress
from importlib.metadata import version
from typing import Final

from framerelay.runs.errors import Permanent, StoreUnavailable
from framerelay.store.client import RelayRedis, script
from framerelay.store.old_keys import move_old_keys
from framerelay.store.redis_messages import REDIS_ERRORS, redis_answers

SCHEMA_KEY: Final = "{framerelay}:schema"
SCHEMA: Final = 4
READABLE_FROM: Final = 3
EVERY_S: Final = 4.0


class SchemaTooNew(Permanent):
    """What is in Redis was written by a newer version."""

    code = "schema_too_new"

    def __init__(self, readable_from: int, written_by: str) -> None:
        super().__init__(
            f"what is in Redis was written by FrameRelay {written_by} (schema {readable_from}), and this is an older "
            f"one (schema {SCHEMA}) that cannot read it: start that version or a later one"
        )


async def enter(redis: RelayRedis) -> None:
    """
    Record that a program of this schema works here from now on, once all data of older ones is where this one looks for
    it.

    Raises: SchemaTooNew; StoreUnavailable.
    """
    ours = version("framerelay")
    with redis_answers():
        check(await move_old_keys(redis, SCHEMA_KEY, schema=SCHEMA, readable_from=READABLE_FROM, version=ours))
        refusal = await redis.register_script(script("schema"))(keys=[SCHEMA_KEY], args=[SCHEMA, READABLE_FROM, ours])
    check(refusal)


async def written_by(redis: RelayRedis) -> int:
    """The schema of the newest program that has worked here, 0 if none has. Raises: SchemaTooNew; StoreUnavailable."""
    with redis_answers():
        newest = await redis.hmget(SCHEMA_KEY, ["readable_from", "version", "written_by"])  # type: ignore[misc]  # redis-py's union
    check_readable(int(newest[0] or 0), (newest[1] or b"?").decode())
    return int(newest[2] or 0)


def check_readable(readable_from: int, version: str) -> None:
    """Raises: SchemaTooNew for data written by *version*, if this program is older than *readable_from*."""
    if readable_from > SCHEMA:
        raise SchemaTooNew(readable_from, version)


async def watch(redis: RelayRedis) -> None:
    """
    For programs that claim no tasks: raises SchemaTooNew once a newer one has started; Redis may come and go.

    A Redis that took over without the last seconds may lack keys that were moved in them: they are moved again.
    """
    while True:
        with suppress(*REDIS_ERRORS, StoreUnavailable):
            newest, its_version, keys = await redis.hmget(SCHEMA_KEY, ["readable_from", "version", "keys"])  # type: ignore[misc]  # redis-py's union
            if int(newest or 0) > SCHEMA:
                check([newest, its_version])
            if not keys:
                await enter(redis)
        await asyncio.sleep(EVERY_S)


def check(refusal: list[bytes] | None) -> None:
    """Raises: SchemaTooNew, if a script has answered that we are too old: from which schema on, and which version."""
    if refusal:
        raise SchemaTooNew(int(refusal[0]), refusal[1].decode())
