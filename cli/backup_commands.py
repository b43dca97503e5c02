"""The commands that protect an installation from loss: `backup` and `restore`."""

import sys
from pathlib import Path

import click

from framerelay.cli.options import cli, json_option, yes_option


@cli.command()
@click.argument("to", type=click.Path(path_type=Path, file_okay=False))
@click.option("--no-media", is_flag=True, help="Redis, keys and spool alone, without clips, frames and films.")
@click.option("--move", is_flag=True, help="The last one: for what has ended, and does not start there again.")
@json_option
def backup(to: Path, no_media: bool, move: bool, as_json: bool) -> None:
    """
    Copy everything into the folder TO, while it runs.

    Redis first, FrameRelay's own or yours, then the files. A folder that has a backup gets the next one: only what is
    new is copied. It holds the keys, so keep it as safe as those.
    """
    from framerelay.cli.backup import backup

    sys.exit(backup(to, media=not no_media, move=move, as_json=as_json))


@cli.command()
@click.argument("source", metavar="FROM", type=click.Path(path_type=Path, file_okay=False, exists=True))
@yes_option
@json_option
def restore(source: Path, yes: bool, as_json: bool) -> None:
    """
    Bring a backup back, into an empty place where nothing runs.

    The place is FRAMERELAY_DATA_DIR and FRAMERELAY_REDIS_URL. The backup is verified before anything is touched. What
    may have been submitted since it was taken is held, not sent. If it breaks off, type
    it again. At a terminal it asks.
    """
    from framerelay.cli.restore import restore

    sys.exit(restore(source, yes=yes, as_json=as_json))
