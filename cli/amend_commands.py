"""The commands that change a run's storyboard: `storyboard` and `amend`."""

import sys
from pathlib import Path

import click

from framerelay.cli.options import RUN, cli, json_option, yes_option


@cli.command()
@click.argument("run_id", metavar="RUN", shell_complete=RUN)
@json_option
def storyboard(run_id: str, as_json: bool) -> None:
    """
    Print the storyboard of a run as it is now, as YAML.

    With the comments that it was given with, and what was decided since. Change it and give it back with `amend`, or
    start another film from it with `run`.
    """
    from framerelay.cli.amend import print_storyboard

    sys.exit(print_storyboard(run_id, as_json=as_json))


@cli.command()
@click.argument("run_id", metavar="RUN", shell_complete=RUN)
@click.argument("storyboard", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--dry-run", is_flag=True, help="Say what it would do and cost, and do nothing.")
@yes_option
@json_option
def amend(run_id: str, storyboard: Path, dry_run: bool, yes: bool, as_json: bool) -> None:
    """
    Give a run another storyboard; only what is new is made.

    Whole, while the run is made or when it is done. Shots that ask for what they asked for keep their takes, wherever
    they stand now and whatever they are called. The others are made again, with all that is made from them; what leaves
    the film is kept. At a terminal it says what that spends, and asks.
    """
    from framerelay.cli.amend import amend

    sys.exit(amend(run_id, storyboard, dry_run=dry_run, yes=yes, as_json=as_json))
