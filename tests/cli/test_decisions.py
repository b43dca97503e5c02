"""A person's decisions as typed: `resume`, `adopt`, `retake`, `pick`, `replay`, and what they say if they cannot be."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ONE = "title: one\nmodel: seedance-1.5-pro-720p\nshots: [{id: s1, prompt: a car}]\n"
GATED = "title: one night\nmodel: m\nshots: [{id: s1, prompt: a car, gate: approve}]\n"
TWO = "title: two\nmodel: seedance-1.5-pro-720p\nshots: [{id: s1, prompt: a car}, {id: s2, prompt: closer}]\n"


def ended_run(shell: Any, board: str, code: int = 0) -> str:
    """The id of a run of *board* that was watched until the command left with *code*."""
    result = shell.run("run", shell.write("board.yaml", board), "--watch")
    assert result.code == code, result
    return str(result.out.splitlines()[0].removeprefix("run: "))


@pytest.fixture(scope="module")
def film(relay: Any) -> str:
    """A run of two shots that has its film."""
    return ended_run(relay, TWO)


@pytest.mark.parametrize(
    "words",
    [
        ("resume", "run_x"),
        ("remove", "run_x"),
        ("retake", "run_x", "s1"),
        ("pick", "run_x", "s1", "1"),
        ("approve", "run_x", "s1"),
        ("adopt", "job_1", "--run", "run_x", "--shot", "s1"),
        ("replay", "cb_x"),
    ],
)
def test_a_decision_about_what_is_not_there_is_one_sentence(relay: Any, words: tuple[str, ...]) -> None:
    """Exit 1, nothing on standard output, and where to look for what was mistyped."""
    result = relay.run(*words)
    assert (result.code, result.out) == (1, "")
    missing = "such callback, or it is no longer kept" if words[0] == "replay" else "run run_x"
    lists = "callbacks" if words[0] == "replay" else "runs"
    assert result.sentence == f"there is no {missing}; `framerelay {lists}` lists them"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("pick", "run_x", "s1"), "Missing argument 'TAKE'"),
        (("pick", "run_x", "s1", "0"), "0 is not in the range x>=1"),
        (("retake", "run_x", "s1", "--seed", "-2"), "-2 is not in the range"),
        (("adopt", "job_1", "--run", "run_x"), "Missing option '--shot'"),
        (("resume",), "Missing argument 'RUN'"),
        (("resume", "run_x", "--money", "nan"), "'--money': expected an ordinary number, found nan"),
        (("promote", "run_x", "--money", "inf"), "'--money': expected an ordinary number, found inf"),
    ],
)
def test_what_cannot_be_meant_is_exit_2_and_says_how_to_ask(shell: Any, words: tuple[str, ...], complaint: str) -> None:
    """Before anything is contacted: there is no receiver in this folder."""
    result = shell.run(*words)
    assert (result.code, result.out) == (2, "")
    assert complaint in result.err


def test_a_wrong_shot_take_or_moment_is_one_sentence_and_changes_nothing(relay: Any, film: str) -> None:
    """The words name what is missing, or what prevents it."""
    before = relay.view(film)
    for words, sentence in (
        (("retake", film, "s9"), "the run has no shot s9"),
        (("approve", film, "s9"), "the run has no shot s9"),
        (("pick", film, "s2", "7"), "shot s2 has no take 7"),
        (("adopt", "job_9", "--run", film, "--shot", "s9"), "the run has no shot s9"),
        (("adopt", "no id", "--run", film, "--shot", "s1"), "job_id is missing, or is not an id"),
        (("adopt", "job_9", "--run", film, "--shot", "s1"), "shot s1 is done"),
        (("resume", film), "the run has succeeded"),
        (("retake", film, "s2", "--prompt", " "), "prompt is empty, or is not text"),
    ):
        result = relay.run(*words)
        sentence_shown = result.sentence.removesuffix("; `framerelay show RUN` names its shots")
        assert (result.code, result.out, sentence_shown) == (1, "", sentence), words
    assert relay.view(film) == before


def test_a_shot_is_made_once_more_and_the_old_take_picked_again(relay: Any, provider: Any) -> None:
    """`retake` spends one submit and the film is joined again; `pick` goes back and spends nothing."""
    film = ended_run(relay, TWO)
    submits = len(provider.journal()["submits"])
    result = relay.run("retake", film, "s2", "--prompt", "from above", "--seed", "40", "--json")
    assert (result.code, result.err) == (0, "")
    assert (json.loads(result.out)["status"], json.loads(result.out)["submits_to_come"]) == ("running", 1)

    again = relay.run("show", film, "--watch")
    assert (again.code, again.last.startswith("film: /")) == (0, True)
    run = relay.view(film)
    assert (run["shots"][1]["picked"], run["shots"][1]["takes"][1]["seed"]) == (2, 40)
    assert len(provider.journal()["submits"]) == submits + 1


def test_a_retake_at_a_terminal_says_what_it_spends_and_asks(relay: Any, provider: Any) -> None:
    """A no spends nothing; with --yes, with --json or without a terminal nobody is asked."""
    film = ended_run(relay, TWO)
    submits, before = len(provider.journal()["submits"]), relay.view(film)
    sentence = "shot s1 is made again, for 1 job; s2 is made from the old take, and is stale until it is retaken"

    screen, code = relay.on_a_terminal("retake", film, "s1", keys="n\n")

    assert sentence in " ".join(screen.split())
    assert (code, "nothing was done" in screen) == (1, True)
    assert relay.view(film) == before
    screen, code = relay.on_a_terminal("retake", film, "s1", keys="y\n")
    assert (code, sentence in " ".join(screen.split())) == (0, True)
    assert relay.run("show", film, "--watch").code == 0
    assert "stale: s1 has changed since" in relay.run("show", film).out
    screen, code = relay.on_a_terminal("retake", film, "s2", "--yes")
    assert (code, "Go on?" in screen) == (0, False)
    assert relay.run("show", film, "--watch").code == 0
    assert [shot["stale"] for shot in relay.view(film)["shots"]] == [False, False]
    assert len(provider.journal()["submits"]) == submits + 2


def test_what_cannot_be_undone_is_asked_about_at_a_terminal(relay: Any) -> None:
    """The question has the title and the whole id, since the beginning of an id was enough; a script is not asked."""
    run_id = relay.run("run", relay.write("gated.yaml", GATED)).out.strip().removeprefix("run: ")
    short = run_id[:-4]

    screen, code = relay.on_a_terminal("cancel", short, keys="n\n")
    assert (code, "nothing was done" in screen) == (1, True)
    assert f'"one night" ({run_id}): nothing more is submitted, for good. Go on?' in " ".join(screen.split())
    assert relay.view(run_id)["status"] == "waiting"
    screen, code = relay.on_a_terminal("cancel", "last", keys="y\n")
    assert (code, relay.view(run_id)["status"]) == (0, "cancelled")

    screen, code = relay.on_a_terminal("remove", short, keys="\n")
    question = f'"one night" ({run_id}) is removed with its history; there is no way back. Go on?'
    assert (code, question in " ".join(screen.split())) == (1, True)
    screen, code = relay.on_a_terminal("remove", short, "--yes")
    assert (code, "Go on?" in screen, f"removed {run_id}" in screen) == (0, False, True)

    other = relay.run("run", "gated.yaml").out.strip().removeprefix("run: ")
    assert relay.run("cancel", other[:-4]).code == 0, "no terminal: not asked"
    assert relay.run("remove", other[:-4]).out == f"removed {other} and its files\n"


def test_the_beginning_of_an_id_is_enough_for_every_command(relay: Any, film: str, tmp_path: Path) -> None:
    """And `last` is the newest; what is printed, and the folder of an export, have the whole id."""
    short = film[:-4]
    assert relay.run("show", short).out == relay.run("show", film).out
    assert json.loads(relay.run("watch", short, "--json").out)["id"] == film
    assert json.loads(relay.run("show", "last", "--json").out)["id"].startswith("run_")
    export = json.loads(relay.run("export", short, "--json").out)
    assert (export["run"], Path(export["folder"]).name) == (film, film)
    assert relay.run("notifications", "--run", short).code == 0
    hint = relay.run("replay", "last").err
    newest = json.loads(relay.run("callbacks", "--limit", "1", "--json").out)["data"][0]["id"]
    assert hint == f"To do it: framerelay replay {newest} --yes\n"
    too_short = relay.run("show", film[:7])
    assert (too_short.code, too_short.sentence) == (1, f"there is no run {film[:7]}; `framerelay runs` lists them")


def test_a_clip_that_was_refused_is_fetched_after_a_resume(provider: Any, tmp_path: Path, tools: Any) -> None:
    """Fix the cause, `resume`: it says that nothing new is submitted, and nothing is."""
    shell = tools.shell_for(tmp_path / "here", provider.url, TRUSTED_HOSTS="")
    with tools.up_in(shell):
        run_id = ended_run(shell, ONE, code=5)
    submits = len(provider.journal()["submits"])
    trusting = shell.having(TRUSTED_HOSTS=provider.url.removeprefix("http://"))
    with tools.up_in(trusting):
        result = trusting.run("resume", run_id)
        assert (result.code, run_id in result.out) == (0, True)
        assert result.err == "it goes on from what is there: no new submits to its end, if nothing fails\n"
        assert trusting.run("show", run_id, "--watch").code == 0
        again = trusting.run("resume", run_id)
        assert (again.code, again.sentence) == (1, "the run has succeeded")
    assert len(provider.journal()["submits"]) == submits


@pytest.fixture(scope="module")
def deaf(tmp_path_factory: pytest.TempPathFactory, tools: Any) -> Iterator[tuple[Any, Any]]:
    """A provider that takes every submit, answers 500 and never calls back; and a shell with `up` that meets it."""
    with tools.sandbox_in(tmp_path_factory.mktemp("deaf"), "--accept-then-500", "1", "--lose", "1") as sandbox:
        shell = tools.shell_for(tmp_path_factory.mktemp("up"), sandbox.url, LOOKUP_AFTER_S="0.5")
        with tools.up_in(shell):
            yield sandbox, shell


def test_a_job_that_was_lost_is_brought_in(deaf: Any) -> None:
    """Exit 4 until a person names the job; then the run goes on from it, and no second one is submitted."""
    sandbox, shell = deaf
    run_id = ended_run(shell, ONE, code=4)
    (job,) = sandbox.journal()["jobs"]
    result = shell.run("adopt", job["id"], "--run", run_id, "--shot", "s1", "--json")
    assert (result.code, result.err) == (0, "")
    (take,) = json.loads(result.out)["shots"][0]["takes"]
    assert (take["status"], take["job_id"]) == ("generating", job["id"])

    assert shell.run("show", run_id, "--watch").code == 0
    twice = shell.run("adopt", job["id"], "--run", run_id, "--shot", "s1")
    assert (twice.code, twice.out) == (1, ""), "it is there already, which changes nothing"
    assert job["id"] in twice.sentence
    assert len(sandbox.journal()["submits"]) == 1


def test_a_callback_is_processed_again_only_with_yes(relay: Any, film: str) -> None:
    """Without it the command says what it would do, and how to do it."""
    callbacks = json.loads(relay.run("callbacks", "--limit", "200", "--json").out)["data"]
    callback = next(each for each in callbacks if each["run"] == film)
    would = f"do nothing: take {callback['take']} of shot {callback['shot']} of run {film} is done, and that is final"

    result = relay.run("replay", callback["id"])
    assert (result.code, result.out) == (0, f"It would {would}.\n")
    assert result.err == f"To do it: framerelay replay {callback['id']} --yes\n"
    answer = json.loads(relay.run("replay", callback["id"], "--yes", "--json").out)
    assert (answer["done"], answer["replay_of"], answer["may_spend"]) == (True, callback["id"], False)
    assert relay.view(film)["spent"]["jobs"] == 2
