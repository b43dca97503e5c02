"""
Starts commands that need not load the libraries first: real processes, at a third of the cost.

    python warm_start.py FD

It loads the libraries of others once, and forks for every request on the socket FD until that is closed. From there
on a command is the usual one: it loads our own modules in its own order, has the environment, folder and streams that a
shell would give it, and ends as an interpreter ends.
"""

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys

REQUEST_BYTES_MAX = 65_536
LIBRARIES = (
    *("arq.worker", "click", "httpcore", "httpx", "msgspec", "redis.asyncio", "rich.live", "rich.progress"),
    *("ruamel.yaml", "starlette.applications", "starlette.datastructures", "structlog", "uvicorn", "uvloop"),
)


def main() -> None:
    """A request is words, folder and environment as JSON, with four files: three streams and one for the process id."""
    asking = socket.socket(fileno=int(sys.argv[1]))
    for library in LIBRARIES:
        importlib.import_module(library)
    gc.freeze()  # What is loaded is shared by all; collecting it would copy it.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # Nobody waits for those who wait for the commands.
    while True:
        request, files, _, _ = socket.recv_fds(asking, REQUEST_BYTES_MAX, 4)
        if not request:
            return
        if os.fork() == 0:
            break
        for file in files:
            os.close(file)
    asking.close()
    *streams, report = files
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if (process := os.fork()) != 0:
        tell(report, process)
    os.close(report)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    take_streams()
    become(**json.loads(request))


def take_streams() -> None:
    """Ours were made for other files, one of which may be a terminal where the command's is a pipe."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        ours = getattr(sys, name)
        theirs = os.fdopen(ours.fileno(), mode, encoding=ours.encoding, errors=ours.errors, closefd=False)
        setattr(sys, name, theirs)
        setattr(sys, f"__{name}__", theirs)
    sys.stderr.reconfigure(line_buffering=True)


def tell(report: int, process: int) -> None:
    """
    Say the command's id at once, and how it ended when it has.

    Its stand-in cannot pass on a SIGKILL; when it no longer listens, it has received one.
    """
    os.write(report, b"%d\n" % process)
    waiting = select.poll()
    waiting.register(os.pidfd_open(process), select.POLLIN)
    waiting.register(report, 0)  # Reports that nobody listens, and nothing else.
    if any(file == report for file, _ in waiting.poll()):
        os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    with contextlib.suppress(BrokenPipeError):
        os.write(report, b"%d\n" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def become(words: list[str], folder: str, environ: dict[str, str]) -> None:
    """Be the script `framerelay`."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    sys.argv = ["framerelay", *words]
    from framerelay.cli.main import main as framerelay

    sys.exit(framerelay())


if __name__ == "__main__":
    main()
