"""What Tab offers, asked of a real bash."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BIN = Path(sys.executable).parent
GATED = """
title: 雨夜, neon
model: seedance-1.5-pro-720p
shots:
  - {id: street, prompt: a, gate: approve}
  - {id: stop, prompt: b}
"""
# What bash does when a person presses Tab behind these words.
TAB = """
eval "$(framerelay completion bash)"
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
_framerelay_completion framerelay 2>/dev/null
printf '%s\\n' "${COMPREPLY[@]}"
"""


def offered(shell: Any, *words: str) -> list[str]:
    """What bash offers behind ``framerelay *words*``, the last of which is not finished."""
    environ = {**shell.environ, "PATH": f"{BIN}:{shell.environ['PATH']}"}
    command = ["bash", "--norc", "-c", TAB, "bash", "framerelay", *words]
    done = subprocess.run(
        command, cwd=shell.folder, env=environ, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_bash_completes_commands_and_options(shell: Any) -> None:
    """Without a receiver, too."""
    assert offered(shell, "re") == ["receiver", "remove", "resume", "retake", "replay", "release"]
    assert offered(shell, "runs", "--st") == ["--status"]
    assert offered(shell, "completion", "") == ["bash", "zsh", "fish"]


def test_bash_completes_ids_of_the_receiver_that_is_running(relay: Any) -> None:
    """Runs, newest first; the shots of the run that was written before; takes; callbacks."""
    ids = [relay.run("run", relay.write("gated.yaml", GATED)).out.split()[1] for _ in range(2)]
    assert offered(relay, "show", "run_")[:2] == ids[::-1]
    assert offered(relay, "approve", ids[0], "st") == ["street", "stop"]
    assert offered(relay, "adopt", "job_1", "--run", ids[0], "--shot", "sto") == ["stop"]
    relay.run("approve", ids[0], "street")
    assert relay.run("show", ids[0], "--watch").code == 0
    assert offered(relay, "pick", ids[0], "street", "") == ["1"]
    for run in ids:
        relay.run("cancel", run)


def test_nobody_waits_for_a_receiver_that_does_not_answer(relay: Any, tools: Any) -> None:
    """No ids and no words: none that listens, a setting that cannot be read."""
    assert offered(relay.having(PORT=tools.free_port()), "show", "") == []
    assert offered(relay.having(PORT="many"), "show", "") == []


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_each_shell_has_its_script(shell: Any, name: str) -> None:
    """The shell reads it without complaint, where there is one."""
    ended = shell.run("completion", name)
    assert (ended.code, ended.err) == (0, "")
    assert "_FRAMERELAY_COMPLETE" in ended.out
    if found := shutil.which(name):
        subprocess.run([found, "-n"], input=ended.out, text=True, check=True, timeout=30)
