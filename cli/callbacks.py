"""`callback-url` and `callbacks`."""

import re
import time
from typing import Final
from urllib.parse import urlsplit

import click
import msgspec

from cli.client import Receiver
from cli.errors import Stop
from cli.words import duration
from config.keys import load_keys
from config.settings import from_environment
from runs.tokens import HookAddress, Tokens

NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,40}")


def print_address(hook: str) -> int:
    """The address of *hook*; only who can read our secret can make it."""
    if not NAME.fullmatch(hook):
        raise Stop(f"{hook!r} is no name for a hook: use letters, digits, - and _, at most 40")
    settings = from_environment()
    token = Tokens(str(load_keys(settings).secret)).mint(HookAddress(hook=hook))
    click.echo(f"{settings.reachable_url}/webhook/{token}")
    if not settings.public_url and urlsplit(settings.listen_url).hostname in ("127.0.0.1", "localhost", "::1"):
        click.echo("(only this machine can reach it; set FRAMERELAY_PUBLIC_URL for a provider elsewhere)", err=True)
    return 0


def list_callbacks(*, limit: int, as_json: bool) -> int:
    """A line for each callback."""
    with Receiver.of_environment() as receiver:
        page = receiver.get("/v1/callbacks", limit=limit)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(page), indent=2).decode())
        return 0
    for each in page["data"]:
        age = duration(time.time() - each["received"])
        whose = f"hook {each['hook']}" if each["hook"] else f"{each['run']} {each['shot']} take {each['take']}"
        again = f", {each['repeats']} more times" if each["repeats"] else ""
        what = each["status"] or each["reason"] or "no status"
        click.echo(f"{each['id']}  {age:>7} ago  {each['outcome']:<10} {what:<11} {whose}{again}")
    if not page["data"]:
        click.echo("no callbacks yet", err=True)
    return 0
