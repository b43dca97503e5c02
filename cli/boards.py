"""The storyboard that a person names on the command line."""

import sys
from pathlib import Path

from framerelay.runs.errors import Mistake, StoryboardInvalid
from framerelay.storyboards.notation import Form
from framerelay.storyboards.storyboard import Storyboard, read_storyboard


def read_board(path: Path) -> tuple[Storyboard, Path]:
    """
    The storyboard at *path* (``-``: standard input), and the folder that its files are relative to.

    Raises: StoryboardInvalid; missing files are mistakes like any other, found before anything is sent.
    """
    if str(path) == "-":
        return _check_files(sys.stdin.buffer.read(), "yaml", Path())
    try:
        text = path.read_bytes()
    except OSError as error:
        raise StoryboardInvalid([Mistake(place=str(path), message=(error.strerror or str(error)).lower())]) from None
    return _check_files(text, "json" if path.suffix.lower() == ".json" else "yaml", path.parent)


def _check_files(text: bytes, form: Form, folder: Path) -> tuple[Storyboard, Path]:
    storyboard = read_storyboard(text, form=form)
    missing = [
        Mistake(place=places[0], message=f"there is no file {name} (looked in {folder.absolute()})")
        for name, places in storyboard.local_files().items()
        if not (folder / name).is_file()
    ]
    if missing:
        raise StoryboardInvalid(missing)
    return storyboard, folder
