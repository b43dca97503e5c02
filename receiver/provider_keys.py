"""Whether there is a key for each shot of a run: checked before it starts, so that no shot is paid for in vain."""

import asyncio
import os
import socket
import time
from collections.abc import Sequence
from typing import Final

from framerelay.receiver.renewal import read_again_everywhere
from framerelay.receiver.state import State
from framerelay.runs.errors import KeyMissing
from framerelay.store.processes import EVERY_S, Process, processes
from framerelay.store.redis_messages import redis_answers
from framerelay.storyboards.storyboard import Storyboard
from framerelay.upstream.providers import Provider, keyless_words
from framerelay.upstream.quotes import provider_of

READ_WITHIN_S: Final = 1.5 * EVERY_S  # How long it may take until another process reports what it has read again.
AGAIN_S: Final = 0.25


async def check_keys(state: State, board: Storyboard) -> None:
    """
    Return if *board* can be made as far as keys are concerned.

    If a key is here, it is assumed to be everywhere. For the rest, what the workers report about themselves in Redis
    counts, since they need the keys, and this receiver may have none.
    It is refused only if there are workers, and none of them has the key of a provider, even after all have read theirs
    again. If no worker runs, or one does not say, a missing key is found in flight, and waits there for a person.
    Raises: KeyMissing; StoryboardInvalid if it names a provider that does not exist; StoreUnavailable.
    """
    if all(maker.key for maker in _makers(state, board)) or not _lacking(state, board, await _workers(state)):
        return
    await read_again_everywhere(state)
    deadline = time.monotonic() + READ_WITHIN_S
    while lacking := _lacking(state, board, workers := await _workers(state)):
        if all(map(_is_here, workers)) or time.monotonic() > deadline:
            raise KeyMissing("; ".join(map(keyless_words, lacking)), param="provider")
        await asyncio.sleep(AGAIN_S)


async def _workers(state: State) -> list[Process]:
    with redis_answers():
        return [each for each in await processes(state.watch_redis) if each.part == "worker"]


def _lacking(state: State, board: Storyboard, workers: Sequence[Process]) -> list[Provider]:
    """The providers of *board* for which no worker has a key, as far as is known."""
    makers = _makers(state, board)
    return [one for one in makers if workers and not any(_has_key(worker, one) for worker in workers)]


def _makers(state: State, board: Storyboard) -> list[Provider]:
    """The providers that *board* asks for, each once."""
    return list({(maker := provider_of(board, shot, state.providers)).name: maker for shot in board.shots}.values())


def _is_here(worker: Process) -> bool:
    """Whether it is part of this very process: it has read again what we have."""
    return (worker.host, worker.pid) == (socket.gethostname(), os.getpid())


def _has_key(worker: Process, provider: Provider) -> bool:
    """One in this process has what we have, but reports it some seconds later."""
    if worker.keyed is None or provider.name in worker.keyed or (_is_here(worker) and provider.key):
        return True
    return not set(provider.key_variables).isdisjoint(worker.key_variables)
