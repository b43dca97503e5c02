"""``--json``: every command that shows something can be read by a program, its errors too."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import click
import pytest

from framerelay.cli.main import cli

# They serve, show a film being made, or print a script.
NOTHING_TO_READ = {"demo", "up", "receiver", "worker", "sandbox", "mcp", "completion", "open"}
CHAIN = """
model: seedance-1.5-pro-720p
budget: {jobs: 6}
shots:
  - {id: s1, prompt: a, takes: 2}
  - {id: s2, prompt: b, gate: approve}
"""


def read(relay: Any, *words: str, code: int = 0) -> dict[str, Any]:
    """What *words* print with --json: one object on one line, and nothing else anywhere."""
    result = relay.run(*words, "--json")
    assert (result.code, result.out.count("\n")) == (code, 1), (words, result)
    assert result.err == "" or "--watch" in words
    answer: dict[str, Any] = json.loads(result.out)
    return answer


def _commands(group: click.Group) -> Iterator[tuple[str, click.Command]]:
    """All that can be typed; a group that does nothing by itself is only the way to its commands."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _commands(command)
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield name, command


def test_every_command_that_shows_something_has_it() -> None:
    """A new command has it, too, or is named here."""
    plain = {
        name
        for name, command in _commands(cli)
        if not any("--json" in option.opts for option in command.params if isinstance(option, click.Option))
    }
    assert plain - NOTHING_TO_READ == set()


def test_each_answers_with_one_object_on_one_line(relay: Any, tools: Any, tmp_path: Any) -> None:
    """A run from its plan to its removal, every command once: what each prints is one JSON object with its kind."""
    board = relay.write("json.yaml", CHAIN)
    assert read(relay, "plan", board)["object"] == "plan"
    run = read(relay, "run", board, "--watch", code=4)["id"]
    decisions: list[tuple[list[str], Callable[[Any], bool]]] = [
        (["pick", run, "s1", "2"], lambda answer: answer["shots"][0]["picked"] == 2),
        (["approve", run, "s2"], lambda answer: answer["shots"][1]["approved"]),
        (["show", run, "--watch"], lambda answer: answer["status"] == "succeeded"),
        (
            ["retake", run, "s2"],
            lambda answer: len(answer["shots"][1]["takes"]) == 1 and answer["submits_to_come"] == 1,
        ),
        (["show", run, "--watch"], lambda answer: answer["status"] == "succeeded"),
        (["show", run], lambda answer: answer["id"] == run),
        (["runs"], lambda answer: run in [each["id"] for each in answer["data"]]),
        (["export", run, "--to", str(tmp_path)], lambda answer: answer["object"] == "export"),
        (["callback-url", "mine"], lambda answer: answer["url"].startswith("http") and answer["local"]),
        (["notifications", "--secret"], lambda answer: answer["secrets"][0].startswith("whsec_")),
        (["release", "--all"], lambda answer: answer["object"] == "list"),
    ]
    for words, holds in decisions:
        assert holds(read(relay, *words)), words
    (first, *_) = [each["id"] for each in read(relay, "callbacks")["data"]]
    assert read(relay, "replay", first)["object"] == "replay"

    other = read(relay, "run", board)["id"]
    assert read(relay, "cancel", other)["status"] == "cancelled"
    assert read(relay, "remove", other) == {"id": other, "object": "run", "removed": True}
    assert read(relay, "doctor", code=0)["object"] == "diagnosis"


ERRORS: list[tuple[list[str], int, str]] = [
    (["show", "run_x"], 1, "not_found"),
    (["show", "../x"], 1, "not_found"),
    (["resume", "run_x"], 1, "not_found"),
    (["adopt", "job_1", "--run", "run_x", "--shot", "s1"], 1, "not_found"),
    (["release", "cb_x"], 1, "not_found"),
    (["export", "run_x"], 1, "not_found"),
    (["replay"], 2, "usage"),
    (["shwo", "run_x"], 2, "usage"),
    (["pick", "run_x", "s1", "two"], 2, "usage"),
    (["runs", "--limit", "0"], 2, "usage"),
    (["runs", "--wrong"], 2, "usage"),
    (["callback-url", "a/b"], 1, "cannot"),
]


@pytest.mark.parametrize(("words", "exit_code", "code"), ERRORS, ids=str)
def test_an_error_is_the_envelope_on_standard_error(relay: Any, words: list[str], exit_code: int, code: str) -> None:
    """One line, as the API has it; standard output stays empty, the exit code is that of the contract."""
    result = relay.run(*words, "--json")

    assert (result.code, result.out, result.err.count("\n")) == (exit_code, "", 1), result
    error = json.loads(result.err)["error"]
    assert error["code"] == code
    assert error["message"]
    assert "param" in error


def test_mistakes_of_a_storyboard_and_a_missing_receiver_have_codes(relay: Any, shell: Any, tools: Any) -> None:
    """Each mistake with its place and line; no receiver, a wrong key and a bad setting have codes of their own."""
    bad = shell.write("bad.yaml", "model: m\nshots:\n  - {promt: a}\n")
    for command in ("run", "plan"):
        result = shell.run(command, bad, "--json")
        error = json.loads(result.err)["error"]
        assert (result.code, result.out, error["code"], error["param"]) == (
            2,
            "",
            "storyboard_invalid",
            "shots[0].promt",
        )
        assert [(each["place"], each["line"]) for each in error["mistakes"]] == [("shots[0].promt", 3)]

    def code_of(asking: Any) -> str:
        code: str = json.loads(asking.run("runs", "--json").err)["error"]["code"]
        return code

    assert code_of(relay.having(PORT=tools.free_port())) == "unreachable"
    assert code_of(relay.having(API_KEY="wrong")) == "unauthorized"
    assert code_of(relay.having(PORT="many")) == "setting_invalid"
