"""What a Ctrl-C means before a command has begun. It loads nothing of ours, so that it is available at once."""

import os
import signal
from typing import Any, Final

INTERRUPTED: Final = 130  # As a shell reports a program that SIGINT ended.


def leave_on_interrupt() -> None:
    """End at once, silently; not if it is ignored, in the background."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)


def take_interrupts() -> None:
    """The command has begun: from now on Python handles a Ctrl-C."""
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _leave(*_: Any) -> None:
    """Nothing has begun that would have to be ended."""
    os._exit(INTERRUPTED)
