"""The systemd units: verified by systemd itself, and compared with what the program does."""

import re
import shutil
import subprocess
from pathlib import Path

import click
import pytest

from framerelay.cli.main import cli
from framerelay.config.misspellings import misspellings
from framerelay.config.settings import Settings

PLACE = Path(__file__).parent.parent.parent / "deploy" / "systemd"
UNITS = ("framerelay-receiver.service", "framerelay-worker@.service")


def lines(name: str) -> list[tuple[str, str]]:
    text = (PLACE / name).read_text(encoding="utf-8")
    return [
        (key, value) for key, _, value in (line.partition("=") for line in text.splitlines()) if value and key[0] != "#"
    ]


@pytest.fixture
def units(tmp_path: Path) -> list[str]:
    """The units as they would be on a machine, with a program that is there."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd is not here, and cannot be unpacked beside a system without it")
    for name in UNITS:
        text = (PLACE / name).read_text(encoding="utf-8").replace("/opt/framerelay/bin/framerelay", "/bin/true")
        (tmp_path / name.replace("@", "@heavy")).write_text(text)
    return [str(path) for path in sorted(tmp_path.iterdir())]


def test_systemd_finds_no_fault(units: list[str]) -> None:
    """Neither an error nor a line that it would pass over."""
    process = subprocess.run(["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True)
    about_ours = [line for line in process.stderr.splitlines() if "framerelay" in line]

    assert (process.returncode, about_ours) == (0, [])


def test_systemd_calls_them_well_locked(units: list[str]) -> None:
    """By its own measure, at which 10 is wide open: below 2.5."""
    for unit in units:
        command = ["systemd-analyze", "security", "--offline=true", "--threshold=25", unit]
        process = subprocess.run(command, capture_output=True, text=True)
        assert process.returncode == 0, process.stdout


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_starts_a_command_that_exists_with_settings_that_exist(name: str) -> None:
    """Each class of tasks can follow the @; no key is in the environment."""
    (start,) = [value.split() for key, value in lines(name) if key == "ExecStart"]
    assert start[0] == "/opt/framerelay/bin/framerelay"
    assert isinstance(cli, click.Group)
    for kind in ("all", "light", "heavy"):
        cli.commands[start[1]].make_context(start[1], [kind if word == "%i" else word for word in start[2:]])
    variables = [pair.split("=", 1) for key, value in lines(name) if key == "Environment" for pair in value.split()]
    environment = re.findall("^(FRAMERELAY_[A-Z_]+)=", (PLACE / "framerelay.env").read_text(encoding="utf-8"), re.M)
    assert misspellings(dict.fromkeys([*environment, *(variable for variable, _ in variables)], "")) == []
    credentials = {value.partition(":")[0] for key, value in lines(name) if key == "LoadCredential"}
    files = {value.removeprefix("%d/") for variable, value in variables if variable.endswith("_FILE")}
    assert files == credentials
    assert "secret" in credentials


def test_a_film_may_end_before_its_worker_does() -> None:
    """systemd's own patience is longer than ours."""
    (patience,) = [int(value) for key, value in lines(UNITS[1]) if key == "TimeoutStopSec"]

    assert patience >= Settings().films_grace_s + 10


def test_both_are_locked_down_alike() -> None:
    """What is taken from one is taken from the other."""
    receiver, worker = (
        {
            key: value
            for key, value in lines(name)
            if key.startswith(("Protect", "Restrict", "Private", "System", "Cap"))
        }
        for name in UNITS
    )
    assert receiver == worker
