"""docs/sandbox.md and the command name the same options."""

import re
from pathlib import Path

from framerelay.cli.programs import sandbox
from framerelay.sandbox import PATHS
from framerelay.sandbox.faults import SWITCHES
from framerelay.upstream.profile_file import profile_names

TEXT = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text()


def test_every_option_of_the_command_is_documented_and_no_other() -> None:
    """An option without a line in the docs does not exist for the reader."""
    options_in_docs = {
        option for row in re.findall(r"^\| (`--.*?) \|", TEXT, re.M) for option in re.findall(r"--[\w-]+", row)
    }
    options = {option for parameter in sandbox.params for option in parameter.opts if option.startswith("--")}

    assert options_in_docs == options
    assert {f"--{switch.replace('_', '-')}" for switch in SWITCHES} <= options_in_docs


def test_every_provider_that_it_plays_has_its_line_for_the_settings_file() -> None:
    """As the command prints it: the name of a shipped profile, and where the sandbox imitates it."""
    block = re.search(r"^# framerelay\.yaml\n(.*?)^```", TEXT, re.M | re.S)
    assert block is not None
    lines = dict(re.findall(r"^  (\w+): .*url: 'http://127\.0\.0\.1:8090(\S+)'", block[1], re.M))

    assert lines == PATHS
    assert set(PATHS) <= set(profile_names())
