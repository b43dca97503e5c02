"""What a command loads before it does anything: a start is as slow as what it imports."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HEAVY = {"av", "numpy", "PIL", "arq", "redis", "uvicorn", "uvloop", "cryptography", "structlog", "rich", "pygments"}
HEAVY |= {"mcp", "pydantic"}  # The SDK takes a second.
NETWORK = {"starlette", "httpx", "asyncio", "anyio", "ssl", "msgspec", "ruamel"}


def loaded_by(folder: Path, *words: str) -> set[str]:
    """The packages that `framerelay WORDS` has imported when it ends, by Python's own list."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("FRAMERELAY_")}
    process = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "framerelay.cli.main", *words],
        env=environ | {"FRAMERELAY_URL": "http://127.0.0.1:9"},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    lines = [line for line in process.stderr.splitlines() if line.startswith("import time:")]
    modules = (line.rpartition("|")[2].strip().removeprefix("framerelay.") for line in lines)
    packages = {module.partition(".")[0] for module in modules}
    assert {"cli", "click"} <= packages, process.stderr
    return packages


def test_help_loads_the_words_and_nothing_that_works(tmp_path: Path) -> None:
    """`framerelay --help` answers before a person has let go of the key."""
    assert loaded_by(tmp_path, "--help") & (HEAVY | NETWORK) == set()


@pytest.mark.parametrize("words", [("runs",), ("show", "run_1"), ("callbacks", "--json"), ("cancel", "run_1")], ids=str)
def test_a_command_that_asks_the_receiver_loads_no_part_of_it(words: tuple[str, ...], tmp_path: Path) -> None:
    """It needs a client; not the server, the queue, the decoder or what draws."""
    packages = loaded_by(tmp_path, *words)

    assert "httpx" in packages
    assert packages & HEAVY == set()


def test_the_receiver_of_up_is_there_before_its_worker(tmp_path: Path, tools: Any) -> None:
    """Callbacks are kept while the worker still warms its decoders."""
    with tools.up_in(tools.shell_for(tmp_path / "relay", "http://127.0.0.1:9")) as service:
        tools.wait_for(lambda: "worker_ready" in service.log.read_text(), "the worker is ready")
    lines = [line for line in service.log.read_text().splitlines() if line.startswith("{")]
    names = [json.loads(line)["event"] for line in lines]

    assert names.index("receiver_ready") < names.index("decoder_caged") < names.index("worker_ready")
