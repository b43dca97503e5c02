"""The tree of errors as it is drawn, and as it is."""

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import framerelay
from framerelay.runs import errors

HOUSE = Path(__file__).parents[2]
NOT_OURS = {"tests", "sandbox", "benchmarks", ".venv"}
"""The sandbox speaks as providers do, who write sentences."""
OUTSIDE_THE_TREE = {"CommandError", "SettingInvalid", "ToolError", "Failed", "Mistake"}
PROPER_NAMES = {"Redis", "Matroska"}


def subclasses(kind: type[Exception]) -> set[type[Exception]]:
    """All of them, at any depth."""
    return {each for direct in kind.__subclasses__() for each in {direct, *subclasses(direct)}}


def test_the_drawing_shows_every_error_at_its_place() -> None:
    """It tells the reader who catches one what kind it is; the errors of all rooms are in it."""
    for module in pkgutil.walk_packages([f"{path}/store" for path in framerelay.__path__], "framerelay.store."):
        importlib.import_module(module.name)
    names, above = set(), ["FrameRelayError"]
    for line in (errors.__doc__ or "").splitlines():
        if entry := re.match(r"^    ([│ ]*)[├└]── (\w+)", line):
            depth = len(entry[1]) // 4 + 1
            above[depth:] = [entry[2]]
            names.add((above[depth - 1], entry[2]))
    ours = {kind for kind in subclasses(errors.FrameRelayError) if kind.__module__.startswith("framerelay.")}

    assert names == {(kind.__bases__[0].__name__, kind.__name__) for kind in ours}


def texts_of(node: ast.expr, module: ast.Module | None) -> Iterator[str]:
    """What *node* can be as text, ``{}`` standing for each value; a name is looked for in all of *module*, once."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=values):
            yield "".join(str(each.value) if isinstance(each, ast.Constant) else "{}" for each in values)
        case ast.IfExp(body=body, orelse=otherwise):
            yield from (*texts_of(body, module), *texts_of(otherwise, module))
        case ast.Name(id=name) if module:
            for each in ast.walk(module):
                if isinstance(each, ast.Assign) and any(
                    isinstance(it, ast.Name) and it.id == name for it in each.targets
                ):
                    yield from texts_of(each.value, None)


def messages_of(path: Path, kinds: set[str]) -> Iterator[str]:
    """The messages that *path* makes errors of, and whatever else it hands on as ``message``."""
    module = ast.parse(path.read_text())
    for call in ast.walk(module):
        if isinstance(call, ast.Call):
            is_error = (call.func.id if isinstance(call.func, ast.Name) else "") in kinds
            texts = [*call.args[:1]] if is_error else []
            for each in (*texts, *(keyword.value for keyword in call.keywords if keyword.arg == "message")):
                yield from texts_of(each, module)


def is_in_style(message: str) -> bool:
    """Lower case, no stop; acronyms, settings and proper names are written as ever."""
    first = re.match(r"[A-Z][a-z]*\b", message)
    return not message.endswith(".") and (first is None or first[0] in PROPER_NAMES)


def test_a_message_is_lower_case_without_a_stop() -> None:
    """So that it fits within a sentence, after ``framerelay:`` or by itself, and is finished only there."""
    kinds = {kind.__name__ for kind in subclasses(errors.FrameRelayError)} | OUTSIDE_THE_TREE
    files = [path for path in HOUSE.glob("*/**/*.py") if path.relative_to(HOUSE).parts[0] not in NOT_OURS]
    messages = [(path.name, message) for path in files for message in messages_of(path, kinds)]

    assert len(messages) > 200
    assert [(name, message) for name, message in messages if not is_in_style(message)] == []


@pytest.mark.parametrize("kind", sorted(subclasses(errors.Permanent), key=lambda kind: kind.__name__))
def test_an_error_without_a_message_is_in_the_same_style(kind: type[errors.FrameRelayError]) -> None:
    """Its docstring is a sentence, as docstrings are; its message is not one."""
    assert is_in_style(kind._default())
