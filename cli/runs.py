"""`runs`, `show`, and a person's decisions. Drawing code (rich) is only loaded if it is used, to start fast."""

import shutil
import sys
import time
from collections.abc import Mapping
from typing import Final

import click
import msgspec

from framerelay.api import shapes
from framerelay.api.lines import run_lines
from framerelay.cli.client import Receiver, checked_id
from framerelay.cli.output import echo, echo_json
from framerelay.languages.catalogs import translate
from framerelay.languages.joints import join, with_wide_title
from framerelay.languages.reader import ENGLISH, language
from framerelay.runs.text import join_names, new_submits, number_of, printable

UNDER_WAY = frozenset({"submitting", "generating", "collecting", "unsure"})
ID_CHARS: Final = 12  # Enough to type instead of an id, and leaves space for titles.


def list_runs(
    *,
    status: str | None,
    labels: tuple[str, ...] = (),
    search: str | None = None,
    needs: str | None = None,
    limit: int,
    as_json: bool,
) -> int:
    """A line for each run."""
    query = {"status": status, "label": list(labels) or None, "q": search, "needs": needs}
    with Receiver.of_environment() as receiver:
        page = receiver.get("/v1/runs", shapes.Runs, **query, limit=limit)
    if as_json:
        print_json(page)
        return 0
    for run, line in zip(page.data, run_lines(page.data, now=time.time()), strict=True):
        click.echo(fit_to_terminal(line, run.id))
    if not page.data:
        echo(_no_runs(status, narrowed=bool(labels or search or needs)), err=True)
    if page.next:
        more = f": --limit {min(200, limit * 5)}" if limit < 200 else " (GET /v1/runs?after=… lists them all)"
        echo(f"… and older ones{more}", err=True)
    return 0


def _no_runs(status: str | None, *, narrowed: bool) -> str:
    if narrowed:
        return "no such runs"
    return f"no {status} runs" if status else "no runs yet: framerelay run STORYBOARD"


def show_run(run_id: str, *, watch: bool, as_json: bool) -> int:
    """One run, as it is now or to its end."""
    checked_id(run_id, "run")
    with Receiver.of_environment() as receiver:
        run = receiver.run(run_id)
        if watch:
            return watch_run(receiver, run.id, as_json=as_json)
        print_run(receiver, run, as_json)
    return 0


def cancel_run(run_id: str, *, yes: bool, as_json: bool) -> int:
    """Submit nothing more of a run; a person at a terminal is asked, unless they said *yes*."""
    checked_id(run_id, "run")
    with Receiver.of_environment() as receiver:
        if can_ask(yes, as_json):
            run = receiver.run(run_id)
            if not confirms(f"{title_of(run)}: nothing more is submitted, for good{_under_way(run)}"):
                return 1
            run_id = run.id
        print_run(receiver, receiver.post(f"/v1/runs/{run_id}/cancel", shapes.Run, json={}), as_json)
    return 0


def remove_run(run_id: str, *, yes: bool, as_json: bool) -> int:
    """Remove a run that has ended; a person at a terminal is asked, unless they said *yes*. Returns the exit code."""
    checked_id(run_id, "run")
    with Receiver.of_environment() as receiver:
        if can_ask(yes, as_json):
            run = receiver.run(run_id)
            if not confirms(f"{title_of(run)} is removed with {_files(run)}; there is no way back"):
                return 1
            run_id = run.id
        answer = receiver.delete(f"/v1/runs/{run_id}", shapes.Removed)
    if as_json:
        print_json(answer)
    else:
        echo(f"removed {answer.id} and its files")
    return 0


def decide_shot(
    run_id: str, shot_id: str, what: str, body: Mapping[str, object] | None = None, *, as_json: bool
) -> int:
    """A decision that lets a shot continue; says how much may be submitted because of it, and returns the exit code."""
    return _continue(run_id, f"shots/{checked_id(shot_id, 'shot')}/{what}", body, as_json=as_json)


def change_of(prompt: str | None, seed: int | None, fields: tuple[str, ...]) -> dict[str, object]:
    """
    What was typed, as the body of a decision; values are read as a storyboard writes them.

    Raises: click.UsageError for a field without a value; StoryboardInvalid for a value that is not YAML.
    """
    body: dict[str, object] = {"prompt": prompt, "seed": seed}
    if fields:
        from framerelay.storyboards.documents import read_document

        pairs = [field.partition("=") for field in fields]
        if bare := next((name for name, sign, _ in pairs if not sign or not name), None):
            raise click.UsageError(f"Write --input {bare}=VALUE.")
        body["input"] = {name: read_document(value, form="yaml").value for name, _, value in pairs}
    return {name: value for name, value in body.items() if value is not None}


def retake(run_id: str, shot_id: str, body: Mapping[str, object], *, yes: bool, as_json: bool) -> int:
    """Make a shot again; a person at a terminal is shown what that spends, and asked, unless they said *yes*."""
    checked_id(run_id, "run")
    place = f"shots/{checked_id(shot_id, 'shot')}/retake"
    with Receiver.of_environment() as receiver:
        if can_ask(yes, as_json):
            run = receiver.run(run_id)
            would = receiver.post(f"/v1/runs/{run.id}/{place}", shapes.Outlook, json={**body, "dry_run": True}).would
            if not confirms(would if run.id == run_id else f"{title_of(run)}: {would}"):
                return 1
            run_id = run.id
        print_run(receiver, receiver.post(f"/v1/runs/{run_id}/{place}", shapes.Run, json=dict(body)), as_json)
    return 0


def promote(run_id: str, *, jobs: int | None, money: float | None, yes: bool, as_json: bool) -> int:
    """Make the final of a draft; at a terminal a person is shown what that spends, and asked, unless *yes* is set."""
    checked_id(run_id, "run")
    body = _limits(jobs, money)
    with Receiver.of_environment() as receiver:
        if can_ask(yes, as_json):
            would = receiver.post(f"/v1/runs/{run_id}/promote", shapes.Outlook, json={**body, "dry_run": True}).would
            if not confirms(would):
                return 1
        run = receiver.post(f"/v1/runs/{run_id}/promote", shapes.Run, json=body)
    if as_json:
        print_json(run)
    else:
        echo(f"run: {run.id}")
    return 0


def _limits(jobs: int | None, money: float | None) -> dict[str, object]:
    limits = {name: limit for name, limit in (("jobs", jobs), ("money", money)) if limit is not None}
    return {"budget": limits} if limits else {}


def can_ask(yes: bool, as_json: bool) -> bool:
    """Only a person at a terminal is asked: a script that worked keeps working."""
    return not (yes or as_json) and sys.stdin.isatty() and sys.stdout.isatty()


def confirms(what: str) -> bool:
    """Whether a person at the terminal agrees to *what*."""
    sentence = translate(f"{what}.")
    if language() != ENGLISH:
        sentence = with_wide_title(sentence)
    if click.confirm(join(printable(f"{sentence} "), translate("Go on?"))):
        return True
    echo("nothing was done", err=True)
    return False


def title_of(run: shapes.Run) -> str:
    """The title and the whole id: what was typed may have been the beginning of one."""
    return f'"{run.title}" ({run.id})'


def _under_way(run: shapes.Run) -> str:
    jobs = sum(take.status in UNDER_WAY for shot in run.shots for take in shot.takes)
    return f"; {number_of('job', jobs)} under way {'is' if jobs == 1 else 'are'} paid for" if jobs else ""


def _files(run: shapes.Run) -> str:
    clips = sum(bool(take.video) for shot in run.shots for take in shot.takes)
    parts = [*([number_of("clip", clips)] if clips else []), *(["its film"] if run.film else []), "its history"]
    return join_names(parts, "and")


def resume(run_id: str, *, jobs: int | None, money: float | None, as_json: bool) -> int:
    """Continue a run, within new limits if some are given; says how much may be submitted because of it."""
    return _continue(run_id, "resume", _limits(jobs, money), as_json=as_json)


def _continue(run_id: str, what: str, body: Mapping[str, object] | None = None, *, as_json: bool) -> int:
    checked_id(run_id, "run")
    with Receiver.of_environment() as receiver:
        run = receiver.post(f"/v1/runs/{run_id}/{what}", shapes.Run, json=dict(body or {}))
        if not as_json and run.status == "running":
            submits = new_submits(run.submits_to_come)
            echo(f"it goes on from what is there: {submits} to its end, if nothing fails", err=True)
        print_run(receiver, run, as_json)
    return 0


def adopt(job_id: str, run_id: str, shot_id: str, *, as_json: bool) -> int:
    """Attach a job that was paid for; returns the exit code."""
    body = {"job_id": job_id, "run": checked_id(run_id, "run"), "shot": checked_id(shot_id, "shot")}
    with Receiver.of_environment() as receiver:
        print_run(receiver, receiver.post("/v1/jobs/adopt", shapes.Run, json=body), as_json)
    return 0


def exit_code(run: shapes.Run) -> int:
    """What the command says about a run that it watched."""
    if run.status == "succeeded":
        return 0
    if run.status == "waiting":
        return 3 if run.error and run.error.code == "budget_reached" else 4
    return 5


def print_json(answer: object) -> None:
    """*answer* for programs: one object on one line; on a terminal, where a person reads it, on many."""
    text = msgspec.json.encode(answer)
    echo_json((msgspec.json.format(text, indent=2) if sys.stdout.isatty() else text).decode())


def watch_run(receiver: Receiver, run_id: str, *, as_json: bool) -> int:
    """Show the run to its end, asking a person at a terminal what it waits for; returns the exit code."""
    from framerelay.cli.questions import answer
    from framerelay.cli.watch import watch

    try:
        run = watch(receiver, run_id, out=sys.stderr if as_json else sys.stdout, place=receiver.place_of)
        while can_ask(False, as_json) and answer(receiver, run):
            run = watch(receiver, run_id, out=sys.stdout, place=receiver.place_of)
    except KeyboardInterrupt:
        echo(f"\nThe run goes on. To see it again: framerelay show {run_id} --watch", err=True)
        raise
    if as_json:
        print_json(run)
    return exit_code(run)


def print_run(receiver: Receiver, run: shapes.Run, as_json: bool) -> None:
    """The current state of the run, drawn or as JSON."""
    if as_json:
        print_json(run)
    else:
        from framerelay.cli.picture import whole_lines
        from framerelay.cli.watch import console_on, show_lines

        show_lines(console_on(sys.stdout), whole_lines(run, now=time.time(), place=receiver.place_of))


def fit_to_terminal(line: str, run_id: str = "") -> str:
    """On a terminal a line of a list stays one line; if it does not fit, it is cut, first the *run_id* at its start."""
    if not sys.stdout.isatty():
        return line
    from rich.cells import cell_len, set_cell_size

    columns = shutil.get_terminal_size().columns
    if run_id and cell_len(line) > columns:
        line = line.replace(run_id, run_id[:ID_CHARS], 1)
    return set_cell_size(line, columns).rstrip()
