"""What a shell completes: the script that asks us, and ids from the running receiver."""

from collections.abc import Callable, Iterable
from typing import Final

import click
from click.shell_completion import BashComplete, CompletionItem, add_completion_class, get_completion_class

from framerelay.api import shapes
from framerelay.cli.client import Receiver
from framerelay.cli.errors import CommandError
from framerelay.runs.text import printable

TIMEOUT_S: Final = 1.0  # A person has pressed a key; a later answer is useless.
RUNS_MAX: Final = 50


_ONE: Final = "COMPREPLY+=($value)"
_END: Final = "    return 0\n"


class Bash(BashComplete):
    """
    Like click's; the description of an id follows it, if there are several.

    bash shows what it would write. If there are several, it writes their common beginning, a part of their ids; a
    single one has no description.
    """

    source_template = (
        BashComplete.source_template.replace(_ONE, 'COMPREPLY+=("$value")')
        .replace("read type value", "read -r type value")
        .replace(_END, '    [[ ${#COMPREPLY[@]} -gt 1 ]] || COMPREPLY=("${COMPREPLY[@]%%  *}")\n' + _END)
    )

    def format_completion(self, item: CompletionItem) -> str:
        return f"{item.type},{item.value}{f'  ({item.help})' if item.is_id and item.help else ''}"


def script(cli: click.Command, shell: str, *, variable: str) -> str:
    """What *shell* has to read; it calls us with *variable* set, whenever a person presses Tab."""
    kind = get_completion_class(shell)
    if kind is None:
        raise CommandError(f"there is no completion for {shell}: bash, zsh or fish")
    source = kind(cli, {}, "framerelay", variable).source()
    # click's for fish sorts by name, and cuts each description at its first comma.
    newest_first = source.replace("complete --no-files", "complete --keep-order --no-files")
    return newest_first.replace('string split ","', 'string split --max 1 ","')


def items(what: str, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """
    The *what* that begin with *incomplete*: ``runs``, ``shots``, ``takes`` or ``callbacks``.

    None without a receiver, whatever the reason: on the line that a person is typing there is no place for a message.
    """
    try:
        with Receiver.of_environment(timeout_s=TIMEOUT_S, quiet=True) as receiver:
            candidates = list(_SOURCES[what](receiver, ctx))
    except Exception:
        return []
    matches = [(name, printable(about)) for name, about in candidates if name.startswith(incomplete)]
    return [CompletionItem(name, help=about, is_id=True) for name, about in matches]


def _runs(receiver: Receiver, _: click.Context) -> Iterable[tuple[str, str]]:
    for run in receiver.get("/v1/runs", shapes.Runs, limit=RUNS_MAX).data:
        yield run.id, f"{run.status} {run.title}"


def _shots(receiver: Receiver, ctx: click.Context) -> Iterable[tuple[str, str]]:
    for shot in receiver.run(ctx.params["run_id"]).shots:
        yield shot.id, f"{shot.status} {shot.prompt or ''}"


def _takes(receiver: Receiver, ctx: click.Context) -> Iterable[tuple[str, str]]:
    for shot in receiver.run(ctx.params["run_id"]).shots:
        if shot.id == ctx.params["shot_id"]:
            yield from ((str(take.number), take.status) for take in shot.takes)


def _callbacks(receiver: Receiver, _: click.Context) -> Iterable[tuple[str, str]]:
    for callback in receiver.get("/v1/callbacks", shapes.Callbacks, limit=RUNS_MAX).data:
        yield callback.id, f"{callback.outcome} {callback.run_id or ''} {callback.shot_id or ''}"


_SOURCES: Final[dict[str, Callable[[Receiver, click.Context], Iterable[tuple[str, str]]]]] = {
    "runs": _runs,
    "shots": _shots,
    "takes": _takes,
    "callbacks": _callbacks,
}

add_completion_class(Bash)
