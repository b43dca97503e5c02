"""The commands about providers and their profiles: `providers`, and `provider show`, `read`, `request`, `check`."""

import sys
from pathlib import Path
from typing import Literal

import click

from framerelay.cli.options import cli, json_option


@cli.command()
@json_option
def providers(as_json: bool) -> None:
    """
    List providers: which have a key, and what each can do.

    Those of the settings come first, then every profile that is shipped. It asks nobody.
    """
    from framerelay.cli.provider import list_providers

    sys.exit(list_providers(as_json=as_json))


@cli.group()
def provider() -> None:
    """
    Look at a provider's profile, and try it without spending.

    NAME is a provider of framerelay.yaml, a profile that is shipped, or a file: ./mine.yaml
    """


@provider.command("show")
@click.argument("name")
@json_option
def show_provider(name: str, as_json: bool) -> None:
    """Show a profile as it is used here; never a key."""
    from framerelay.cli.provider import show_provider

    sys.exit(show_provider(name, as_json=as_json))


@provider.command("read")
@click.argument("name")
@click.option(
    "--as", "kind", type=click.Choice(["create", "get", "callback"]), required=True, help="What the body answers."
)
@click.option("--http", "status", type=click.IntRange(100, 599), default=200, show_default=True, help="HTTP status.")
@json_option
def read_body(name: str, kind: Literal["create", "get", "callback"], status: int, as_json: bool) -> None:
    """
    Say what a body means: framerelay provider read kling --as get < answer.json

    It needs no key and asks nobody.
    """
    from framerelay.cli.provider import read_body

    sys.exit(read_body(name, kind, status, as_json=as_json))


@provider.command("request")
@click.argument("name")
@click.argument("storyboard", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--shot", "shot_id", metavar="ID", help="The shot.  [default: the first]")
@json_option
def show_request(name: str, storyboard: Path, shot_id: str | None, as_json: bool) -> None:
    """
    Show the request that a shot would be.

    Without the key, and with a callback address that is made up; nothing is sent.
    """
    from framerelay.cli.provider import show_request

    sys.exit(show_request(name, storyboard, shot_id, as_json=as_json))


@provider.command("check")
@click.argument("file", type=click.Path(path_type=Path))
@json_option
def check_file(file: Path, as_json: bool) -> None:
    """
    Check a profile of your own: every mistake with its line.

    Its examples are read, too. The exit code is 2 if there are mistakes.
    """
    from framerelay.cli.provider import check_file

    sys.exit(check_file(file, as_json=as_json))
