"""
`make bench`: ask every question, one after the other, and write benchmarks/RESULTS.md.

    python -m benchmarks [NAME …]

With names, only those are asked, and nothing is written: a page of results belongs to one machine and one run.
"""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.machine import machine, versions

QUESTIONS = (
    "acknowledge",
    "wake",
    "last_frame",
    "hop",
    "hop_in_storage",
    "callback_to_submit",
    "growth",
    "many_runs",
    "places",
    "film",
    "amend",
    "start",
)
"""In the order of the page; each is a module here whose `main` prints JSON lines and sentences."""

HERE = Path(__file__).parent
RESULTS = HERE / "RESULTS.md"
QUESTION_S_MAX = 240.0


def main(names: list[str]) -> int:
    """Ask, print, and write the page; returns the exit code: 1 if a question could not be answered."""
    unknown = sorted(set(names) - set(QUESTIONS))
    if unknown:
        print(f"There is no question {', '.join(unknown)}; there are: {', '.join(QUESTIONS)}.", file=sys.stderr)
        return 2
    began = time.monotonic()
    answers = {name: ask(name) for name in names or QUESTIONS}
    print(f"{len(answers)} questions in {(time.monotonic() - began) / 60:.1f} minutes.")
    if not names:
        RESULTS.write_text(page(answers), encoding="utf-8")
        print(f"Written: {RESULTS.relative_to(Path.cwd()) if RESULTS.is_relative_to(Path.cwd()) else RESULTS}")
    return 1 if None in answers.values() else 0


def ask(name: str) -> list[str] | None:
    """The lines that a question printed; None if it failed. A separate process: what one loads, no other has."""
    print(f"— {name} …", flush=True)
    process = subprocess.Popen([sys.executable, "-m", f"benchmarks.{name}"], stdout=subprocess.PIPE, text=True)
    try:
        output, _ = process.communicate(timeout=QUESTION_S_MAX)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)  # Like Ctrl-C: it ends what it started.
        output, _ = process.communicate()
        print(f"It took longer than {QUESTION_S_MAX:.0f} s.", flush=True)
    print(output, flush=True)
    return output.splitlines() if process.returncode == 0 else None


def page(answers: dict[str, list[str] | None]) -> str:
    """RESULTS.md: the machine, then for each question its sentences, its figures, and the JSON they are from."""
    blocks = [
        "# Results of `make bench`",
        f"Written by it on {time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime())}; [README.md](README.md) tells how to "
        "read it. Compare ratios, not figures of two machines.",
        table({"": "this run"}, machine() | versions()),
    ]
    for name, lines in answers.items():
        blocks += [f"## {name}", *(answer(lines) if lines else ["It could not be answered in this run."])]
    return "\n\n".join(blocks) + "\n"


def answer(lines: list[str]) -> list[str]:
    """What one question printed, for the page."""
    documents = [line for line in lines if line.startswith("{")]
    sentences = [line for line in lines if line and not line.startswith("{")]
    tables = [table({"figure": "value"}, flat(json.loads(line))) for line in documents]
    return [*sentences, *tables, "```json\n" + "\n".join(documents) + "\n```"]


def flat(value: Any, name: str = "") -> dict[str, str]:
    """The figures of a JSON document by their paths; lists of plain figures stay in one line."""
    if isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list) and any(isinstance(each, dict | list) for each in value):
        inner = list(enumerate(value, start=1))
    else:
        return {name: words(value)}
    rows: dict[str, str] = {}
    for key, each in inner:
        if (name, key) != ("", "question"):
            rows |= flat(each, f"{name} · {key}" if name else str(key))
    return rows


def words(value: Any) -> str:
    """One cell."""
    if value is None:
        return "not there"
    if isinstance(value, list):
        return " · ".join(words(each) for each in value)
    return f"{value:,}" if type(value) is int else str(value)


def table(head: dict[str, str], rows: dict[str, str]) -> str:
    """Two columns."""
    ((left, right),) = head.items()
    lines = [f"| {name} | {value} |" for name, value in rows.items()]
    return "\n".join([f"| {left} | {right} |", "|---|---|", *lines])


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
