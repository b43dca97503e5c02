"""
The keeper: the small process that owns the embedded Redis server of one folder and ends it after its last user.

Started as a script by `store.embedded`, which explains the design. It only uses the standard library, so that it is
running within some 20 ms, and imports nothing of ours.
"""

import ctypes
import fcntl
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

DOOR = "keeper.sock"
SERVER_SOCKET = "redis.sock"
LOCK = "redis.lock"
ADMITTED = b"+"
LOCK_WAIT_S = 10.0
CALL_MAX_S = 1.0
SERVER_STOP_S = 10.0
PR_SET_PDEATHSIG = 1


def keep_server(folder: Path, sockets: Path, first_user: socket.socket, command: list[str]) -> None:
    """
    Run *command* until the last user has left or it has ended by itself; a keeper that already exists takes precedence.

    A user is an open connection to the socket (*first_user* has one from the start). It is sent one byte when it is
    admitted and nothing more; its end of file tells it that the server is gone, or, after it has left, that it may go.
    """
    lock = take_lock(folder / LOCK, sockets)
    if lock is None:
        return
    door = listen(sockets / DOOR)
    child_signals = wake_on_child()
    server = start_server(command, lock)
    # The last user to leave keeps its connection until the server has ended: that is what it waits for.
    last_user = serve_users(door, first_user, server, child_signals)
    (sockets / DOOR).unlink(missing_ok=True)
    door.close()
    stop_server(server)
    (sockets / SERVER_SOCKET).unlink(missing_ok=True)
    if sockets != folder:
        with suppress(OSError):
            sockets.rmdir()
    lock.close()
    if last_user is not None:
        last_user.close()


def take_lock(path: Path, sockets: Path) -> BinaryIO | None:
    """The lock on the folder, or None if another keeper serves it or it does not become free in time."""
    lock = path.open("ab")
    deadline = time.monotonic() + LOCK_WAIT_S
    while time.monotonic() < deadline:
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lock
        if is_answered(sockets / DOOR):
            break
        end_orphan(sockets)
        time.sleep(0.01)
    lock.close()
    return None


def is_answered(path: Path) -> bool:
    """Whether a process listens at *path*."""
    with socket.socket(socket.AF_UNIX) as caller:
        caller.settimeout(CALL_MAX_S)
        return caller.connect_ex(os.fspath(path)) == 0


def end_orphan(sockets: Path) -> None:
    """Shut down the server that holds the lock if its keeper was killed."""
    with socket.socket(socket.AF_UNIX) as caller, suppress(OSError):
        caller.settimeout(CALL_MAX_S)
        caller.connect(os.fspath(sockets / SERVER_SOCKET))
        # Sockets open before servers start. So if there is no socket even now, the server that we just reached is an
        # orphan or about to end; asked in the other order, it could be the new one of a faster keeper.
        if not is_answered(sockets / DOOR):
            caller.sendall(b"SHUTDOWN\r\n")


def listen(path: Path) -> socket.socket:
    """Open the socket; anything at *path* is from a crash, because we hold the lock."""
    path.unlink(missing_ok=True)
    door = socket.socket(socket.AF_UNIX)
    door.bind(os.fspath(path))
    door.listen(128)
    return door


def wake_on_child() -> socket.socket:
    """
    A socket that becomes readable when the server ends.

    The other signals do nothing: a stop of the whole process group or unit must not take Redis away from users who are
    still finishing their work. No-op handlers, because an ignored signal would stay ignored in the server.
    """
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    signal.set_wakeup_fd(writer.detach())
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    return reader


def start_server(command: list[str], lock: BinaryIO) -> subprocess.Popen[bytes]:
    """The server inherits the lock: as long as it lives, whatever happened to its keeper, there is no second one."""
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None

    def end_with_keeper() -> None:
        if libc is not None:
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)

    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        pass_fds=[lock.fileno()],
        preexec_fn=end_with_keeper,
    )


def serve_users(
    door: socket.socket, first_user: socket.socket, server: subprocess.Popen[bytes], child_signals: socket.socket
) -> socket.socket | None:
    """Admit users and let them leave; return the last one when it leaves, or None when the server has ended."""
    users: set[socket.socket] = set()
    with selectors.DefaultSelector() as waiting:

        def admit(user: socket.socket) -> None:
            waiting.register(user, selectors.EVENT_READ)
            users.add(user)
            with suppress(OSError):
                user.send(ADMITTED)

        waiting.register(door, selectors.EVENT_READ)
        waiting.register(child_signals, selectors.EVENT_READ)
        admit(first_user)
        while True:
            ready = {key.fileobj for key, _ in waiting.select()}
            if child_signals in ready:
                child_signals.recv(4096)
                if server.poll() is not None:
                    return None
            if door in ready:
                admit(door.accept()[0])
            # A user never says anything, so this is its end of file: it left or died.
            for user in users & ready:
                waiting.unregister(user)
                users.remove(user)
                if not users:
                    return user
                user.close()


def stop_server(server: subprocess.Popen[bytes]) -> None:
    """End the server if it still runs; every write is on disk already, so killing it costs nothing."""
    if server.poll() is None:
        server.terminate()
        try:
            server.wait(SERVER_STOP_S)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
    elif server.returncode < 0:
        # The server itself could not log this.
        sys.stderr.write(f"the Redis server was killed by signal {-server.returncode}\n")


def main() -> None:
    """``keeper.py FOLDER SOCKETS DESCRIPTOR COMMAND…``: become a daemon, then keep the server."""
    if os.fork():
        # The keeper may outlive the process that started it, so it must not be its child.
        os._exit(0)
    os.umask(0o077)
    folder, sockets, descriptor, *command = sys.argv[1:]
    keep_server(Path(folder), Path(sockets), socket.socket(fileno=int(descriptor)), command)


if __name__ == "__main__":
    main()
