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


def test_only_the_decoder_process_imports_the_decoder_library() -> None:
    """Strangers' bytes are decoded in the child alone: the worker's own modules never load PyAV."""
    parents = [
        "media/decoder.py",
        "media/decoder_process.py",
        "media/download.py",
        "media/addresses.py",
        "media/model.py",
    ]
    for place in [*parents, *(str(file.relative_to(ROOT)) for file in (ROOT / "processors").rglob("*.py"))]:
        assert not {name for name in imports_of(ROOT / place) if name.split(".")[0] == "av"}, place


def test_every_package_is_shipped() -> None:
    """A package that pyproject.toml forgets would be missing from the image."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")

    for package in MAY_IMPORT:
        for folder in (init.parent for init in (ROOT / package).rglob("__init__.py")):
            assert f'"framerelay.{".".join(folder.relative_to(ROOT).parts)}"' in text
