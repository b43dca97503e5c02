"""The script `framerelay`: a Ctrl-C has its meaning before the command is loaded, which takes a moment."""

import atexit
import os
import sys
from contextlib import suppress

from framerelay.cli.interrupts import leave_on_interrupt


def main() -> None:
    """Load the command, and give it what was typed."""
    leave_on_interrupt()
    ending = _Ending()
    atexit.register(ending.leave)  # The first one is called last.
    try:
        from framerelay.cli.main import main as command

        command()
        ending.code = 0
    except SystemExit as end:
        ending.code = end.code if isinstance(end.code, int) else int(end.code is not None)
        raise


class _Ending:
    """
    The end of a process that has used object storage, with ``code``.

    Threads of obstore that have delivered an answer still tidy up in Python; one that does so while the interpreter is
    taken down aborts the process (SIGABRT), after the command had done all that it should: one in ten of short ones.
    """

    def __init__(self) -> None:
        self.code = 1  # Of an exception that nobody foresaw, whose traceback is out by then.

    def leave(self) -> None:
        """End at once, all other things at the end being done."""
        if "obstore" not in sys.modules:
            return
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError, AttributeError):
                stream.flush()
        os._exit(self.code)
