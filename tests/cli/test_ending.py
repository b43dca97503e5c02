"""How the process of a command ends after it has used object storage, whose threads may be at work in Python still."""

import subprocess
import sys

import pytest

# The command is one of this test, since a real one meets the moment in one of ten runs only; `obstore` is a name in a
# list, which is all that is asked.
CODE = """
import atexit, os, sys, types

class LastThing:
    def __del__(self, write=os.write):
        write(1, b"torn down")

def command():
    atexit.register(print, "at the end")
    print("done")
    {ends}

last_thing = LastThing()
sys.modules["framerelay.cli.main"] = types.SimpleNamespace(main=command)
if {used}:
    sys.modules["obstore"] = types.SimpleNamespace()
from framerelay.cli import entry
entry.main()
"""


@pytest.mark.parametrize(
    ("ends", "code", "words"),
    [
        ("return", 0, ""),
        ("sys.exit()", 0, ""),
        ("sys.exit(4)", 4, ""),
        ("sys.exit('it broke')", 1, "it broke\n"),
        ("raise ValueError", 1, "ValueError\n"),
    ],
)
def test_its_interpreter_is_not_taken_down_and_nothing_is_lost(ends: str, code: int, words: str) -> None:
    """Exit code, output, traceback and what was to be done at the end are those of any other command."""
    for is_used, torn in ((True, ""), (False, "torn down")):
        source = CODE.format(ends=ends, used=is_used)
        process = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False)
        assert (process.returncode, process.stdout) == (code, f"done\nat the end\n{torn}")
        assert process.stderr.endswith(words)
        assert bool(process.stderr) == bool(words)
