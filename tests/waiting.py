"""Waiting for processes, where no loop runs that a test could wait in: asked again until it holds."""

import os
import signal
import subprocess
import time
from collections.abc import Callable

WITHIN_S = 90.0


def wait_for(condition: Callable[[], object], words: Callable[[], str], *, within_s: float = WITHIN_S) -> None:
    """Until *condition* holds; *words* say what was seen if it does not."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, words()
        time.sleep(0.01)


def stand_still(process: "subprocess.Popen[bytes]") -> None:
    """
    SIGSTOP it, and wait until it does nothing any more.

    The call returns when one of its threads is told; until that one gets a core, the others go on.
    """
    process.send_signal(signal.SIGSTOP)
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status), f"it ended instead: {status}"
