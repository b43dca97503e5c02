"""A wrong key that a person corrects while `up` runs: what doctor says of it, resume, and SIGHUP."""

import asyncio
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from framerelay.cli.doctor.finding import Finding, Status
from framerelay.cli.doctor.processes import look_at_processes
from framerelay.config.settings import from_environment

BOARD = "model: seedance-1.5-pro-720p\nshots: [{id: s1, prompt: a car}]\n"
OFTEN = """
import sys
from framerelay.store import processes
processes.EVERY_S = 0.1
from framerelay.cli.main import main
sys.exit(main())
"""
WRONG, KEY = "sk-wrong-0123456789", "sk-sandbox"


def talkative(shell: Any) -> Any:
    """What it starts says every moment that it is there."""
    return replace(shell, program=(sys.executable, "-c", OFTEN))


def looked(shell: Any) -> list[Finding]:
    """What doctor finds about processes, without all that it looks at besides."""
    settings = from_environment(shell.environ, env_file=shell.folder / ".env")
    here = {"data_dir": shell.folder / "data", "config_file": shell.folder / "framerelay.yaml"}
    return asyncio.run(look_at_processes(replace(settings, **here)))


def is_ok(shell: Any) -> bool:
    """There are processes, and no complaint about any of them."""
    return [finding.status for finding in looked(shell)] == [Status.OK]


def test_a_key_that_was_put_right_counts_without_a_restart(provider: Any, tmp_path: Path, tools: Any) -> None:
    """`doctor` says which process still has the other one until it has been read again; the log shows neither."""
    shell = talkative(tools.shell_for(tmp_path / "here", provider.url))
    del shell.settings["FRAMERELAY_UPSTREAM_KEY"]
    env = shell.folder / ".env"

    def put(key: str) -> None:
        env.write_bytes(f"\ufeffFRAMERELAY_UPSTREAM_KEY={key}\r\n".encode())

    put(WRONG)
    with tools.up_in(shell) as up:
        shell.write("one.yaml", BOARD)
        waiting = shell.run("run", "one.yaml", "--watch")
        assert waiting.code == 4
        assert "read again" in waiting.out
        put(KEY)
        tools.wait_for(lambda: looked(shell)[0].status is Status.FAIL, "the processes have said that they are there")
        checks = json.loads(shell.run("doctor", "--json").out)["checks"]
        (finding,) = [check for check in checks if check["name"] == "processes"]
        assert finding["status"] == "fail"
        assert finding["message"].startswith("the receiver and worker on ")
        assert finding["message"].endswith(f"(pid {up.process.pid}) still has another FRAMERELAY_UPSTREAM_KEY")
        assert f"kill -HUP {up.process.pid}" in finding["advice"]

        assert shell.run("resume", "last").code == 0
        assert shell.run("watch", "last").code == 0
        tools.wait_for(lambda: is_ok(shell), "it says that it has the key")

        put("sk-sandbox-of-tomorrow")
        assert not is_ok(shell)
        up.process.send_signal(signal.SIGHUP)
        tools.wait_for(lambda: is_ok(shell), "it has read the key again")
        log = up.log.read_text()
        assert log.count("settings_read_again") == 2
        assert "sk-" not in log
        (other,) = looked(shell.having(LOOKUP_AFTER_S=7))
        assert other.status is Status.WARN
        assert (other.advice or "").startswith("restart it")


def test_a_key_of_its_environment_stays_with_a_process_and_doctor_says_so(
    provider: Any, tmp_path: Path, tools: Any
) -> None:
    """Nobody can change the environment of a process that runs; and one of the terminal goes before `.env`."""
    shell = talkative(tools.shell_for(tmp_path / "here", provider.url, UPSTREAM_KEY=WRONG))
    with tools.up_in(shell) as up:
        tools.wait_for(lambda: is_ok(shell), "the processes have said that they are there")
        (finding,) = looked(shell.having(UPSTREAM_KEY=KEY))
        assert "from its environment" in (finding.advice or "")
        assert f"pid {up.process.pid} on " in (finding.advice or "")


@pytest.mark.parametrize("words", [(), ("nohup",)], ids=["plain", "nohup"])
def test_a_terminal_that_is_closed_still_ends_what_runs_in_it(
    words: tuple[str, ...], provider: Any, tmp_path: Path, tools: Any
) -> None:
    """
    It sends SIGHUP, too; only `nohup` outlives it, as before. While it is open, it shows a link that logs in once.
    """
    shell = tools.shell_for(tmp_path / "here", provider.url)
    ours, theirs = pty.openpty()
    nohup = shell.folder / "nohup.out"
    script = ["setsid", "--ctty", *words, str(Path(sys.executable).with_name("framerelay")), "up"]
    streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    process = subprocess.Popen(script, cwd=shell.folder, env={**shell.environ, "TERM": "dumb"}, **streams)
    os.close(theirs)
    screen = b""

    def shows(text: bytes) -> bool:
        nonlocal screen
        while select.select([ours], [], [], 0)[0]:
            screen += os.read(ours, 65536)
        return text in screen

    if words:  # It writes into a file of its own.
        tools.wait_for(lambda: nohup.exists() and "worker_ready" in nohup.read_text(), "it is ready")
    else:
        tools.wait_for(lambda: shows(b"In another terminal"), "it is ready")
        (link,) = re.findall(r"http://\S+/login\?once=\S+", screen.decode())
        answers = [httpx.get(link, trust_env=False) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [303, 401]
    os.close(ours)
    if words:
        process.send_signal(signal.SIGHUP)
        tools.wait_for(lambda: shell.run("runs").code == 0, "it goes on")
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 0
