"""`sandbox` with options that make no sense."""

from typing import Any

import pytest

from framerelay.sandbox.faults import SWITCHES


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--host", ""),
        ("--port", "70000"),
        ("--key", ""),
        ("--key", "ключ"),
        ("--folder", "a-file"),
        ("--public-url", "sandbox:8090"),
        ("--dialect", "openai"),
        ("--webhook-secret", "whsec_?"),
        ("--job-s", "-1"),
        ("--job-s", "inf"),
        ("--clip-s", "16"),
        ("--clip-s", "nan"),
        ("--scale", "2"),
        ("--scale", "nan"),
        ("--bframes", "17"),
        ("--output-ttl-s", "-1"),
        ("--output-ttl-s", "nan"),
        ("--seed", "x"),
        *((f"--{switch.replace('_', '-')}", "2") for switch in SWITCHES),
        ("--accept-then-500", "nan"),
    ],
)
def test_an_option_that_makes_no_sense_is_named(shell: Any, option: str, value: str) -> None:
    """As any other command does: one sentence after the usage, exit 2; nothing is served."""
    shell.write("a-file", "")
    result = shell.run("sandbox", "--port", "0", option, value)
    usage, *_, sentence = result.err.splitlines()
    assert (result.code, result.out, usage) == (2, "", "Usage: framerelay sandbox [OPTIONS]")
    assert sentence.startswith(f"Error: Invalid value for '{option}': ")
