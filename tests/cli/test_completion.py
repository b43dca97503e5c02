"""What Tab offers, asked of real shells."""

import os
import pty
import select
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

MAKEFILE = Path(__file__).parents[2] / "Makefile"
GATED = """
title: 雨夜, neon
model: seedance-1.5-pro-720p
shots:
  - {id: street, prompt: a, gate: approve}
  - {id: stop, prompt: b}
"""
# What bash does when a person presses Tab after these words.
TAB = """
eval "$(framerelay completion bash)"
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
_framerelay_completion framerelay
printf '%s\\n' "${COMPREPLY[@]}"
"""


def there(shell: str) -> str:
    """Where *shell* is; without it nothing is known about its completion, and the summary of the tests says so."""
    return shutil.which(shell) or pytest.skip(
        f"no {shell} here: its completion was NOT tried; as root on Debian or Ubuntu `make test-e2e` installs it"
    )


Bash = Callable[..., list[str]]


@pytest.fixture
def completions(warm_bin: tuple[Path, int]) -> Bash:
    """``completions(shell, *words)``: what bash offers after ``framerelay *words*``, the last one unfinished."""

    def offer(shell: Any, *words: str) -> list[str]:
        command = ["bash", "--norc", "-c", TAB, "bash", "framerelay", *words]
        process = subprocess.run(
            command, **where(shell, warm_bin), capture_output=True, text=True, check=True, timeout=60
        )
        assert process.stderr == ""
        return [line for line in process.stdout.splitlines() if line]

    return offer


def where(shell: Any, warm_bin: tuple[Path, int], **more: str) -> dict[str, Any]:
    """How to start another shell in the place of *shell*, so that it finds the command."""
    folder, file = warm_bin
    environ = {**shell.environ, "PATH": f"{folder}:{shell.environ['PATH']}", **more}
    return {"cwd": shell.folder, "env": environ, "pass_fds": [file]}


def test_bash_completes_commands_and_options(shell: Any, completions: Bash) -> None:
    """Without a receiver, too."""
    assert completions(shell, "re") == ["receiver", "remove", "resume", "retake", "replay", "release", "restore"]
    assert completions(shell, "runs", "--st") == ["--status"]
    assert completions(shell, "completion", "") == ["bash", "zsh", "fish"]


def test_bash_completes_ids_of_the_receiver_that_is_running(relay: Any, completions: Bash) -> None:
    """Runs, newest first; shots of the run that was written before; takes; callbacks; titles after several."""
    ids = [relay.run("run", relay.write("gated.yaml", GATED)).out.split()[1] for _ in range(2)]
    assert completions(relay, "show", "run_")[:2] == [f"{run}  (waiting 雨夜, neon)" for run in ids[::-1]]
    assert completions(relay, "show", ids[0][:-1]) == [ids[0]]
    assert completions(relay, "approve", ids[0], "st") == ["street  (waiting a)", "stop  (pending b)"]
    assert completions(relay, "adopt", "job_1", "--run", ids[0], "--shot", "sto") == ["stop"]
    relay.run("approve", ids[0], "street")
    assert relay.run("show", ids[0], "--watch").code == 0
    assert completions(relay, "pick", ids[0], "street", "") == ["1"]
    for run in ids:
        relay.run("cancel", run)


def test_nobody_waits_for_a_receiver_that_does_not_answer(relay: Any, tools: Any, completions: Bash) -> None:
    """No ids and no words: none that listens, a setting that cannot be read."""
    assert completions(relay.having(PORT=tools.free_port()), "show", "") == []
    assert completions(relay.having(PORT="many"), "show", "") == []


def test_fish_completes_what_bash_does(relay: Any, warm_bin: tuple[Path, int]) -> None:
    """With state and title beside each id, asked of the shell's own engine."""
    fish = there("fish")
    runs = [relay.run("run", relay.write("gated.yaml", GATED)).out.split()[1] for _ in range(2)]
    script = "framerelay completion fish | source; complete -C $argv[1]"

    def offers(line: str) -> list[str]:
        command = [fish, "--no-config", "-c", script, line]
        there = where(relay, warm_bin)
        process = subprocess.run(command, **there, capture_output=True, text=True, check=True, timeout=60)
        return process.stdout.splitlines()

    assert [line.split("\t")[0] for line in offers("framerelay rem")] == ["remove"]
    assert offers(f"framerelay approve {runs[0]} st") == ["street\twaiting a", "stop\tpending b"]
    assert offers("framerelay show run_")[:2] == [f"{run}\twaiting 雨夜, neon" for run in runs[::-1]]
    for run in runs:
        relay.run("cancel", run)


def test_zsh_completes_what_bash_does(relay: Any, warm_bin: tuple[Path, int]) -> None:
    """On a terminal, as its completion only works there: Tab writes what is left of a word that is the only one."""
    zsh = there("zsh")
    run = relay.run("run", relay.write("gated.yaml", GATED)).out.split()[1]
    ours, theirs = pty.openpty()
    streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    process = subprocess.Popen([zsh, "-f"], **where(relay, warm_bin, TERM="dumb", PS1="> "), **streams)
    os.close(theirs)

    def typed(words: str, until: str) -> None:
        os.write(ours, words.encode())
        screen, deadline = "", time.monotonic() + 90
        while until not in screen:
            assert select.select([ours], [], [], max(0.0, deadline - time.monotonic()))[0], screen
            screen += os.read(ours, 4096).decode(errors="replace")

    try:
        typed('autoload -U compinit; compinit -D; eval "$(framerelay completion zsh)"; print rea""dy\n', "ready")
        typed("framerelay runs --st\t", "--status")
        typed(f"\x15framerelay approve {run} stre\t", "street")
        typed("\x15framerelay show run_\t", run[-8:])
    finally:
        process.kill()
        process.wait()
        os.close(ours)
        relay.run("cancel", run)


APT = """#!/bin/sh
echo "$@" >> "{folder}/asked"
[ "$1" = update ] || {{ {comes} && ln -s "{true}" "{folder}/bin/zsh" && ln -s "{true}" "{folder}/bin/fish"; }}
"""


@pytest.mark.parametrize("comes", [True, False])
def test_make_installs_the_shells_that_are_missing_once(tmp_path: Path, comes: bool) -> None:
    """As root on Debian, which is played here; where they do not come the tests go on, and nobody asks again."""
    (tmp_path / "bin").mkdir()
    (tmp_path / ".venv").mkdir()
    apt = APT.format(folder=tmp_path, comes=str(comes).lower(), true=shutil.which("true"))
    for name, script in (("apt-get", apt), ("id", "#!/bin/sh\necho 0\n")):
        (tmp_path / "bin" / name).write_text(script)
        (tmp_path / "bin" / name).chmod(0o755)
    (tmp_path / "bin" / "touch").symlink_to(str(shutil.which("touch")))
    (tmp_path / "bin" / "ln").symlink_to(str(shutil.which("ln")))

    def make() -> list[str]:
        command = [there("make"), "--no-print-directory", "-f", str(MAKEFILE), "-o", "setup", "shells"]
        environ = {"PATH": str(tmp_path / "bin"), "LANG": "C.UTF-8"}
        process = subprocess.run(
            command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=True, timeout=60
        )
        assert process.stderr == ""
        return process.stdout.splitlines()

    first, *rest = make()
    assert first == "Installing zsh and fish for the tests of completion (once) …"
    assert [line.endswith("are skipped.") for line in rest] == ([] if comes else [True])
    assert make() == []
    assert len((tmp_path / "asked").read_text().splitlines()) == 2


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_each_shell_has_its_script(shell: Any, name: str) -> None:
    """The shell reads it without complaint, where there is one."""
    result = shell.run("completion", name)
    assert (result.code, result.err) == (0, "")
    assert "_FRAMERELAY_COMPLETE" in result.out
    if program := shutil.which(name):
        subprocess.run([program, "-n"], input=result.out, text=True, check=True, timeout=90)
