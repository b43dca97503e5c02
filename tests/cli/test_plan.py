"""`plan`, as typed: without a receiver, a key or a network."""

import json
import re
from typing import Any

BOARD = """\
title: 霓虹雨夜
model: seedance-1.5-pro-720p
budget: {jobs: 2}
defaults: {watermark: true}
shots:
  - {id: s1, prompt: 跑车驶过街道, first_frame: ./street.png}
  - {id: s2, prompt: 镜头拉近, gate: approve, takes: 2}
"""
PNG = "\x89PNG\r\n\x1a\n".encode("latin-1")


def test_a_plan_needs_nobody_and_says_what_it_would_cost(shell: Any) -> None:
    """The tree, the jobs, the budget, and a warning with its line; exit 0 although there are warnings."""
    (shell.folder / "street.png").write_bytes(PNG + b"one")
    result = shell.run("plan", shell.write("film.yaml", BOARD))

    assert (result.code, result.err) == (0, "")
    words = "begins with the last frame of s1, waits for your approval, 2 takes, then your pick"
    assert re.search(rf"└── s2 +{words} +镜头拉近$", result.out, re.M)
    assert "3 jobs if nothing fails; at most 2 jobs (budget); 2 shots one after another" in result.out
    assert re.search(r"^! line 3, budget.jobs: .*raise it to 3 or more$", result.out, re.M)
    assert re.search(r"^! line 4, defaults.watermark: .*return_last_frame: true.* \(s1\)$", result.out, re.M)
    assert result.last == "to start it: framerelay run film.yaml"
    spaced_result = shell.run("plan", shell.write("雨 夜.yaml", BOARD))
    assert spaced_result.last == "to start it: framerelay run '雨 夜.yaml'"
    assert not (shell.folder / "data").exists()


def test_a_shot_that_another_provider_makes_says_so(shell: Any) -> None:
    """The head names who makes the first one; a shot names who makes it where that is another."""
    shots = (
        "shots:\n  - {id: s1, prompt: a}\n  - {id: s2, prompt: b}\n  - {id: s3, prompt: c, provider: fal, model: m}\n"
    )
    result = shell.run("plan", shell.write("film.yaml", f"title: Rain\nprovider: kling\nmodel: kling-3.0\n{shots}"))
    assert result.out.splitlines()[0] == "Rain · kling · kling-3.0"
    assert re.search(r"└── s3 +begins with the last frame of s2, made by fal · m +c$", result.out, re.M)
    assert result.out.count("made by") == 1


def test_a_mistake_in_the_settings_file_is_not_taken_for_one_of_the_storyboard(shell: Any) -> None:
    """It is reported with the name of that file, and is exit 1; so is a provider of the settings that is not there."""
    shell.write("film.yaml", "model: m\nshots: [{prompt: a}]\n")
    shell.write("framerelay.yaml", "providers:\n  kling: {jobs_at_once: 0}\n")
    for words in (("plan", "film.yaml"), ("providers",), ("provider", "show", "kling")):
        result = shell.run(*words)
        assert result.code == 1
        assert "framerelay.yaml, line 2, providers.kling.jobs_at_once: expected a whole number" in result.sentence
    shell.write("framerelay.yaml", "providers: {kling: {}}\n")
    assert (
        "FRAMERELAY_PROVIDER: there is no provider" in shell.having(PROVIDER="klin").run("plan", "film.yaml").sentence
    )


def test_a_bad_storyboard_is_exit_2_with_every_mistake(shell: Any) -> None:
    """As `run` tells them; a file that is missing or no picture is one of them."""
    missing = shell.run("plan", shell.write("film.yaml", BOARD))
    assert (missing.code, missing.out) == (2, "")
    assert "there is no file ./street.png" in missing.sentence
    (shell.folder / "street.png").write_bytes(b"no picture")
    assert "shots[0].first_frame: ./street.png: the file is not a PNG" in shell.run("plan", "film.yaml").sentence
    assert shell.run("plan", "nowhere.yaml").code == 2


def test_the_id_is_the_one_by_which_the_receiver_knows_it(relay: Any) -> None:
    """It holds when the pictures were handed over; with another picture it is another plan."""
    (relay.folder / "street.png").write_bytes(PNG + b"one")
    plan = json.loads(relay.run("plan", relay.write("film.yaml", BOARD), "--json").out)
    name = relay.api_post("/v1/files", PNG + b"one")["name"]
    answer = relay.api_post("/v1/plan", BOARD.replace("./street.png", name).encode(), kind="application/yaml")
    assert plan == answer

    (relay.folder / "street.png").write_bytes(PNG + b"two")
    assert json.loads(relay.run("plan", "film.yaml", "--json").out)["id"] != plan["id"]
