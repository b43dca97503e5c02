"""The house: who may import whom."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAY_IMPORT = {
    "config": set(),
    "runs": {"config"},
    "upstream": {"runs", "config"},
    "media": {"runs", "config"},
    "receiver": {"upstream", "runs", "config"},
    "processors": {"upstream", "media", "runs", "config"},
    "sandbox": {"upstream", "config"},
    "cli": {"sandbox", "processors", "receiver", "media", "upstream", "runs", "config"},
}
CHILD = ROOT / "media" / "child"
PURE = ("model", "events", "machine", "takes", "standing", "decisions", "tokens", "storyboard", "hooks", "inputs")
PURE += ("plan", "cautions", "notices", "outlook", "addresses")
EFFECTFUL = ("store", "queue", "inbox", "outbox", "progress", "embedded_redis", "redis_keeper")


def imports_of(file: Path) -> set[str]:
    """Every module that *file* imports, wherever in it; ours without the package around them."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {name.removeprefix("framerelay.") for name in found}


def _touches_a_database(name: str) -> bool:
    room, _, rest = name.partition(".")
    return room in ("arq", "redis") or (room == "runs" and rest.partition(".")[0] in EFFECTFUL)


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_a_package_imports_only_what_stands_below_it(package: str) -> None:
    """Receiver and processors meet only in Redis; media never learns of the provider; config knows nobody."""
    files = list((ROOT / package).rglob("*.py"))
    assert files
    for file in files:
        ours = {name.split(".")[0] for name in imports_of(file)} & MAY_IMPORT.keys()
        assert ours - MAY_IMPORT[package] - {package} == set(), file


@pytest.mark.parametrize("module", PURE)
def test_the_deciding_half_of_runs_touches_no_database(module: str) -> None:
    """The rules can be read and tested without Redis."""
    found = imports_of(ROOT / "runs" / f"{module}.py")

    assert not {name for name in found if _touches_a_database(name)}


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
