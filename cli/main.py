"""
The command `framerelay`: its words, options and exit codes; each body is in its own module, loaded when called.

Exit codes: 0 succeeded · 1 could not be tried · 2 bad storyboard or usage · 3 budget · 4 waits for a person · 5 failed.
"""

import os
import sys
from pathlib import Path

import click

import framerelay.cli.programs  # Its commands come first.
from framerelay.cli.language import set_english, set_language
from framerelay.cli.options import CALLBACK, RUN, cli, json_option, yes_option
from framerelay.cli.output import prepare_output

VARIABLE = "_FRAMERELAY_COMPLETE"  # Set by a shell that asks for completions.
STATUSES = ("running", "waiting", "succeeded", "failed", "cancelled")
ONLY_THESE = "Only these: running, waiting, succeeded, failed, cancelled."


@cli.command()
@click.argument("storyboard", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--watch", is_flag=True, help="Stay and show it to its end.")
@json_option
def run(storyboard: Path, watch: bool, as_json: bool) -> None:
    """
    Start a run of STORYBOARD, a YAML or JSON file.

    It goes to the receiver that is running; - reads the storyboard from standard input. With --watch, at a terminal, it
    asks what the run waits for; the exit code is 0 succeeded, 3 budget, 4 waits for a person, 5 failed; of a bad
    storyboard 2.
    """
    from framerelay.cli.start import start

    sys.exit(start(storyboard, watch=watch, as_json=as_json))


@cli.command()
@click.argument("storyboard", type=click.Path(path_type=Path, allow_dash=True))
@json_option
def plan(storyboard: Path, as_json: bool) -> None:
    """
    Say what STORYBOARD would do and cost; it spends nothing.

    Its shots, its jobs, and what may go wrong. It asks nobody: no receiver has to run. A bad storyboard is
    exit code 2, warnings are 0.
    """
    from framerelay.cli.plan import show_plan

    sys.exit(show_plan(storyboard, as_json=as_json))


@cli.command()
@click.option("--status", type=click.Choice(STATUSES), metavar="WORD", help=ONLY_THESE)
@click.option("--label", "labels", multiple=True, metavar="NAME:VALUE", help="Only with this label; repeatable.")
@click.option("--search", help="Only with these words in title, labels or hook.")
@click.option("--needs-me", is_flag=True, help="Only those that wait for a person, or ask one.")
@click.option("--limit", type=click.IntRange(1, 200), default=20, show_default=True, help="At most this many.")
@json_option
def runs(
    status: str | None, labels: tuple[str, ...], search: str | None, needs_me: bool, limit: int, as_json: bool
) -> None:
    """List runs, newest first."""
    from framerelay.cli.runs import list_runs

    needs = "person" if needs_me else None
    sys.exit(list_runs(status=status, labels=labels, search=search, needs=needs, limit=limit, as_json=as_json))


@cli.command()
@click.argument("run_id", metavar="RUN", shell_complete=RUN)
@click.option("--watch", is_flag=True, help="Stay and show it to its end.")
@json_option
def show(run_id: str, watch: bool, as_json: bool) -> None:
    """
    Show one run: its shots, what it waits for, its files.

    With --watch the exit code is that of run --watch; at a terminal it asks what the run waits for.
    """
    from framerelay.cli.runs import show_run

    sys.exit(show_run(run_id, watch=watch, as_json=as_json))


@cli.command()
@click.argument("run_id", metavar="[RUN]", required=False, shell_complete=RUN)
@json_option
def watch(run_id: str | None, as_json: bool) -> None:
    """
    Show a run live, or without RUN all that are under way.

    To its end, or until it needs you; at a terminal it asks what the run waits for: an approval, a pick. The exit code
    is 0 succeeded, 3 budget, 4 waits for a person, 5 failed. All of them are shown until Ctrl-C, those that need you
    first; with --json it is an object for each change. Ctrl-C ends the watching, never a run.
    """
    from framerelay.cli.runs import show_run
    from framerelay.cli.watch_all import watch_all

    sys.exit(watch_all(as_json=as_json) if run_id is None else show_run(run_id, watch=True, as_json=as_json))


@cli.command()
@click.argument("run_id", metavar="RUN", shell_complete=RUN)
@yes_option
@json_option
def cancel(run_id: str, yes: bool, as_json: bool) -> None:
    """
    Stop a run: nothing more is submitted.

    Jobs under way are paid for, so their clips are still kept. At a terminal it asks.
    """
    from framerelay.cli.runs import cancel_run

    sys.exit(cancel_run(run_id, yes=yes, as_json=as_json))


@cli.command()
@click.argument("run_id", metavar="RUN", shell_complete=RUN)
@yes_option
@json_option
def remove(run_id: str, yes: bool, as_json: bool) -> None:
    """
    Remove a run that has ended, with all its files.

    There is no way back; the pictures that you gave are kept. At a terminal it asks.
    """
    from framerelay.cli.runs import remove_run

    sys.exit(remove_run(run_id, yes=yes, as_json=as_json))


import framerelay.cli.decision_commands  # noqa: E402  # Its commands come here.


@cli.command()
@click.argument("run_id", metavar="RUN", shell_complete=RUN)
@click.option("--to", type=click.Path(path_type=Path), metavar="DIR", help="The folder.  [default: ./RUN]")
@json_option
def export(run_id: str, to: Path | None, as_json: bool) -> None:
    """
    Write a run into a folder: film, clips, manifest, timeline.

    manifest.json has the words, jobs, seeds and hashes; film.otio opens in an editor (OpenTimelineIO). What is there
    and right is kept, so it can be repeated; a file that is not its own is left alone.
    """
    from framerelay.cli.export import export

    sys.exit(export(run_id, to=to, as_json=as_json))


@cli.command("callback-url")
@click.argument("hook")
@json_option
def callback_url(hook: str, as_json: bool) -> None:
    """
    Print an address to give as callback_url.

    Each job of yours that calls back there becomes a run: its clip and its last frame are kept. HOOK is any name.
    """
    from framerelay.cli.callbacks import print_address

    sys.exit(print_address(hook, as_json=as_json))


@cli.command()
@click.option("--limit", type=click.IntRange(1, 200), default=20, show_default=True, help="At most this many.")
@click.option("--follow", is_flag=True, help="Stay and print those that come, until Ctrl-C; newest last.")
@json_option
def callbacks(limit: int, follow: bool, as_json: bool) -> None:
    """
    List what called back, newest first.

    With --follow they are lines as they come, with --json an object each.
    """
    from framerelay.cli.callbacks import follow_callbacks, list_callbacks

    sys.exit((follow_callbacks if follow else list_callbacks)(limit=limit, as_json=as_json))


@cli.command()
@click.argument("callback_id", metavar="ID", shell_complete=CALLBACK)
@click.option("--yes", is_flag=True, help="Do it, even if new jobs are submitted and paid for.")
@json_option
def replay(callback_id: str, yes: bool, as_json: bool) -> None:
    """
    Process a callback again.

    It says what that would do; only --yes does it. `framerelay callbacks` shows the IDs.
    """
    from framerelay.cli.callbacks import replay_callback

    sys.exit(replay_callback(callback_id, yes=yes, as_json=as_json))


@cli.command()
@json_option
def doctor(as_json: bool) -> None:
    """
    Say what is wrong with the setup.

    It looks at settings, disk, Redis, receiver, worker and provider, and sends itself a callback through the public
    URL. It submits nothing and spends nothing. The exit code is 1 if anything failed.
    """
    from framerelay.cli.doctor.diagnosis import doctor

    sys.exit(doctor(as_json=as_json))


@cli.command()
@click.argument("callback_id", metavar="[ID]", required=False, shell_complete=CALLBACK)
@click.option("--all", "everything", is_flag=True, help="All that are in quarantine.")
@json_option
def release(callback_id: str | None, everything: bool, as_json: bool) -> None:
    """
    Verify a callback in quarantine again, and process it.

    For after a wrong secret was corrected; it is read again first. What still does not prove where it comes from stays.
    `framerelay callbacks` shows the IDs.
    """
    from framerelay.cli.callbacks import release_callbacks

    if (callback_id is None) is not everything:
        raise click.UsageError("Give an ID, or --all.")
    sys.exit(release_callbacks(callback_id, as_json=as_json))


@cli.group(invoke_without_command=True)
@click.option("--run", "run_id", metavar="RUN", help="Only of this run.")
@click.option("--limit", type=click.IntRange(1, 200), default=20, show_default=True, help="At most this many.")
@click.option("--secret", is_flag=True, help="Print the secret by which a receiver verifies them, and nothing else.")
@json_option
@click.pass_context
def notifications(context: click.Context, run_id: str | None, limit: int, secret: bool, as_json: bool) -> None:
    """
    List what was sent to the notify_url of runs, newest first.

    With the result, and the time of the next try.
    """
    from framerelay.cli.notifications import list_notifications, print_secret

    if context.invoked_subcommand is None:
        sys.exit(
            print_secret(as_json=as_json) if secret else list_notifications(run_id=run_id, limit=limit, as_json=as_json)
        )


@notifications.command("replay")
@click.argument("notification_id", metavar="ID")
@json_option
def replay_notification(notification_id: str, as_json: bool) -> None:
    """Send a notification again at once, under the same id."""
    from framerelay.cli.notifications import replay_notification

    sys.exit(replay_notification(notification_id, as_json=as_json))


@cli.command("mcp")
@click.option("--http", is_flag=True, help="Serve streamable HTTP at /mcp, to those who have the API key.")
@click.option("--host", default="127.0.0.1", show_default=True, help="With --http: address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8070, show_default=True, help="With --http: port.")
@click.option("--name", "names", multiple=True, help="With --http: host[:port] by which a proxy is reached.")
@click.option(
    "--pictures",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of pictures that storyboards may name.  [default: none may be named]",
)
def mcp_server(http: bool, host: str, port: int, names: tuple[str, ...], pictures: Path | None) -> None:
    """
    Serve AI assistants: plan, start, watch and decide.

    It speaks MCP over standard input and output, as a client that starts it expects, and asks the receiver that the
    other commands ask. It spends nothing without the id of a plan and a limit.
    """
    from framerelay.cli.mcp.server import serve_mcp

    set_english()
    sys.exit(serve_mcp(http=http, host=host, port=port, names=names, pictures=pictures))


@cli.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """
    Print the script by which a shell completes commands and ids.

    For bash: eval "$(framerelay completion bash)" in ~/.bashrc. Ids of runs, shots and callbacks come from the receiver
    that is running.
    """
    from framerelay.cli.completion import script

    click.echo(script(cli, shell, variable=VARIABLE))


import framerelay.cli.amend_commands  # noqa: E402
import framerelay.cli.backup_commands  # noqa: E402
import framerelay.cli.provider_commands  # noqa: E402, F401  # Its commands come last.


def main() -> None:
    """The entry point of the ``framerelay`` script."""
    prepare_output()
    set_language(cli)
    if VARIABLE in os.environ:  # A shell asks: `cli.completion` knows how to answer.
        import framerelay.cli.completion  # noqa: F401
    # httpx would load its own command, with a syntax highlighter: 50 ms of every command of ours.
    sys.modules["httpx._main"] = None  # type: ignore[assignment]
    cli(prog_name="framerelay")


if __name__ == "__main__":
    main()
