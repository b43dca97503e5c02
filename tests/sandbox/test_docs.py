"""docs/sandbox.md and the command name the same options."""

import re
from pathlib import Path

from framerelay.cli.programs import sandbox
from framerelay.sandbox.faults import SWITCHES

TEXT = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text()


def test_every_option_of_the_command_is_documented_and_no_other() -> None:
    """An option without a line in the docs does not exist for the reader."""
    documented = {
        option for row in re.findall(r"^\| (`--.*?) \|", TEXT, re.M) for option in re.findall(r"--[\w-]+", row)
    }
    offered = {option for parameter in sandbox.params for option in parameter.opts if option.startswith("--")}

    assert documented == offered
    assert {f"--{switch.replace('_', '-')}" for switch in SWITCHES} <= documented
