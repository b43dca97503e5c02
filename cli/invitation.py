"""`login` and `open`: the page of the running receiver, without typing its key."""

import webbrowser

import click

from framerelay.api import shapes
from framerelay.cli.client import Receiver, checked_id
from framerelay.cli.errors import CommandError
from framerelay.cli.runs import print_json


def print_link(run_id: str | None, *, as_json: bool) -> int:
    """Print a link that logs a browser in, once; to the run, if one is named. Returns the exit code."""
    link, expires = _link(run_id)
    if as_json:
        print_json(shapes.Invitation(object="invitation", url=link, expires=expires))
    else:
        click.echo(link)
    return 0


def open_page(run_id: str | None) -> int:
    """Show the page in a browser. Returns the exit code. Raises: CommandError if none can be opened."""
    link, _ = _link(run_id)
    if not webbrowser.open(link):
        raise CommandError(f"no browser can be opened here; open this one yourself, within ten minutes: {link}")
    return 0


def _link(run_id: str | None) -> tuple[str, int]:
    with Receiver.of_environment() as receiver:
        place = f"&next=/runs/{receiver.run(checked_id(run_id, 'run')).id}" if run_id else ""
        invitation = receiver.post("/v1/invitations", shapes.Invitation)
        return f"{receiver.url}{invitation.url}{place}", invitation.expires
