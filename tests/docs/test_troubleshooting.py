"""docs/troubleshooting.md explains every code that the program can show, and none that it cannot."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from framerelay.cli.errors import INTERRUPTED
from framerelay.processors.look_up import ENDED
from framerelay.receiver.answers import _CODES as CODES_OF_STATUSES
from framerelay.runs import errors
from framerelay.runs.machine import NO_PLACE
from framerelay.runs.model import Family
from framerelay.runs.notice_kinds import NotificationState

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "troubleshooting.md"
PACKAGES = ("config", "runs", "store", "storyboards", "network", "upstream", "media", "api", "receiver", "processors")
PACKAGES += ("cli",)
PUT_OFF, NOT_SAID_ABOUT_IT = "notification_put_off", {NotificationState.WAITING, NotificationState.DELIVERED}
LEVELS = ("warning", "error", "exception", "critical")


def calls(*packages: str) -> Iterator[tuple[str, ast.Call]]:
    """Every call in the source, with the last part of its name: ``log.error(…)`` is ``error``."""
    for package in packages:
        yield from calls_in(package)


@cache
def calls_in(package: str) -> list[tuple[str, ast.Call]]:
    nodes = []
    for file in sorted((ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name)):
                    nodes.append((name, node))
    return nodes


def text_of(node: ast.expr | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def argument(call: ast.Call, position: int, name: str) -> ast.expr | None:
    arguments = {keyword.arg: keyword.value for keyword in call.keywords}
    return arguments.get(name) or (call.args[position] if len(call.args) > position else None)


def codes_of_errors() -> set[str]:
    """What the leaves of the tree in runs/errors.py are called, and those that are raised as they are, too."""
    kinds = [
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.FrameRelayError)
    ]
    kinds_themselves = (errors.RequestInvalid, errors.StoreUnavailable)
    return {kind.code for kind in kinds if not kind.__subclasses__() or kind in kinds_themselves}


def codes_of_problems() -> set[str]:
    """What a run, a shot or a take says is wrong, as far as it is not an error of that tree."""
    codes_there = (
        text_of(argument(call, 0, "code"))
        for name, call in calls(*PACKAGES)
        if name in ("Problem", "problem", "Oddity")
    )
    return {code for code in codes_there if code} | {f"job_{state.value}" for state in ENDED} | {NO_PLACE}


def codes_of_answers() -> set[str]:
    """What the receiver answers, as far as it is not an error of that tree."""
    codes_there = (
        text_of(argument(call, 1, "code")) for name, call in calls("receiver") if name in ("error_answer", "_refuse")
    )
    return {code for code in codes_there if code} | set(CODES_OF_STATUSES.values()) | {"refused"}


def codes_of_the_command() -> set[str]:
    """What a command gives as the reason why it cannot go on, besides what the receiver answered."""
    codes = set()
    for file in (ROOT / "cli").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            match node:
                case ast.Assign(targets=[ast.Name(id="code")], value=ast.Constant(value=str(code))):
                    codes.add(code)
                case ast.AnnAssign(target=ast.Name(id="code"), value=ast.Constant(value=str(code))):
                    codes.add(code)
                case ast.keyword(arg="code", value=ast.Constant(value=str(code))):
                    codes.add(code)
    return codes


def log_events() -> set[str]:
    """What is logged as a warning or an error."""
    names = {name for name in LEVELS} | {"_say"}
    names_there = (text_of(argument(call, 0, "event")) for name, call in calls(*PACKAGES) if name in names)
    notification_events = {
        f"notification_{state.value}" for state in NotificationState if state not in NOT_SAID_ABOUT_IT
    }
    return (
        {event for event in names_there if event and re.fullmatch(r"[a-z]+(_[a-z]+)+", event)}
        | notification_events
        | {PUT_OFF}
    )


def exit_codes() -> set[str]:
    """Those that the command's own docstring names, and the shell's for Ctrl-C."""
    text = (ROOT / "cli" / "main.py").read_text(encoding="utf-8")
    line = re.search(r"^Exit codes: (.*)$", text, re.M)
    assert line
    return {*re.findall(r"(?:^|· )(\d+) ", line[1]), str(INTERRUPTED)}


def findings() -> dict[str, list[str]]:
    """What `doctor` warns of or fails with: the longest fixed piece of its words, and all of them."""
    sentences = {}
    for file in sorted((ROOT / "cli" / "doctor").glob("*.py")):
        for function in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                for words in _findings_of(function):
                    sentences[max(words, key=len)] = words
    return sentences


def _findings_of(function: ast.AST) -> Iterator[list[str]]:
    values = {
        node.targets[0].id: node.value
        for node in ast.walk(function)
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    for node in ast.walk(function):
        match node:
            case ast.Call(func=ast.Name(id="warn" | "fail" | "skip"), args=[message, *_]):
                words = _fixed_words(values.get(message.id, message) if isinstance(message, ast.Name) else message)
                if any(len(piece) > 8 for piece in words):
                    yield words


def _fixed_words(message: ast.expr) -> list[str]:
    pieces = [each.value for each in ast.walk(message) if isinstance(each, ast.Constant)]
    return [_plain(piece) for piece in pieces if isinstance(piece, str)]


def _plain(words: str) -> str:
    return words.strip(" ,:;()")


def section(title: str) -> str:
    """The text of one chapter of the page."""
    match = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    assert match, title
    return match[1]


def listed(title: str) -> set[str]:
    """The words in backticks of the first column of the chapter's tables."""
    rows = re.findall(r"^\|([^|]*)\|", section(title), re.M)
    return {word for row in rows for word in re.findall(r"`([^`]+)`", row)}


def test_every_code_of_runs_shots_and_takes_is_explained() -> None:
    """What `show` and the page give as the reason."""
    assert codes_of_problems() - listed("Runs, shots and takes") == set()
    assert listed("Runs, shots and takes") - codes_of_problems() - codes_of_errors() == set()


def test_every_code_of_an_answer_is_explained() -> None:
    """What `error.code` of the API says."""
    assert codes_of_answers() - listed("HTTP errors") == set()
    assert listed("HTTP errors") - codes_of_answers() - codes_of_errors() == set()


def test_every_code_of_the_command_is_explained() -> None:
    """What `--json` writes to standard error."""
    assert listed("What the command cannot do") == codes_of_the_command()


def test_every_error_of_the_tree_is_explained() -> None:
    """It meets a person in a run or in an answer, or in both."""
    assert codes_of_errors() - listed("Runs, shots and takes") - listed("HTTP errors") == set()


def test_every_family_of_failures_is_explained() -> None:
    """A provider's own codes fall into these."""
    assert listed("What the provider says") == {family.value for family in Family}


def test_every_exit_code_is_explained() -> None:
    """Scripts depend on them."""
    assert listed("Exit codes") == exit_codes()


def test_every_warning_and_error_of_the_log_is_explained() -> None:
    """The person who is woken by one finds what to do."""
    assert listed("What the log says") == log_events()


def test_every_finding_of_doctor_is_explained() -> None:
    """Each has its row, and each row its finding."""
    rows = re.findall(r"^\| ([^|]*) \|", section("What doctor finds"), re.M)[1:]
    words = [words for pieces in findings().values() for words in pieces]

    assert [words for words in findings() if not any(words in row for row in rows)] == []
    assert [row for row in rows if not any(_plain(piece) in " ".join(words) for piece in _pieces(row))] == []


def _pieces(row: str) -> list[str]:
    return [piece for piece in row.split("…") if len(_plain(piece)) > 8]


def test_the_sets_are_not_empty() -> None:
    """A collector that finds nothing proves nothing."""
    lists = [codes_of_errors(), codes_of_problems(), codes_of_answers(), log_events(), exit_codes(), findings()]
    assert all(len(each) > 5 for each in lists), pytest.fail(str(lists))
