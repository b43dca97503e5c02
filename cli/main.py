"""
The command `framerelay`: its words, options and exit codes; each body lives in a module of its own, loaded when called.

Exit codes: 0 succeeded · 1 could not be tried · 2 bad storyboard or usage · 3 budget · 4 waits for a person · 5 failed.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


class Group(click.Group):
    """Foreseen errors are one sentence, never a traceback; commands are listed in the order of a first visit."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        from cli.errors import explained

        with explained():
            return super().invoke(ctx)


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="framerelay", message="framerelay %(version)s")
def cli() -> None:
    """The callback_url of your video API: keeps each clip, hands its last frame to the next shot, joins the film."""


def json_option(command: Command) -> Command:
    """``--json``: for programs."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")(command)


@cli.command()
@click.option("--out", type=click.Path(path_type=Path), default=Path(), show_default="here", help="Folder of the film.")
@click.option("--keep", is_flag=True, help="Leave everything running and keep its data, to look around.")
def demo(out: Path, keep: bool) -> None:
    """Four chained shots become one film, on this machine, without a key."""
    from cli.demo import run_demo

    sys.exit(run_demo(out, keep=keep))


@cli.command()
def up() -> None:
    """Receiver and worker in one go; the usual way on one machine."""
    from cli.serve import serve

    sys.exit(serve(receiver=True, worker=True))


@cli.command()
def receiver() -> None:
    """The receiver alone: callbacks, the run API, media."""
    from cli.serve import serve

    sys.exit(serve(receiver=True, worker=False))


@cli.command()
def worker() -> None:
    """One worker alone: submits, looks up, fetches, hands off, joins."""
    from cli.serve import serve

    sys.exit(serve(receiver=False, worker=True))


@cli.command()
@click.argument("storyboard", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--watch", is_flag=True, help="Stay and show it to its end.")
@json_option
def run(storyboard: Path, watch: bool, as_json: bool) -> None:
    """Start a run of STORYBOARD (YAML or JSON) at a running receiver."""
    from cli.runs import start

    sys.exit(start(storyboard, watch=watch, as_json=as_json))


@cli.command()
@click.option("--status", help="Only runs that are running, waiting, succeeded, failed or cancelled.")
@click.option("--limit", type=click.IntRange(1, 200), default=20, show_default=True, help="At most so many.")
@json_option
def runs(status: str | None, limit: int, as_json: bool) -> None:
    """List runs, newest first."""
    from cli.runs import list_runs

    sys.exit(list_runs(status=status, limit=limit, as_json=as_json))


@cli.command()
@click.argument("run_id", metavar="RUN")
@click.option("--watch", is_flag=True, help="Stay and show it to its end.")
@json_option
def show(run_id: str, watch: bool, as_json: bool) -> None:
    """Show one run: its shots, takes and files."""
    from cli.runs import show_run

    sys.exit(show_run(run_id, watch=watch, as_json=as_json))


@cli.command()
@click.argument("run_id", metavar="RUN")
@json_option
def cancel(run_id: str, as_json: bool) -> None:
    """Stop a run: nothing more is submitted. Jobs under way are paid for; the provider offers no way to stop them."""
    from cli.runs import decide

    sys.exit(decide(run_id, "cancel", as_json=as_json))


@cli.command()
@click.argument("run_id", metavar="RUN")
@click.argument("shot")
@json_option
def approve(run_id: str, shot: str, as_json: bool) -> None:
    """Let a shot with `gate: approve` be submitted."""
    from cli.runs import decide

    sys.exit(decide(run_id, f"shots/{shot}/approve", as_json=as_json))


@cli.command()
@click.argument("run_id", metavar="RUN")
@click.argument("shot")
@click.argument("take", type=click.IntRange(1))
@json_option
def pick(run_id: str, shot: str, take: int, as_json: bool) -> None:
    """Choose the take of a shot to go on from."""
    from cli.runs import decide

    sys.exit(decide(run_id, f"shots/{shot}/pick", {"take": take}, as_json=as_json))


@cli.command("callback-url")
@click.argument("hook")
def callback_url(hook: str) -> None:
    """Print the address to give as callback_url in submits of your own."""
    from cli.callbacks import print_address

    sys.exit(print_address(hook))


@cli.command()
@click.option("--limit", type=click.IntRange(1, 200), default=20, show_default=True, help="At most so many.")
@json_option
def callbacks(limit: int, as_json: bool) -> None:
    """List the callbacks that came in, newest first."""
    from cli.callbacks import list_callbacks

    sys.exit(list_callbacks(limit=limit, as_json=as_json))


def main() -> None:
    """The entry point of the ``framerelay`` script."""
    cli(prog_name="framerelay")


if __name__ == "__main__":
    main()
