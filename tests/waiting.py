"""Waiting for processes, where no loop runs that a test could wait in: asked again until it holds."""

import time
from collections.abc import Callable

WITHIN_S = 90.0


def wait_for(condition: Callable[[], object], words: Callable[[], str], *, within_s: float = WITHIN_S) -> None:
    """Until *condition* holds; *words* say what was seen if it does not."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, words()
        time.sleep(0.01)
