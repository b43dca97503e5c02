"""What a run waits for, asked of the person who watches it at a terminal: approvals and picks."""

from collections.abc import Callable
from typing import Final

import click

from framerelay.api import shapes
from framerelay.api.words import waits_for
from framerelay.cli.client import Receiver, ReceiverRefusal
from framerelay.cli.output import echo
from framerelay.languages.catalogs import joint, translate
from framerelay.runs.text import join_names, number_of, printable

Verdict = tuple[str, dict[str, object]]


def answer(receiver: Receiver, run: shapes.Run) -> bool:
    """
    Ask about each shot of *run* that waits for an approval or a pick, and decide accordingly; whether anything may have
    changed.

    Decisions that need more than a word are left to the commands that the picture of the run names; so is everything
    once the person presses Ctrl-C or Ctrl-D. Raises: CommandError.
    """
    waiting = [shot for shot in run.shots if shot.status == "waiting" and waits_for(shot) in _QUESTIONS]
    changed = False
    for shot in waiting if run.status == "waiting" else ():
        try:
            decision = _QUESTIONS[waits_for(shot)](shot)
        except click.Abort:
            click.echo()
            return changed
        if decision is not None:
            changed = True
            _decide(receiver, run, shot, decision)
    return changed


def _decide(receiver: Receiver, run: shapes.Run, shot: shapes.Shot, decision: Verdict) -> None:
    """Somebody else may have been faster: that is reported, and watching continues."""
    word, body = decision
    try:
        receiver.post(f"/v1/runs/{run.id}/shots/{shot.id}/{word}", shapes.Run, json=body)
    except ReceiverRefusal as refusal:
        click.echo(printable(translate(f"  {refusal}")), err=True)


def _approval(shot: shapes.Shot) -> Verdict | None:
    """Yes, no, or another prompt, now that the frame that it begins with exists."""
    if shot.prompt:
        click.echo(printable(f"  {shot.id}{joint(': ')}{shot.prompt}"))
    question = f"Approve {shot.id} for {number_of('job', shot.takes_wanted)}? [y, N, p: with another prompt]"
    match _word(question, ("y", "n", "p")):
        case "y":
            return "approve", {}
        case "p":
            prompt = _ask("Prompt:")
            return ("approve", {"prompt": prompt}) if prompt else None
        case _:
            return None


def _pick(shot: shapes.Shot) -> Verdict | None:
    """The number of a take that is done, or nothing."""
    numbers = tuple(str(take.number) for take in shot.takes if take.status == "done")
    number = _word(f"Pick take {join_names(numbers, 'or')} of {shot.id}? [a number; Enter: later]", numbers)
    return ("pick", {"take": int(number)}) if number else None


def _word(question: str, words: tuple[str, ...]) -> str:
    """One of *words*, or nothing: a slip of a finger must not spend anything."""
    while reply := _ask(question).lower():
        if reply in words:
            return reply
        echo(f"Type {join_names(words, 'or')}, or Enter.", err=True)
    return ""


def _ask(question: str) -> str:
    text: str = click.prompt(translate(question), default="", show_default=False, prompt_suffix=" ")
    return text.strip()


_QUESTIONS: Final[dict[str, Callable[[shapes.Shot], Verdict | None]]] = {"approval": _approval, "pick": _pick}
