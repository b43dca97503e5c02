"""`provider check`, as typed."""

import re
from typing import Any

import pytest

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


def test_an_example_that_is_read_differently_is_reported_with_its_line(shell: Any) -> None:
    """As every other mistake of a profile is; the one that reads as expected is not named."""
    result = shell.run("provider", "check", shell.write("mine.yaml", PROFILE))
    assert result.code == 2
    assert "line 9, examples[1]: state: expected 'running', read 'unknown'" in result.err
    assert "examples[0]" not in result.err


WHOLE = """\
profile: 1
id: mine
title: Mine
base: https://api.mine.example
create: {post: /jobs, id: id}
get: {get: "/jobs/{id}"}
read: {status: status, states: {ok: succeeded, bad: failed}, clip: url}
"""


@pytest.mark.parametrize(
    ("right", "wrong", "line", "words"),
    [
        ("create:", "craete:", 5, "did you mean"),
        ("clip: url", "clip: 'a..b'", 7, "read.clip"),
        ("id: mine", "id: Film Haus", 2, 'expected letters, digits, ".", "_" and "-" alone, found "Film Haus"'),
    ],
)
def test_one_mistake_is_reported_once(shell: Any, right: str, wrong: str, line: int, words: str) -> None:
    """At its line; what it brings with it is no second one."""
    assert shell.run("provider", "check", shell.write("mine.yaml", WHOLE)).code == 0
    result = shell.run("provider", "check", shell.write("mine.yaml", WHOLE.replace(right, wrong, 1)))

    (mistake_line,) = result.err.splitlines()
    assert result.code == 2
    assert f"line {line}, " in mistake_line
    assert words in mistake_line


def test_a_callback_that_can_be_signed_is_not_called_signed(shell: Any) -> None:
    """Before its secret is set, the variable is named; so in the list of all."""
    assert "callback, can be signed (set KLING_WEBHOOK_SECRET)" in shell.run("provider", "show", "kling").out
    shell.write(".env", f"KLING_WEBHOOK_SECRET=whsec_{'YWJj' * 8}\n")
    assert re.search("completion +signed callback$", shell.run("provider", "show", "kling").out, re.M)
