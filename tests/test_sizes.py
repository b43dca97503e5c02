"""
The house in figures: no room, file or function grows past what is read in one sitting.

Counted is what is installed, the ``*.py`` of each room: a file's lines as an editor numbers them, blank ones, comments
and docstrings included; a function's from its ``def`` to its last, inner functions of their own as well.
"""

import ast
from pathlib import Path
from statistics import median

from tests.test_architecture import MAY_IMPORT, ROOT

ROOM_SHARE_MAX = 0.16
FILE_LINES_MAX = 400
TEST_FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 60
FUNCTION_LINES_MEDIAN = 7
FUNCTION_LINES_USUAL = 18  # Nine in ten have no more.

FILES = [file for room in MAY_IMPORT for file in (ROOT / room).rglob("*.py")]


def test_no_room_is_larger_than_others_can_balance() -> None:
    """The largest has 16 % of all lines at most: what goes beyond is another trade, or is in the wrong room."""
    lines = {room: sum(map(lines_of, (ROOT / room).rglob("*.py"))) for room in MAY_IMPORT}
    shares = {room: count / sum(lines.values()) for room, count in lines.items()}

    assert {room: f"{share:.1%}" for room, share in shares.items() if share > ROOM_SHARE_MAX} == {}


def test_no_file_is_longer_than_a_sitting() -> None:
    """400 lines: one that needs more is about two things."""
    lengths = {str(file.relative_to(ROOT)): lines_of(file) for file in FILES}

    assert {name: length for name, length in lengths.items() if length > FILE_LINES_MAX} == {}


def test_no_file_of_tests_is_about_two_things() -> None:
    """500 lines: the test of something is found by the name of its file."""
    lengths = {str(file.relative_to(ROOT)): lines_of(file) for file in (ROOT / "tests").rglob("*.py")}

    assert {name for name, length in lengths.items() if length > TEST_FILE_LINES_MAX} == set()


def test_functions_are_short() -> None:
    """The middle one has seven lines, nine in ten have eighteen at most, and none has more than sixty."""
    lengths = {
        f"{file.relative_to(ROOT)}:{node.lineno} {node.name}": (node.end_lineno or node.lineno) - node.lineno + 1
        for file in FILES
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }

    assert {name: length for name, length in lengths.items() if length > FUNCTION_LINES_MAX} == {}
    assert median(lengths.values()) <= FUNCTION_LINES_MEDIAN
    assert sum(length <= FUNCTION_LINES_USUAL for length in lengths.values()) >= 0.9 * len(lengths)


def lines_of(file: Path) -> int:
    """As an editor numbers them."""
    return len(file.read_text(encoding="utf-8").splitlines())
