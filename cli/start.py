"""`run`: check a storyboard, upload its pictures, start it."""

import sys
from pathlib import Path

from framerelay.api import shapes
from framerelay.api.access import PICTURE_BYTES_MAX, VIDEO_BYTES_MAX
from framerelay.cli.boards import read_board
from framerelay.cli.client import Receiver, ReceiverRefusal
from framerelay.cli.output import echo
from framerelay.cli.runs import print_json, watch_run
from framerelay.runs.errors import Mistake, StoryboardInvalid
from framerelay.store.files import is_video
from framerelay.storyboards.storyboard import Storyboard


def start(path: Path, *, watch: bool, as_json: bool) -> int:
    """Check the storyboard, upload its pictures, start it; returns the exit code."""
    storyboard, folder = read_board(path)
    with Receiver.of_environment() as receiver:
        board = storyboard.with_files(give_pictures(receiver, storyboard, folder))
        run = receiver.start(board.document, wording=board.wording)
        if watch:
            return watch_run(receiver, run.id, as_json=as_json)
    if as_json:
        print_json(run)
        return 0
    echo(f"run: {run.id}")
    if sys.stdout.isatty():
        echo(f"to see it: framerelay show {run.id} --watch", err=True)
    return 0


def give_pictures(receiver: Receiver, storyboard: Storyboard, folder: Path) -> dict[str, str]:
    """Upload the storyboard's pictures: the names by which the receiver knows them, by the names in it."""
    names: dict[str, str] = {}
    mistakes: list[Mistake] = []
    for name, places in storyboard.local_files().items():
        try:
            names[name] = _give(receiver, folder / name)
        except (ReceiverRefusal, OSError) as error:
            reason = (error.strerror or str(error)).lower() if isinstance(error, OSError) else str(error)
            mistakes.append(Mistake(place=places[0], message=f"{name}: {reason}"))
    if mistakes:
        raise StoryboardInvalid(mistakes)
    return names


def _give(receiver: Receiver, file: Path) -> str:
    with file.open("rb") as stream:
        most = VIDEO_BYTES_MAX if is_video(stream.read(16)) else PICTURE_BYTES_MAX
    if file.stat().st_size > most:
        raise ReceiverRefusal(f"it is larger than {most // 1_000_000} MB, more than providers take")
    return receiver.post("/v1/files", shapes.File, content=file.read_bytes()).name
