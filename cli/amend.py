"""`storyboard` and `amend`: showing the storyboard of a run, and changing it."""

import json
from collections.abc import Iterator
from pathlib import Path

import click

from framerelay.api import shapes
from framerelay.cli.boards import read_board
from framerelay.cli.client import Receiver, checked_id
from framerelay.cli.output import echo_json
from framerelay.cli.runs import can_ask, confirms, print_json, print_run, title_of
from framerelay.cli.start import give_pictures
from framerelay.languages.catalogs import translate
from framerelay.runs.text import join_names, printable


def print_storyboard(run_id: str, *, as_json: bool) -> int:
    """The storyboard of a run on standard output; returns the exit code."""
    with Receiver.of_environment() as receiver:
        content = receiver.storyboard(run_id, kind="application/json" if as_json else "application/yaml")
    if as_json:
        echo_json(json.dumps(json.loads(content), ensure_ascii=False))
    else:
        click.echo(content.decode(), nl=False)
    return 0


def amend(run_id: str, path: Path, *, dry_run: bool, yes: bool, as_json: bool) -> int:
    """
    Give a run the storyboard at *path*; a person at a terminal is shown what that does, and asked, unless they said
    *yes*. Either exactly what was agreed to is done, or nothing: it is refused if somebody acts in between. Returns the
    exit code.
    """
    checked_id(run_id, "run")
    storyboard, folder = read_board(path)
    with Receiver.of_environment() as receiver:
        board = storyboard.with_files(give_pictures(receiver, storyboard, folder))
        document, wording, revision = board.document, board.wording, None
        if dry_run or can_ask(yes, as_json):
            run = receiver.run(run_id)
            run_id, revision = run.id, run.revision
            outlook = receiver.amend(
                run_id, shapes.AmendOutlook, document, wording=wording, dry_run=True, revision=revision
            )
            if dry_run:
                _print_outlook(outlook, as_json)
                return 0
            if not confirms(f"{title_of(run)}: {outlook.would}"):
                return 1
        after = receiver.amend(run_id, shapes.Run, document, wording=wording, revision=revision)
        print_run(receiver, after, as_json)
    return 0


def _print_outlook(outlook: shapes.AmendOutlook, as_json: bool) -> None:
    if as_json:
        print_json(outlook)
        return
    for line in outlook_lines(outlook):
        click.echo(printable(translate(line)))


def outlook_lines(outlook: shapes.AmendOutlook) -> Iterator[str]:
    """An outlook for a person: the sentence, and each list that is not empty."""
    yield outlook.would
    for word, names in (
        ("kept", outlook.keep),
        ("changed", outlook.change),
        ("added", outlook.add),
        ("dropped", outlook.drop),
        ("made again", outlook.stale),
    ):
        if names:
            yield f"  {word}: {join_names(names, 'and')}"
