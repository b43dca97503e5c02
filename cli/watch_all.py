"""`watch` without a run: all runs that go on or need a person, live, until Ctrl-C."""

import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

import click
from rich.console import Group
from rich.live import Live
from rich.text import Text

from framerelay.api import shapes
from framerelay.api.lines import run_lines
from framerelay.cli.client import Receiver, ReceiverRefusal, Unreachable
from framerelay.cli.runs import ID_CHARS, print_json
from framerelay.cli.watch import MISSING_S_MAX, console_on
from framerelay.languages.catalogs import translate
from framerelay.runs.text import duration, number_of

ASK_EVERY_S: Final = 1.0
RUNS_MAX: Final = 200  # As many as the receiver lists at once.
GOING_ON: Final = ("waiting", "running")
NOTHING: Final = "no run goes on: framerelay run STORYBOARD"


def watch_all(*, as_json: bool) -> int:
    """
    Show them until Ctrl-C: a picture on a terminal; elsewhere a line, or if *as_json* an object, for each that changes.

    Raises: CommandError once the receiver has not answered for a minute.
    """
    console = console_on(sys.stdout)
    with Receiver.of_environment() as receiver:
        if as_json or not console.is_terminal or console.is_dumb_terminal:
            _report(receiver, as_json=as_json)
        with Live(console=console, auto_refresh=False, screen=True) as live:
            for runs, missing_s in _turns(receiver):
                live.update(_picture(runs, missing_s, rows=console.height), refresh=True)
    return 0


def _report(receiver: Receiver, *, as_json: bool) -> None:
    """Each run when it is first seen, when it has changed, and when it has ended."""
    revisions: dict[str, int] = {}
    for runs, _ in _turns(receiver):
        gone_ids = revisions.keys() - {run.id for run in runs}
        changes = [run for run in runs if revisions.get(run.id) != run.revision]
        for run_id in gone_ids:
            with suppress(ReceiverRefusal):  # It was removed.
                changes.append(receiver.run(run_id))
        revisions = {run.id: run.revision for run in runs}
        if as_json:
            for run in changes:
                print_json(run)
        for line in () if as_json else run_lines(changes, now=time.time()):
            click.echo(line)
        sys.stdout.flush()


def _picture(runs: list[shapes.Run], missing_s: float, *, rows: int) -> Group:
    needy = sum(run.needs is not None for run in runs)
    head = f"{number_of('run', len(runs))} going on, {needy} of them {'needs' if needy == 1 else 'need'} you"
    first_runs = runs[: max(1, rows - 3)]
    lines = [Text(translate(head if runs else NOTHING), "bold", no_wrap=True, overflow="ellipsis")]
    for run, line in zip(first_runs, run_lines(first_runs, now=time.time()), strict=True):
        line = line.replace(run.id, run.id[:ID_CHARS], 1)
        lines.append(Text(line, "yellow" if run.needs else "cyan", no_wrap=True, overflow="ellipsis"))
    if len(runs) > len(first_runs):
        lines.append(Text(translate(f"… and {len(runs) - len(first_runs)} more"), "dim"))
    if missing_s:
        lines.append(Text(translate(f"the receiver does not answer, asking again, {duration(missing_s)}"), "red"))
    return Group(*lines)


def _turns(receiver: Receiver) -> Iterator[tuple[list[shapes.Run], float]]:
    """Those runs again and again; with seconds since the receiver last answered, or 0."""
    runs, answered_at = _going_on(receiver), time.monotonic()
    yield runs, 0.0
    while True:
        time.sleep(ASK_EVERY_S)
        try:
            runs, answered_at = _going_on(receiver), time.monotonic()
            yield runs, 0.0
        except Unreachable:
            missing_s = time.monotonic() - answered_at
            if missing_s > MISSING_S_MAX:
                raise
            yield runs, missing_s


def _going_on(receiver: Receiver) -> list[shapes.Run]:
    """Newest first, but those that need a person before all others."""
    pages = [receiver.get("/v1/runs", shapes.Runs, status=status, limit=RUNS_MAX) for status in GOING_ON]
    runs = {run.id: run for page in pages for run in page.data}  # One may have changed its state between the two.
    return sorted(runs.values(), key=lambda run: (run.needs is None, -run.created))
