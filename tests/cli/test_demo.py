"""`demo`, the first thing that a stranger types; and the first screen, `--help`."""

import itertools
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import httpx
import pytest

from framerelay.cli import demo
from framerelay.cli.main import cli
from tests.api.example_shapes import a_run

ROOT = Path(__file__).parents[2]
BRIEF = """
import sys
from framerelay.cli import demo
demo.JOB = ("--job-s", "0.2", "--clip-s", "1")
demo.LOOKUP_AFTER_S = "2"
from framerelay.cli.main import main
sys.exit(main())
"""


@pytest.mark.slow
def test_the_demo_makes_one_film_of_four_chained_shots(shell: Any, tools: Any) -> None:
    """
    Exit 0, last line ``film: PATH``, every frame but the repeated ones; one callback is lost, no process is left.

    Pictures are as large as a person sees them, clips are shorter.

    While it stays, what it says about looking around is true: a link that lets in, and settings for the command.
    """
    brief = (sys.executable, "-c", BRIEF)
    shell = shell.__class__(folder=shell.folder, settings={"TMPDIR": str(shell.folder)}, program=brief)
    process = shell.start("demo", "--out", "films", "--keep")
    lines = iter(process.stdout.readline, "")
    link = next(line.strip() for line in lines if "/login?once=" in line)
    assert len(link) < 80, "a terminal would break it"
    with httpx.Client(trust_env=False, follow_redirects=True) as browser:
        assert "Log out" in browser.get(link).text
    first_lines = list(itertools.takewhile(lambda line: not line.endswith(" runs\n"), lines))
    assert any("succeeded, 1 callback lost and found by polling" in line for line in first_lines)
    stays, export = first_lines[-3].strip(), first_lines[-1].split()
    assert (stays.startswith("Still running; Ctrl-C ends it. To look around: http"), export[0]) == (True, "export")
    with httpx.Client(trust_env=False, follow_redirects=True) as browser:
        assert "Log out" in browser.get(stays.split()[-1]).text
    there = shell.__class__(folder=shell.folder, settings=dict(word.split("=", 1) for word in export[1:]))
    assert "succeeded" in there.run("runs").last
    (data,) = shell.folder.glob("framerelay-demo-*/data")
    clips = sorted(data.glob("media/run_*/s?.1.mp4"))
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=90)
    assert (process.returncode, err) == (0, "")
    assert f"The demo's logs and data stay in {data.parent}" in out
    film = shell.folder / "films" / "framerelay-demo.mp4"
    assert out.splitlines()[-1] == f"film: {film}"
    assert len(clips) == 4
    assert frames_of(film) == sum(frames_of(clip) for clip in clips) - 3
    assert tools.left_over(shell.folder) == []


def test_a_demo_that_does_not_stay_ends_with_the_next_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """How to look around, where one's own film begins, the film's path last; the film itself is not made here."""
    monkeypatch.setattr(demo, "_make", lambda *_, **__: a_run("succeeded"))
    monkeypatch.setattr(sys, "argv", [".venv/bin/framerelay", "demo"])
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    code = demo.run_demo(tmp_path, keep=False)
    *_, look, begin, film = capsys.readouterr().out.splitlines()
    assert (code, look) == (0, "To look around on the page: .venv/bin/framerelay demo --keep")
    assert (ROOT / begin.removeprefix("Your own film: ")).is_file()
    assert film == f"film: {tmp_path / demo.FILM}"


@pytest.mark.slow
def test_an_interrupted_demo_leaves_nothing_behind(shell: Any, tools: Any) -> None:
    """Ctrl-C or a closed terminal at any time: exit 130, no file, no folder, no process, no traceback."""
    shell = shell.__class__(folder=shell.folder, settings={"TMPDIR": str(shell.folder)}, program=tools.program)
    for number, until in ((signal.SIGINT, "Starting"), (signal.SIGHUP, "s1 ")):
        process = shell.start("demo")
        assert any(until in line for line in iter(process.stdout.readline, ""))
        process.send_signal(number)
        _, err = process.communicate(timeout=90)
        assert (process.returncode, err.strip()) == (130, "Stopped.")
        assert list(shell.folder.iterdir()) == []
        assert tools.left_over(shell.folder) == []


def test_an_interruption_in_the_middle_of_a_fork_is_not_lost(tmp_path: Path) -> None:
    """Python swallows what is raised there; the demo would go on as if nobody had pressed Ctrl-C."""
    script = """
import os, pathlib, signal
from framerelay.cli.demo import _process
os.register_at_fork(before=lambda: os.kill(os.getpid(), signal.SIGINT))
try:
    with _process(["--help"], os.environ, pathlib.Path(".")):
        print("went on")
except KeyboardInterrupt:
    print("stopped")
"""
    process = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )

    assert (process.stdout, process.stderr) == ("stopped\n", "")


def test_a_film_that_could_not_be_written_is_refused_before_it_is_made(shell: Any) -> None:
    """One sentence at once, not after the last shot."""
    shell.write("taken", "")
    result = shell.run("demo", "--out", "taken")
    assert (result.code, result.out) == (1, "")
    assert result.sentence == "--out: cannot write the film into taken: it is not a folder"


def test_help_fits_eighty_columns_and_loads_nothing_heavy(shell: Any) -> None:
    """Every command has one whole sentence on one line; nothing heavy is loaded to print it."""
    result = shell.run("--help")
    commands = re.findall(r"^  (?=[a-z][a-z-]* {2,}[A-Z]).*$", result.out, re.M)
    assert len(commands) == len(cli.commands)
    assert all(len(line) <= 80 and line.endswith(".") and "..." not in line for line in commands)
    modules = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "framerelay.cli.main", "--help"],
        capture_output=True,
        text=True,
        check=True,
    ).stderr
    assert not any(heavy in modules for heavy in ("httpx", "rich", "asyncio", "uvicorn", "av.", "numpy"))


def frames_of(file: Path) -> int:
    """Pictures that a player shows."""
    with av.open(str(file)) as container:
        return sum(1 for _ in container.decode(video=0))
