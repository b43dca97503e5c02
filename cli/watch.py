"""Showing a run until it ends or needs a person: a live view on a terminal, plain lines elsewhere."""

import time
from collections.abc import Iterator
from typing import Final, TextIO

from rich.console import Console, Group
from rich.live import Live

from framerelay.api import shapes
from framerelay.api.words import shot_words
from framerelay.cli.client import Receiver, Unreachable
from framerelay.cli.outlook import Place
from framerelay.cli.picture import PictureLine, end_lines, id_width, live_lines, missed_words, whole_lines
from framerelay.languages.catalogs import translate
from framerelay.runs.text import duration, printable

ENDED: Final = frozenset({"succeeded", "failed", "cancelled", "waiting"})
ASK_EVERY_S: Final = 0.2  # The receiver on this machine, not the provider.
MISSING_S_MAX: Final = 60.0  # A receiver that is restarted comes back; the run waits for it in Redis.


def watch(receiver: Receiver, run_id: str, *, out: TextIO, place: Place | None = None) -> shapes.Run:
    """
    Show the run on *out* until it has ended or waits for a person; returns it in its state at that time.

    A receiver that stops answering is asked again for a minute.

    Raises: CommandError after that, or if there is no such run.
    """
    console = console_on(out)
    first = receiver.run(run_id)
    live = console.is_terminal and not console.is_dumb_terminal
    run = _live(receiver, first, console) if live else _plain(receiver, first, console)
    now = time.time()
    show_lines(console, whole_lines(run, now=now, place=place) if live else end_lines(run, now=now, place=place))
    return run


def console_on(out: TextIO) -> Console:
    """A console that does not break lines: paths and commands can be copied."""
    return Console(file=out, highlight=False, soft_wrap=True)


def show_lines(console: Console, lines: Iterator[PictureLine] | list[PictureLine]) -> None:
    """Print *lines*, in color on a terminal."""
    for line in lines:
        for row in line.rows(console):
            console.print(row, style=line.style or None, markup=False)


def _live(receiver: Receiver, first: shapes.Run, console: Console) -> shapes.Run:
    run = first
    with Live(console=console, auto_refresh=False, transient=True) as live:
        for run, missing_s in _turns(receiver, first):
            lines = live_lines(run, now=time.time(), rows=console.height)
            if missing_s:
                silence = f"  the receiver does not answer, asking again, {duration(missing_s)}"
                lines.append(PictureLine(text=translate(silence)))
            live.update(Group(*(line.rich() for line in lines)), refresh=True)
    return run


def _plain(receiver: Receiver, first: shapes.Run, console: Console) -> shapes.Run:
    """A line whenever a shot does something new."""
    began = time.monotonic()
    doings: dict[str, tuple[object, ...]] = {}

    def say(words: str) -> None:
        console.print(f"{time.monotonic() - began:6.1f} s  {printable(words)}", markup=False)

    run = first
    console.print(translate(f"run: {run.id}"), markup=False)
    width = id_width(run)
    was_missing = False
    for run, missing_s in _turns(receiver, first):
        if missing_s and not was_missing:
            say(translate("the receiver does not answer, asking again"))
        was_missing = bool(missing_s)
        for shot in run.shots:
            doing = _doing(shot)
            if doings.get(shot.id) != doing and doing not in _IDLE:
                say(f"{shot.id:<{width}} {translate(shot_words(run, shot, now=time.time()))}")
            doings[shot.id] = doing
    say(translate(f"{run.status}{missed_words(run)}"))
    return run


def _turns(receiver: Receiver, run: shapes.Run) -> Iterator[tuple[shapes.Run, float]]:
    """The run again and again, the last time when it has ended; with seconds since the receiver last answered, or 0."""
    answered_at = time.monotonic()
    yield run, 0.0
    while run.status not in ENDED:
        time.sleep(ASK_EVERY_S)
        try:
            run = receiver.run(run.id)
            answered_at = time.monotonic()
            yield run, 0.0
        except Unreachable as silence:
            missing_s = time.monotonic() - answered_at
            if missing_s > MISSING_S_MAX:
                raise Unreachable(f"{silence}; the run is kept and goes on with its worker") from None
            yield run, missing_s


_IDLE: Final = (("pending", False), ("cancelled", False))


def _doing(shot: shapes.Shot) -> tuple[object, ...]:
    """What makes a new line worthwhile: not the seconds."""
    takes = [(take.status, take.provider_status, take.error is not None) for take in shot.takes]
    return (shot.status, shot.held_by is not None, *takes)
