"""`run`, `runs`, `show`, and a person's decisions."""

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

import click
import msgspec
from runs.storyboard import Storyboard, read_storyboard

from cli.client import Receiver
from cli.errors import Stop
from cli.watch import watch
from cli.words import describe_run, one_line
from runs.errors import Mistake, StoryboardInvalid

PICTURE_BYTES_MAX: Final = 30_000_000


def start(path: Path, *, watch: bool, as_json: bool) -> int:
    """Check the storyboard, hand its pictures over, start it; returns the exit code."""
    storyboard, folder = _read(path)
    with Receiver.of_environment() as receiver:
        names = {place: _give(receiver, folder / place) for place in storyboard.local_files()}
        run = receiver.post("/v1/runs", json=storyboard.with_files(names).document)
        if watch:
            return _watched(receiver, run["id"], as_json=as_json)
    _print(run, as_json) if as_json else click.echo(f"run: {run['id']}")
    return 0


def list_runs(*, status: str | None, limit: int, as_json: bool) -> int:
    """A line for each run."""
    with Receiver.of_environment() as receiver:
        page = receiver.get("/v1/runs", status=status, limit=limit)
    if as_json:
        _print(page, True)
        return 0
    for run in page["data"]:
        click.echo(one_line(run, now=time.time()))
    if not page["data"]:
        click.echo("no runs yet: framerelay run STORYBOARD", err=True)
    if page["next"]:
        click.echo(f"… and older ones: --limit {min(200, limit * 5)}", err=True)
    return 0


def show_run(run_id: str, *, watch: bool, as_json: bool) -> int:
    """One run, as it stands or to its end."""
    with Receiver.of_environment() as receiver:
        if watch:
            return _watched(receiver, run_id, as_json=as_json)
        _print(receiver.get(f"/v1/runs/{run_id}"), as_json)
    return 0


def decide(run_id: str, what: str, body: Mapping[str, object] | None = None, *, as_json: bool) -> int:
    """One decision about a run or a shot of it."""
    with Receiver.of_environment() as receiver:
        _print(receiver.post(f"/v1/runs/{run_id}/{what}", json=dict(body or {})), as_json)
    return 0


def _watched(receiver: Receiver, run_id: str, *, as_json: bool) -> int:
    run = watch(receiver, run_id, out=sys.stderr if as_json else sys.stdout)
    if as_json:
        _print(run, True)
    return exit_code(run)


def exit_code(run: Mapping[str, Any]) -> int:
    """What the command says about a run that it was watching."""
    if run["status"] == "succeeded":
        return 0
    if run["status"] == "waiting":
        return 3 if (run["error"] or {}).get("code") == "budget_reached" else 4
    return 5


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


def _give(receiver: Receiver, file: Path) -> str:
    if file.stat().st_size > PICTURE_BYTES_MAX:
        raise Stop(f"{file} is larger than {PICTURE_BYTES_MAX} bytes, more than providers take")
    name: str = receiver.post("/v1/files", content=file.read_bytes())["name"]
    return name


def _print(answer: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(answer), indent=2).decode())
    else:
        click.echo(describe_run(answer, now=time.time()))
