"""Watching at a terminal, where a person is asked; and all runs at once."""

import json
import re
from typing import Any

import pytest

GATED = """
title: gated
model: seedance-1.5-pro-720p
shots:
  - {id: street, prompt: a car}
  - {id: stop, prompt: it stops, gate: approve}
"""
PICKED = "title: two takes\nmodel: m\nshots: [{id: s1, prompt: a car, takes: 2}]\n"


def test_a_person_who_watches_is_asked_and_the_run_goes_on(relay: Any) -> None:
    """A slip of a finger is asked about again; then the film is there."""
    screen, code = relay.on_a_terminal("run", relay.write("gated.yaml", GATED), "--watch", keys="yse\ny\n")

    assert code == 0, screen
    assert "Approve stop for 1 job? [y, N, p: with another prompt]" in screen
    assert "Type y, n or p, or Enter." in screen
    assert "film: " in screen


def test_another_prompt_is_given_with_the_approval(relay: Any) -> None:
    """Now that one sees what it begins with."""
    board = relay.write("gated.yaml", GATED)
    screen, code = relay.on_a_terminal("run", board, "--watch", keys="p\nit turns around\n")
    run_id = re.search(r"run_[a-z0-9]+", screen)
    assert run_id, screen
    run = relay.view(run_id[0])

    assert code == 0, screen
    assert run["shots"][1]["prompt"] == "it turns around"


@pytest.mark.parametrize("answer", ["\n", "n\n", "p\n\n", "\x04"], ids=["enter", "no", "no prompt", "^D"])
def test_a_person_who_does_not_agree_spends_nothing(relay: Any, answer: str) -> None:
    """The run waits on, and the exit code says so. Ctrl-C is to click what Ctrl-D is."""
    screen, code = relay.on_a_terminal("run", relay.write("gated.yaml", GATED), "--watch", keys=answer)
    run_id = re.search(r"run_[a-z0-9]+", screen)
    assert run_id, screen
    run = relay.view(run_id[0])
    relay.run("cancel", run_id[0])

    assert (code, run["status"], run["spent"]["jobs"], run["needs"]) == (4, "waiting", 1, "person"), screen


def test_a_take_is_picked_where_one_watches(relay: Any) -> None:
    """By its number; nothing else is taken for one."""
    screen, code = relay.on_a_terminal("run", relay.write("picked.yaml", PICKED), "--watch", keys="3\n2\n")
    run_id = re.search(r"run_[a-z0-9]+", screen)
    assert run_id, screen

    assert code == 0, screen
    assert "Pick take 1 or 2 of s1? [a number; Enter: later]" in screen
    assert relay.view(run_id[0])["film"]["takes"] == {"s1": 2}


def test_a_program_is_never_asked(relay: Any) -> None:
    """Nor is anyone without a terminal: exit 4, as always."""
    board = relay.write("gated.yaml", GATED)
    for words in (("--json",), ()):
        result = relay.run("run", board, "--watch", *words)
        assert (result.code, "Approve" in result.err + result.out) == (4, False), result
    screen, code = relay.on_a_terminal("run", board, "--watch", "--json", keys="y\n")
    assert (code, "[y, N" in screen) == (4, False)
    for run in json.loads(relay.run("runs", "--needs-me", "--json").out)["data"]:
        relay.run("cancel", run["id"])


def test_all_runs_that_go_on_are_watched_those_that_need_a_person_first(relay: Any, tools: Any) -> None:
    """An object for each change, the last one when it has ended; what ended before is not shown."""
    run_done = relay.run("run", relay.write("done.yaml", PICKED.replace(", takes: 2", "")), "--watch").out.split()[1]
    run_id = relay.run("run", relay.write("gated.yaml", GATED)).out.split()[1]
    watching = relay.start("watch", "--json")
    runs: list[dict[str, Any]] = []

    def see(status: str) -> dict[str, Any]:
        while not (matches := [run for run in runs if (run["id"], run["status"]) == (run_id, status)]):
            runs.append(json.loads(watching.stdout.readline()))
        return matches[0]

    assert see("waiting")["needs"] == "person"
    lines = relay.run("runs", "--limit", "5").out
    relay.run("cancel", run_id)
    assert see("cancelled")["needs"] is None
    watching.send_signal(2)
    watching.communicate(timeout=90)

    assert run_done not in {run["id"] for run in runs}
    assert re.search(rf"{run_id}  waiting .* \(needs you\) gated", lines), lines
    assert watching.returncode == 130


def test_all_runs_on_a_terminal_are_a_picture_until_ctrl_c(relay: Any) -> None:
    """How many go on, how many need somebody, and a line for each."""
    run_id = relay.run("run", relay.write("gated.yaml", GATED), "--watch").out.split()[1]
    screen, code = relay.on_a_terminal("watch", ctrl_c_at=run_id[:12])
    relay.run("cancel", run_id)

    assert code == 130
    assert re.search("^[0-9]+ runs? going on, [0-9]+ of them needs? you", screen)
    assert re.search(f"{run_id[:12]}  waiting .*[(]needs you[)] gated", screen)
