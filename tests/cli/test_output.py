"""Whatever a terminal or file can write: no command fails because of a sign, and what a program reads stays whole."""

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from framerelay.cli.main import main

FRAMERELAY = str(Path(sys.executable).with_name("framerelay"))
TITLE = "霓虹 🎬 café – “q”"
BOARD = f"title: {TITLE!r}\nmodel: seedance-1.5-pro-720p\nshots:\n  - {{id: s1, prompt: 跑车 🏎 …, gate: approve}}\n"
ENCODINGS = ["gbk", "big5", "latin-1", "ascii", "cp1252", "utf-8"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenStoryboard:
    code: int
    out: bytes
    err: bytes


Run = Callable[..., WrittenStoryboard]


@pytest.fixture
def run(relay: Any, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command in this process, where `up` runs, with outputs of an encoding; a process each would cost a second."""
    monkeypatch.chdir(relay.folder)
    for name, value in relay.settings.items():
        monkeypatch.setenv(name, value)

    def run(*words: str, encoding: str) -> WrittenStoryboard:
        streams = [io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict") for _ in "oe"]
        monkeypatch.setattr(sys, "stdout", streams[0])
        monkeypatch.setattr(sys, "stderr", streams[1])
        monkeypatch.setattr(sys, "argv", ["framerelay", *words])
        with pytest.raises(SystemExit) as failure:
            main()
        for stream in streams:
            stream.flush()
        out, err = (stream.buffer.getvalue() for stream in streams)  # type: ignore[attr-defined]
        return WrittenStoryboard(code=int(failure.value.code or 0), out=out, err=err)

    return run


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_command_that_shows_a_title_shows_it_as_far_as_it_can(relay: Any, run: Run, encoding: str) -> None:
    """Signs that are lacking are replaced, the exit code is the same; JSON is whole in every encoding."""
    board = relay.write("signs.yaml", BOARD)
    made_run = json.loads(run("run", board, "--json", encoding=encoding).out)
    assert made_run["title"] == TITLE
    for words in (["plan", board], ["runs"], ["show", made_run["id"]], ["watch", made_run["id"]], ["--help"]):
        result = run(*words, encoding=encoding)
        assert result.code == (4 if "watch" in words else 0), (words, result)
        assert not result.err or words == ["runs"], "that there are older ones"
        text = result.out.decode(encoding)
        assert text, words
        if words[0] in ("plan", "runs", "show"):
            assert " caf" in text, words
    for words in (["plan", board], ["runs"], ["show", made_run["id"]], ["watch", made_run["id"]]):
        result = run(*words, "--json", encoding=encoding)
        answer = json.loads(result.out.decode("utf-8"))
        assert TITLE in json.dumps(answer, ensure_ascii=False), words
    assert json.loads(run("cancel", made_run["id"], "--json", encoding=encoding).out)["status"] == "cancelled"


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_an_error_is_printed_in_any_encoding(run: Run, encoding: str) -> None:
    """In words and as JSON, with the exit code of the contract."""
    missing = run("plan", "霓虹🎬.yaml", encoding=encoding)
    assert missing.code == 2
    assert missing.err.decode(encoding).startswith("framerelay: ")
    error = json.loads(run("show", "🎬", "--json", encoding=encoding).err)["error"]
    assert error["code"] == "not_found"
    assert "🎬" in error["message"]


def test_signs_that_we_use_ourselves_have_plain_ones(run: Run) -> None:
    """A row of question marks tells nothing; a person's own words have no plain form."""
    text = run("plan", "docs.yaml", encoding="ascii").err + run("--help", encoding="ascii").out
    assert b"?" not in text
    ours = {
        sign
        for place in (Path(__file__).parents[2] / "cli").rglob("*.py")
        for sign in re.findall(r"[^\x00-\x7f]", place.read_text(encoding="utf-8"))
    }
    assert ours
    for sign in ours:
        assert sign.encode("ascii", "framerelay.plain") != b"?", sign
        assert sign.encode("ascii", "framerelay.plain") not in (b'"', b"\\"), "it may be in JSON"


def test_a_name_that_is_no_text_is_shown(run: Run, relay: Any) -> None:
    """A file's name may hold any bytes; Python hands them on as halves of pairs, which not even UTF-8 can write."""
    name = os.fsdecode(b"caf\xe9.yaml")
    (relay.folder / name).write_text("shots: []\n")
    result = run("plan", name + "x", encoding="utf-8")
    assert result.code == 2
    assert b"caf" in result.err


def test_a_process_started_so_says_the_same(relay: Any) -> None:
    """By the variables that people have set, and with nothing set at all."""
    board = relay.write("signs.yaml", BOARD)
    for variables, encoding in (
        ({"PYTHONIOENCODING": "gbk"}, "gbk"),
        ({"PYTHONIOENCODING": "latin-1:strict"}, "latin-1"),
        ({"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}, "ascii"),
        ({"LANG": "C"}, "utf-8"),
    ):
        environ = {**relay.environ, **variables}
        process = subprocess.run(
            [FRAMERELAY, "plan", board], cwd=relay.folder, env=environ, capture_output=True, check=False
        )
        assert (process.returncode, process.stderr) == (0, b""), variables
        assert " caf" in process.stdout.decode(encoding)


def test_a_reader_that_left_changes_no_exit_code_of_an_error(relay: Any) -> None:
    """What went wrong is the same whether somebody reads it; in words and as JSON."""
    for more in ("", " --json"):
        script = f'"$0" plan missing.yaml{more} 2>&1 | true; exit "${{PIPESTATUS[0]}}"'
        process = subprocess.run(
            ["bash", "-c", script, FRAMERELAY], cwd=relay.folder, env=relay.environ, capture_output=True, check=False
        )
        assert (process.returncode, process.stderr) == (2, b""), more
