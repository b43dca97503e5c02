"""The commands that start programs that run until they are asked to stop, and those for a first visit."""

import sys
from pathlib import Path
from typing import Any

import click

from framerelay.cli.options import RUN, cli, fault_options, json_option


@cli.command()
@click.option("--out", type=click.Path(path_type=Path), default=Path(), help="Folder of the film.  [default: here]")
@click.option("--keep", is_flag=True, help="Leave everything running and keep its data, to look around.")
def demo(out: Path, keep: bool) -> None:
    """
    Show four chained shots become one film. No key needed.

    A sandbox plays the provider; the last line is film: PATH.
    """
    from framerelay.cli.demo import run_demo

    sys.exit(run_demo(out, keep=keep))


@cli.command()
@click.argument("file", type=click.Path(path_type=Path), default=Path("film.yaml"))
@json_option
def init(file: Path, as_json: bool) -> None:
    """
    Write a storyboard to start from: three chained shots.

    Into FILE, film.yaml unless another is named; a file that is there is left alone. Its model is one of the provider
    that is set up here.
    """
    from framerelay.cli.init import write_storyboard

    sys.exit(write_storyboard(file, as_json=as_json))


@cli.command()
@click.argument("run_id", metavar="[RUN]", required=False, shell_complete=RUN)
@json_option
def login(run_id: str | None, as_json: bool) -> None:
    """
    Print a link that logs a browser in, once.

    Within ten minutes, to the page of the receiver that is running, or to that of RUN.
    """
    from framerelay.cli.invitation import print_link

    sys.exit(print_link(run_id, as_json=as_json))


@cli.command("open")
@click.argument("run_id", metavar="[RUN]", required=False, shell_complete=RUN)
def open_page(run_id: str | None) -> None:
    """
    Open the page in a browser, logged in.

    That of the receiver that is running, or of RUN.
    """
    from framerelay.cli.invitation import open_page

    sys.exit(open_page(run_id))


AFTER_RESTORE = click.option(
    "--after-restore",
    is_flag=True,
    help="Redis came back as an older copy: hold what may have been submitted since. Once, on the first to start.",
)


@cli.command()
@AFTER_RESTORE
def up(after_restore: bool) -> None:
    """
    Run receiver and worker together, as usual on one machine.

    SIGHUP has keys, secrets and the provider's address read again.
    """
    from framerelay.cli.serve import serve

    sys.exit(serve(receiver=True, worker=True, after_restore=after_restore))


@cli.command()
def receiver() -> None:
    """Run the receiver alone: callbacks, the run API, media."""
    from framerelay.cli.serve import serve

    sys.exit(serve(receiver=True, worker=False))


@cli.command()
@AFTER_RESTORE
@click.option(
    "--tasks",
    type=click.Choice(["light", "heavy", "all"]),
    default="all",
    show_default=True,
    help="heavy: films, first frames and files made again; light: all that a next shot waits for.",
)
def worker(tasks: str, after_restore: bool) -> None:
    """Run a worker alone: submit, look up, fetch, hand off, join."""
    from framerelay.cli.serve import serve

    sys.exit(serve(receiver=False, worker=True, tasks=tasks, after_restore=after_restore))


@cli.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8090, show_default=True, help="Port to listen on.")
@click.option("--key", default="sk-sandbox", show_default=True, help="The key that clients must send as Bearer.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep its files here.  [default: a temporary folder]",
)
@click.option("--public-url", help="Base of the addresses in its answers.  [default: as it was reached]")
@click.option("--dialect", type=click.Choice(["jobs", "ark"]), default="jobs", show_default=True, help="Shape of jobs.")
@click.option("--webhook-secret", metavar="TEXT", help="Sign Kling's callbacks, as whsec_…  [default: unsigned]")
@click.option("--job-s", type=float, default=2.0, show_default=True, help="Seconds that a job runs at least.")
@click.option("--clip-s", type=float, help="Length of every clip.  [default: as submitted]")
@click.option("--scale", type=float, default=1.0, show_default=True, help="Factor on width and height of clips.")
@click.option("--bframes", type=int, default=0, show_default=True, help="B-frames in a row; the real model uses 3.")
@click.option("--output-ttl-s", type=float, help="Seconds until the address of a result expires.  [default: never]")
@click.option(
    "--callback-retry-s", type=float, default=0.5, show_default=True, help="Seconds between two tries of a callback."
)
@click.option("--seed", type=int, default=1, show_default=True, help="Seed of the faults below.")
@fault_options
def sandbox(**options: Any) -> None:
    """
    Play the provider: real MP4s, real callbacks, no key.

    Faults come on request, at rates from 0 to 1.
    """
    from framerelay.cli.sandbox import run_sandbox

    sys.exit(run_sandbox(**options))
