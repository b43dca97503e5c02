"""The first things that a newcomer types: `init`, `login`, `open`, and `--help`."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from framerelay.cli.main import cli
from framerelay.cli.options import SECTIONS


def test_each_command_is_listed_once_with_those_for_the_same_purpose() -> None:
    """One that is in no section would not be seen."""
    names = [name for _, names in SECTIONS for name in names]

    assert sorted(names) == sorted(set(names))
    assert set(cli.commands) - set(names) == set()


def test_help_says_what_belongs_together(shell: Any) -> None:
    """Sections, and each command's first sentence."""
    text = shell.run("--help").out

    assert [f"{title}:" in text for title, _ in SECTIONS] == [True] * len(SECTIONS)
    assert "  init           Write a storyboard to start from: three chained shots." in text


@pytest.mark.parametrize(
    ("provider", "models"),
    [
        ({}, ["seedance-1.5-pro-720p"]),
        ({"PROVIDER": "ark"}, ["doubao-seedance-1-5-pro-251215"]),
        ({"PROVIDER": "fal"}, ["bytedance/seedance-2.0/image-to-video", "bytedance/seedance-2.0/text-to-video"]),
    ],
    ids=["jobs", "ark", "fal"],
)
def test_a_storyboard_to_start_from_can_be_planned_at_once(
    shell: Any, provider: dict[str, str], models: list[str]
) -> None:
    """For the provider that is set up, without a word of warning about models or frames."""
    there = shell.having(**provider)
    result = there.run("init")
    planned_result = there.run("plan", "film.yaml", "--json")

    assert (result.code, result.out) == (0, "wrote film.yaml; what it would do and cost: framerelay plan film.yaml\n")
    assert planned_result.code == 0, planned_result
    plan = json.loads(planned_result.out)
    assert [shot["id"] for scene in plan["scenes"] for shot in scene["shots"]] == ["arrive", "door", "hall"]
    assert [each for each in plan["warnings"] if "model" in each["message"] or "frame" in each["message"]] == []
    text = (there.folder / "film.yaml").read_text(encoding="utf-8")
    assert [model for model in models if f"model: {model}" not in text] == []


def test_a_file_that_is_there_is_left_alone(shell: Any) -> None:
    """Nor is a folder taken for one, or made."""
    shell.write("mine.yaml", "title: mine\n")
    (shell.folder / "folder.yaml").mkdir()

    assert shell.run("init", "mine.yaml").sentence.startswith("mine.yaml is there already: give another name")
    assert shell.run("init", "folder.yaml").code == 1
    assert shell.run("init", "nowhere/film.yaml").sentence.startswith("cannot write nowhere/film.yaml: ")
    assert (shell.folder / "mine.yaml").read_text() == "title: mine\n"
    assert json.loads(shell.run("init", "new.yaml", "--json").out) == {"object": "storyboard", "file": "new.yaml"}


ONE = "title: one\nmodel: seedance-1.5-pro-720p\nshots: [{id: s1, prompt: a car, gate: approve}]\n"


def test_a_link_logs_in_once_and_leads_to_the_run(relay: Any) -> None:
    """Someone who has the receiver's key does not type it into the browser."""
    run_id = relay.run("run", relay.write("one.yaml", ONE)).out.split()[1]
    link = relay.run("login", run_id[:12]).out.strip()
    plain = json.loads(relay.run("login", "--json").out)
    with httpx.Client(trust_env=False) as browser:
        first = browser.get(link)
        page = browser.get(httpx.URL(link).join(first.headers["location"]))
        front = browser.get(plain["url"])
    with httpx.Client(trust_env=False) as other:
        again = other.get(link)
    relay.run("cancel", run_id)

    assert (first.status_code, first.headers["location"]) == (303, f"/runs/{run_id}")
    assert page.status_code == 200
    assert (front.status_code, front.headers["location"]) == (303, "/")
    assert again.status_code == 401


def test_a_link_leads_to_no_other_place(relay: Any) -> None:
    """Anyone who passes it on can change its end."""
    link = relay.run("login").out.strip()
    with httpx.Client(trust_env=False) as browser:
        answer = browser.get(f"{link}&next=//elsewhere.example.com/runs/run_a")

    assert (answer.status_code, answer.headers["location"]) == (303, "/")


def test_the_page_is_opened_in_the_browser_that_there_is(relay: Any, tmp_path: Path) -> None:
    """Python asks BROWSER first; where no browser can be opened the sentence has the link."""
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened\n')
    browser.chmod(0o755)
    page, nothing = (
        replace(relay, settings={**relay.settings, "BROWSER": f"{program} %s"}).run("open")
        for program in (browser, tmp_path / "missing")
    )

    assert page.code == 0, page
    assert "/login?once=" in (tmp_path / "opened").read_text()
    assert nothing.code == 1
    assert "open this one yourself, within ten minutes: http" in nothing.sentence
