"""`provider check`, as typed."""

from typing import Any

PROFILE = """\
profile: 1
id: mine
title: Mine
extends: kling
examples:
  - as: get
    body: {code: 0, data: [{id: "1", status: succeeded}]}
    expect: {state: succeeded}
  - as: get
    body: {code: 0, data: [{id: "1", status: wrking}]}
    expect: {state: running}
"""


def test_an_example_that_is_read_otherwise_is_told_with_its_line(shell: Any) -> None:
    """As every other mistake of a profile is; the one that reads as expected is not named."""
    ended = shell.run("provider", "check", shell.write("mine.yaml", PROFILE))
    assert ended.code == 2
    assert "line 9, examples[1]: state: expected 'running', read 'unknown'" in ended.err
    assert "examples[0]" not in ended.err
