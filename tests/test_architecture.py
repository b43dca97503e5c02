"""The house: who may import whom."""

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAY_IMPORT = {
    "config": set(),
    "runs": set(),
    "languages": set(),
    "network": {"runs", "config"},
    "store": {"runs", "config"},
    "storyboards": {"network", "runs", "config"},
    "upstream": {"storyboards", "runs", "config"},
    "media": {"store", "network", "runs", "config"},
    "api": {"languages", "store", "storyboards", "network", "runs", "config"},
    "receiver": {"languages", "api", "upstream", "store", "storyboards", "network", "runs", "config"},
    "processors": {"media", "upstream", "store", "storyboards", "network", "runs", "config"},
    "sandbox": {"upstream", "config"},
}
MAY_IMPORT["cli"] = set(MAY_IMPORT)
MODULES = {
    ".".join(file.relative_to(ROOT).with_suffix("").parts): file
    for package in MAY_IMPORT
    for file in (ROOT / package).rglob("*.py")
}
CHILD = ROOT / "media" / "child"


@cache
def imports_of(file: Path) -> frozenset[str]:
    """Every module that *file* imports, wherever in it; ours without the package around them."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(name.removeprefix("framerelay.") for name in found)


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_a_package_imports_only_what_stands_below_it(package: str) -> None:
    """Receiver and processors meet only in Redis; media never learns of the provider; config knows nobody."""
    files = list((ROOT / package).rglob("*.py"))
    assert files
    for file in files:
        ours = {name.split(".")[0] for name in imports_of(file)} & MAY_IMPORT.keys()
        assert ours - MAY_IMPORT[package] - {package} == set(), file


def test_rules_import_rules_and_nothing_else() -> None:
    """But the standard library and msgspec's structs: they are read and tested without Redis, network or settings."""
    for file in (ROOT / "runs").rglob("*.py"):
        foreign = {name.split(".")[0] for name in imports_of(file)} - set(sys.stdlib_module_names) - {"runs", "msgspec"}
        assert foreign == set(), file


def test_no_files_import_each_other_in_a_circle() -> None:
    """Each can be read after those that it imports."""
    arrows = {module: imports_of(file) & MODULES.keys() for module, file in MODULES.items()}
    while leaves := {module for module, names in arrows.items() if not names}:
        arrows = {module: names - leaves for module, names in arrows.items() if module not in leaves}

    assert arrows == {}


@pytest.mark.parametrize("package", sorted(MAY_IMPORT.keys() - {"sandbox"}))
def test_strangers_pictures_and_clips_are_decoded_in_the_child_alone(package: str) -> None:
    """No other process loads a decoder's library; the sandbox makes clips, and the strip is of frames that we made."""
    files = [file for file in (ROOT / package).rglob("*.py") if CHILD not in file.parents]
    assert files
    for file in files:
        found = imports_of(file)
        may_load = {"PIL"} if file == ROOT / "cli" / "mcp" / "strip.py" else set()
        assert {name.split(".")[0] for name in found} & {"av", "PIL", "numpy"} <= may_load, file
        child = {name for name in found if name.startswith("media.child.")}
        assert all(name.startswith("media.child.cage") for name in child), file


def test_every_package_is_shipped() -> None:
    """A package that pyproject.toml forgets would be missing from the image."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")

    for package in MAY_IMPORT:
        for folder in (init.parent for init in (ROOT / package).rglob("__init__.py")):
            assert f'"framerelay.{".".join(folder.relative_to(ROOT).parts)}"' in text


def test_no_type_has_the_name_of_another() -> None:
    """
    One name, one thing, in all rooms: classes and aliases of types.

    `api.shapes` is left out. Its types say over HTTP what those of `runs` and `store` are, under the same names, and
    are always written ``shapes.Run``.
    """
    places: dict[str, list[str]] = {}
    for module, file in MODULES.items():
        for name in _types_of(file) if not module.startswith("api.shapes.") else ():
            places.setdefault(name, []).append(module)

    assert {name: modules for name, modules in places.items() if len(modules) > 1} == {}


def _types_of(file: Path) -> Iterator[str]:
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        match node:
            case ast.ClassDef(name=name) | ast.Assign(targets=[ast.Name(id=name)]) if not name.isupper():
                if name.lstrip("_")[:1].isupper() and "_" not in name.lstrip("_"):
                    yield name


def test_the_tests_that_the_manual_names_are_there() -> None:
    """`docs/architecture.md` says which breaks first; one that is renamed is renamed there."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page)

    assert len(named) == 10
    assert [test for file, test in named if f"def {test}(" not in (ROOT / file).read_text(encoding="utf-8")] == []


def test_every_place_that_the_manual_names_is_there() -> None:
    """Files and folders move; the table of places moves with them."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = re.findall(rf"`((?:{'|'.join(MAY_IMPORT)}|tests|docs|deploy|benchmarks)/[\w./-]*)`", page)

    assert len(named) > 100
    assert [place for place in named if not (ROOT / place).exists()] == []


def test_five_files_know_arq() -> None:
    """Its client, its worker, what makes tasks of handlers, and the two that say when they are tried again."""
    knowing = {module for module, file in MODULES.items() if any(name.startswith("arq") for name in imports_of(file))}

    assert knowing == {"store.client", *(f"processors.{name}" for name in ("worker", "handlers", "look_up", "hook"))}
