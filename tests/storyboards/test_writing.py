"""The storyboard of a run as it is now: what was given with what was decided since, and read again the same shots."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framerelay.runs.errors import Conflict
from framerelay.runs.model import Run, RunId, Terms, Wording
from framerelay.storyboards.edits import dump_yaml
from framerelay.storyboards.storyboard import Storyboard, read_storyboard, start_run
from framerelay.storyboards.writing import write_storyboard

SAMPLES = sorted((Path(__file__).parent.parent.parent / "docs" / "samples").glob("*.yaml"))
RAIN = """\
# The film of the rain.
title: rain
model: m
budget: {jobs: 9}      # A hard limit.
style: neon, film grain
defaults: {duration: 5, seed: 7}
scenes:
  - id: night
    shots:
      # It must be red.
      - {prompt: a car, resolution: 720p}
      - id: close
        prompt: >-
          closer,
          to the seat
        gate: approve
  - id: day
    model: other
    shots:
      - prompt: "a field"   # Quoted.
        from: close
        takes: 2
        pick: first
"""


def run_of(board: Storyboard) -> Run:
    return start_run(board, run_id=RunId("run_1"), now=0.0, terms=Terms())


def run_and_text(text: str, form: Any = "yaml") -> tuple[Run, Wording]:
    board = read_storyboard(text, form=form, allow_paths=False)
    assert board.wording is not None
    return run_of(board), board.wording


def with_input(run: Run, shot_id: str, **fields: Any) -> Run:
    """As a retake or an approval leaves it; None takes a field out."""
    shot = run.shot(shot_id)
    assert shot is not None
    both = {**shot.input, **fields}
    return run.with_shots(replace(shot, input={name: value for name, value in both.items() if value is not None}))


def again(run: Run, text: str) -> Run:
    """The run that *text* would start."""
    return run_of(read_storyboard(text, form="yaml", allow_paths=False))


def content(run: Run) -> list[Any]:
    return [
        (
            *(shot.id, shot.scene, shot.source, shot.input, shot.first_frame, shot.last_frame, shot.gated),
            *(shot.reaction, shot.takes_wanted, shot.pick_first, run.provider_of(shot), run.model_of(shot), shot.extra),
        )
        for shot in run.story
    ]


@pytest.mark.parametrize("text", [RAIN, *(each.read_text(encoding="utf-8") for each in SAMPLES)])
def test_what_nobody_changed_is_given_back_byte_for_byte(text: str) -> None:
    """Comments, quotes, order and blanks."""
    text = text.replace(" ./refs/", " https://cdn.example.com/")
    run, before = run_and_text(text)

    assert write_storyboard(run, before).text == text


def test_later_decisions_are_written_in_their_place() -> None:
    """A prompt beside the style, one that is folded, a seed, a budget: nothing else of the text is touched."""
    run, before = run_and_text(RAIN)
    run = with_input(run, "s1", prompt="a red car, neon, film grain", seed=41)
    run = with_input(run, "close", prompt="the key: closer, neon, film grain")
    run = replace(run, budget_jobs=12)
    now = write_storyboard(run, before)

    assert now.text == RAIN.replace("jobs: 9", "jobs: 12").replace(
        "{prompt: a car, resolution: 720p}", '{seed: 41, prompt: "a red car", resolution: 720p}'
    ).replace("prompt: >-\n          closer,\n          to the seat\n", 'prompt: "the key: closer"\n')
    assert content(again(run, now.text)) == content(run)
    assert now.document["scenes"][0]["shots"][0]["seed"] == 41


def test_a_prompt_that_was_sent_without_the_style_writes_all_of_them_out() -> None:
    """The style would be added to it; the comments of the shots stay."""
    run, before = run_and_text(RAIN)
    run = with_input(run, "s1", prompt="a bicycle")
    text = write_storyboard(run, before).text

    assert "style:" not in text
    assert "# It must be red." in text
    assert content(again(run, text)) == content(run)


@pytest.mark.parametrize(
    "shots",
    [
        "  - {id: s1, prompt: &one a car}\n  - {id: s2, prompt: *one}\n",
        "  - {id: s1, prompt: a car}\n  - &two {id: s2, prompt: b}\n",
        "  - ? id\n    : s1\n    ? prompt\n    : |\n      a car\n  - {id: s2, prompt: b}\n",
        "  - {id: s1,\n     prompt: 'a\n     car'}\n  - {id: s2, prompt: b} # end",
    ],
)
def test_odd_notation_does_not_mislead_it(shots: str) -> None:
    """Whether it can be edited in place or not: what it says is what the run is."""
    run, before = run_and_text(f"title: t\nmodel: m\nshots:\n{shots}")
    run = with_input(run, "s1", prompt="a red car", duration=7)

    assert content(again(run, write_storyboard(run, before).text)) == content(run)


def test_without_the_text_it_is_written_from_the_shots() -> None:
    """A run of an early version, or one whose text says something else by now; a line at the top tells it."""
    run, before = run_and_text(RAIN)
    for given_text in (None, replace(before, text="model: other\nshots: [{prompt: b}]\n"), replace(before, text="[")):
        now = write_storyboard(run, given_text)
        assert now.text.startswith("# Written from the run: ")
        assert content(again(run, now.text)) == content(run)
        assert now.document["budget"] == {"jobs": 9}


def test_what_was_given_as_json_is_given_back_as_both() -> None:
    """Its values in the order in which they came."""
    document = {"title": "t", "model": "m", "shots": [{"prompt": "a car", "id": "z"}, {"prompt": "霓虹"}]}
    run, before = run_and_text(json.dumps(document), "json")
    run = with_input(run, "z", prompt="a red car")
    now = write_storyboard(run, before)

    assert now.document == {**document, "shots": [{"prompt": "a red car", "id": "z"}, {"prompt": "霓虹"}]}
    assert now.text == "title: t\nmodel: m\nshots:\n- prompt: a red car\n  id: z\n- prompt: 霓虹\n"


def test_uploaded_pictures_are_named_in_the_text_as_it_was_given() -> None:
    """As the names under which they are kept; the comment beside them stays, and so it is read back."""
    text = "title: t\nmodel: m\nshots:\n  # At noon.\n  - {prompt: a, first_frame: ./street.png}  # The street.\n"
    board = read_storyboard(text, form="yaml").with_files({"./street.png": "file:given/0a.png"})

    assert board.wording is not None
    assert board.wording.text == text.replace("./street.png", '"file:given/0a.png"')
    assert write_storyboard(run_of(board), board.wording).text == board.wording.text


def test_a_job_of_somebody_else_is_in_no_storyboard() -> None:
    """We know nothing of what it was asked for."""
    run, before = run_and_text(RAIN)
    run = run.with_shots(replace(run.shots[0], takes_wanted=0))
    with pytest.raises(Conflict, match="a job that somebody else submitted"):
        write_storyboard(run, before)


WORDS = st.text("ab c:#'\"{}[]-,&*!|>%@\\\n霓é\t", min_size=1, max_size=12).filter(lambda text: bool(text.strip()))
SHOT: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"prompt": WORDS},
    optional={
        "seed": st.integers(0, 9),
        "duration": st.sampled_from([4, 5]),
        "resolution": st.just("720p"),
        "from": st.sampled_from(["cut", "continue"]),
        "gate": st.just("approve"),
        "takes": st.integers(1, 3),
        "on_failed": st.sampled_from(["retake", "stop", {"retake": 2}]),
        "on_moderated": st.fixed_dictionaries({}, optional={"generate_audio": st.just(False), "prompt": WORDS}).filter(
            bool
        ),
        "extra": st.dictionaries(st.sampled_from(["a", "b"]), WORDS),
        "model": st.just("other"),
        "reference_images": st.lists(st.just("https://cdn.example.com/a.png"), min_size=1, max_size=2),
        "first_frame": st.just("https://cdn.example.com/b.png"),
    },
)
BOARD = st.fixed_dictionaries(
    {"model": st.just("m"), "shots": st.lists(SHOT, min_size=1, max_size=4)},
    optional={
        "title": WORDS,
        "style": WORDS,
        "budget": st.fixed_dictionaries({"jobs": st.integers(1, 9)}),
        "labels": st.dictionaries(st.sampled_from(["project", "episode"]), st.sampled_from(["rain", "12: a"])),
        "on_failed": st.sampled_from(["retake", "stop"]),
    },
)


@settings(max_examples=150)
@given(data=st.data(), document=BOARD, form=st.sampled_from(["yaml", "json", None]))
def test_whatever_is_decided_it_starts_the_shots_that_the_run_has(data: Any, document: Any, form: str | None) -> None:
    """Odd prompts, with and without their style; the text known or not, in blocks as YAML is written or as JSON."""
    for shot in document["shots"]:
        if "first_frame" in shot:
            shot["from"] = "cut"
    text = dump_yaml(document) if form == "yaml" else json.dumps(document)
    run, before = run_and_text(text, form or "json")
    for shot in run.shots:
        if words := data.draw(st.none() | WORDS):
            styled_words = f"{words.strip()}, {document.get('style', '')}"
            prompt = data.draw(st.sampled_from([words.strip(), styled_words.strip()]))
            run = with_input(run, shot.id, prompt=prompt, seed=data.draw(st.none() | st.integers(0, 9)))
    run = replace(run, budget_jobs=data.draw(st.none() | st.integers(1, 9)))
    now = write_storyboard(run, before if form else None)

    assert content(again(run, now.text)) == content(run)
    assert (again(run, now.text).budget_jobs, again(run, now.text).labels) == (run.budget_jobs, run.labels)
    board = read_storyboard(json.dumps(now.document), form="json", allow_paths=False)
    assert content(run_of(board)) == content(run)
