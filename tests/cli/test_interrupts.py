"""Ctrl-C before a command has begun: as quiet as later on."""

import subprocess
import sys

import pytest

CODE = """
import builtins, os, signal
from framerelay.cli import entry

load = builtins.__import__

def loading(name, *rest):
    if name == "{module}":
        os.kill(os.getpid(), signal.SIGINT)
    return load(name, *rest)

builtins.__import__ = loading
entry.main()
"""


@pytest.mark.parametrize("module", ["framerelay.cli.main", "framerelay.cli.errors", "framerelay.cli.provider"])
def test_whenever_ctrl_c_comes_it_ends_with_its_exit_code_and_silently(module: str) -> None:
    """While it is loaded, while the command line is read, and when the command begins."""
    code = CODE.format(module=module)
    process = subprocess.run([sys.executable, "-c", code, "providers"], capture_output=True, text=True, check=False)

    assert (process.returncode, process.stdout, process.stderr) == (130, "", "")
