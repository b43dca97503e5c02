"""
No test asks how fast the machine is: none sleeps and hopes, none compares with a stopwatch, none is in a hurry.

What waits for something asks for it again and again; what must not happen is looked for when something else has, that
could only come later. A deadline is there to end a test that hangs. `make test-busy` tries it out.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

TESTS = Path(__file__).parent
FILES = [file for file in sorted(TESTS.rglob("*.py")) if "chaos" not in file.parts]
PAUSE_S_MAX = 0.05
FOR_EVER_S = 60  # Nobody waits that long: what sleeps so is cancelled, or hangs on purpose.
DEADLINE_S_MIN = 60
CLOCKS = {"monotonic", "perf_counter", "process_time", "thread_time", "time"}

PAUSES = {
    "processors/test_submit_cut_short.py": "a second POST must not come, and nothing else comes after it",
    "media/download_server.py": "a host that says nothing for longer than it is listened to",
    "security/test_door_slow.py": "a sender whose pace is what is tested",
    "security/test_fetching.py": "a host whose pace is what is tested",
}
"""Files in which something may pause for longer, and why no condition can be waited for."""

HURRIES = {
    "cli/conftest.py": "one look of many",
    "deploy/test_deploy.py": "one look of many",
    "network/test_client.py": "no clock runs there",
    "security/test_quarantine.py": "no clock runs there",
}
"""Files in which a time-out is part of what is tested."""


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(TESTS).as_posix())
def test_no_test_depends_on_the_speed_of_the_machine(file: Path) -> None:
    """Constants alone are judged: who computes a pause has thought about it."""
    name, tree = file.relative_to(TESTS).as_posix(), ast.parse(file.read_text(encoding="utf-8"))
    hits = [*stopwatches(tree)]
    hits += [] if name in PAUSES else [*pauses(tree)]
    hits += [] if name in HURRIES else [*hurries(tree)]

    assert hits == []


def test_the_lists_name_files_that_need_it() -> None:
    """A reason whose file is gone, or no longer does it, goes too."""
    trees = {name: ast.parse((TESTS / name).read_text(encoding="utf-8")) for name in {**PAUSES, **HURRIES}}

    assert [name for name in PAUSES if not [*pauses(trees[name])]] == []
    assert [name for name in HURRIES if not [*hurries(trees[name])]] == []


def test_no_example_has_a_stopwatch() -> None:
    """Hypothesis brings two, unless it is told otherwise (conftest.py): one for an example, one for how it is made."""
    assert settings().deadline is None
    assert HealthCheck.too_slow in settings().suppress_health_check


@pytest.mark.parametrize(
    "code",
    [
        "time.sleep(0.2)",
        "await asyncio.sleep(1)",
        "assert time.monotonic() - began < 5",
        "assert 0.5 > perf_counter() - began",
        "took = time.monotonic() - began\nassert took < 4.5",
        "with timing() as t:\n    took = round(time.perf_counter() - t, 1)\n    assert 1 < took",
        "async with asyncio.timeout(5):\n    pass",
        "await asyncio.wait_for(answer, 10)",
        "process.wait(timeout=20)",
        "wait_until(is_there, 'it is there', within_s=3)",
    ],
)
def test_what_is_wrong_is_found(code: str) -> None:
    """The rules above, by example."""
    tree = ast.parse(code)

    assert [*pauses(tree), *stopwatches(tree), *hurries(tree)] != []


def pauses(tree: ast.AST) -> Iterator[str]:
    """Sleeps of a fixed length that is neither a glance nor for ever."""
    for call in calls(tree):
        seconds = constant(call.args[:1]) if name_of(call) == "sleep" else None
        if seconds is not None and PAUSE_S_MAX < seconds < FOR_EVER_S:
            yield f"line {call.lineno}: it sleeps for {seconds:g} s"


def hurries(tree: ast.AST) -> Iterator[str]:
    """Deadlines that a slow machine would not keep; those of less than a second are glances."""
    for call in calls(tree):
        match name_of(call):
            case "timeout" | "timeout_at":
                arguments = call.args[:1]
            case "wait_for":
                arguments = call.args[1:2]
            case _:
                arguments = [each.value for each in call.keywords if each.arg in ("timeout", "within_s")]
        if (seconds := constant(arguments)) is not None and 1 <= seconds < DEADLINE_S_MIN:
            yield f"line {call.lineno}: it has {seconds:g} s; a busy machine needs ten times as long"


def stopwatches(tree: ast.AST) -> Iterator[str]:
    """Comparisons of a constant with a difference of two times, or with a name for one."""
    spans = {
        target.id
        for each in ast.walk(tree)
        if isinstance(each, ast.Assign) and any(is_span(part) for part in ast.walk(each.value))
        for target in each.targets
        if isinstance(target, ast.Name)
    }
    for compare in ast.walk(tree):
        if isinstance(compare, ast.Compare):
            sides = [compare.left, *compare.comparators]
            timed = any(is_span(side) or (isinstance(side, ast.Name) and side.id in spans) for side in sides)
            if timed and constant(sides) is not None:
                yield f"line {compare.lineno}: it asks how long something took"


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (each for each in ast.walk(tree) if isinstance(each, ast.Call))


def name_of(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def is_span(node: ast.AST) -> bool:
    """``clock() - begun``"""
    first = node.left if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub) else None
    return isinstance(first, ast.Call) and name_of(first) in CLOCKS


def constant(nodes: list[ast.expr]) -> float | None:
    """The first number that is written there."""
    numbers = (node.value for node in nodes if isinstance(node, ast.Constant))
    return next((float(value) for value in numbers if isinstance(value, int | float)), None)
