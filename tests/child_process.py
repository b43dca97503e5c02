"""Processes that tests start: they end with the process of the tests, even if that is killed."""

import ctypes
import signal
import sys
from typing import Final

PR_SET_PDEATHSIG: Final = 1


def end_with_parent() -> None:
    """
    For ``preexec_fn``: on Linux the kernel kills the child when the *thread* that started it is gone.

    So start it in the main thread: one of a pool's threads ends with the event loop, and takes the child with it.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
