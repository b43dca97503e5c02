"""A draft and its final, as typed."""

from typing import Any

BOARD = """\
title: Lanterns
model: seedance-1.5-pro-720p
pass: {draft: {duration: 4}}
budget: {jobs: 4}
defaults: {resolution: 720p, duration: 5}
shots:
  - {id: s1, prompt: a lantern, seed: 3}
  - {id: s2, prompt: many of them}
"""


def test_a_draft_is_planned_made_and_promoted(relay: Any) -> None:
    """Each list says that it is one; at a terminal the final is asked about, and made once."""
    board = relay.write("lanterns.yaml", BOARD)
    assert "Lanterns · seedance-1.5-pro-720p · draft" in relay.run("plan", board).out
    result = relay.run("run", board, "--watch")
    run_id = result.out.splitlines()[0].removeprefix("run: ")
    shown_screen = relay.run("show", run_id).out
    assert result.code == 0, result
    assert "Lanterns · draft" in shown_screen
    assert f"framerelay promote {run_id}" in shown_screen
    assert f"{run_id}  succeeded" in relay.run("runs", "--search", "lanterns").out
    assert "(draft) Lanterns" in relay.run("runs", "--search", "lanterns").out

    screen, code = relay.on_a_terminal("promote", run_id, keys="n\n")
    text = " ".join(screen.split())
    assert 'the final of "Lanterns" is made, a run of its own, for 2 jobs' in text
    assert ("nothing was done" in text, code) == (True, 1)
    final = relay.run("promote", run_id, "--budget", "3").out.strip().removeprefix("run: ")
    again = relay.run("promote", run_id, "--yes").out.strip().removeprefix("run: ")
    assert again == final != run_id
    assert relay.run("show", final, "--watch").code == 0
    run = relay.view(final)
    assert (run["promoted_from"], run["budget"]["jobs"], run["spent"]["jobs"]) == (run_id, 3, 2)
    refused_result = relay.run("promote", final)
    assert (refused_result.code, "is not a draft" in refused_result.err) == (1, True)
