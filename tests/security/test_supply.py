"""What we run of others: pinned by hash, looked up at the advisory database, never unchecked in silence."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
LOCKS = sorted((ROOT / "requirements").glob("*.lock"))


@pytest.fixture(scope="module")
def audit() -> Any:
    """The program that `make audit` runs, as a module."""
    spec = importlib.util.spec_from_file_location("audit", ROOT / "requirements" / "audit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_locked_package_has_an_exact_version_and_hashes(lock: Path) -> None:
    """A package that was replaced at the index is not installed."""
    text = re.sub(r"\s*#.*", "", lock.read_text(encoding="utf-8")).replace("\\\n", " ")
    packages = [line for line in text.splitlines() if line.strip()]
    assert packages
    for line in packages:
        assert re.match(r"[a-z0-9._-]+(\[[a-z,]+\])?==[^\s;]+", line.strip()), line
        assert "--hash=sha256:" in line, line


def test_make_installs_nothing_without_hashes() -> None:
    """But ourselves, and the program that writes the locks."""
    installs = [
        line for line in (ROOT / "Makefile").read_text().splitlines() if re.search(r"pip (install|download)", line)
    ]
    assert len(installs) >= 4
    for line in installs:
        assert "--require-hashes" in line or "--editable ." in line or line.rstrip().endswith(" uv"), line


def test_a_known_vulnerability_stops_the_build(audit: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """With package, version, advisory and the version that fixes it."""
    bad = {"name": "thing", "version": "1.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"]}]}

    assert audit.judge([{"name": "other", "version": "2", "vulns": []}, bad]) == 1
    assert "VULNERABLE: thing 1.0: PYSEC-1, fixed in: 1.1" in capsys.readouterr().out


def test_packages_without_an_answer_are_reported_loudly(audit: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """A mirror without advisories, or a package that is on no index."""
    unknown = {"name": "thing", "skip_reason": "not found"}

    assert audit.judge([unknown]) == 0
    assert "AUDIT SKIPPED" in capsys.readouterr().out
    assert audit.judge([unknown, {"name": "other", "version": "2", "vulns": []}]) == 0
    assert "AUDIT INCOMPLETE: nothing is known about thing" in capsys.readouterr().out


def test_an_audit_that_cannot_run_says_so(tmp_path: Path) -> None:
    """As the build runs it; here without the program."""
    process = subprocess.run(
        [sys.executable, str(ROOT / "requirements" / "audit.py"), str(tmp_path / "no-program")],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert (process.returncode, process.stderr) == (0, "")
    assert process.stdout.startswith("AUDIT SKIPPED: ")


def test_the_build_asks() -> None:
    """CI runs it after the tests."""
    assert "make audit" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
