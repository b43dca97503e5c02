"""`retake --following`, as typed: the outlook, a worker that is killed in the middle, and what is paid for it."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

TWELVE = "title: twelve\nmodel: seedance-1.5-pro-720p\nbudget: {jobs: 22}\nshots:\n" + "".join(
    f"  - {{id: s{number}, prompt: shot number {number}}}\n" for number in range(1, 13)
)


def file_of(shell: Any, url: str) -> Path:
    """The file behind an address of ours."""
    place: Path = shell.folder / "data" / "media" / url.partition("/media/")[2]
    return place


@pytest.mark.slow
def test_shot_3_of_12_with_all_that_follows_is_paid_for_once_each_though_the_worker_is_killed(
    tmp_path: Path, tools: Any
) -> None:
    """
    `kill -9` with a job in flight: ten jobs for ten shots, and each begins with the exact end of the new take.

    A worker that is killed before it kept the submit's answer learns the job's id from a callback, so that must repeat.
    """
    (tmp_path / "sandbox").mkdir()
    with tools.sandbox_in(tmp_path / "sandbox", "--job-s", "0.1", "--callback-retry-s", "20") as sandbox:
        shell = tools.shell_for(tmp_path / "relay", sandbox.url, LOOKUP_AFTER_S=1)
        shell.write("twelve.yaml", TWELVE)
        with tools.up_in(shell) as up:
            result = shell.run("run", "twelve.yaml", "--watch")
            run_id = result.out.splitlines()[0].removeprefix("run: ")
            before = len(sandbox.journal()["submits"])
            screen, code = shell.on_a_terminal("retake", run_id, "s3", "--following", keys="y\n")
            text = " ".join(screen.split())
            assert "shot s3 is made again, and with it s4, s5, s6, s7, s8, s9, s10, s11 and s12" in text
            assert "for 10 jobs of the 10 left in the budget" in text
            assert code == 0
            tools.wait_for(lambda: len(sandbox.journal()["submits"]) >= before + 4, "it is in the middle of it")
            up.process.kill()
            up.process.wait()
        with tools.up_in(shell):
            ended_result = shell.run("show", run_id, "--watch")
            run = shell.view(run_id)
        journal = sandbox.journal()

    assert (result.code, before, ended_result.code) == (0, 12, 0), ended_result
    assert len(journal["submits"]) == 22
    assert set(journal["jobs_per_callback_url"].values()) == {1}
    assert [len(shot["takes"]) for shot in run["shots"]] == [1, 1] + [2] * 10
    assert [shot["stale"] or shot["following"] for shot in run["shots"]] == [False] * 12
    assert run["film"]["takes"] == {f"s{number}": 1 if number < 3 else 2 for number in range(1, 13)}
    for source, shot in zip(run["shots"], run["shots"][1:], strict=False):
        last_take, next_take = (each["takes"][-1] for each in (source, shot))
        end, beginning = file_of(shell, last_take["last_frame"]["url"]), file_of(shell, next_take["first_frame"]["url"])
        assert end == beginning, "the very file of the new take's last frame"
        assert hashlib.sha256(end.read_bytes()).hexdigest() == last_take["last_frame"]["sha256"]


def test_an_input_field_is_read_as_in_a_storyboard_and_wrong_ones_are_named(relay: Any) -> None:
    """With its place and the nearest name; nothing is spent."""
    board = "title: one\nmodel: seedance-1.5-pro-720p\nshots: [{id: s1, prompt: a car, gate: approve}]\n"
    run_id = relay.run("run", relay.write("gated.yaml", board)).out.strip().removeprefix("run: ")
    for words, code, sentence in (
        (("--input", "duratoin=8"), 1, 'unknown key "duratoin" (did you mean "duration"?)'),
        (("--input", "duration='8'"), 1, 'expected a number, found the text "8": write 8 without quotes'),
        (
            ("--input", "first_frame_url=https://example.com/a.png"),
            1,
            "frames of a shot are those of its storyboard",
        ),
        (("--input", "duration"), 2, "Write --input duration=VALUE."),
    ):
        result = relay.run("approve", run_id, "s1", *words)
        assert (result.code, sentence in result.err) == (code, True), result
    assert relay.run("approve", run_id, "s1", "--input", "ratio=9:16", "--input", "duration=4", "--seed", "9").code == 0
    assert relay.run("show", run_id, "--watch").code == 0
    assert relay.view(run_id)["shots"][0]["takes"][0]["seed"] == 9
    retaken = relay.run("retake", run_id, "s1", "--input", "generate_audio=false", "--prompt", "from above")
    assert retaken.code == 0
    assert relay.run("show", run_id, "--watch").code == 0
    assert relay.view(run_id)["shots"][0]["prompt"] == "from above"


def test_runs_are_listed_by_label_by_words_and_by_what_needs_a_person(relay: Any) -> None:
    """As typed; all that is asked for holds."""
    shots = "model: seedance-1.5-pro-720p\nshots: [{id: s1, prompt: a car, gate: approve}]\n"
    board = f'title: Lanterns\nlabels: {{project: festival, episode: "7"}}\n{shots}'
    run_id = relay.run("run", relay.write("lanterns.yaml", board)).out.strip().removeprefix("run: ")

    def search(*words: str) -> list[str]:
        result = relay.run("runs", "--json", *words)
        assert result.code == 0, result
        return [run["id"] for run in json.loads(result.out)["data"]]

    both = ("--label", "project:festival", "--label", "episode:7")
    assert search(*both, "--search", "lant", "--needs-me") == [run_id]
    assert search("--label", "project:festival", "--label", "episode:8") == []
    assert relay.run("approve", run_id, "s1").code == 0
    assert search(*both, "--needs-me") == []
    nobody = relay.run("runs", "--search", "nothing-of-this-kind")
    assert (nobody.code, nobody.err.strip()) == (0, "no such runs")
    assert relay.run("runs", "--label", "festival").code == 1
