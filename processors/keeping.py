"""What a worker continues in the background, without using one of its places for tasks."""

import asyncio
from collections.abc import Coroutine
from typing import Any


class Keeping:
    """Clips that wait for object storage to come back; ended with the worker."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Let *work* go on in the background."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def aclose(self) -> None:
        """Anything that is not done yet is another worker's, when its time has come."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
