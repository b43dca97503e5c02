"""
An id as a person types it: its first letters are enough if they are unique, and ``last`` is the newest.

Programs that know a whole id are served as before: it is looked for first, and costs what it always did.
"""

import re
from collections.abc import Sequence
from typing import Final

from framerelay.runs.errors import IdAmbiguous
from framerelay.runs.model import Run
from framerelay.store.client import RelayRedis
from framerelay.store.redis_messages import redis_answers

LAST: Final = "last"
LETTERS_MIN: Final = 4
SHOWN_MAX: Final = 5  # Of the ids that a few letters may mean.
SEARCHED_MAX: Final = 1000  # Callbacks and notifications have no index of ids: the newest are searched.
_BEGINNING: Final = re.compile(rf"[a-z]{{1,8}}_[A-Za-z0-9_-]{{{LETTERS_MIN},80}}")


def is_beginning(text: str) -> bool:
    """Whether *text* is enough of an id to search for it."""
    return bool(_BEGINNING.fullmatch(text))


async def id_in(redis: RelayRedis, index: str, text: str) -> str | None:
    """
    The id in the sorted set *index* that begins with *text*, among its `SEARCHED_MAX` newest; or the newest.

    None without one. Raises: IdAmbiguous; StoreUnavailable.
    """
    if text != LAST and not is_beginning(text):
        return None
    with redis_answers():
        ids = await redis.zrevrange(index, 0, 0 if text == LAST else SEARCHED_MAX - 1)
    names = [name.decode() for name in ids]
    return next(iter(names), None) if text == LAST else only_id(text, [name for name in names if name.startswith(text)])


def find_shot_id(run: Run, text: str) -> str | None:
    """
    The id of the shot of *run* that *text* means: what a person calls it, or the beginning of that.

    A number is never the beginning of a longer one: shot-1 is not shot-10, since a mix-up would cost money.
    """
    ids = {shot.name: shot.id for shot in run.story}
    if text in ids:
        return ids[text]
    if len(text) < LETTERS_MIN:
        return None
    names = [name for name in ids if name.startswith(text)]
    name = only_id(text, [name for name in names if not (text[-1].isdigit() and name[len(text)].isdigit())])
    return None if name is None else ids[name]


def only_id(text: str, names: Sequence[str]) -> str | None:
    """The only one of *names*, which begin with *text*; None without any. Raises: IdAmbiguous if there are several."""
    if len(names) > 1:
        raise IdAmbiguous(text, list(names[:SHOWN_MAX]), more=len(names) > SHOWN_MAX)
    return names[0] if names else None
