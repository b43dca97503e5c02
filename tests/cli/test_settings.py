"""Whichever command a person types next reports what they misspelled, and names their file once."""

import json
from typing import Any

import pytest

from framerelay.runs.errors import Mistake


@pytest.mark.parametrize(
    "words", [("runs",), ("plan", "rest.yaml"), ("callback-url", "mine")], ids=lambda words: words[0]
)
def test_every_command_reports_a_misspelt_variable(relay: Any, words: tuple[str, ...]) -> None:
    """On standard error, without an effect on what the command does; programs read standard output alone."""
    warning = (
        "framerelay: FRAMERELAY_PROT is not a FrameRelay setting (did you mean FRAMERELAY_PORT?); it has no effect\n"
    )
    shell = relay.having(PROT=9000)

    plain, as_json = shell.run(*words), shell.run(*words, "--json")

    assert (plain.code, plain.err.startswith(warning)) == (0, True)
    assert (as_json.code, as_json.err) == (0, warning)
    assert json.loads(as_json.out)
    assert relay.run(*words, "--json").err == ""


def test_a_settings_file_with_a_mistake_is_named_once(shell: Any) -> None:
    """With the line; of a mistake of the whole file the file is the place, and need not be said again."""
    shell = shell.having(UPSTREAM_URL="http://127.0.0.1:9", UPSTREAM_KEY="x", CONFIG="bad.yaml", PORT=0)
    shell.write("bad.yaml", "hooks:\n  mine: {}\n other: [\n")
    result = shell.run("up")
    assert result.code == 1
    sentence = next(line for line in result.err.splitlines() if line.startswith("framerelay: "))
    assert sentence.startswith("framerelay: bad.yaml, line ")
    assert sentence.count("bad.yaml") == 1

    shell.write("bad.yaml", "hooks:\n  mine: {titel: x}\n")
    assert "framerelay: bad.yaml, line 2, hooks.mine.titel: " in shell.run("up").err


def test_a_mistake_of_a_file_says_what_is_left_to_say() -> None:
    """The name of the file precedes it."""
    assert Mistake(place="f.yaml", line=3, message="m").within("f.yaml") == "line 3: m"
    assert Mistake(place="f.yaml", message="m").within("f.yaml") == "m"
    assert Mistake(place="hooks.a", line=3, message="m").within("f.yaml") == "line 3, hooks.a: m"
