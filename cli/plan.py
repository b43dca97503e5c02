"""`plan`: what a storyboard would do and cost. It asks nobody: no receiver, no key, no network."""

import shlex
import sys
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from framerelay.api.views import plan_view
from framerelay.cli.boards import read_board
from framerelay.cli.picture import PictureLine
from framerelay.cli.runs import print_json
from framerelay.cli.settings import settings_of_command
from framerelay.cli.settings_file import providers_of
from framerelay.languages.catalogs import joint, translate
from framerelay.network.policy import TrustedHosts
from framerelay.runs.errors import Mistake, RequestInvalid, StoryboardInvalid
from framerelay.runs.model import Shot
from framerelay.runs.text import amount_words, number_of, printable, range_words
from framerelay.store.files import picture_name
from framerelay.storyboards.plan import Plan, plan_of
from framerelay.storyboards.storyboard import Storyboard
from framerelay.upstream.abilities import ability_checks
from framerelay.upstream.picture_check import HEAD_BYTES, GivenPicture, picture_in
from framerelay.upstream.quotes import with_estimates

PROMPT_CHARS: Final = 60
WHOLE: Final = 1000  # Columns that nothing here fills: an output that is not a terminal gets lines that are not cut.


def show_plan(path: Path, *, as_json: bool) -> int:
    """Print the plan; its id is the one that the receiver will compute once the pictures are uploaded."""
    settings = settings_of_command()
    providers = providers_of(settings)
    board, pictures = _name_files(*read_board(path))
    board = with_estimates(board, providers)
    plan = plan_of(board, TrustedHosts(settings.trusted_hosts), more=ability_checks(board, providers, pictures))
    if as_json:
        print_json(plan_view(plan))
        return 0
    console = Console(highlight=False, soft_wrap=not sys.stdout.isatty(), width=None if sys.stdout.isatty() else WHOLE)
    console.print(_tree(plan))
    console.print(translate(_tally(plan)), markup=False)
    console.print(translate(_cost_words(plan)), markup=False)
    for caution in plan.cautions:
        for row in PictureLine(text=f"! {translate(str(caution))}").rows(console):
            console.print(row, style="yellow", markup=False)
    begin = f"to start it: framerelay run {shlex.quote(str(path))}"
    console.print(translate(begin), markup=False, style="dim", soft_wrap=True)
    return 0


def _name_files(board: Storyboard, folder: Path) -> tuple[Storyboard, dict[str, GivenPicture]]:
    """
    *board* with its files under the names that they will have, so that another picture makes another plan.

    With what each picture is, by that name.
    """
    names: dict[str, str] = {}
    pictures: dict[str, GivenPicture] = {}
    mistakes: list[Mistake] = []
    for name, places in board.local_files().items():
        try:
            content = (folder / name).read_bytes()
            names[name] = f"file:{picture_name(content)}"
            if picture := picture_in(content[:HEAD_BYTES], size_bytes=len(content)):
                pictures[names[name]] = picture
        except (RequestInvalid, OSError) as error:
            mistakes.append(Mistake(place=places[0], message=f"{name}: {error}"))
    if mistakes:
        raise StoryboardInvalid(mistakes)
    return board.with_files(names), pictures


def _tree(plan: Plan) -> Tree:
    usual = _maker(plan, plan.shots[0])
    draft = f" · {translate('draft')}" if plan.is_draft else ""
    tree = Tree(Text(f"{printable(plan.title)} · {usual}{draft}", "bold"), guide_style="dim")
    width = min(16, max(len(shot.id) for shot in plan.shots))
    for scene, shots in plan.scenes():
        branch = tree.add(Text(scene))
        for shot in shots:
            by = _maker(plan, shot)
            parts = (
                (f"{shot.id:<{width}}", "bold"),
                f" {_words(shot, by if by != usual else '')}  ",
                (_prompt(shot), "dim"),
            )
            branch.add(Text.assemble(*parts, no_wrap=True, overflow="ellipsis"))
    return tree


def _maker(plan: Plan, shot: Shot) -> str:
    """Provider and model: ``kling · kling-3.0``; only the model if the provider is that of the settings."""
    return printable(" · ".join(filter(None, (shot.provider or plan.provider, shot.model or plan.model))))


def _words(shot: Shot, by: str) -> str:
    """Where it begins and ends, who makes it if not the same as the first, and what it costs beyond one job."""
    start = "your picture" if shot.first_frame else "the prompt alone"
    words = [f"begins with {f'the last frame of {shot.source}' if shot.source else start}"]
    if by:
        words.append(f"made by {by}")
    if shot.last_frame:
        words.append("ends on your picture")
    if shot.gated:
        words.append("waits for your approval")
    if shot.takes_wanted > 1:
        words.append(f"{shot.takes_wanted} takes, {'the first that is done' if shot.pick_first else 'then your pick'}")
    return joint(", ").join(map(translate, words))


def _prompt(shot: Shot) -> str:
    prompt = printable(shot.input["prompt"])
    return prompt if len(prompt) <= PROMPT_CHARS else f"{prompt[: PROMPT_CHARS - 1]}…"


def _tally(plan: Plan) -> str:
    jobs = f"{number_of('job', plan.jobs)} if nothing fails"
    chain = f"; {plan.longest_chain} shots one after another in the longest chain" if plan.longest_chain > 1 else ""
    return f"{jobs}; {_budget_words(plan)}{chain}"


def _cost_words(plan: Plan) -> str:
    """An approximate amount; an unknown price is reported, not left out."""
    if plan.cost is not None:
        return f"{range_words(plan.cost.low, plan.cost.high, plan.cost.currency)} if nothing fails"
    models = sorted({shot.model or plan.model for shot in plan.shots if shot.estimate is None})
    words = f"no price is known for {', '.join(map(printable, models))}"
    return words if models else "the prices are in more than one currency"


def _budget_words(plan: Plan) -> str:
    currency = plan.currency or (plan.cost.currency if plan.cost else "")
    limits = [
        *([number_of("job", plan.budget_jobs)] if plan.budget_jobs else []),
        *([amount_words(plan.budget_money, currency)] if plan.budget_money else []),
    ]
    return f"at most {' and '.join(limits)} (budget)" if limits else "no limit (budget: {jobs: …} sets one)"
