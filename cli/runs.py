"""`run`, `runs`, `show`, and a person's decisions."""

import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

import click
import msgspec
from rich.cells import set_cell_size

from cli.client import Receiver, Refused, checked_id
from cli.picture import whole_lines
from cli.watch import console_on, show_lines, watch
from cli.words import one_line
from runs.errors import Mistake, StoryboardInvalid
from runs.storyboard import Storyboard, read_storyboard

PICTURE_BYTES_MAX: Final = 30_000_000


def start(path: Path, *, watch: bool, as_json: bool) -> int:
    """Check the storyboard, hand its pictures over, start it; returns the exit code."""
    storyboard, folder = _read(path)
    with Receiver.of_environment() as receiver:
        run = receiver.start(storyboard.with_files(_give_all(receiver, storyboard, folder)).document)
        if watch:
            return _watched(receiver, run["id"], as_json=as_json)
    if as_json:
        print_json(run)
        return 0
    click.echo(f"run: {run['id']}")
    if sys.stdout.isatty():
        click.echo(f"to see it: framerelay show {run['id']} --watch", err=True)
    return 0


def list_runs(*, status: str | None, limit: int, as_json: bool) -> int:
    """A line for each run."""
    with Receiver.of_environment() as receiver:
        page = receiver.get("/v1/runs", status=status, limit=limit)
    if as_json:
        print_json(page)
        return 0
    for run in page["data"]:
        click.echo(_fitted(one_line(run, now=time.time())))
    if not page["data"]:
        click.echo(f"no {status} runs" if status else "no runs yet: framerelay run STORYBOARD", err=True)
    if page["next"]:
        more = f": --limit {min(200, limit * 5)}" if limit < 200 else " (GET /v1/runs?after=… lists them all)"
        click.echo(f"… and older ones{more}", err=True)
    return 0


def show_run(run_id: str, *, watch: bool, as_json: bool) -> int:
    """One run, as it stands or to its end."""
    checked_id(run_id, "run")
    with Receiver.of_environment() as receiver:
        if watch:
            return _watched(receiver, run_id, as_json=as_json)
        _print(receiver, receiver.get(f"/v1/runs/{run_id}"), as_json)
    return 0


def decide(run_id: str, what: str, body: Mapping[str, object] | None = None, *, as_json: bool) -> int:
    """One decision about a run; returns the exit code."""
    checked_id(run_id, "run")
    with Receiver.of_environment() as receiver:
        _print(receiver, receiver.post(f"/v1/runs/{run_id}/{what}", json=dict(body or {})), as_json)
    return 0


def decide_shot(run_id: str, shot: str, what: str, body: Mapping[str, object] | None = None, *, as_json: bool) -> int:
    """One decision about a shot of a run; returns the exit code."""
    return decide(run_id, f"shots/{checked_id(shot, 'shot')}/{what}", body, as_json=as_json)


def exit_code(run: Mapping[str, Any]) -> int:
    """What the command says about a run that it was watching."""
    if run["status"] == "succeeded":
        return 0
    if run["status"] == "waiting":
        return 3 if (run["error"] or {}).get("code") == "budget_reached" else 4
    return 5


def print_json(answer: Mapping[str, Any]) -> None:
    """*answer* for programs."""
    click.echo(msgspec.json.format(msgspec.json.encode(answer), indent=2).decode())


def _watched(receiver: Receiver, run_id: str, *, as_json: bool) -> int:
    try:
        run = watch(receiver, run_id, out=sys.stderr if as_json else sys.stdout, place=receiver.place_of)
    except KeyboardInterrupt:
        click.echo(f"\nThe run goes on. To see it again: framerelay show {run_id} --watch", err=True)
        raise
    if as_json:
        print_json(run)
    return exit_code(run)


def _read(path: Path) -> tuple[Storyboard, Path]:
    """The storyboard at *path* (``-``: standard input), and the folder that its files are relative to."""
    if str(path) == "-":
        return _checked(sys.stdin.buffer.read(), "yaml", Path())
    try:
        text = path.read_bytes()
    except OSError as error:
        raise StoryboardInvalid([Mistake(place=str(path), message=(error.strerror or str(error)).lower())]) from None
    return _checked(text, "json" if path.suffix.lower() == ".json" else "yaml", path.parent)


def _checked(text: bytes, form: Literal["yaml", "json"], folder: Path) -> tuple[Storyboard, Path]:
    """Files that are missing are mistakes like any other, found before anything was sent."""
    storyboard = read_storyboard(text, form=form)
    missing = [
        Mistake(place=places[0], message=f"there is no file {name} (looked in {folder.absolute()})")
        for name, places in storyboard.local_files().items()
        if not (folder / name).is_file()
    ]
    if missing:
        raise StoryboardInvalid(missing)
    return storyboard, folder


def _give_all(receiver: Receiver, storyboard: Storyboard, folder: Path) -> dict[str, str]:
    """Hand the storyboard's pictures over: the names by which the receiver knows them, by the names in it."""
    names: dict[str, str] = {}
    mistakes: list[Mistake] = []
    for name, places in storyboard.local_files().items():
        try:
            names[name] = _give(receiver, folder / name)
        except (Refused, OSError) as error:
            reason = (error.strerror or str(error)).lower() if isinstance(error, OSError) else str(error)
            mistakes.append(Mistake(place=places[0], message=f"{name}: {reason}"))
    if mistakes:
        raise StoryboardInvalid(mistakes)
    return names


def _give(receiver: Receiver, file: Path) -> str:
    if file.stat().st_size > PICTURE_BYTES_MAX:
        raise Refused(f"it is larger than {PICTURE_BYTES_MAX // 1_000_000} MB, more than providers take", status=413)
    name: str = receiver.post("/v1/files", content=file.read_bytes())["name"]
    return name


def _print(receiver: Receiver, run: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(run)
    else:
        show_lines(console_on(sys.stdout), whole_lines(run, now=time.time(), place=receiver.place_of))


def _fitted(line: str) -> str:
    """On a terminal a line of a list is one line."""
    if not sys.stdout.isatty():
        return line
    return set_cell_size(line, shutil.get_terminal_size().columns).rstrip()
