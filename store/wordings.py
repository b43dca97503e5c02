"""
The texts of storyboards as people wrote them, one for each run that has one: read when somebody wants it back.

    {framerelay}:run:ID:storyboard string  what the run was started with, or amended to
"""

import msgspec

from framerelay.runs.model import Wording
from framerelay.store.client import RelayRedis
from framerelay.store.keys import PREFIX
from framerelay.store.redis_messages import redis_answers
from framerelay.store.tasks import pack

_decode = msgspec.msgpack.Decoder(Wording).decode


def storyboard_key(run_id: str) -> str:
    """The key of its storyboard's text."""
    return f"{PREFIX}run:{run_id}:storyboard"


def pack_wording(wording: Wording | None) -> bytes | str:
    """*wording* for the script that saves its run; empty for the text that is already there."""
    return "" if wording is None else pack(wording)


class Wordings:
    """Reads what `Store.save` wrote."""

    def __init__(self, redis: RelayRedis) -> None:
        self._redis = redis

    async def of(self, run_id: str) -> Wording | None:
        """None for a run that was begun without a text, or by an early version. Raises: StoreUnavailable."""
        with redis_answers():
            text = await self._redis.get(storyboard_key(run_id))
        return None if text is None else _decode(text)
