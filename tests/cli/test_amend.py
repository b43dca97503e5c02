"""`storyboard` and `amend` as typed: what is printed, what is asked, and a worker that dies in the middle."""

import json
import signal
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

FILM = """\
# The film of the rain.
title: rain
model: seedance-1.5-pro-720p
shots:
  - {id: s1, prompt: a car}   # It must be red.
  - {id: s2, prompt: closer}
"""
LONGER = FILM + "  - {id: s3, prompt: the key}\n"


def started(shell: Any, board: str, name: str = "film.yaml") -> str:
    """The id of a run of *board* that has its film."""
    result = shell.run("run", shell.write(name, board), "--watch")
    assert result.code == 0, result
    return str(result.out.splitlines()[0].removeprefix("run: "))


def test_a_storyboard_is_printed_as_it_was_given_and_starts_again(relay: Any) -> None:
    """With its comments; as JSON what they say; into `run` it is another run of the same shots."""
    run_id = started(relay, FILM)
    result = relay.run("storyboard", run_id)
    as_json = relay.run("storyboard", run_id, "--json")
    again = relay.run("run", "-", input=result.out)

    assert (result.code, result.out) == (0, FILM)
    assert json.loads(as_json.out)["shots"][0] == {"id": "s1", "prompt": "a car"}
    assert again.code == 0, again
    other = relay.view(again.out.removeprefix("run: ").split()[0])
    assert other["id"] != run_id
    assert [shot["prompt"] for shot in other["shots"]] == ["a car", "closer"]


def test_a_dry_run_is_a_sentence_and_lists_and_an_amendment_the_run(relay: Any) -> None:
    """The first changes nothing; the second goes on as predicted, and another try is refused in a sentence."""
    run_id = started(relay, FILM)
    relay.write("longer.yaml", LONGER)
    revision = relay.view(run_id)["revision"]
    dry = relay.run("amend", run_id, "longer.yaml", "--dry-run")
    as_json = relay.run("amend", run_id, "longer.yaml", "--dry-run", "--json")
    untouched_revision = relay.view(run_id)["revision"]
    result = relay.run("amend", run_id, "longer.yaml")
    watched_result = relay.run("watch", run_id)
    again = relay.run("amend", run_id, "longer.yaml")

    assert (dry.code, dry.out.splitlines()) == (
        0,
        ["s3 is added; 1 job to the end of the film", "  kept: s1 and s2", "  added: s3"],
    )
    assert json.loads(as_json.out)["add"] == ["s3"]
    assert untouched_revision == revision
    assert (result.code, watched_result.code) == (0, 0), (result, watched_result)
    assert "s3" in result.out
    assert (again.code, again.sentence) == (1, "the run is what this storyboard says already")


def test_at_a_terminal_it_says_what_it_spends_and_asks(relay: Any) -> None:
    """No means that nothing was done; --yes does not ask."""
    run_id = started(relay, FILM)
    relay.write("longer.yaml", LONGER)
    screen, code = relay.on_a_terminal("amend", run_id, "longer.yaml", keys="n\n")
    before = relay.view(run_id)
    silent_screen, _ = relay.on_a_terminal("amend", run_id, "longer.yaml", "--yes")

    assert code == 1
    assert f'"rain" ({run_id}): s3 is added; 1 job to the end of the film.' in " ".join(screen.split())
    assert "nothing was done" in screen
    assert len(before["shots"]) == 2
    assert "Go on?" not in silent_screen
    assert len(relay.view(run_id)["shots"]) == 3


def test_a_picture_of_the_same_name_is_recognized_by_its_bytes(relay: Any, picture: bytes) -> None:
    """The file is next to the storyboard; another one in its place makes the shot again."""
    board = "title: one\nmodel: m\nshots: [{id: s1, prompt: a car, first_frame: car.png}]\n"
    (relay.folder / "car.png").write_bytes(picture)
    run_id = started(relay, board)
    same = relay.run("amend", run_id, "film.yaml", "--dry-run")
    (relay.folder / "car.png").write_bytes(picture + b"\0")
    other = relay.run("amend", run_id, "film.yaml", "--dry-run")

    assert same.sentence == "the run is what this storyboard says already"
    assert other.out.startswith("s1 is made as it is written now; 1 job to the end of the film")


@pytest.fixture
def picture() -> bytes:
    """A PNG that somebody drew."""
    place = Path(__file__).parent.parent.parent / "docs" / "samples" / "refs"
    return next(iter(sorted(place.glob("*.png")))).read_bytes()


@pytest.mark.slow
def test_a_film_amended_in_flight_while_its_worker_is_killed_is_finished_and_nothing_is_paid_twice(
    tools: Any, tmp_path: Path
) -> None:
    """Two jobs under way, kill -9, another storyboard, a new worker: each clip is kept, the film is of the last."""
    with tools.sandbox_in(tmp_path, "--job-s", "2") as sandbox:
        shell = replace(tools.shell_for(tmp_path / "relay", sandbox.url, LOOKUP_AFTER_S=1), program=tools.program)
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        with tools.up_in(shell, word="receiver"):
            worker = shell.start("worker", **quiet)
            run_id = shell.run("run", shell.write("film.yaml", FILM + "  - {id: s3, prompt: a field, from: cut}\n"))
            run_id = run_id.out.removeprefix("run: ").split()[0]
            tools.wait_for(lambda: len(sandbox.journal()["jobs"]) == 2, "two jobs are under way")
            worker.send_signal(signal.SIGKILL)
            worker.wait(timeout=90)
            result = shell.run("amend", run_id, shell.write("other.yaml", LONGER.replace("a car", "a bicycle")))
            worker = shell.start("worker", **quiet)
            watched_result = shell.run("watch", run_id)
            tools.wait_for(lambda: _all_kept(shell.view(run_id)), "all clips are kept")
            run, submits = shell.view(run_id), sandbox.journal()["submits"]
            worker.send_signal(signal.SIGINT)
            assert worker.wait(timeout=90) == 0

    assert (result.code, watched_result.code) == (0, 0), (result, watched_result)
    assert [shot["prompt"] for shot in run["shots"]] == ["a bicycle", "closer", "the key"]
    assert run["film"]["takes"] == {"s1": 2, "s2": 1, "s3": 2}
    assert len(submits) == 5, "two of the first storyboard, three of the last"
    assert run["spent"]["jobs"] == 5


def _all_kept(run: dict[str, Any]) -> bool:
    takes = [take for shot in (*run["shots"], *run["dropped"]) for take in shot["takes"]]
    return len(takes) == 5 and all(take["video"] for take in takes)
