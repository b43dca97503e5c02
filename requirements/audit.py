"""
Ask the Python advisory database about every locked package: exit 1 if one is known to be vulnerable.

    python requirements/audit.py PIP_AUDIT [LOCK]

Where the database cannot be reached nothing is proven, and that is said in capitals; the exit code is 0 then, since a
build without a network is no vulnerability.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PATIENCE_S = 120


def main(program: Path, lock: Path) -> int:
    """Print what was found; returns the exit code."""
    try:
        answer = ask(program, lock)
    except (OSError, subprocess.TimeoutExpired) as error:
        return skipped(f"the audit did not run: {error}")
    if answer is None:
        return skipped("the advisory database cannot be reached")
    return judge(answer["dependencies"])


def ask(program: Path, lock: Path) -> dict[str, Any] | None:
    """pip-audit's report, or None if it could not make one."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        options = ["--disable-pip", "--require-hashes", "--progress-spinner", "off", "--format", "json"]
        subprocess.run(
            [str(program), *options, "--requirement", str(lock), "--output", str(report)],
            check=False,
            capture_output=True,
            timeout=PATIENCE_S,
        )
        found: dict[str, Any] | None = json.loads(report.read_text()) if report.exists() else None
        return found


def judge(packages: list[dict[str, Any]]) -> int:
    """One line for each vulnerability, and for each package that nobody could say anything about."""
    vulnerable = [(package, each) for package in packages for each in package.get("vulns", [])]
    unknown = [package["name"] for package in packages if "skip_reason" in package]
    for package, each in vulnerable:
        fixed = ", ".join(each.get("fix_versions", [])) or "none yet"
        sys.stdout.write(f"VULNERABLE: {package['name']} {package['version']}: {each['id']}, fixed in: {fixed}\n")
    if vulnerable:
        return 1
    if len(unknown) == len(packages):
        return skipped("the advisory database knows none of the packages (a mirror, perhaps)")
    sys.stdout.write(f"audit: {len(packages) - len(unknown)} packages looked at, no known vulnerability\n")
    if unknown:
        sys.stdout.write(f"AUDIT INCOMPLETE: nothing is known about {', '.join(unknown)}\n")
    return 0


def skipped(reason: str) -> int:
    """Said so that nobody takes it for a pass."""
    sys.stdout.write(f"AUDIT SKIPPED: {reason}. No package was checked for known vulnerabilities.\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else HERE / "run.lock"))
