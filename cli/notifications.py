"""`notifications`: what was sent to whom, sending it again, and the secret with which a receiver verifies it."""

import time

import click

from framerelay.api import shapes
from framerelay.api.lines import notification_line
from framerelay.cli.client import Receiver, checked_id
from framerelay.cli.keys import keys_of
from framerelay.cli.output import echo
from framerelay.cli.runs import print_json
from framerelay.cli.settings import settings_of_command
from framerelay.network.signing import signing_secrets
from framerelay.runs.text import printable


def list_notifications(*, run_id: str | None, limit: int, as_json: bool) -> int:
    """A line for each notification."""
    of_run = {} if run_id is None else {"run": checked_id(run_id, "run")}
    with Receiver.of_environment() as receiver:
        page = receiver.get("/v1/notifications", shapes.Notifications, limit=limit, **of_run)
    if as_json:
        print_json(page)
        return 0
    for notification in page.data:
        click.echo(notification_line(notification, now=time.time()))
    if not page.data:
        echo("no notifications yet; a storyboard asks for them with notify_url", err=True)
    return 0


def replay_notification(notification_id: str, *, as_json: bool) -> int:
    """Have it sent again."""
    name = checked_id(notification_id, "notification")
    with Receiver.of_environment() as receiver:
        answer = receiver.post(f"/v1/notifications/{name}/replay", shapes.Notification)
    if as_json:
        print_json(answer)
    else:
        echo(printable(f"{answer.id}: {answer.type} of {answer.run_id} is sent again to {answer.host}"))
    return 0


def print_secret(*, as_json: bool) -> int:
    """The secrets used for signing, one per line; printing them requires reading our settings and data folder."""
    settings = settings_of_command()
    secrets = [str(secret) for secret in signing_secrets(settings, keys_of(settings).secret)]
    if as_json:
        print_json({"object": "notify_secrets", "secrets": secrets})
    else:
        click.echo("\n".join(secrets))
    return 0
