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
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(name.removeprefix("framerelay.") for name in names)


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_a_package_imports_only_packages_below_it(package: str) -> None:
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
        modules = imports_of(file)
        may_load = {"PIL"} if file == ROOT / "cli" / "mcp" / "strip.py" else set()
        assert {name.split(".")[0] for name in modules} & {"av", "PIL", "numpy"} <= may_load, file
        child = {name for name in modules if name.startswith("media.child.")}
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
    tests_there = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page)

    assert len(tests_there) == 10
    assert [test for file, test in tests_there if f"def {test}(" not in (ROOT / file).read_text(encoding="utf-8")] == []


def test_every_place_that_the_manual_names_is_there() -> None:
    """Files and folders move; the table of places moves with them."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    places = re.findall(rf"`((?:{'|'.join(MAY_IMPORT)}|tests|docs|deploy|benchmarks)/[\w./-]*)`", page)

    assert len(places) > 100
    assert [place for place in places if not (ROOT / place).exists()] == []


def test_five_files_know_arq() -> None:
    """Its client, its worker, what makes tasks of handlers, and the two that say when they are tried again."""
    knowing = {module for module, file in MODULES.items() if any(name.startswith("arq") for name in imports_of(file))}

    assert knowing == {"store.client", *(f"processors.{name}" for name in ("worker", "handlers", "look_up", "hook"))}


# Participles of irregular verbs, and what looks like one by its end and is a noun or an adjective of its own.
IRREGULAR = re.compile(
    "begun|bent|borne|born|bought|bound|broken|brought|built|came|caught|chosen|done|drawn|driven|fallen|felt|found|"
    "forbidden|forgotten|frozen|given|gone|got|gotten|grown|heard|held|hidden|kept|known|laid|led|left|lent|lost|made|"
    "meant|met|paid|proven|risen|said|seen|sent|shown|sold|sought|spent|spoken|stolen|stood|struck|taken|taught|"
    "thought|thrown|told|understood|went|withdrawn|won|worn|written",
    re.IGNORECASE,
)
ED = re.compile(
    "(?!(?:bed|embed|exceed|feed|hundred|need|proceed|red|seed|shed|speed|succeed)$)[a-z]+ed", re.IGNORECASE
)
# Readers know these words from the API, profiles, and what is stored of runs and processes.
WORDS_OF_OTHERS = ("api.shapes.", "upstream.profile", "runs.model", "runs.costs", "runs.reaction", "store.processes")
# Classes there say what happened: events of a run, errors, messages of the decoder, answers of the API.
HAPPENINGS = ("api.shapes.", "runs.events", "runs.amendment", "runs.errors", "media.wire")
ALLOWED = {
    ("processors.look_up", "named"): "the name of an argument of tasks that wait in Redis",
}

WORDS_OF_TESTS = {"expected"}  # The usual word for what an assertion compares with.


def test_no_participle_names_a_thing() -> None:
    """
    A name says what a thing is, not what was done to it: ``callback``, not ``received``; ``notice``, not ``told``.

    So of locals, parameters, attributes, fields and classes, and of functions: these are verbs, or say what they give,
    ``merge(base, over)`` and ``reservation(estimate)``. What is true or false may be ``closed``; an error or an event
    may say what happened. Beside ``top`` or ``right``, ``left`` is a side.
    """
    trees = {module: ast.parse(file.read_text(encoding="utf-8")) for module, file in MODULES.items()}
    others = {
        field.target.id
        for module, tree in trees.items()
        if module.startswith(WORDS_OF_OTHERS)
        for field in ast.walk(tree)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
    }
    names = {(module, *hit) for module, tree in trees.items() for hit in _participles(tree)}
    unlike = {
        (module, name, line)
        for module, name, line, kind in names
        if not (kind == "field" and name in others)
        and not (kind == "class" and module.startswith(HAPPENINGS))
        and (module, name) not in ALLOWED
    }

    assert sorted(f"{module}:{line} {name}" for module, name, line in unlike) == []
    assert ALLOWED.keys() <= {(module, name) for module, name, *_ in names}, "no name needs this exception any more"


@pytest.mark.parametrize("folder", ["tests", "benchmarks"])
def test_no_participle_names_a_thing_in_tests_and_benchmarks(folder: str) -> None:
    """
    The same for them; ``expected`` may be: it is the usual word for what an assertion compares with.

    A function that puts its argument, or a world, into a state may be called by it: ``submitted(run)``.
    """
    names = {
        f"{file.relative_to(ROOT)}:{line} {name}"
        for file in (ROOT / folder).rglob("*.py")
        for name, line, kind in _participles(ast.parse(file.read_text(encoding="utf-8")))
        if name not in WORDS_OF_TESTS and not (kind == "function" and ED.fullmatch(name.strip("_")))
    }

    assert sorted(names) == []


def _participles(tree: ast.Module) -> Iterator[tuple[str, int, str]]:
    """Name, line and kind of what is called by one, and may not be for what it is."""
    truths = set(_truths(tree))
    places = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    for node in ast.walk(tree):
        match node:
            case _ if id(node) in truths:
                continue
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                if _is_participle(name):
                    yield name, node.lineno, "function" if isinstance(node, ast.FunctionDef) else "coroutine"
            case ast.ClassDef(name=name) if not _is_error(node):
                if _is_participle(re.findall(r"[A-Z][a-z]*", name)[-1]):
                    yield name, node.lineno, "class"
            case ast.arg(arg=name) | ast.Attribute(attr=name, ctx=ast.Store()):
                if _is_participle(name):
                    yield name, node.lineno, "field"
            case ast.Name(id=name, ctx=ast.Store()) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                if _is_participle(name) and not (name == "left" and places & {"top", "right"}):
                    yield name, node.lineno, "field"


def _is_participle(name: str) -> bool:
    word = name.strip("_")
    if word.isupper():  # A word of a protocol or of a table.
        return False
    return IRREGULAR.fullmatch(word) is not None or ED.fullmatch(word) is not None


def _truths(tree: ast.Module) -> Iterator[int]:
    """The ids of what is true or false, by what is written beside it."""
    for node in ast.walk(tree):
        match node:
            case ast.AnnAssign(annotation=kind, target=target) if _is_bool(kind):
                yield id(target)
            case ast.arg(annotation=kind) if _is_bool(kind):
                yield id(node)
            case ast.FunctionDef(returns=kind) | ast.AsyncFunctionDef(returns=kind) if _is_bool(kind):
                yield id(node)
            case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)):
                yield from (id(target) for target, value in zip(targets, values, strict=False) if _is_truth(value))
            case ast.Assign(targets=targets, value=value) if _is_truth(value):
                yield from map(id, targets)


def _is_bool(kind: ast.expr | None) -> bool:
    return kind is not None and re.search(r"\bbool\b", ast.unparse(kind)) is not None


def _is_truth(value: ast.expr) -> bool:
    match value:
        case ast.Compare() | ast.UnaryOp(op=ast.Not()) | ast.Constant(value=bool()):
            return True
        case ast.BoolOp(values=values):
            return any(map(_is_truth, values))
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
            return name in ("any", "all", "bool", "isinstance", "startswith") or name.strip("_").startswith("is_")
    return False


def _is_error(node: ast.ClassDef) -> bool:
    return not {"Exception", "Transient", "Permanent"}.isdisjoint(map(ast.unparse, node.bases))
