"""What commands share: their group, options, and what a shell offers for an argument."""

import inspect
import math
from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from framerelay.cli.language import first_sentence, translate_click_errors
from framerelay.languages.catalogs import translate

Command = TypeVar("Command", bound=Callable[..., Any])

SECTIONS: Final = (
    ("Begin", ("demo", "init", "up", "login", "open", "doctor")),
    ("Make a film", ("plan", "run", "runs", "show", "watch", "storyboard", "export")),
    ("Decide", ("approve", "pick", "retake", "resume", "amend", "promote", "adopt", "cancel", "remove")),
    ("Callbacks and notifications", ("callback-url", "callbacks", "replay", "release", "notifications")),
    ("Providers", ("providers", "provider", "sandbox")),
    ("Operate", ("receiver", "worker", "backup", "restore")),
    ("For assistants and shells", ("mcp", "completion")),
)
"""What ``--help`` lists together; each command is in one of them."""


class Group(click.Group):
    """Foreseen errors are one sentence, never a traceback; commands are listed by purpose."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """A command's line is its whole first sentence."""
        width = max(map(len, self.commands))
        sections = SECTIONS if ctx.parent is None else (("Commands", tuple(self.commands)),)
        for title, names in sections:
            rows = [
                (f"{name:<{width}}", first_sentence(inspect.cleandoc(command.help or "")))
                for name in names
                if (command := self.commands.get(name)) is not None
            ]
            with formatter.section(translate(title)):
                formatter.write_dl(rows)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[AS_JSON] = "--json" in args  # Before a command's own options are read: they may be what is wrong.
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        from framerelay.cli.errors import explain_errors
        from framerelay.cli.interrupts import take_interrupts

        with explain_errors(as_json=ctx.meta[AS_JSON]), translate_click_errors():
            take_interrupts()
            return super().invoke(ctx)


AS_JSON = "framerelay.json"


FAULTS = {
    "lose": "A callback is not sent.",
    "repeat": "A callback is sent three times at once.",
    "reorder": "A callback is sent after the next one.",
    "early": "The first callback arrives before the submit is answered.",
    "unavailable": "A look-up, upload or download is answered 503.",
    "accept-then-500": "A submit is accepted, but answered 500.",
    "rate-limit": "A submit is answered 429.",
    "busy": "A submit is answered 503, in its own words.",
    "refuse-with-200": "A submit is refused with a 200.",
    "lag": "Look-ups lag behind callbacks.",
    "expire": "A job expires.",
    "moderate": "A job fails by moderation.",
    "slow": "A submit or look-up is answered late.",
}


def fault_options(command: Command) -> Command:
    """The switches of `sandbox.faults.Faults`, each a rate."""
    for name, about in reversed(FAULTS.items()):
        command = click.option(f"--{name}", type=click.FloatRange(0, 1), default=0.0, metavar="RATE", help=about)(
            command
        )
    return command


def ordinary(_ctx: click.Context, _param: click.Parameter, value: float | None) -> float | None:
    """*value*, unless it is ``nan`` or ``inf``, which JSON cannot express. Raises: BadParameter."""
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(translate(f"expected an ordinary number, found {value}"))
    return value


def completed_by(what: str) -> Callable[..., Any]:
    """What a shell offers for an argument: ids from the running receiver."""

    def complete(ctx: click.Context, _: click.Parameter, incomplete: str) -> Any:
        from framerelay.cli.completion import items

        return items(what, ctx, incomplete)

    return complete


RUN = completed_by("runs")


SHOT = completed_by("shots")


TAKE = completed_by("takes")


CALLBACK = completed_by("callbacks")


def json_option(command: Command) -> Command:
    """``--json``: for programs."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")(command)


def yes_option(command: Command) -> Command:
    """``--yes``: for people at a terminal who are sure; a script is not asked anyway."""
    return click.option("--yes", is_flag=True, help="Do not ask.")(command)


def change_options(*, seed_default: str) -> Callable[[Command], Command]:
    """``--prompt``, ``--seed``, ``--input``: what the coming takes of a shot are made from."""
    options = (
        click.option("--prompt", help="Another prompt, whole, without the storyboard's style.  [default: the same]"),
        click.option("--seed", type=click.IntRange(-1, 2**32 - 1), help=f"Another seed.  [default: {seed_default}]"),
        click.option(
            "--input", "fields", multiple=True, metavar="KEY=VALUE", help="Another input field: duration=8; repeatable."
        ),
    )

    def add_options(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add_options


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="framerelay", message="framerelay %(version)s")
def cli() -> None:
    """
    The callback_url of your video API: keeps each clip, hands its last frame to the next shot, joins the film.

    RUN is the id of a run, the first letters of one (run_eour), or last: the newest.
    """
