"""The embedded Redis when users, keeper or server end or are killed, in every order: one server, and all its data."""

import fcntl
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from framerelay.store import embedded
from framerelay.store.embedded import EmbeddedRedis, find_server
from tests.store.embedded.users import Start, User, ask, is_free, server_of, wait_until


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


def test_two_processes_share_one_server_and_the_last_one_ends_it(folder: Path, start: Start) -> None:
    """Sharing needs no order: the process that started the server may leave first."""
    first, second = start("first").is_up(), start("second").is_up()
    assert first.url == second.url
    server = server_of(first.url)
    count = first.leave()
    assert server_of(second.url)["run_id"] == server["run_id"]
    assert int(ask(second.url, "GET", "first")) == count
    second.leave()
    assert is_free(folder)
    assert starts_in(folder) == 1


def test_a_killed_owner_does_not_disturb_the_other_process(folder: Path, start: Start) -> None:
    """kill -9 of the process that started the server: the other one goes on with the same server."""
    first, second = start("first").is_up(), start("second").is_up()
    server, count = server_of(second.url), int(ask(second.url, "GET", "second") or 0)
    first.kill()
    wait_until(lambda: int(ask(second.url, "GET", "second") or 0) > count + 20, "the second process writes")
    assert server_of(second.url)["run_id"] == server["run_id"]


def test_the_server_ends_when_all_its_users_were_killed(folder: Path, start: Start) -> None:
    """kill -9 of every user leaves no server behind; stale files of such an end do no harm."""
    users = [start("first").is_up(), start("second").is_up()]
    for user in users:
        user.process.kill()
    wait_until(lambda: is_free(folder), "the server has ended")
    assert int(ask(start("third").is_up().url, "GET", "first")) > 0


def test_a_stop_of_the_process_group_leaves_the_server_to_those_still_at_work(folder: Path, start: Start) -> None:
    """Ctrl-C, or a stop of the unit, reaches keeper and users at once; users need Redis to finish their work."""
    user = start().is_up()
    server = server_of(user.url)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(parent_of(server["process_id"]), number)
    count = int(ask(user.url, "GET", "one") or 0)
    wait_until(lambda: int(ask(user.url, "GET", "one") or 0) > count + 20, "the user writes")
    assert server_of(user.url)["run_id"] == server["run_id"]
    user.leave()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_server_is_back_with_its_data(folder: Path, start: Start, number: signal.Signals) -> None:
    """Whatever ended the server, each process has it again, with all that was acknowledged."""
    users = [start(name).is_up() for name in ("first", "second", "witness")]
    first, second, witness = users
    server = server_of(witness.url)
    os.kill(server["process_id"], number)
    wait_for_another(witness.url, server)
    wait_for_all_back(users)
    for user in (first, second):
        count = user.leave()
        assert int(ask(witness.url, "GET", user.name)) >= count > 0
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
        count = user.leave()
        assert int(ask(url, "GET", user.name)) >= count > 0
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
