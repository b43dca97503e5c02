"""What `--dry-run` says on the page about changing a film is what it says."""

import random
import re
from pathlib import Path

from framerelay.api.amend_view import amend_outlook_view
from framerelay.cli.amend import outlook_lines
from framerelay.runs.amend_outlook import amend_outlook
from framerelay.runs.model import Run, RunId, RunStatus
from framerelay.storyboards.storyboard import read_storyboard, start_run
from tests.runs.amend_world import AmendWorld
from tests.runs.world import PATIENT

PAGE = (Path(__file__).parents[2] / "docs" / "changing-a-film.md").read_text(encoding="utf-8")
BOARDS = {name: text for name, text in re.findall(r"```yaml\n# (\S+)\n(.*?)```", PAGE, re.S)}


def run_of(name: str, *, picture: str = "street") -> Run:
    board = read_storyboard(BOARDS[name], form="yaml").with_files({"./refs/street.png": f"file:given/{picture}.png"})
    return start_run(board, run_id=RunId("run_1"), now=0.0, terms=PATIENT)


def film_of(run: Run) -> AmendWorld:
    world = AmendWorld(run=run, chance=random.Random(1), loss=0, death=0)
    world.settle()
    assert world.run.status is RunStatus.SUCCEEDED
    return world


def test_each_worked_case_says_what_the_command_says() -> None:
    """One after the other, as they are typed there."""
    night = film_of(run_of("film.yaml"))
    sentences = []
    for other in (run_of("moved.yaml"), run_of("closer.yaml")):
        sentences.append(foretold(night.run, other))
        night.amend(other)
        night.settle()
    sentences.append(foretold(film_of(run_of("counted.yaml")).run, run_of("longer.yaml")))
    sentences.append(foretold(film_of(run_of("film.yaml")).run, run_of("film.yaml", picture="crowd")))

    texts = [text for text in re.findall(r"```text\n(.*?)```", PAGE, re.S) if "to the end of the film" in text]
    assert texts == sentences
    assert foretold(night.run, run_of("moved.yaml")).startswith("no shot is made again; 0 jobs"), "as before"


def foretold(run: Run, other: Run) -> str:
    lines = outlook_lines(amend_outlook_view(amend_outlook(run, other, 1.0)))
    return "".join(f"{line}\n" for line in lines)
