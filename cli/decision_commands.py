"""The commands by which a person lets a run continue: `resume`, `promote`, `approve`, `pick`, `retake`, `adopt`."""

import sys

import click

from framerelay.cli.options import RUN, SHOT, TAKE, change_options, cli, json_option, ordinary, yes_option


@cli.command()
@click.argument("run_id", metavar="RUN", shell_complete=RUN)
@click.option("--budget", type=click.IntRange(1), metavar="JOBS", help="At most this many jobs, those before included.")
@click.option(
    "--money", type=float, callback=ordinary, metavar="AMOUNT", help="At most this much money, as with the jobs."
)
@json_option
def resume(run_id: str, budget: int | None, money: float | None, as_json: bool) -> None:
    """
    Go on with a run that failed or waits, from what is there.

    Fix the cause first: the key, the account, a trusted host, the disk. Keys are read again, so that no restart is
    needed for one in .env or a file. What was rendered is fetched, not paid for again; a shot whose job failed gets a
    new take. --budget and --money change the limits of the whole run: when its budget is spent, and while it
    goes on.
    """
    from framerelay.cli.runs import resume

    sys.exit(resume(run_id, jobs=budget, money=money, as_json=as_json))


@cli.command()
@click.argument("run_id", metavar="RUN", shell_complete=RUN)
@click.option(
    "--budget", type=click.IntRange(1), metavar="JOBS", help="At most this many jobs.  [default: the draft's]"
)
@click.option(
    "--money", type=float, callback=ordinary, metavar="AMOUNT", help="At most this much money.  [default: the draft's]"
)
@yes_option
@json_option
def promote(run_id: str, budget: int | None, money: float | None, yes: bool, as_json: bool) -> None:
    """
    Make the final of a draft: a run of its own.

    It is made of the prompts and seeds of the takes that were picked, as large and as long as the storyboard says; each
    shot begins with a frame of the final itself. At a terminal it says what that spends, and asks. The same takes are
    promoted once: asked again it is the same run.
    """
    from framerelay.cli.runs import promote

    sys.exit(promote(run_id, jobs=budget, money=money, yes=yes, as_json=as_json))


@cli.command()
@click.argument("run_id", metavar="RUN", shell_complete=RUN)
@click.argument("shot_id", metavar="SHOT", shell_complete=SHOT)
@change_options(seed_default="as planned")
@json_option
def approve(
    run_id: str, shot_id: str, prompt: str | None, seed: int | None, fields: tuple[str, ...], as_json: bool
) -> None:
    """
    Let a shot with `gate: approve` be submitted.

    With --prompt, --seed or --input its coming takes are made of that.
    """
    from framerelay.cli.runs import change_of, decide_shot

    sys.exit(decide_shot(run_id, shot_id, "approve", change_of(prompt, seed, fields), as_json=as_json))


@cli.command()
@click.argument("run_id", metavar="RUN", shell_complete=RUN)
@click.argument("shot_id", metavar="SHOT", shell_complete=SHOT)
@click.argument("take", type=click.IntRange(1), shell_complete=TAKE)
@json_option
def pick(run_id: str, shot_id: str, take: int, as_json: bool) -> None:
    """Choose the take of a shot to go on from."""
    from framerelay.cli.runs import decide_shot

    sys.exit(decide_shot(run_id, shot_id, "pick", {"take": take}, as_json=as_json))


@cli.command()
@click.argument("run_id", metavar="RUN", shell_complete=RUN)
@click.argument("shot_id", metavar="SHOT", shell_complete=SHOT)
@change_options(seed_default="the last one + 1")
@click.option("--following", is_flag=True, help="And all that is made from it, in order.")
@yes_option
@json_option
def retake(
    run_id: str,
    shot_id: str,
    prompt: str | None,
    seed: int | None,
    fields: tuple[str, ...],
    following: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """
    Make a shot again, inside the budget.

    The film goes on from the new take when it is done; `pick` goes back to an old one. Later shots that were made from
    the old take stay as they are, stale; with --following each gets one take as soon as the new one of its source is
    there, up to the next gate, within the budget. Refused while one is under way. At a terminal it says what that
    spends, and asks.
    """
    from framerelay.cli.runs import change_of, retake

    body = {**change_of(prompt, seed, fields), **({"following": True} if following else {})}
    sys.exit(retake(run_id, shot_id, body, yes=yes, as_json=as_json))


@cli.command()
@click.argument("job_id", metavar="JOB_ID")
@click.option("--run", "run_id", metavar="RUN", required=True, help="The run that it belongs to.", shell_complete=RUN)
@click.option("--shot", "shot_id", required=True, help="The shot that it is a take of.", shell_complete=SHOT)
@json_option
def adopt(job_id: str, run_id: str, shot_id: str, as_json: bool) -> None:
    """
    Bring in a job that was paid for but lost.

    It is looked up at once and submitted never again. The provider's own list shows its id.
    """
    from framerelay.cli.runs import adopt

    sys.exit(adopt(job_id, run_id, shot_id, as_json=as_json))
