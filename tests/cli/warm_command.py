"""
Be `framerelay WORDS…` by way of warm_start.py, for a shell or a test that needs a child process of its own.

    python -I -S warm_command.py FD WORDS…

FD is the socket on which that waits. It ends as the command does and passes signals on, SIGKILL as well.
"""

import json
import os
import signal
import socket
import sys

SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


def main() -> int:
    """The command has our folder, environment and streams."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # Until there is somebody to pass them on to.
    asking, words = int(sys.argv[1]), sys.argv[2:]
    exits, tell = os.pipe()
    request = json.dumps({"words": words, "folder": os.getcwd(), "environ": dict(os.environ)}).encode()
    with socket.socket(fileno=asking) as warm:
        socket.send_fds(warm, [request], [0, 1, 2, tell])
    os.close(tell)
    with open(exits) as telling:
        process = int(telling.readline())
        for number in SIGNALS:
            signal.signal(number, lambda number, _: os.kill(process, number))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        code = int(telling.readline())
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code


if __name__ == "__main__":
    sys.exit(main())
