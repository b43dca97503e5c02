"""Showing a run until it ends or needs a person: a live view on a terminal, plain lines elsewhere."""

import time
from collections.abc import Mapping
from typing import Any, Final, TextIO

from rich.console import Console
from rich.live import Live
from rich.text import Text

from cli.client import Receiver
from cli.words import endings, shot_line, shot_words

ENDED: Final = frozenset({"succeeded", "failed", "cancelled", "waiting"})
ASK_EVERY_S: Final = 0.4  # The receiver on this machine, not the provider.
STYLES: Final = {"done": "green", "failed": "red", "waiting": "yellow", "pending": "dim", "cancelled": "dim"}

Json = Mapping[str, Any]


def watch(receiver: Receiver, run_id: str, *, out: TextIO) -> dict[str, Any]:
    """Show the run on *out* until it has ended or waits for a person; returns it as it stands then."""
    console = Console(file=out, highlight=False, soft_wrap=True)
    return _live(receiver, run_id, console) if console.is_terminal else _plain(receiver, run_id, console)


def _live(receiver: Receiver, run_id: str, console: Console) -> dict[str, Any]:
    run = receiver.get(f"/v1/runs/{run_id}")
    with Live(_picture(run), console=console, auto_refresh=False) as live:
        while run["status"] not in ENDED:
            time.sleep(ASK_EVERY_S)
            run = receiver.get(f"/v1/runs/{run_id}")
            live.update(_picture(run), refresh=True)
    return run


def _plain(receiver: Receiver, run_id: str, console: Console) -> dict[str, Any]:
    """A line whenever a shot does something else than before."""
    began = time.monotonic()
    said: dict[str, str] = {}
    console.print(f"run: {run_id}", markup=False)
    while True:
        run = receiver.get(f"/v1/runs/{run_id}")
        for shot in run["shots"]:
            key = f"{shot['status']} {len(shot['takes'])} {bool(shot['held_by'])}"
            if said.get(shot["id"]) != key and not (shot["status"] == "pending" and not shot["held_by"]):
                words = shot_words(run, shot, now=time.time())
                console.print(f"{time.monotonic() - began:6.1f} s  {shot['id']:<6} {words}", markup=False)
            said[shot["id"]] = key
        if run["status"] in ENDED:
            console.print(f"{time.monotonic() - began:6.1f} s  {run['status']}", markup=False)
            for line in endings(run):
                console.print(line, markup=False)
            return run
        time.sleep(ASK_EVERY_S)


def _picture(run: Json) -> Text:
    now = time.time()
    done = sum(shot["status"] == "done" for shot in run["shots"])
    picture = Text(f"{run['title']}", style="bold")
    picture.append(f"  {run['status']}, {done} of {len(run['shots'])} shots, {run['spent']['jobs']} jobs\n", "dim")
    for shot in run["shots"]:
        picture.append(shot_line(run, shot, now=now) + "\n", STYLES.get(shot["status"], "cyan"))
    if all(shot["status"] == "done" for shot in run["shots"]) and not run["film"] and not run["error"]:
        picture.append("  ▸ joining the film\n", "cyan")
    for line in endings(run):
        picture.append(line + "\n", "red" if run["status"] == "failed" else "")
    return picture
