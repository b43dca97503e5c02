"""`run`: check a storyboard, hand its pictures over, start it."""

import sys
from pathlib import Path
from typing import Final, Literal

import click

from cli.client import Receiver, Refused
from cli.runs import print_json, watched
from runs.errors import Mistake, StoryboardInvalid
from runs.storyboard import Storyboard, read_storyboard

PICTURE_BYTES_MAX: Final = 30_000_000


def start(path: Path, *, watch: bool, as_json: bool) -> int:
    """Check the storyboard, hand its pictures over, start it; returns the exit code."""
    storyboard, folder = _read(path)
    with Receiver.of_environment() as receiver:
        run = receiver.start(storyboard.with_files(_give_all(receiver, storyboard, folder)).document)
        if watch:
            return watched(receiver, run["id"], as_json=as_json)
    if as_json:
        print_json(run)
        return 0
    click.echo(f"run: {run['id']}")
    if sys.stdout.isatty():
        click.echo(f"to see it: framerelay show {run['id']} --watch", err=True)
    return 0


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
