"""`callback-url`, `callbacks`, `replay` and `release`."""

import re
import time
from typing import Final, NoReturn
from urllib.parse import urlsplit

import click
import msgspec

from framerelay.api import shapes
from framerelay.api.lines import callback_line, release_words
from framerelay.cli.client import Receiver, Unreachable, checked_id
from framerelay.cli.errors import CommandError
from framerelay.cli.keys import keys_of
from framerelay.cli.output import echo, echo_json
from framerelay.cli.runs import print_json
from framerelay.cli.settings import settings_of_command
from framerelay.languages.catalogs import translate
from framerelay.runs.text import printable
from framerelay.runs.tokens import HookAddress, Tokens

ASK_EVERY_S: Final = 0.2  # The receiver on this machine, not the provider.
MISSING_S_MAX: Final = 60.0
PAGES_MAX: Final = 6
NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,40}")


def print_address(hook: str, *, as_json: bool) -> int:
    """The address of *hook*; only somebody who can read our secret can make it."""
    if not NAME.fullmatch(hook):
        raise CommandError(f"{hook!r} cannot be the name of a hook: use letters, digits, - and _, at most 40")
    settings = settings_of_command()
    token = Tokens(str(keys_of(settings).secret)).mint(HookAddress(hook=hook))
    url = f"{settings.reachable_url}/webhook/{token}"
    local = not settings.public_url and urlsplit(settings.listen_url).hostname in ("127.0.0.1", "localhost", "::1")
    if as_json:
        print_json({"object": "callback_url", "hook": hook, "url": url, "local": local})
        return 0
    click.echo(url)
    if local:
        echo("(only this machine can reach it; set FRAMERELAY_PUBLIC_URL for a provider elsewhere)", err=True)
    return 0


def list_callbacks(*, limit: int, as_json: bool) -> int:
    """A line for each callback."""
    with Receiver.of_environment() as receiver:
        page = receiver.get("/v1/callbacks", shapes.Callbacks, limit=limit)
    if as_json:
        print_json(page)
        return 0
    for callback in page.data:
        click.echo(callback_line(callback, now=time.time()))
    if not page.data:
        echo("no callbacks yet", err=True)
    return 0


def follow_callbacks(*, limit: int, as_json: bool) -> NoReturn:
    """
    A line for each callback, the last *limit* first, then those that arrive. Ctrl-C ends it.

    A receiver that stops answering is asked again for a minute, and what arrived in the meantime is shown then.

    Raises: CommandError.
    """
    last: shapes.Callback | None = None
    with Receiver.of_environment() as receiver:
        batch = receiver.get("/v1/callbacks", shapes.Callbacks, limit=limit).data
        answered_at = time.monotonic()
        while True:
            for callback in reversed(batch):
                if as_json:
                    echo_json(msgspec.json.encode(callback).decode())
                else:
                    click.echo(callback_line(callback, now=time.time()))
            last = batch[0] if batch else last
            time.sleep(ASK_EVERY_S)
            try:
                batch = _newer(receiver, last)
                answered_at = time.monotonic()
            except Unreachable as silence:
                batch = []
                if time.monotonic() - answered_at > MISSING_S_MAX:
                    raise Unreachable(f"{silence}; callbacks that came are kept: ask again later") from None


def _newer(receiver: Receiver, last: shapes.Callback | None) -> list[shapes.Callback]:
    """The callbacks since *last*, newest first; of a storm the last thousand."""
    callbacks: list[shapes.Callback] = []
    after: str | None = None
    for _ in range(PAGES_MAX):
        page = receiver.get("/v1/callbacks", shapes.Callbacks, limit=200 if callbacks else 20, after=after)
        for callback in page.data:
            if last and (callback.id == last.id or callback.received < last.received):
                return callbacks
            callbacks.append(callback)
        after = page.next
        if after is None:
            break
    return callbacks


def replay_callback(callback_id: str, *, yes: bool, as_json: bool) -> int:
    """Say what it would do, or do it."""
    with Receiver.of_environment() as receiver:
        answer = receiver.post(
            f"/v1/callbacks/{checked_id(callback_id, 'callback')}/replay", shapes.Replay, json={"spend": yes}
        )
    if as_json:
        print_json(answer)
        return 0
    words = f"{answer.id}: {translate(answer.would)}"
    click.echo(printable(words if answer.done else translate(f"It would {answer.would}.")))
    if not answer.done:
        echo(f"To do it: framerelay replay {answer.replay_of} --yes", err=True)
    return 0


def release_callbacks(callback_id: str | None, *, as_json: bool) -> int:
    """One callback, or everything in quarantine."""
    with Receiver.of_environment() as receiver:
        if callback_id is not None:
            answer: shapes.Release | shapes.Releases = receiver.post(
                f"/v1/callbacks/{checked_id(callback_id, 'callback')}/release", shapes.Release
            )
        else:
            answer = receiver.post("/v1/callbacks/release", shapes.Releases)
    if as_json:
        print_json(answer)
        return 0
    releases = answer.data if isinstance(answer, shapes.Releases) else [answer]
    for each in releases:
        click.echo(printable(f"{each.id}  {translate(release_words(each))}"))
    if not releases:
        echo("nothing is in quarantine", err=True)
    return 0
