"""The script `framerelay`: makes Ctrl-C work before the command is loaded, which takes a moment."""

import atexit
import os
import sys
from contextlib import suppress

from framerelay.cli.interrupts import leave_on_interrupt


def main() -> None:
    """Load the command, and pass it what was typed."""
    leave_on_interrupt()
    ending = _Ending()
    atexit.register(ending.leave)  # The first one registered is called last.
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

    Threads of obstore that have delivered an answer still clean up in Python; one that does so while the interpreter
    shuts down aborts the process (SIGABRT), after the command had done all its work: this happened to one in ten short
    commands.
    """

    def __init__(self) -> None:
        self.code = 1  # From an unforeseen exception, whose traceback has been printed by then.

    def leave(self) -> None:
        """End at once, since everything else at exit has been done."""
        if "obstore" not in sys.modules:
            return
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError, AttributeError):
                stream.flush()
        os._exit(self.code)
